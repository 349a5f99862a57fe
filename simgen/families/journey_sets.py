"""The places that a journey leads through, and what stands in the way in each.

Everything here is in a setting's own frame: the traveller comes along +x in the plane y = 0, and
what it meets begins at x = 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from simgen.families.objects import turn_about, two_tone
from simgen.scene import Body, Geom, Light, Material, Sky, Vector3

SLAB_M = 0.2  # thickness of floors, walls and platforms' boards
WALL_M = 1.7  # their height: the other settings stay out of sight
FRONT_M, BACK_M, BEYOND_M = 6.5, 2.2, 1.3  # room before, behind and past what stands in the way
BOUNCE = 0.8  # of what stands still; the product with the traveller's own counts
WIDTH_M = 1.2  # of ramps, steps and trays


@dataclass(frozen=True)
class Place:
    """How a setting looks."""

    name: str
    floor: Material
    wall: Material
    light: Light
    sky: Sky


PLACES: dict[str, Place] = {
    place.name: place
    for place in (
        Place(
            "timber_hall",
            Material("brown", (0.36, 0.20, 0.09), rgb2=(0.22, 0.11, 0.045), pattern="grain",
                     scale_m=0.6),
            Material("cream", (0.78, 0.72, 0.58)),
            Light((-0.35, 0.45, -0.82), 0.62, 0.40),
            Sky((0.90, 0.93, 0.96), (0.45, 0.62, 0.85)),
        ),
        Place(
            "tiled_court",
            Material("white", (0.66, 0.70, 0.70), rgb2=(0.10, 0.25, 0.29), pattern="checker",
                     scale_m=0.5),
            Material("teal", (0.12, 0.30, 0.32)),
            Light((0.40, 0.40, -0.82), 0.68, 0.34),
            Sky((0.80, 0.90, 0.97), (0.25, 0.48, 0.82)),
        ),
        Place(
            "sand_yard",
            Material("sandy", (0.70, 0.55, 0.34), rgb2=(0.60, 0.45, 0.26), pattern="stripes",
                     scale_m=0.25),
            Material("brick", (0.42, 0.16, 0.10)),
            Light((-0.70, 0.35, -0.62), 0.72, 0.28),
            Sky((0.98, 0.72, 0.45), (0.45, 0.42, 0.62)),
        ),
        Place(
            "night_gallery",
            Material("grey", (0.30, 0.31, 0.34), rgb2=(0.19, 0.20, 0.23), pattern="checker",
                     scale_m=1.0),
            Material("violet", (0.20, 0.16, 0.30)),
            Light((0.15, 0.30, -0.94), 0.50, 0.24),
            Sky((0.12, 0.13, 0.24), (0.02, 0.02, 0.07)),
        ),
    )
}  # fmt: skip
STONE = Material("grey", (0.46, 0.46, 0.48), rgb2=(0.36, 0.36, 0.38), pattern="stripes",
                 scale_m=0.15)  # fmt: skip


@dataclass(frozen=True)
class Obstacle:
    """What stands in the way, for a traveller that comes at a given height and speed."""

    bodies: tuple[Body, ...]
    far_m: float  # x from which it lies behind the traveller
    lane_m: float = 0.0  # height of what the traveller comes along on
    near_m: float = 0.0  # x at which the traveller's foremost point meets it


def slab(
    low: Sequence[float], high: Sequence[float], material: Material, friction: float = 0.6
) -> Geom:
    """A box between two corners."""
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    half, middle = (high - low) / 2, (high + low) / 2
    return Geom(
        "box", tuple(half.tolist()), material, position=tuple(middle.tolist()),
        friction=friction, restitution=BOUNCE,
    )  # fmt: skip


def room(place: Place, way_m: float, far_m: float) -> tuple[Body, Body]:
    """Floor and four walls around a way of that length to x = 0 and what reaches to far_m."""
    left, right = -way_m - 1.5, max(far_m, 1.0) + BEYOND_M
    t = SLAB_M
    floor = slab((left, -FRONT_M, -t), (right, BACK_M, 0), place.floor)
    walls = (
        slab((left - t, BACK_M, 0), (right + t, BACK_M + t, WALL_M), place.wall),
        slab((left - t, -FRONT_M - t, 0), (right + t, -FRONT_M, WALL_M), place.wall),
        slab((left - t, -FRONT_M, 0), (left, BACK_M, WALL_M), place.wall),
        slab((right, -FRONT_M, 0), (right + t, BACK_M, WALL_M), place.wall),
    )
    return (
        Body("floor", (floor,), motion="static", label="floor"),
        Body("walls", walls, motion="static", label="wall"),
    )


def hill(speed: float, radius: float, way_m: float, g: float, rng: np.random.Generator) -> Obstacle:
    """Up and down again: as high as the traveller's energy takes it, more or less.

    A rolling ball climbs 0.7 v^2 / g (a solid ball's spin adds two fifths).
    """
    height = 0.7 * speed**2 / g / float(rng.uniform(0.9, 2.2))
    run = max(0.8, 2.6 * height)
    slope, board = math.atan2(height, run), 0.03
    half = math.hypot(run, height) / 2
    geoms = []
    for sign in (-1, 1):  # up, then down; the board lies under the line from foot to top
        middle = np.array([run + sign * run / 2, 0, height / 2])
        normal = np.array([sign * math.sin(slope), 0, math.cos(slope)])
        centre = middle - board * normal
        geoms.append(
            Geom(
                "box", (half, WIDTH_M / 2, board), STONE, position=tuple(centre.tolist()),
                quaternion=turn_about((0.0, 1.0, 0.0), sign * slope), friction=0.6,
                restitution=BOUNCE,
            )
        )  # fmt: skip
    return Obstacle((Body("hill", tuple(geoms), motion="static", label="ramp"),), 2 * run)


def step(speed: float, radius: float, way_m: float, g: float, rng: np.random.Generator) -> Obstacle:
    """An edge to fall from."""
    height = float(rng.uniform(0.35, 0.7))
    geom = slab((-way_m - 1.5, -WIDTH_M / 2, 0), (0, WIDTH_M / 2, height), STONE)
    body = Body("step", (geom,), motion="static", label="step")
    return Obstacle((body,), radius, height, radius)


def tray(speed: float, radius: float, way_m: float, g: float, rng: np.random.Generator) -> Obstacle:
    """An edge with an open box under it, which keeps what falls in."""
    edge = step(speed, radius, way_m, g, rng)
    height, t = edge.lane_m, 0.05
    lands = speed * math.sqrt(2 * height / g)
    far, rim = max(lands, 2 * radius) + 3.2 * radius, 2.2 * radius
    half = max(WIDTH_M / 2, 3 * radius)
    wood = Material("brown", (0.30, 0.15, 0.06), rgb2=(0.20, 0.09, 0.035), pattern="grain")
    walls = (
        slab((far - t, -half, 0), (far, half, rim), wood),
        slab((0, half - t, 0), (far, half, rim), wood),
        slab((0, -half, 0), (far, t - half, 0.5 * radius), wood),  # low, to see in
    )
    body = Body("tray", walls, motion="static", label="tray")
    return Obstacle((*edge.bodies, body), far, height, radius)


def blocks(
    speed: float, radius: float, way_m: float, g: float, rng: np.random.Generator
) -> Obstacle:
    """A row of standing blocks; their mass is set against the traveller's by the family."""
    tall, thick = float(rng.uniform(2.4, 3.4)) * radius, 0.35 * radius
    gap = float(rng.uniform(0.9, 1.5)) * radius
    bodies = []
    for number in range(3):
        x = thick + number * (2 * thick + gap)
        box = Geom(
            "box", (thick, 1.2 * radius, tall / 2), STONE, friction=0.5, restitution=0.3
        )  # fmt: skip
        bodies.append(
            Body(f"block_{number}", (box,), 1.0, position=(x, 0.0, tall / 2), label="block")
        )
    return Obstacle(tuple(bodies), bodies[-1].position[0] + thick)


OBSTACLES: dict[str, Callable[..., Obstacle]] = {
    "hill": hill,
    "step": step,
    "tray": tray,
    "blocks": blocks,
}


def painted(body: Body, colour: str, mass_kg: float) -> Body:
    """The block in a colour of the palette, with a mass."""
    geom = body.geoms[0]
    shown = Geom(
        geom.kind, geom.size, two_tone(colour), friction=geom.friction,
        restitution=geom.restitution,
    )  # fmt: skip
    return Body(body.name, (shown,), mass_kg, position=body.position, label=body.label)


def moved(body: Body, shift: Vector3, number: int) -> Body:
    """The body in the world, with its setting's number in its name."""
    place = tuple(float(a + b) for a, b in zip(body.position, shift, strict=True))
    return Body(
        f"{body.name}_of_{number}", body.geoms, body.mass_kg, motion=body.motion, position=place,
        quaternion=body.quaternion, label=body.label,
    )  # fmt: skip
