"""Balls and boxes that bounce in a closed room or on a floor."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from simgen.captions.words import Words
from simgen.families import Limits, Outcome
from simgen.families.objects import (
    GREY,
    PHYSICS_RATE_HZ,
    Amount,
    Count,
    Form,
    Range,
    Share,
    Size,
    ball,
    box,
    build,
    colours,
    direction,
    place_apart,
    turn_about,
    two_tone,
)
from simgen.motion import Motion, SimulationError
from simgen.scene import IDENTITY, Body, Geom, Light, Material, Scene, Vector3

WALL_M = 0.05  # half thickness
BACKDROP_M = 8.0  # half width of the visible back wall, so that it fills the picture
SETTLED_M_S = 0.05
FULLEST = 0.25  # share of the room that the largest bodies may take

WALL = Material("grey", (0.52, 0.53, 0.56))
SIDE = Material("grey", (0.36, 0.37, 0.40))
# Through the open front, so that the side walls shade little of the room
LIGHT = Light(direction=(-0.16, 0.60, -0.78))
FLOOR = Material("beige", (0.47, 0.41, 0.33), rgb2=(0.40, 0.35, 0.28), pattern="checker")


class Parameters(BaseModel):
    """Ranges [low, high] that every body or episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bodies: Count = (2, 6)
    box_share: float = Field(default=0.35, ge=0, le=1)  # chance that a body is a box
    radius_m: Size = (0.12, 0.28)
    density_kg_m3: Size = (200.0, 1200.0)
    restitution: Share = (0.6, 0.95)  # against walls; two bodies bounce with the product
    friction: Amount = (0.2, 0.6)
    speed_m_s: Amount = (0.5, 3.0)
    spin_rad_s: Amount = (0.0, 6.0)
    gravity_m_s2: Amount = (9.81, 9.81)
    enclosure: Literal["box", "floor"] = "box"
    width_m: float = Field(default=2.4, gt=0, le=50)  # x; bodies start inside on a floor too
    depth_m: float = Field(default=1.6, gt=0, le=50)  # y; a little over a body's width: a thin slab
    height_m: float = Field(default=1.8, gt=0, le=50)
    planar: bool = False  # start in the plane y = 0, move in it and spin about y

    @model_validator(mode="after")
    def bodies_fit(self) -> Parameters:
        boxy = self.box_share > 0 and not self.planar  # a box's diagonal must fit as well
        widest = (3.2 if boxy else 2.0) * self.radius_m[1]
        for name in ("width_m", "depth_m", "height_m"):
            if getattr(self, name) < 1.05 * widest:
                raise ValueError(
                    f"{name} {getattr(self, name):g} is too narrow for bodies {widest:g} m across; "
                    f"it takes {1.05 * widest:.3g}, or a smaller radius_m"
                )
        side = self.width_m * self.height_m
        each = math.pi * self.radius_m[1] ** 2
        if not self.planar:
            side, each = side * self.depth_m, 4 / 3 * each * self.radius_m[1]
        if self.bodies[1] * each > FULLEST * side:
            raise ValueError(
                f"{self.bodies[1]} bodies of radius {self.radius_m[1]:g} m take over {FULLEST:.0%} "
                "of the room; ask for fewer or smaller ones or a larger room"
            )
        return self


def _draw(bounds: Range, rng: np.random.Generator) -> float:
    return float(rng.uniform(*bounds))


