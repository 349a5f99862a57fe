"""Ground truth measured from motion and frames: tracks, visibility, energy, momentum, events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, UInt8

from simgen.cameras import Shot, project
from simgen.events import Event, find_events
from simgen.families import Outcome
from simgen.motion import Change, Motion, centre_velocity
from simgen.renderers.raycast import areas
from simgen.scene import Scene

__all__ = ["Event", "Silhouettes", "Truth", "measure", "momentum", "silhouettes"]


@dataclass(frozen=True)
class Truth:
    """Tracks, visibility and physics checks of one clip; body rows as in Scene.bodies."""

    track: Float32[np.ndarray, "time body 2"]  # centre of mass, px; NaN behind the camera
    track_depth: Float32[np.ndarray, "time body"]  # metres along the optical axis
    area: Int32[np.ndarray, "time body"]  # visible pixels
    visibility: Float32[np.ndarray, "time body"]  # visible / whole silhouette in picture; NaN: none
    energy: Float32[np.ndarray, " time"]  # J, kinetic + potential
    momentum: Float32[np.ndarray, "time 3"]  # kg m/s, moving bodies
    penetration: Float32[np.ndarray, " time"]  # m, deepest in the frame
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Silhouettes:
    """Pixels of each body of a clip: those that show, and as if nothing stood in front."""

    area: Int32[np.ndarray, "time body"]
    whole: Int32[np.ndarray, "time body"]
    height: int
    width: int


def silhouettes(
    scene: Scene,
    motion: Motion,
    shots: tuple[Shot, ...],
    segmentation: UInt8[np.ndarray, "time height width 1"],
) -> Silhouettes:
    """What each shot's camera sees of each body; the ray caster draws what is hidden."""
    height, width = segmentation.shape[1:3]
    drawn = []
    for shot in shots:
        rows = slice(shot.first_frame, shot.first_frame + shot.frames)
        moved = motion.window(shot.first_frame, shot.frames)
        labels = segmentation[rows]
        drawn.append(
            areas(scene, moved, shot.cameras, height=height, width=width, segmentation=labels)
        )
    area, whole = (np.concatenate(rows) for rows in zip(*drawn, strict=True))
    return Silhouettes(area, whole, height, width)


def measure(
    scene: Scene,
    motion: Motion,
    shots: tuple[Shot, ...],
    outcome: Outcome,
    seen: Silhouettes,
    change: Change | None = None,
    original: Scene | None = None,
) -> Truth:
    """The truth of one clip.

    Visibility compares what shows of each body with its whole silhouette in the same picture, so
    a body cut by the picture's edge counts as wholly visible.

    Args:
        outcome: Its events join those that are found here.
        seen: As `silhouettes` counts them.
        change: A twin's; it becomes an event.
        original: A twin's scene before the change: a mass may be another.
    """
    area, whole, frames = seen.area, seen.whole, len(seen.area)
    track, depth = (np.concatenate(rows) for rows in zip(
        *(tracks(shot, motion) for shot in shots), strict=True
    ))  # fmt: skip
    with np.errstate(invalid="ignore", divide="ignore"):
        # a renderer other than the silhouettes' own may show a pixel more along an edge
        visibility = np.where(whole > 0, np.minimum(area / whole, 1.0), np.nan)
    inside = inside_picture(track, seen.height, seen.width)
    pushed = momentum(scene, motion)
    if change and original and len(original.bodies) == len(scene.bodies):
        pushed[: change.frame] = momentum(original, motion)[: change.frame]
    return Truth(
        track=track.astype(np.float32),
        track_depth=depth.astype(np.float32),
        area=area,
        visibility=visibility.astype(np.float32),
        energy=(motion.kinetic_energy_j + motion.potential_energy_j)[:frames].astype(np.float32),
        momentum=pushed[:frames].astype(np.float32),
        penetration=motion.deepest_penetration_m[:frames].astype(np.float32),
        events=find_events(
            scene, motion, outcome, area=area, whole=whole, inside=inside,
            cuts=tuple(shot.first_frame for shot in shots[1:]), change=change,
        ),
    )  # fmt: skip


def tracks(
    shot: Shot, motion: Motion
) -> tuple[Float64[np.ndarray, "time body 2"], Float64[np.ndarray, "time body"]]:
    """Centres of mass in one shot's picture, px, and along its optical axis, m."""
    moved = motion.window(shot.first_frame, shot.frames)
    return project(moved.centre_of_mass[: shot.frames], shot.cameras)


def pixel_counts(
    segmentation: UInt8[np.ndarray, "time height width 1"], bodies: int
) -> Int32[np.ndarray, "time body"]:
    """Visible pixels of each body in each frame."""
    counts = [np.bincount(frame.ravel(), minlength=256)[1 : bodies + 1] for frame in segmentation]
    return np.stack(counts).astype(np.int32)


def inside_picture(
    track: Float64[np.ndarray, "time body 2"], height: int, width: int
) -> Bool[np.ndarray, "time body"]:
    """Whether each body's centre of mass projects into the picture."""
    x, y = track[..., 0], track[..., 1]
    return (x >= 0) & (x < width) & (y >= 0) & (y < height)  # NaN compares false


def momentum(scene: Scene, motion: Motion) -> Float64[np.ndarray, "time1 3"]:
    """Sum of mass times centre velocity over the bodies that can move, kg m/s."""
    mass = np.array([0.0 if b.motion == "static" else b.mass_kg for b in scene.bodies])
    return np.einsum("b,tbi->ti", mass, centre_velocity(motion))
