"""The parts of PHYRE's world: balls, bars, a jar, a stick on a foot, in one plane.

A part is one body or several; every length in m. Bodies are as deep as DEPTH_M, so that bars and
jars stand in the plane y = 0 without falling out of it.
Source of the eight parts: Bakhtin et al. 2019 (arXiv 1908.05656) as used by Kang et al. 2024
(arXiv 2411.02385).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from simgen.families.objects import PALETTE, turn_about
from simgen.families.plane_world import SURFACE_KG_M2
from simgen.masses import volume_m3
from simgen.scene import ORIGIN, Body, Geom, Material, Vector3

DEPTH_M = 0.7  # half
THICK_M = 0.13  # half thickness of bars
FRICTION = 0.5
BALL_RESTITUTION = 0.5  # against the floor and what is fixed; boxes do not bounce
BLACK = Material("black", (0.02, 0.02, 0.02))
FLOOR_M = 0.15  # height of the floor's top and width of the walls

Slab = tuple[Vector3, Vector3]  # half extents and middle, in the part's frame


@dataclass
class Plan:
    """A body to be: round or of slabs, where and how it lies."""

    name: str
    label: str
    place: tuple[float, float]  # x and z
    radius_m: float = 0.0  # a ball's
    slabs: tuple[Slab, ...] = ()
    turn: float = 0.0  # rad, about y
    fixed: bool = False
    discs: np.ndarray = field(init=False)  # (disc, 3): x, z, radius of circles that cover it

    def __post_init__(self) -> None:
        if self.radius_m:
            self.discs = np.array([[*self.place, self.radius_m]])
            return
        cover = []
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        for half, middle in self.slabs:
            long, thin = max(half[0], half[2]), min(half[0], half[2])
            for at in np.linspace(-long, long, max(2, math.ceil(long / thin) + 1)):
                x = middle[0] + (at if half[0] >= half[2] else 0.0)
                z = middle[2] + (at if half[2] > half[0] else 0.0)
                cover.append((x * cos + z * sin, z * cos - x * sin, 1.42 * thin))
        self.discs = np.array(cover) + np.array([*self.place, 0.0])

    def clear_of(self, others: list[Plan], gap_m: float) -> bool:
        """Whether no circle of it comes within gap_m of another part's."""
        for other in others:
            apart = np.linalg.norm(self.discs[:, None, :2] - other.discs[None, :, :2], axis=-1)
            if (apart < self.discs[:, None, 2] + other.discs[None, :, 2] + gap_m).any():
                return False
        return True

    def inside(self, low: float, high: float) -> bool:
        """Whether it lies between the walls and over the floor."""
        edge = self.discs[:, 2]
        x, z = self.discs[:, 0], self.discs[:, 1]
        return bool((x - edge > low).all() and (x + edge < high).all() and (z > low).all())

    def body(self, colour: str) -> Body:
        """The body; of one colour if it moves, black if it is fixed."""
        look = BLACK if self.fixed else Material(colour, PALETTE[colour])
        bounce = 1.0 if self.fixed else BALL_RESTITUTION if self.radius_m else 0.0
        shapes = [("sphere", (self.radius_m,), ORIGIN)] if self.radius_m else []
        shapes += [("box", half, middle) for half, middle in self.slabs]
        geoms = tuple(
            Geom(kind, size, look, position=at, friction=FRICTION, restitution=bounce)
            for kind, size, at in shapes
        )
        volume = sum(volume_m3(kind, size) for kind, size, _ in shapes)
        area = math.pi * self.radius_m**2 if self.radius_m else volume / (2 * DEPTH_M)
        return Body(
            self.name,
            geoms,
            0.0 if self.fixed else SURFACE_KG_M2 * area,
            motion="static" if self.fixed else "free",
            position=(self.place[0], 0.0, self.place[1]),
            quaternion=turn_about((0.0, 1.0, 0.0), self.turn),
            label=self.label,
        )


def slab(half_x: float, half_z: float, x: float = 0.0, z: float = 0.0) -> Slab:
    return (half_x, DEPTH_M, half_z), (x, 0.0, z)


