"""Ground truth measured from motion and frames, and the quality control that guards it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32

EVENT_KINDS = (
    "contact", "release", "landing", "occlusion", "out_of_frame", "apex",
)  # occlusion and out_of_frame have a start and an end


@dataclass(frozen=True)
class Event:
    """Something that happened; captions cite it by `event_id` (e3 is the clip's fourth)."""

    event_id: str
    kind: str
    start_s: float
    end_s: float
    body_a: int = -1  # row of Scene.bodies, -1: none
    body_b: int = -1
    impulse_ns: float = float("nan")
    point: tuple[float, float, float] | None = None
    value: str = ""


@dataclass(frozen=True)
class Truth:
    """Tracks, visibility and physics checks of one clip; body rows as in Scene.bodies."""

    track: Float32[np.ndarray, "time body 2"]  # centre of mass in the picture, px; NaN behind the camera
    track_depth: Float32[np.ndarray, "time body"]  # metres along the optical axis
    area: Int32[np.ndarray, "time body"]  # visible pixels
    visibility: Float32[np.ndarray, "time body"]  # visible / whole silhouette inside the picture; NaN: none
    energy: Float32[np.ndarray, " time"]  # J, kinetic + potential
    momentum: Float32[np.ndarray, "time 3"]  # kg m/s, moving bodies
    penetration: Float32[np.ndarray, " time"]  # m, deepest in the frame
    events: tuple[Event, ...]
