"""A ball thrown from near the top of its world: PhyWorld's parabola, in the plane or in space."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from simgen.captions.words import Words
from simgen.families import Law, Limits, Outcome
from simgen.families.objects import Amount, Size, colours
from simgen.families.plane_world import (
    EDGE_M,
    WORLD_M,
    Colour,
    Space,
    check_hole,
    look_at,
    speeds,
    start_along,
    thing,
    world,
)
from simgen.laws import frame_times, touches_of
from simgen.motion import Motion
from simgen.scene import Scene, Vector3

# Both engines fall late by g t dt / 2 (semi-implicit Euler): 3 mm after 3 s at 1200 steps a second
PHYSICS_RATE_HZ = {"2d": 1200.0, "3d": 2400.0}  # in 3d the ball bounces on the floor
TOP_M = 1.0  # depth of the layer under the top edge in which throws begin
LIFT = (math.radians(-20.0), math.radians(40.0))  # of a throw in 3d, above the level
RESTITUTION = 0.7  # on the floor of 3d
GALILEO = "Galileo's parabola: x0 + v t + g t^2 / 2"


class Parameters(BaseModel):
    """Ranges [low, high] that every episode draws from; the defaults are PhyWorld's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    radius_m: Size = (0.7, 1.4)
    speed_m_s: Amount = (1.0, 4.0)  # level in 2d
    gravity_m_s2: Size = (2.5, 2.5)
    hole: Amount = (0.0, 0.0)  # speeds that are left out; without width: none
    space: Space = "2d"
    colour: Colour = "red"

    @model_validator(mode="after")
    def hole_leaves_something(self) -> Parameters:
        check_hole(self.hole, self.speed_m_s)
        return self


class Parabola:
    """Uniform motion with gravity added: two laws at once."""

    name = "parabola"
    summary = "a ball thrown into a parabola, in PhyWorld's ranges"
    engines = ("bullet", "mujoco")
    outcomes = ("wide", "steep")
    words = Words(
        opening=("flies in a parabola", "is thrown and falls in a parabola"),
        outcomes={
            "wide": ("goes farther sideways than it falls",),
            "steep": ("falls farther than it goes sideways",),
        },
    )
    Parameters = Parameters

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=2)

    def sample(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        *,
        frames: int,
        frame_rate_hz: float,
    ) -> Scene:
        """One throw, level in 2d and to any side in 3d."""
        p = parameters
        radius_m, gravity = float(rng.uniform(*p.radius_m)), float(rng.uniform(*p.gravity_m_s2))
        (speed,) = speeds([p.speed_m_s], p.hole, rng)
        colour = p.colour or colours(1, rng)[0]
        top = WORLD_M - EDGE_M - radius_m
        height = float(rng.uniform(top - TOP_M, top))
        if p.space == "2d":
            along = start_along(speed, radius_m, frames / frame_rate_hz, rng)
            position, velocity = np.array([along, 0.0, height]), np.array([speed, 0.0, 0.0])
        else:
            position, velocity = self._in_space(speed, height, gravity, rng)
        body = thing(
            "ball", "ball", radius_m, colour,
            space=p.space, position=position, velocity=velocity, restitution=RESTITUTION,
        )  # fmt: skip
        return world(
            self.name, p.space, (body,), gravity=gravity,
            physics_rate_hz=PHYSICS_RATE_HZ[p.space], frames=frames, frame_rate_hz=frame_rate_hz,
            parameters={"radius_m": radius_m, "speed_m_s": speed},
        )  # fmt: skip

    @staticmethod
    def _in_space(
        speed: float, height: float, gravity: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Start and velocity of a throw that passes over the middle of the floor as it falls."""
        lift, side = rng.uniform(*LIFT), rng.uniform(0, 2 * math.pi)
        level = np.array([math.cos(side), math.sin(side), 0.0])
        velocity = speed * (math.cos(lift) * level + (0.0, 0.0, math.sin(lift)))
        height *= rng.uniform(0.5, 0.85)  # so that it stays in the picture as it rises
        halfway_s = math.sqrt(2 * height / gravity) / 2
        position = np.array([WORLD_M / 2, 0.0, height]) - halfway_s * velocity * (1, 1, 0)
        return position, velocity

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """wide: it goes farther sideways than it falls until its centre is out below, or until it
        touches the floor; steep: it falls farther."""
        last = self._free_rows(scene, motion)[-1]
        way = motion.centre_of_mass[last, 1] - motion.centre_of_mass[0, 1]
        aside_m, fall_m = float(np.hypot(way[0], way[1])), float(-way[2])
        margins = {"aside_m": aside_m, "fall_m": fall_m}
        return Outcome("wide" if aside_m > fall_m else "steep", margins)

    @staticmethod
    def _free_rows(scene: Scene, motion: Motion) -> np.ndarray:
        """Frames before the ball touches the floor or its centre is below the world."""
        touches = touches_of(motion, 1)
        first_s = float(touches["start_s"][0]) if len(touches) else math.inf
        rows = np.flatnonzero(frame_times(scene)[: scene.frames] < first_s)
        inside = motion.centre_of_mass[rows, 1, 2] > 0
        return rows[inside]

    def laws(self, scene: Scene, motion: Motion) -> tuple[Law, ...]:
        """The parabola, up to the first touch."""
        start, velocity = np.array(scene.bodies[1].position), np.array(scene.bodies[1].velocity)
        rows = self._free_rows(scene, motion)
        t = frame_times(scene)[rows, None]
        exact = start + velocity * t + np.array(scene.gravity) * t**2 / 2
        off_m = float(np.linalg.norm(motion.centre_of_mass[rows, 1] - exact, axis=1).max())
        drop = motion.velocity[rows[-1], 1, 2] - motion.velocity[0, 1, 2]
        measured_g = float(-drop / t[-1, 0]) if len(rows) > 1 else -scene.gravity[2]
        return (
            Law("distance from the parabola", off_m, 0.0, 0.006, "m", GALILEO),
            Law("acceleration", measured_g, -scene.gravity[2], 1e-6, "m/s2", GALILEO),
        )

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The middle of the world, 10 m across."""
        return look_at(scene, motion)
