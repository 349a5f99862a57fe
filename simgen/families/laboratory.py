"""What the families with textbook answers share: floor, light, stands, and how to frame them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from simgen.scene import Body, Geom, Light, Material, Vector3

FLOOR = Material("white", (0.62, 0.62, 0.60), (0.30, 0.33, 0.38), pattern="checker")
WOOD = Material("brown", (0.42, 0.25, 0.12), (0.36, 0.21, 0.10), pattern="grain", scale_m=0.12)
STEEL = Material("grey", (0.34, 0.36, 0.39), gloss=0.5)
LIGHT = Light(direction=(0.35, 0.50, -0.80))  # from the front left, where cameras stand
HALF_VIEW = math.radians(45.0) / 2  # of the default camera
FILL = 0.94  # share of the picture's half that the farthest point may take


def floor(*, friction: float = 1.0, height_m: float = 0.0) -> Body:
    """A checkered floor that takes nothing of a bounce: a pair's restitution is the thing's own."""
    plane = Geom("plane", (), FLOOR, friction=friction, restitution=1.0)
    place = (0.0, 0.0, height_m)
    return Body("floor", (plane,), motion="static", position=place, label="floor")


def whole_rate(wanted_hz: float, frame_rate_hz: float) -> float:
    """The physics rate of at least that many steps a second that frames divide."""
    return frame_rate_hz * math.ceil(wanted_hz / frame_rate_hz)


def framing(points: Float64[np.ndarray, "*rows 3"], reach_m: float = 0.0) -> tuple[Vector3, float]:
    """What a camera at any side frames to see all the points: their middle and how far to stand.

    Args:
        reach_m: Radius of the things whose centres the points are.
    """
    points = np.asarray(points).reshape(-1, 3)
    low, high = points.min(axis=0) - reach_m, points.max(axis=0) + reach_m
    across = float(max(high[:2] - low[:2])) / 2
    up = float(high[2] - low[2]) / 2
    nearest = float(min(high[:2] - low[:2])) / 2
    away = max(across, up) / (FILL * math.tan(HALF_VIEW)) + nearest
    middle = (low + high) / 2
    return (float(middle[0]), float(middle[1]), float(middle[2])), away


def post(
    name: str,
    ends: Sequence[tuple[Vector3, Vector3]],
    radius_m: float,
    *,
    material: Material = STEEL,
    label: str = "stand",
    collide: bool = False,
) -> Body:
    """A static body of round bars between pairs of points, to hang or lean things on."""
    geoms = tuple(bar(a, b, radius_m, material, collide=collide) for a, b in ends)
    return Body(name, geoms, motion="static", label=label)


def bar(
    start: Vector3, end: Vector3, radius_m: float, material: Material, *, collide: bool = False
) -> Geom:
    """A cylinder from one point to another."""
    a, b = np.array(start), np.array(end)
    along = b - a
    length = float(np.linalg.norm(along))
    middle = tuple(float(x) for x in (a + b) / 2)
    return Geom(
        "cylinder",
        (radius_m, length / 2),
        material,
        position=middle,
        quaternion=turn_to(along / length),
        collide=collide,
    )


def turn_to(direction: np.ndarray) -> tuple[float, float, float, float]:
    """The shortest turn that brings local z to a unit vector, w x y z.

    >>> turn_to(np.array([0.0, 0.0, 1.0]))
    (1.0, 0.0, 0.0, 0.0)
    """
    x, y, z = (float(v) for v in direction)
    if z < -1 + 1e-12:
        return 0.0, 1.0, 0.0, 0.0
    scale = math.sqrt(2 * (1 + z))
    return scale / 2, -y / scale + 0.0, x / scale, 0.0