class BouncingBalls:
    """Loose bodies, gravity, walls: the plainest physics, and the widest of uses."""

    name = "bouncing_balls"
    summary = "balls and boxes that bounce"
    engines = ("bullet", "mujoco")
    outcomes = ("moving", "settled")
    words = Words()
    Parameters = Parameters

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=parameters.bodies[1] + 6)

    def sample(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        *,
        frames: int,
        frame_rate_hz: float,
    ) -> Scene:
        """One room with things in flight.

        Raises:
            ValueError: The bodies found no room.
        """
        count = int(rng.integers(parameters.bodies[0], parameters.bodies[1] + 1))
        gravity = _draw(parameters.gravity_m_s2, rng)
        forms = []
        for _ in range(count):
            is_box, radius = rng.uniform() < parameters.box_share, _draw(parameters.radius_m, rng)
            forms.append(box(radius, rng) if is_box else ball(radius))
        low, high = self._room(parameters)
        places = place_apart([f.reach_m for f in forms], low, high, rng)
        things = [
            self._thing(number, form, place, colour, parameters, rng)
            for number, (form, place, colour) in enumerate(
                zip(forms, places, colours(count, rng), strict=True)
            )
        ]
        return Scene(
            family=self.name,
            bodies=(*self._walls(parameters), *things),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=frame_rate_hz * math.ceil(PHYSICS_RATE_HZ / frame_rate_hz),
            gravity=(0.0, 0.0, -gravity),
            light=LIGHT,
            parameters={
                "bodies": count,
                "boxes": sum(f.kind == "box" for f in forms),
                "gravity_m_s2": gravity,
                "enclosure": parameters.enclosure,
                "width_m": parameters.width_m,
                "depth_m": parameters.depth_m,
                "height_m": parameters.height_m,
            },
        )

    @staticmethod
    def _room(p: Parameters) -> tuple[np.ndarray, np.ndarray]:
        """Opposite corners of where bodies start; flat if they are to stay in a plane."""
        x, y = p.width_m / 2, 0.0 if p.planar else p.depth_m / 2
        return np.array([-x, -y, 0.0]), np.array([x, y, p.height_m])

    @staticmethod
    def _thing(
        number: int,
        form: Form,
        place: np.ndarray,
        colour: str,
        p: Parameters,
        rng: np.random.Generator,
    ) -> Body:
        way, axis, angle = direction(rng), direction(rng), rng.uniform(0, 2 * math.pi)
        if p.planar:
            axis = np.array([0.0, np.copysign(1.0, axis[1]), 0.0])
            way = np.array([way[0], 0.0, way[2]]) / math.hypot(way[0], way[2])
        return build(
            f"{form.label}_{number}",
            form,
            two_tone(colour),
            density_kg_m3=_draw(p.density_kg_m3, rng),
            restitution=_draw(p.restitution, rng),
            friction=_draw(p.friction, rng),
            position=place,
            velocity=_draw(p.speed_m_s, rng) * way,
            angular_velocity=_draw(p.spin_rad_s, rng) * axis,
            quaternion=turn_about(axis, angle),
        )

    @staticmethod
    def _walls(p: Parameters) -> tuple[Body, ...]:
        """Floor; in a box also back and sides to see, front and ceiling only to hit."""
        friction, bounce = 0.4, 1.0  # the pair's restitution is the body's own
        floor = Geom("plane", (), FLOOR, friction=friction, restitution=bounce)
        bodies = [Body("floor", (floor,), motion="static", label="floor")]
        if p.enclosure == "floor":
            return tuple(bodies)
        x, y, z, t = p.width_m / 2, p.depth_m / 2, p.height_m / 2, WALL_M
        wide = max(BACKDROP_M, 2 * x)
        plan: tuple[tuple[str, Vector3, Vector3, Material, bool], ...] = (
            ("back_wall", (wide, t, wide), (0, y + t, wide), WALL, True),
            ("left_wall", (t, y, z), (-x - t, 0, z), SIDE, True),
            ("right_wall", (t, y, z), (x + t, 0, z), SIDE, True),
            ("front_wall", (x + 2 * t, t, z), (0, -y - t, z), GREY, False),
            ("ceiling", (x + 2 * t, y + 2 * t, t), (0, 0, 2 * z + t), GREY, False),
        )
        for name, size, position, material, visible in plan:
            wall = Geom(
                "box", size, material, friction=friction, restitution=bounce, visible=visible
            )
            label = "wall" if visible else ""
            bodies.append(
                Body(name, (wall,), motion="static", position=position, quaternion=IDENTITY,
                     label=label)
            )  # fmt: skip
        return tuple(bodies)

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """settled: every body nearly at rest at the end; moving: otherwise.

        Raises:
            SimulationError: A body went through a wall of its box.
        """
        rows = [i for i, b in enumerate(scene.bodies) if b.motion == "free"]
        speed = np.linalg.norm(motion.velocity[scene.frames - 1, rows], axis=1)
        label = "settled" if speed.max() < SETTLED_M_S else "moving"
        if scene.parameters["enclosure"] == "box":
            half = [scene.parameters["width_m"] / 2, scene.parameters["depth_m"] / 2]
            centre = motion.centre_of_mass[:, rows]
            outside = (np.abs(centre[..., :2]) > half).any()
            outside |= (centre[..., 2] < 0).any()
            outside |= (centre[..., 2] > scene.parameters["height_m"]).any()
            if outside:
                raise SimulationError("a body went through a wall of its box")
        energy = motion.kinetic_energy_j + motion.potential_energy_j
        swing = motion.kinetic_energy_j[0] + np.ptp(motion.potential_energy_j)
        return Outcome(
            label,
            {
                "fastest_at_end_m_s": float(speed.max()),
                "touches": float(len(motion.contacts)),
                "energy_lost": float((energy[0] - energy[scene.frames - 1]) / max(swing, 1e-9)),
            },
        )

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The room's middle, from where its front just fills a picture of 45 degrees."""
        width, depth, height = (scene.parameters[f"{k}_m"] for k in ("width", "depth", "height"))
        fill = 0.5 * max(width, height) / math.tan(math.radians(22.5))
        return (0.0, 0.0, height / 2), float(1.06 * fill + depth / 2)
