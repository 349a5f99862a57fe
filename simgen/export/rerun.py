"""Rerun recordings: one .rrd an episode, its channels exact, to be opened with `rerun FILE`.

Only files are written: no viewer is started and nothing listens.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simgen.export.clips import Clip
from simgen.export.staging import Piece
from simgen.preview import paint_segmentation

if TYPE_CHECKING:
    from simgen.export import Options

LIBRARIES = ("rerun",)
LOSES = (
    "restorable states; other channels than rgb, depth and segmentation become colours; bodies "
    "are drawn by their first shape; times are rounded to nanoseconds, frame numbers are exact"
)
CAMERA = "world/camera"
SCALARS = ("energy", "penetration", "momentum", "joint_position", "joint_velocity", "joint_torque")
PLANE_HALF_M = 20.0


def pieces(clips: Sequence[Clip], options: Options) -> list[Piece]:
    """One an episode: its recording."""
    return [
        Piece(clip.episode_id, 1, lambda folder, c=clip: _write(c, folder, options))
        for clip in clips
    ]


def finish(folder: Path, clips: Sequence[Clip], options: Options, facts: list[dict]) -> None:
    """A recording says all of itself."""


def _write(clip: Clip, folder: Path, options: Options) -> dict:
    import rerun as rr

    path = folder / clip.split / f"{clip.episode_id}.rrd"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with rr.RecordingStream("physreel", recording_id=clip.episode_id) as recording:
        recording.save(partial)
        recording.send_recording_name(clip.row["caption_short"] or clip.episode_id)
        for entity, thing in _still(clip):
            recording.log(entity, thing, static=True)
        times = _times(clip, np.arange(clip.frames))
        for entity, columns in [*_pictures(clip, options), *_motion(clip)]:
            recording.send_columns(entity, times, columns)
        for frame, text in _events(clip):
            recording.send_columns(
                "events", _times(clip, np.array([frame])), rr.TextLog.columns(text=[text])
            )
        recording.disconnect()
    os.replace(partial, path)
    return {}


def _times(clip: Clip, frames: np.ndarray) -> list[Any]:
    """Both timelines: `frame`, exact, and `time` since the start, in whole nanoseconds."""
    import rerun as rr

    nanoseconds = [round(int(frame) / clip.frame_rate * 10**9) for frame in frames]
    return [
        rr.TimeColumn("frame", sequence=frames),
        rr.TimeColumn("time", duration=np.array(nanoseconds, "timedelta64[ns]")),
    ]


def _still(clip: Clip) -> Iterator[tuple[str, Any]]:
    """What holds for the whole clip: axes, captions, colours of labels, shapes of bodies."""
    import rerun as rr

    yield "world", rr.ViewCoordinates.RIGHT_HAND_Z_UP
    captions = clip.facts()["captions"]
    text = "\n\n".join(f"**{kind}**: {words}" for kind, words in captions.items())
    yield "captions", rr.TextDocument(text, media_type=rr.MediaType.MARKDOWN)
    palette = paint_segmentation(np.arange(256, dtype=np.uint8).reshape(1, 1, 256, 1))[0, 0]
    names = ["sky", *(body["name"] for body in clip.bodies)]
    labels = [(i, name, tuple(map(int, palette[i]))) for i, name in enumerate(names)]
    yield CAMERA, rr.AnnotationContext(labels)
    for body in clip.bodies:
        if body["visible"]:
            yield f"world/bodies/{body['name']}", _shape(body)


def _shape(body: dict) -> Any:
    """The body's first visible shape in its own frame; sizes are half lengths and radii."""
    import rerun as rr

    kind, size, at = body["kind"], body["size"], [body["offset_m"]]
    look = {"colors": [tuple(round(255 * c) for c in body["rgb"])], "labels": [body["name"]]}
    if kind == "sphere":
        return rr.Ellipsoids3D(radii=[size[0]], centers=at, **look)
    if kind == "ellipsoid":
        return rr.Ellipsoids3D(half_sizes=[size], centers=at, **look)
    if kind == "box":
        return rr.Boxes3D(half_sizes=[size], centers=at, **look)
    if kind == "cylinder":
        return rr.Cylinders3D(radii=[size[0]], lengths=[2 * size[1]], centers=at, **look)
    if kind == "capsule":  # from one end of its axis, along z
        low = [[x - half for x, half in zip(at[0], (0, 0, size[1]), strict=True)]]
        return rr.Capsules3D(radii=[size[0]], lengths=[2 * size[1]], translations=low, **look)
    if kind == "plane":
        return rr.Boxes3D(half_sizes=[[PLANE_HALF_M, PLANE_HALF_M, 1e-3]], centers=at, **look)
    return rr.Points3D(at, **look)


