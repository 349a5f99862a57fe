"""Filming: the shots of a clip, drawn anew until the subject is seen and no camera is in anything.

One simulation is shown by one to four shots. Each has a camera of the recipe; a family with
settings gets a shot for each of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from scipy.ndimage import gaussian_filter1d

from simgen.cameras import CameraTrack, Shot, path
from simgen.clearance import clearance_m, mean_silhouettes_m2
from simgen.families import Setting
from simgen.motion import Motion, SimulationError
from simgen.recipe.camera import CameraRecipe
from simgen.recipe.tables import SceneRecipe, Video
from simgen.renderers.packing import GeomTable, pack, world_frames
from simgen.renderers.raycast import render
from simgen.scene import Scene

TRIES = 20  # draws of a shot before the clip is given up
TRIES_A_CAMERA = 5  # draws before another of the recipe's cameras is tried
SHORTEST_S = 0.5  # shots that people can follow
CLEARANCE_M = 0.05  # between a camera and anything that is drawn
SEEN_SHARE, SEEN_FRAMES = 0.05, 0.25  # of the subject, in that share of a shot's frames
LOOKS, LOOK_PX = 8, 32  # frames that are looked at, and their shorter side
APART_DEG, APART_RATIO = 30.0, 1.5  # turn around the subject, or change of its size, that is a cut
FOLLOW_S = 0.15  # a tracking camera smooths its subject's way by this


@dataclass(frozen=True)
class Stage:
    """What a shot films: a stretch of the clip, its subject and where that is."""

    first: int
    frames: int
    point: tuple[float, float, float]
    distance_m: float
    rows: tuple[int, ...]  # of the moving bodies that are its subject
    setting: Setting | None = None


def film(
    scene: Scene,
    motion: Motion,
    kind: Any,
    table: SceneRecipe,
    video: Video,
    rng: np.random.Generator,
) -> tuple[Shot, ...]:
    """The clip's shots, in order and without gaps.

    Args:
        kind: The family.
        table: Its cameras and how many shots.
        rng: Of the stream "camera".
    Raises:
        SimulationError: No draw of a shot was fit to be seen; the message says why.
    """
    shots: list[Shot] = []
    for stage in stages(scene, motion, kind, table, rng):
        shots.append(shoot(scene, motion, stage, table.cameras, video, rng, shots[-1:]))
    return tuple(shots)


def stages(
    scene: Scene, motion: Motion, kind: Any, table: SceneRecipe, rng: np.random.Generator
) -> list[Stage]:
    """What the shots film: the family's settings one by one, or one place in several stretches."""
    moving = tuple(row for row, body in enumerate(scene.bodies) if body.motion != "static")
    if hasattr(kind, "settings"):
        places = kind.settings(scene)
        firsts = [place.first_frame for place in places]
        lengths = np.diff([*firsts, scene.frames])
        return [
            Stage(
                place.first_frame, int(length), place.point, place.distance_m,
                near(motion, moving, index, places), place,
            )
            for index, (place, length) in enumerate(zip(places, lengths, strict=True))
        ]  # fmt: skip
    low, high = table.shots
    count = int(rng.integers(low, high + 1)) if high > 1 else 1
    firsts = cuts(count, scene.frames, scene.frame_rate_hz, rng)
    point, distance_m = kind.look_at(scene, motion)
    lengths = np.diff([*firsts, scene.frames])
    return [
        Stage(first, int(length), point, distance_m, moving)
        for first, length in zip(firsts, lengths, strict=True)
    ]


def near(
    motion: Motion, moving: tuple[int, ...], index: int, places: tuple[Setting, ...]
) -> tuple[int, ...]:
    """The moving bodies that are nearest to that one of the places."""
    points = np.array([place.point for place in places])
    away = np.linalg.norm(motion.position[0, list(moving), None] - points, axis=-1)
    return tuple(row for row, home in zip(moving, away.argmin(1), strict=True) if home == index)