def dynamic_ball(rng: np.random.Generator, number: int) -> list[Plan]:
    place = (rng.uniform(2.0, 8.0), rng.uniform(1.0, 7.0))
    return [Plan(f"ball_{number}", "ball", place, radius_m=rng.uniform(0.35, 0.6))]


def static_balls(rng: np.random.Generator) -> list[Plan]:
    """Two to six small ones along a line that bends."""
    count, way, bend = int(rng.integers(2, 7)), rng.uniform(0, 2 * math.pi), rng.uniform(-0.5, 0.5)
    x, z = rng.uniform(2.5, 7.5), rng.uniform(2.5, 5.0)
    plans = []
    for i in range(count):
        plans.append(Plan(f"peg_{i + 1}", "peg", (x, z), radius_m=0.22, fixed=True))
        step, way = rng.uniform(0.8, 1.6), way + bend
        x, z = x + step * math.cos(way), z + step * math.sin(way)
    return plans


def bar(rng: np.random.Generator) -> list[Plan]:
    place, half = (rng.uniform(2.0, 8.0), rng.uniform(1.5, 6.5)), rng.uniform(0.75, 2.0)
    return [Plan("bar", "bar", place, slabs=(slab(half, THICK_M),), turn=rng.uniform(-1.4, 1.4))]


def standing_bars(rng: np.random.Generator) -> list[Plan]:
    """One to four, upright on the floor, each higher than the last."""
    count, start, side = int(rng.integers(1, 5)), rng.uniform(2.0, 4.0), rng.choice([-1, 1])
    plans = []
    for i in range(count):
        half = 0.85 + 0.25 * i
        x = 5.0 + side * (start - 5.0 + 1.5 * i)
        plans.append(
            Plan(f"standing_bar_{i + 1}", "bar", (x, FLOOR_M + half), slabs=(slab(THICK_M, half),))
        )
    return plans


def static_bar(rng: np.random.Generator) -> list[Plan]:
    place, half = (rng.uniform(2.0, 8.0), rng.uniform(2.0, 5.5)), rng.uniform(1.0, 2.2)
    turn = rng.uniform(-1.0, 1.0)
    return [Plan("beam", "beam", place, slabs=(slab(half, THICK_M),), turn=turn, fixed=True)]


def jar(rng: np.random.Generator) -> list[Plan]:
    """A cup, upright on the floor or falling at an angle."""
    wide, tall = rng.uniform(0.5, 0.9), rng.uniform(0.5, 1.0)
    walls = (
        slab(wide, THICK_M, 0.0, THICK_M - tall),
        slab(THICK_M, tall, -wide - THICK_M),
        slab(THICK_M, tall, wide + THICK_M),
    )
    if rng.uniform() < 0.4:
        return [Plan("jar", "jar", (rng.uniform(2.5, 7.5), FLOOR_M + tall), slabs=walls)]
    place = (rng.uniform(2.5, 7.5), rng.uniform(2.0, 6.0))
    return [Plan("jar", "jar", place, slabs=walls, turn=rng.uniform(-0.7, 0.7))]


def standing_stick(rng: np.random.Generator) -> list[Plan]:
    """An upright stick on a short foot, on the floor or falling at an angle."""
    tall, foot = rng.uniform(0.9, 1.7), rng.uniform(0.4, 0.8)
    pieces = (slab(THICK_M, tall), slab(foot, THICK_M, 0.0, -tall - THICK_M))
    low = tall + 2 * THICK_M
    if rng.uniform() < 0.5:
        return [Plan("stick", "stick", (rng.uniform(2.0, 8.0), FLOOR_M + low), slabs=pieces)]
    place = (rng.uniform(2.5, 7.5), rng.uniform(2.5, 5.5))
    return [Plan("stick", "stick", place, slabs=pieces, turn=rng.uniform(-1.2, 1.2))]


PARTS: dict[str, Callable[[np.random.Generator], list[Plan]]] = {
    "ball_1": lambda rng: dynamic_ball(rng, 1),
    "ball_2": lambda rng: dynamic_ball(rng, 2),
    "pegs": static_balls,
    "bar": bar,
    "standing_bars": standing_bars,
    "beam": static_bar,
    "jar": jar,
    "stick": standing_stick,
}