def _pictures(clip: Clip, options: Options) -> Iterator[tuple[str, Any]]:
    import rerun as rr

    size = {"width": clip.width, "height": clip.height}
    for channel in options.channels:
        entity = f"{CAMERA}/{channel}"
        if channel == "depth":
            frames = clip.channel(channel)
            seen = frames[np.isfinite(frames)]
            image, kind = rr.DepthImage, {"channel_datatype": "F16"}
            span = [float(seen.min()), float(seen.max())] if seen.size else [0.0, 1.0]
            more = {"meter": [1.0] * clip.frames, "depth_range": [span] * clip.frames}
        elif channel == "segmentation":
            frames, more = clip.channel(channel), {}
            image, kind = rr.SegmentationImage, {"channel_datatype": "U8"}
        else:
            frames, more = clip.pictures(channel), {}
            image, kind = rr.Image, {"color_model": "RGB", "channel_datatype": "U8"}
        form = rr.components.ImageFormat(**size, **kind)
        buffers = [frame.tobytes() for frame in frames]
        yield entity, image.columns(buffer=buffers, format=[form] * clip.frames, **more)


def _motion(clip: Clip) -> Iterator[tuple[str, Any]]:
    """Camera, body poses, tracks in the picture, and curves."""
    import rerun as rr

    truth = clip.truth()
    if "camera_pose" in truth:
        pose = truth["camera_pose"]
        yield CAMERA, _poses(pose[:, :3], pose[:, 3:])
        fx, fy, cx, cy = truth["camera_intrinsics"].T
        matrix = np.zeros((clip.frames, 3, 3), np.float32)
        matrix[:, 0, 0], matrix[:, 1, 1] = fx, fy
        matrix[:, 0, 2], matrix[:, 1, 2], matrix[:, 2, 2] = cx, cy, 1
        yield (
            CAMERA,
            rr.Pinhole.columns(
                image_from_camera=matrix,
                resolution=[[clip.width, clip.height]] * clip.frames,
                camera_xyz=[rr.ViewCoordinates.RUB] * clip.frames,
            ),
        )
    for number, body in enumerate(clip.bodies):
        name = body["name"]
        if "position" in truth:
            yield (
                f"world/bodies/{name}",
                _poses(truth["position"][:, number], truth["quaternion"][:, number]),
            )
        if "track" in truth and body["visible"]:
            points = truth["track"][:, number]
            seen = np.isfinite(points).all(1)
            columns = rr.Points2D.columns(
                positions=points[seen],
                class_ids=np.full(seen.sum(), number + 1, np.uint16),
            )
            yield f"{CAMERA}/tracks/{name}", columns.partition(seen.astype(int))
    for name in SCALARS:
        if name in truth:
            curves = truth[name].reshape(clip.frames, -1).astype(np.float64)
            columns = rr.Scalars.columns(scalars=curves.reshape(-1))
            yield f"curves/{name}", columns.partition([curves.shape[1]] * clip.frames)


def _poses(position: np.ndarray, quaternion: np.ndarray) -> Any:
    """Ours are w x y z."""
    import rerun as rr

    return rr.Transform3D.columns(
        translation=position.astype(np.float32),
        quaternion=np.roll(quaternion, -1, 1).astype(np.float32),
    )


def _events(clip: Clip) -> Iterator[tuple[int, str]]:
    """Frame in which each event begins, and what it is."""
    for event in clip.events():
        words = [event["kind"], event["body_a"], event["body_b"], event["value"]]
        if event["impulse_ns"]:
            words.append(f"{event['impulse_ns']:.3g} N s")
        frame = int(event["start_s"] * clip.frame_rate) if event["start_s"] is not None else 0
        yield min(frame, clip.frames - 1), " ".join(filter(None, words))
