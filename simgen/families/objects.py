"""What the families of loose things share: colours, balls and boxes, room to stand in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import AfterValidator

from simgen.families.palette import PALETTE
from simgen.masses import volume_m3
from simgen.recipe.fields import Range
from simgen.scene import IDENTITY, Body, Geom, Material, Quaternion

# Physics steps a second that both engines' restitution was measured at (tests/simgen/test_physics)
PHYSICS_RATE_HZ = 2400.0

GREY = Material("grey", (0.42, 0.43, 0.45))
PLACING_TRIES, PLACING_ROUNDS = 300, 30


def not_negative(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] < 0:
        raise ValueError(f"must not be negative: {list(bounds)}")
    return bounds


def above_zero(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] <= 0:
        raise ValueError(f"must be above 0: {list(bounds)}")
    return bounds


def at_most_one(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[1] > 1:
        raise ValueError(f"must not be above 1: {list(bounds)}")
    return bounds


def countable(bounds: tuple[int, int]) -> tuple[int, int]:
    if not 1 <= bounds[0] <= bounds[1] <= len(PALETTE):
        raise ValueError(
            f"[low, high] within 1 to {len(PALETTE)}, one colour a body, not {list(bounds)}"
        )
    return bounds


Amount = Annotated[Range, AfterValidator(not_negative)]
Size = Annotated[Range, AfterValidator(above_zero)]
Share = Annotated[Amount, AfterValidator(at_most_one)]
Count = Annotated[tuple[int, int], AfterValidator(countable)]


def two_tone(colour: str) -> Material:
    """The palette's colour with a darker half of the same hue, so that spin shows."""
    rgb = PALETTE[colour]
    return Material(colour, rgb, rgb2=tuple(0.42 * c for c in rgb), pattern="two_tone")


def colours(count: int, rng: np.random.Generator) -> list[str]:
    """That many different names of the palette."""
    names = list(PALETTE)
    return [names[i] for i in rng.permutation(len(names))[:count]]


@dataclass(frozen=True)
class Form:
    """Shape of a thing before it has a place."""

    kind: str  # of its geom
    size: tuple[float, ...]
    label: str

    @property
    def reach_m(self) -> float:
        """Radius of the sphere around its centre that holds it."""
        if self.kind == "sphere":
            return self.size[0]
        if self.kind == "capsule":
            return sum(self.size)
        return math.hypot(*self.size)


def ball(radius_m: float) -> Form:
    return Form("sphere", (radius_m,), "ball")


def box(radius_m: float, rng: np.random.Generator) -> Form:
    """A box about as large as a ball of that radius, its sides up to 15% off a cube's."""
    sides = 0.8 * radius_m * rng.uniform(0.85, 1.15, 3)
    return Form("box", tuple(sides.tolist()), "box")


def build(
    name: str,
    form: Form,
    material: Material,
    *,
    density_kg_m3: float,
    restitution: float,
    friction: float,
    position: Sequence[float],
    velocity: Sequence[float],
    angular_velocity: Sequence[float],
    quaternion: Quaternion = IDENTITY,
) -> Body:
    """The free body of a form."""
    geom = Geom(form.kind, form.size, material, friction=friction, restitution=restitution)
    return Body(
        name,
        (geom,),
        density_kg_m3 * volume_m3(form.kind, form.size),
        position=tuple(map(float, position)),
        quaternion=quaternion,
        velocity=tuple(map(float, velocity)),
        angular_velocity=tuple(map(float, angular_velocity)),
        label=form.label,
    )


def turn_about(axis: Sequence[float], angle: float) -> Quaternion:
    """Quaternion of a turn about a unit axis."""
    return math.cos(angle / 2), *(float(math.sin(angle / 2) * x) for x in axis)


def direction(rng: np.random.Generator) -> np.ndarray:
    """A unit vector, every direction as likely."""
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)


def place_apart(
    reaches_m: Sequence[float],
    low: np.ndarray,
    high: np.ndarray,
    rng: np.random.Generator,
    *,
    gap_m: float = 0.02,
) -> np.ndarray:
    """Centres (thing, 3) in the room from low to high, no two things within gap_m of each other.

    Axes on which a thing has less room than its reach put it in the middle.

    Raises:
        ValueError: No such places were found; the message says what to change.
    """
    for _ in range(PLACING_ROUNDS):
        centres: list[np.ndarray] = []
        for number, reach in enumerate(reaches_m):
            spot = _free_spot(reach, centres, reaches_m[:number], low, high, rng, gap_m)
            if spot is None:
                break
            centres.append(spot)
        else:
            return np.array(centres)
    raise ValueError(
        f"{len(reaches_m)} bodies of up to {2 * max(reaches_m):.2f} m across found no room in "
        f"{' x '.join(f'{side:.2f}' for side in high - low)} m; ask for fewer or smaller bodies "
        "or a larger room"
    )


def _free_spot(reach, centres, reaches, low, high, rng, gap_m) -> np.ndarray | None:
    """A random centre for one more thing, or None after many tries."""
    middle = (low + high) / 2
    room = np.maximum((high - low) / 2 - reach - gap_m, 0.0)
    for _ in range(PLACING_TRIES):
        spot = middle + room * rng.uniform(-1, 1, 3)
        apart = [
            np.linalg.norm(spot - c) > reach + r + gap_m
            for c, r in zip(centres, reaches, strict=True)
        ]
        if all(apart):
            return spot
    return None
