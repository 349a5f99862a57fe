"""The world of PhyWorld's balls: 10 m by 10 m, seen as flat discs, or the same in space.

In "2d" everything moves in the plane y = 0 between the corners (0, 0) and (10, 10) of x and z,
before a plain backdrop and in light that casts no shadow; a far camera with a narrow view, which
is the recipe's, sees spheres as discs. "3d" is a cube around the same middle over a floor.

Source of sizes, speeds and rules: Kang et al. 2024, How Far Is Video Generation from World Model?
(arXiv 2411.02385), and its published generator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float64
from pydantic import AfterValidator, BaseModel, ConfigDict

from simgen.families.laboratory import LIGHT, floor, whole_rate
from simgen.families.objects import PALETTE, Amount, Size, two_tone
from simgen.masses import volume_m3
from simgen.motion import Motion
from simgen.recipe.fields import Range
from simgen.scene import Body, Geom, Light, Material, Scene, Sky, Vector3

WORLD_M = 10.0
EDGE_M = 0.05 * WORLD_M  # nothing starts nearer than this to the world's edge, sideways
IN_VIEW = 0.75  # share of the clip that a ball of ordinary speed stays in the picture
BACKDROP_M, BACKDROP_Y_M = 60.0, 4.0  # half width, and how far behind the plane
SURFACE_KG_M2 = 1.0  # a disc weighs as its area, as in PhyWorld
DRAWS = 1000  # tries before a hole in the ranges is called empty

PAPER = Material("white", (0.86, 0.86, 0.86))
# The camera of the recipes is 57 m away, where haze leaves 52% of a surface's light and adds the
# horizon's; against a black horizon this much ambient light gives colours back as they are.
FLAT = Light(intensity=0.0, ambient=1.9)
DARK = Sky(horizon=(0.0, 0.0, 0.0), zenith=(0.0, 0.0, 0.0))

Space = Literal["2d", "3d"]
Shape = Literal["ball", "box"]


def known_colour(name: str | None) -> str | None:
    if name is not None and name not in PALETTE:
        raise ValueError(f"unknown colour {name!r}; known: {', '.join(PALETTE)}")
    return name


Colour = Annotated[str | None, AfterValidator(known_colour)]  # None: any of the palette


class Kind(BaseModel):
    """A kind of thing; what it leaves open comes from the family's own ranges.

    Two kinds that each tie a colour to a size, and the swapped two in a test split, ask a model
    which attribute it follows when they conflict.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    colour: Colour = "red"
    shape: Shape = "ball"
    radius_m: Size | None = None
    speed_m_s: Amount | None = None


def check_hole(hole: Range, *ranges: Range) -> None:
    """Refuse a hole that swallows all the speeds there are.

    Raises:
        ValueError: It does.
    """
    if hole[0] < hole[1] and all(hole[0] <= low and high <= hole[1] for low, high in ranges):
        said = ", ".join(str(list(bounds)) for bounds in ranges)
        raise ValueError(f"hole {list(hole)} leaves nothing of the speeds {said}")


def speeds(ranges: Sequence[Range], hole: Range, rng: np.random.Generator) -> tuple[float, ...]:
    """A speed of each range, but never all of them inside the hole, if that has any width.

    Raises:
        ValueError: The hole leaves nothing.
    """
    for _ in range(DRAWS):
        drawn = tuple(float(rng.uniform(*bounds)) for bounds in ranges)
        if not hole[0] < hole[1] or not all(hole[0] <= speed <= hole[1] for speed in drawn):
            return drawn
    raise ValueError(f"hole {list(hole)} leaves too little of the speeds to find one")


def thing(
    name: str,
    shape: Shape,
    radius_m: float,
    colour: str,
    *,
    space: Space,
    position: Sequence[float],
    velocity: Sequence[float],
    restitution: float = 1.0,
) -> Body:
    """A frictionless ball, or a box as large as it, that shows one colour in 2d."""
    half = radius_m * math.sqrt(math.pi) / 2  # a square of the disc's area
    kind, size = ("sphere", (radius_m,)) if shape == "ball" else ("box", (half,) * 3)
    material = Material(colour, PALETTE[colour]) if space == "2d" else two_tone(colour)
    geom = Geom(kind, size, material, friction=0.0, restitution=restitution)
    area = math.pi * radius_m**2
    # Spheres of 75 kg/m3 weigh in 3d what the mid-sized disc does
    mass_kg = SURFACE_KG_M2 * area if space == "2d" else 0.75 * volume_m3(kind, size)
    return Body(
        name,
        (geom,),
        mass_kg,
        position=tuple(map(float, position)),
        velocity=tuple(map(float, velocity)),
        label=shape,
    )


