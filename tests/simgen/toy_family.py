"""A family for tests: a ball and a box dropped on a floor behind a screen, a few frames long."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

from simgen.families import Limits, Outcome
from simgen.scene import Body, Geom, Material, Scene

RED, BLUE = Material("red", (0.8, 0.1, 0.1)), Material("blue", (0.1, 0.2, 0.8))
GREY = Material("grey", (0.6, 0.6, 0.6), rgb2=(0.4, 0.4, 0.4), pattern="checker")


class Parameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    drop_m: tuple[float, float] = (0.5, 0.8)
    bodies: int = 2


class Toy:
    name = "toy"
    summary = "a ball and a box dropped on a floor"
    engines = ("mujoco",)
    Parameters = Parameters

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=3)

    def sample(
        self, parameters: Parameters, rng: np.random.Generator, *, frames: int, frame_rate_hz: float
    ) -> Scene:
        drop = float(rng.uniform(*parameters.drop_m))
        ball = Geom("sphere", (0.1,), RED, restitution=0.8)
        box = Geom("box", (0.25, 0.25, 0.25), BLUE, restitution=0.4)
        floor = Geom("plane", (), GREY, restitution=1.0)
        bodies = (
            Body("floor", (floor,), motion="static", label="floor"),
            Body("ball", (ball,), 0.5, position=(-0.4, 0, 0.1 + drop), label="ball"),
            Body("box", (box,), 3.0, position=(0.4, 0, 0.3 + drop), label="box"),
        )
        return Scene(
            "toy", bodies, frames, frame_rate_hz, frame_rate_hz * 100, parameters={"drop_m": drop}
        )

    def outcome(self, scene: Scene, motion) -> Outcome:
        return Outcome("dropped", {"height_m": float(motion.position[scene.frames - 1, 1, 2])})

    def look_at(self, scene: Scene, motion) -> tuple[tuple[float, float, float], float]:
        return (0.0, 0.0, 0.4), 3.0
