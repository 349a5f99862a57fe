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

__all__ = ["Event", "Truth", "measure", "momentum"]


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


def measure(
    scene: Scene,
    motion: Motion,
    shots: tuple[Shot, ...],
    outcome: Outcome,
    segmentation: UInt8[np.ndarray, "time height width 1"],
    change: Change | None = None,
) -> Truth:
    """The truth of one clip.

    Visibility compares the pixels of the segmentation with each body's whole silhouette in the
    same picture, so a body cut by the picture's edge counts as wholly visible.

    Args:
        outcome: Its events join those that are found here.
        change: A twin's; it becomes an event.
    """
    frames, height, width, _ = segmentation.shape
    track, depth, area, whole = (np.concatenate(rows) for rows in zip(
        *(seen_by(shot, scene, motion, segmentation) for shot in shots), strict=True
    ))  # fmt: skip
    with np.errstate(invalid="ignore", divide="ignore"):
        # a renderer other than the silhouettes' own may show a pixel more along an edge
        visibility = np.where(whole > 0, np.minimum(area / whole, 1.0), np.nan)
    inside = inside_picture(track, height, width)
    return Truth(
        track=track.astype(np.float32),
        track_depth=depth.astype(np.float32),
        area=area,
        visibility=visibility.astype(np.float32),
        energy=(motion.kinetic_energy_j + motion.potential_energy_j)[:frames].astype(np.float32),
        momentum=momentum(scene, motion)[:frames].astype(np.float32),
        penetration=motion.deepest_penetration_m[:frames].astype(np.float32),
        events=find_events(
            scene, motion, outcome, area=area, whole=whole, inside=inside,
            cuts=tuple(shot.first_frame for shot in shots[1:]), change=change,
        ),
    )  # fmt: skip


def seen_by(
    shot: Shot, scene: Scene, motion: Motion, segmentation: UInt8[np.ndarray, "time height width 1"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Tracks (time body 2), their depths, and visible and whole areas (time body) in one shot."""
    moved = motion.window(shot.first_frame, shot.frames)
    track, depth = project(moved.centre_of_mass[: shot.frames], shot.cameras)
    labels = segmentation[shot.first_frame : shot.first_frame + shot.frames]
    height, width = labels.shape[1:3]
    size = {"height": height, "width": width}
    return track, depth, *areas(scene, moved, shot.cameras, **size, segmentation=labels)


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
