"""One ball that nothing pushes: PhyWorld's uniform motion, in the plane or in space."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from simgen.captions.words import Words
from simgen.families import Law, Limits, Outcome
from simgen.families.objects import PALETTE, Amount, Size
from simgen.families.plane_world import (
    EDGE_M,
    WORLD_M,
    Kind,
    Space,
    check_hole,
    edge_distance_m,
    look_at,
    speeds,
    start_along,
    thing,
    world,
)
from simgen.laws import frame_times
from simgen.motion import Motion
from simgen.scene import Scene, Vector3

PHYSICS_RATE_HZ = 240.0  # nothing touches: both engines are exact at any
PASS_M = 1.5  # in 3d, how near the middle of the world the path's middle lies
SLOPE = math.radians(60.0)  # steepest path in 3d
NEWTON = "Newton's first law: x0 + v t"
WAYS = {"right": (1, 0), "left": (-1, 0), "up": (0, 1), "down": (0, -1)}


class Parameters(BaseModel):
    """Ranges [low, high] that every episode draws from; the defaults are PhyWorld's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    radius_m: Size = (0.7, 1.4)
    speed_m_s: Amount = (1.0, 4.0)
    hole: Amount = (0.0, 0.0)  # speeds that are left out; without width: none
    space: Space = "2d"
    headings: tuple[Literal["right", "left", "up", "down"], ...] = Field(("right",), min_length=1)
    kinds: tuple[Kind, ...] = Field((Kind(),), min_length=1)  # one is drawn, each as likely
    conflict: str = Field("", max_length=60)  # name of the attributes that the kinds tie together

    @model_validator(mode="after")
    def hole_leaves_something(self) -> Parameters:
        for kind in self.kinds:
            check_hole(self.hole, kind.speed_m_s or self.speed_m_s)
        return self


class UniformMotion:
    """The simplest law there is, and so the first to be learnt or missed."""

    name = "uniform_motion"
    summary = "a ball or box at constant velocity, in PhyWorld's ranges"
    engines = ("bullet", "mujoco")
    outcomes = ("leaves", "stays")
    words = Words(
        opening=("moves at a constant velocity", "glides straight on at one speed"),
        outcomes={
            "leaves": ("is past the edge of its world within the clip",),
            "stays": ("stays within its world",),
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
        """One thing on its way across the world."""
        p = parameters
        kind = p.kinds[int(rng.integers(len(p.kinds)))]
        radius_m = float(rng.uniform(*(kind.radius_m or p.radius_m)))
        (speed,) = speeds([kind.speed_m_s or p.speed_m_s], p.hole, rng)
        colour = kind.colour or list(PALETTE)[int(rng.integers(len(PALETTE)))]
        seconds = frames / frame_rate_hz
        if p.space == "2d":
            heading = p.headings[int(rng.integers(len(p.headings)))]
            position, way = self._across(heading, speed, radius_m, seconds, rng)
        else:
            heading = "any"
            position, way = self._through(speed, radius_m, seconds, rng)
        body = thing(
            kind.shape, kind.shape, radius_m, colour,
            space=p.space, position=position, velocity=speed * way,
        )  # fmt: skip
        return world(
            self.name, p.space, (body,), gravity=0.0, physics_rate_hz=PHYSICS_RATE_HZ,
            frames=frames, frame_rate_hz=frame_rate_hz,
            parameters={
                "radius_m": radius_m, "speed_m_s": speed, "heading": heading,
                "conflict": p.conflict,
            },
        )  # fmt: skip

    @staticmethod
    def _across(
        heading: str, speed: float, radius_m: float, seconds: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Start and direction in the plane, by PhyWorld's rule."""
        along = start_along(speed, radius_m, seconds, rng)
        beside = rng.uniform(radius_m + EDGE_M, WORLD_M - EDGE_M - radius_m)
        way = np.array([WAYS[heading][0], 0.0, WAYS[heading][1]])
        forward = along if way.sum() > 0 else WORLD_M - along
        position = [forward, 0.0, beside] if way[0] else [beside, 0.0, forward]
        return np.array(position), way

    @staticmethod
    def _through(
        speed: float, radius_m: float, seconds: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Start and direction in space: past the middle at half time and never into the floor."""
        half_m = speed * seconds / 2
        middle = np.array([WORLD_M / 2, 0.0, WORLD_M / 2]) + rng.uniform(-PASS_M, PASS_M, 3)
        room = (middle[2] - radius_m - EDGE_M) / max(half_m, 1e-9)
        steepest = min(SLOPE, math.asin(min(room, 1.0)))
        slope, side = rng.uniform(-steepest, steepest), rng.uniform(0, 2 * math.pi)
        level = math.cos(slope)
        way = np.array([level * math.cos(side), level * math.sin(side), math.sin(slope)])
        return middle - half_m * way, way

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """leaves: the centre is outside of the world in some frame; stays: in none."""
        inside_m = float(edge_distance_m(scene, motion, 1).min())
        return Outcome("stays" if inside_m >= 0 else "leaves", {"inside_m": inside_m})

    def laws(self, scene: Scene, motion: Motion) -> tuple[Law, ...]:
        """Straight line and constant speed."""
        start, velocity = np.array(scene.bodies[1].position), np.array(scene.bodies[1].velocity)
        exact = start + velocity * frame_times(scene)[:, None]
        off_m = float(np.linalg.norm(motion.centre_of_mass[:, 1] - exact, axis=1).max())
        speed = float(np.linalg.norm(motion.velocity[-1, 1]))
        drawn = float(np.linalg.norm(velocity))
        return (
            Law("distance from the straight line", off_m, 0.0, 1e-6, "m", NEWTON),
            Law("speed at the end", speed, drawn, 1e-6, "m/s", NEWTON),
        )

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The middle of the world, 10 m across."""
        return look_at(scene, motion)