def world(
    family: str,
    space: Space,
    things: Sequence[Body],
    *,
    gravity: float,
    physics_rate_hz: float,
    frames: int,
    frame_rate_hz: float,
    parameters: Mapping[str, float | int | str],
) -> Scene:
    """The scene of these things before the backdrop, or over the floor."""
    paper = Geom("box", (BACKDROP_M, 0.1, BACKDROP_M), PAPER, collide=False)
    middle = (WORLD_M / 2, BACKDROP_Y_M, WORLD_M / 2)
    backdrop = Body("backdrop", (paper,), motion="static", position=middle, label="backdrop")
    flat = space == "2d"
    return Scene(
        family=family,
        bodies=(backdrop if flat else floor(), *things),
        frames=frames,
        frame_rate_hz=frame_rate_hz,
        physics_rate_hz=whole_rate(physics_rate_hz, frame_rate_hz),
        gravity=(0.0, 0.0, -gravity),
        light=FLAT if flat else LIGHT,
        sky=DARK if flat else Sky(),
        parameters={"space": space, "gravity_m_s2": gravity, **parameters},
    )


def look_at(scene: Scene, motion: Motion) -> tuple[Vector3, float]:
    """The middle of the world, from where its 10 m just fill a picture of 45 degrees."""
    fill = WORLD_M / 2 / math.tan(math.radians(22.5))
    if scene.parameters["space"] == "2d":
        return (WORLD_M / 2, 0.0, WORLD_M / 2), fill
    return (WORLD_M / 2, 0.0, 0.42 * WORLD_M), fill + WORLD_M / 5


def edge_distance_m(scene: Scene, motion: Motion, row: int) -> Float64[np.ndarray, " time"]:
    """How far inside of the world's edges a body's centre is in every frame, m."""
    centre = motion.centre_of_mass[: scene.frames, row] + np.array([0.0, WORLD_M / 2, 0.0])
    return np.minimum(centre, WORLD_M - centre).min(axis=1)


def off_plane_m(scene: Scene, motion: Motion) -> float:
    """Farthest that the centre of a moving body of a 2d scene gets from the plane y = 0, m."""
    rows = [row for row, body in enumerate(scene.bodies) if body.motion != "static"]
    return float(np.abs(motion.centre_of_mass[:, rows, 1]).max())


def start_along(speed: float, radius_m: float, seconds: float, rng: np.random.Generator) -> float:
    """Distance from the edge behind, m, so that it is in view for IN_VIEW of the clip if it can."""
    last = WORLD_M - IN_VIEW * seconds * speed - radius_m
    return float(rng.uniform(radius_m, last if last > radius_m else radius_m + EDGE_M))


def parting(balls: tuple[Body, ...], restitution: float) -> np.ndarray:
    """Velocities (2, 3) of two balls after their touch, m/s.

    Along the line of centres at the touch they get the impulse m1 m2 / (m1 + m2) (1 + e) (u1 - u2)
    and nothing across it.
    """
    place = np.array([ball.position for ball in balls])
    velocity = np.array([ball.velocity for ball in balls])
    mass = np.array([ball.mass_kg for ball in balls])
    apart, closing = place[1] - place[0], velocity[1] - velocity[0]
    reach = sum(ball.geoms[0].size[0] for ball in balls)
    a, b, c = closing @ closing, apart @ closing, apart @ apart - reach**2
    touch_s = (-b - math.sqrt(b * b - a * c)) / a
    normal = (apart + touch_s * closing) / reach
    impulse = -(1 + restitution) * (closing @ normal) / (1 / mass).sum() * normal
    return velocity + np.array([[-1.0], [1.0]]) * impulse / mass[:, None]