def cuts(count: int, frames: int, frame_rate_hz: float, rng: np.random.Generator) -> list[int]:
    """First frames of so many shots, none shorter than half a second or half an equal share.

    A clip too short for that is cut into equal shots.

    Raises:
        SimulationError: Not even two frames a shot.
    """
    if frames < 2 * count:
        raise SimulationError(
            f"camera: {count} shots in a clip of {frames} frames; give two frames a shot or fewer "
            "shots"
        )
    least = max(math.ceil(SHORTEST_S * frame_rate_hz), math.ceil(frames / (2 * count)))
    least = min(least, frames // count)
    spare = np.sort(rng.integers(0, frames - count * least + 1, count - 1))
    return [0, *(int(extra) + (i + 1) * least for i, extra in enumerate(spare))]


def shoot(
    scene: Scene,
    motion: Motion,
    stage: Stage,
    choices: tuple[CameraRecipe, ...],
    video: Video,
    rng: np.random.Generator,
    last: list[Shot],
) -> Shot:
    """One shot that shows its subject; unlike the last one, where its camera's ranges allow.

    Raises:
        SimulationError: Every draw failed; the last one's reason.
    """
    seen = motion.window(stage.first, stage.frames)
    subject = followed(scene, motion, stage)
    reason, camera = "", choices[0]
    for number in range(TRIES):
        if number % TRIES_A_CAMERA == 0:
            camera = choices[int(rng.integers(len(choices)))]
        try:
            track = path(
                camera, look_at=stage.point, distance_m=stage.distance_m, frames=stage.frames,
                height=video.height, width=video.width, rng=rng,
                frame_rate_hz=scene.frame_rate_hz, subject=subject,
            )  # fmt: skip
        except ValueError as error:
            reason = str(error)
            continue
        alike = number < TRIES // 2 and last and not stage.setting
        if alike and not apart(last[-1].cameras, track, np.asarray(stage.point)):
            continue  # allowed later on: the ranges may have no other view
        reason = unfit(scene, seen, stage.rows, track, video)
        if not reason:
            return dressed(stage, track, camera.name)
    raise SimulationError(f"camera: {reason} ({camera.name}, {TRIES} draws)")


def dressed(stage: Stage, track: CameraTrack, move: str) -> Shot:
    place = stage.setting
    if place is None:
        return Shot(stage.first, track, move)
    return Shot(stage.first, track, move, place.name, place.light, place.sky)


def followed(scene: Scene, motion: Motion, stage: Stage) -> Float64[np.ndarray, "time1 3"] | None:
    """The smoothed way of the centre of mass of the subject over the stretch, if it has one."""
    rows = list(stage.rows)
    mass = np.array([scene.bodies[row].mass_kg for row in rows])
    if not rows or mass.sum() <= 0:
        return None
    centre = np.einsum("b,tbi->ti", mass / mass.sum(), motion.centre_of_mass[:, rows])
    smooth = gaussian_filter1d(centre, FOLLOW_S * scene.frame_rate_hz, axis=0, mode="nearest")
    return smooth[stage.first : stage.first + stage.frames + 1]


def apart(last: CameraTrack, track: CameraTrack, point: Float64[np.ndarray, 3]) -> bool:
    """Whether the picture after a cut is clearly another one: from elsewhere, or nearer or farther.

    A cut between two views under 30 degrees apart looks like a mistake (the editor's 30-degree
    rule).
    """
    before, after = last.position[-1] - point, track.position[0] - point
    turn = np.rad2deg(np.arctan2(before[1], before[0]) - np.arctan2(after[1], after[0]))
    size = [
        track.intrinsics[row, 0] / np.linalg.norm(offset)
        for track, row, offset in ((last, -1, before), (track, 0, after))
    ]
    ratio = max(size) / min(size)
    return bool(abs((turn + 180) % 360 - 180) >= APART_DEG or ratio >= APART_RATIO)


def unfit(
    scene: Scene, motion: Motion, rows: tuple[int, ...], track: CameraTrack, video: Video
) -> str:
    """Why the shot cannot be used; empty if it can."""
    table = pack(scene)
    rotation, centre = world_frames(table, motion)
    gap = clearance_m(table, rotation, centre, track.position)
    if gap.min() < CLEARANCE_M:
        frame, geom = np.unravel_index(gap.argmin(), gap.shape)
        name = scene.bodies[table.body[geom]].name
        how = "inside" if gap[frame, geom] < 0 else f"{100 * gap[frame, geom]:.0f} cm from"
        return f"it is {how} {name} at frame {frame}; at least {100 * CLEARANCE_M:.0f} cm are kept"
    mine = np.isin(table.body, rows)
    if not mine.any():
        return ""
    whole = silhouettes_px(table, centre, track)[:, mine].sum(axis=1)
    share = float(in_sight(scene, motion, rows, track, video, whole).mean())
    if share < SEEN_FRAMES:
        return (
            f"what moves is seen in {share:.0%} of the frames; at least {SEEN_FRAMES:.0%} must "
            f"show {SEEN_SHARE:.0%} of it"
        )
    return ""


def silhouettes_px(
    table: GeomTable, centre: Float64[np.ndarray, "time1 geom 3"], track: CameraTrack
) -> Float64[np.ndarray, "time1 geom"]:
    """Pixels that each geom would cover on average over its orientations, wherever it is.

    A convex body's mean silhouette is a quarter of its surface (Cauchy).
    """
    distance = np.linalg.norm(centre - track.position[:, None], axis=-1)
    scale = track.intrinsics[:, :1] / np.maximum(distance, 1e-6)
    return mean_silhouettes_m2(table) * scale**2


def in_sight(
    scene: Scene,
    motion: Motion,
    rows: tuple[int, ...],
    track: CameraTrack,
    video: Video,
    whole: Float64[np.ndarray, " time1"],
) -> Bool[np.ndarray, " looks"]:
    """Whether enough of the subject shows, in a few frames over the shot, drawn small.

    Args:
        whole: Pixels of the subject as if all of it were in the picture and nothing before it.
    """
    at = np.unique(np.linspace(0, len(whole) - 2, LOOKS).round().astype(int))
    drawn = np.append(at, at[-1])  # pictures are drawn of all rows but the last
    poses = replace(motion, position=motion.position[drawn], quaternion=motion.quaternion[drawn])
    shrink = max(1.0, min(video.height, video.width) / LOOK_PX)
    small = CameraTrack(
        track.position[drawn], track.quaternion[drawn], track.intrinsics[drawn] / shrink
    )
    picture = render(
        scene, poses, small, height=round(video.height / shrink),
        width=round(video.width / shrink), channels=("segmentation",), smooth=False,
    )["segmentation"]  # fmt: skip
    seen = np.isin(picture, np.array(rows) + 1).sum(axis=(1, 2, 3))
    return (seen >= 1) & (seen >= SEEN_SHARE * whole[at] / shrink**2)
