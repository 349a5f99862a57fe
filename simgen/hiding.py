"""Where a splice can hide: when things are out of sight, and whether a twin's pictures show it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from simgen.cameras import CameraTrack, Shot, project
from simgen.changeable import lone
from simgen.events import runs
from simgen.motion import Motion
from simgen.recipe import Video
from simgen.renderers import render
from simgen.scene import Scene
from simgen.truth import inside_picture, pixel_counts

SHORTEST = 3  # frames of full occlusion, or a glimpse could give the splice away
NOTICED_PX = 6  # fewer pixels are no shape: what is to be seen shows as many in SHORTEST frames
# Smoothed edges show a sliver of a thing before a whole pixel is its own, and its shadow's edge may
# come out with it: so many frames before it is seen, its picture may be another already
SLIVER = 2


def drawn(
    scene: Scene,
    motion: Motion,
    shots: tuple[Shot, ...],
    video: Video,
    channel: str,
    *,
    first: int = 0,
    stop: int | None = None,
) -> UInt8[np.ndarray, "time height width channel"]:
    """One channel of a stretch of the clip, as the clip itself has it."""
    stop = scene.frames if stop is None else stop
    parts = []
    for shot in shots:
        start, end = max(first, shot.first_frame), min(stop, shot.first_frame + shot.frames)
        if start >= end:
            continue
        rows = slice(start - shot.first_frame, end - shot.first_frame + 1)
        at = shot.cameras
        track = CameraTrack(at.position[rows], at.quaternion[rows], at.intrinsics[rows])
        pictures = render(
            shot.dressed(scene), motion.window(start, end - start), track,
            renderer=video.renderer, height=video.height, width=video.width, channels=(channel,),
        )  # fmt: skip
        parts.append(pictures[channel])
    return np.concatenate(parts)


def hidden(
    labels: UInt8[np.ndarray, "time height width 1"],
    centre: Float64[np.ndarray, "time1 body 3"],
    cameras: CameraTrack,
) -> Bool[np.ndarray, "time body"]:
    """Whether each body shows no pixel though its centre is within the picture."""
    frames, height, width, _ = labels.shape
    pixels, _ = project(centre[:frames], cameras)
    seen = pixel_counts(labels, centre.shape[1]) > 0
    return inside_picture(pixels, height, width) & ~seen


def hidings(
    scene: Scene,
    motion: Motion,
    shots: tuple[Shot, ...],
    labels: UInt8[np.ndarray, "time height width 1"],
    *,
    earliest: bool,
) -> Iterator[tuple[int, int, int]]:
    """Bodies that are fully hidden after they were seen, and are seen again later.

    Yields each row with the first frame and the one past the last, the longest or earliest first.

    Args:
        labels: Of the whole clip, in the channel segmentation.
    """
    rows = [slice(shot.first_frame, shot.first_frame + shot.frames) for shot in shots]
    unseen = np.concatenate(
        [
            hidden(labels[at], motion.centre_of_mass[at], shot.cameras)
            for at, shot in zip(rows, shots, strict=True)
        ]
    )
    shown = pixel_counts(labels, len(scene.bodies)) >= NOTICED_PX
    found = [
        (start if earliest else start - end, row, start, end)
        for row in lone(scene)
        for start, end in runs(unseen[:, row])
        if end - start >= SHORTEST and shown[:start, row].any()
        and shown[end:, row].sum() >= SHORTEST
    ]  # fmt: skip
    for _, row, start, end in sorted(found):
        yield row, start, end


def seam(
    original: tuple[Scene, Motion],
    twin: tuple[Scene, Motion],
    shots: tuple[Shot, ...],
    video: Video,
    *,
    labels: UInt8[np.ndarray, "time height width 1"],
    row: int,
    frame: int,
) -> tuple[str, int]:
    """What is wrong with a splice's pictures, empty if nothing, and the last frame that shows it.

    From the splice until the thing is due to be seen in either clip both have the same pictures, a
    shadow included; afterwards they have others.

    Args:
        labels: Of the original's whole clip, in the channel segmentation.
        row: Of the body; one that stands in for it in the twin is the twin's last.
        frame: The splice.
    """
    here, there = labels[frame:], drawn(*twin, shots, video, "segmentation", first=frame)
    mine = {row + 1, *range(len(original[0].bodies) + 1, len(twin[0].bodies) + 1)}
    shown = np.isin(here, list(mine)) | np.isin(there, list(mine))
    other = (here != there).sum(axis=(1, 2, 3)) >= NOTICED_PX
    if other.sum() < SHORTEST:
        return "the twin looks like the original to its end", frame
    due = frame + int(shown.any(axis=(1, 2, 3)).argmax())
    if due - frame < SLIVER:
        return f"the thing is in sight at frame {due}, as it is changed", frame
    stop = max(due - SLIVER, frame + SLIVER)
    one, two = (
        drawn(*clip, shots, video, "rgb", first=frame, stop=stop) for clip in (original, twin)
    )
    bare = np.flatnonzero((one != two).any(axis=(1, 2, 3)))
    if len(bare):
        last = frame + int(bare[-1])
        said = f"a shadow shows the change at frame {last}, before frame {due} shows it"
        return f"{said}; with the sun behind the camera shadows stay out of sight", last
    return "", frame
