"""Balls of different bounce let go above a floor, on Earth, Mars or the Moon."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from simgen.captions.words import Words
from simgen.families import Law, Limits, Outcome
from simgen.families.laboratory import LIGHT, floor, framing, whole_rate
from simgen.families.objects import (
    PHYSICS_RATE_HZ,
    Count,
    Share,
    Size,
    ball,
    build,
    colours,
    direction,
    turn_about,
    two_tone,
)
from simgen.laws import Impact, impacts, touches_of
from simgen.motion import Motion
from simgen.scene import ORIGIN, Scene, Vector3

MOST_BALLS = 4
GAP_M = 0.12  # between neighbours, so that none ever touches another
DEPTH_M = 0.25  # balls stand up to this far before or behind the row
SETTLED_M_S = 0.05
SOURCE = "Newton's laws; restitution e is the speed after an impact over that before"


class Parameters(BaseModel):
    """Ranges [low, high] that every ball or episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    balls: Count = (1, MOST_BALLS)
    radius_m: Size = (0.09, 0.17)
    height_m: Size = (0.5, 1.3)  # clearance under a ball
    restitution: Share = (0.2, 0.82)
    density_kg_m3: Size = (200.0, 1200.0)
    gravity_m_s2: tuple[Size, ...] = ((9.8, 9.8), (3.7, 3.7), (1.6, 1.6))  # ranges, one is drawn

    @model_validator(mode="after")
    def something_to_choose(self) -> Parameters:
        if not self.gravity_m_s2:
            raise ValueError("gravity_m_s2 needs at least one range [low, high]")
        return self


class Drop:
    """The oldest experiment: how long a fall lasts and how much of it a bounce gives back."""

    name = "drop"
    summary = "balls dropped from rest that bounce as high as their restitution says"
    engines = ("bullet", "mujoco")
    outcomes = ("moving", "settled")
    words = Words()
    Parameters = Parameters

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=parameters.balls[1] + 1)

    def sample(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        *,
        frames: int,
        frame_rate_hz: float,
    ) -> Scene:
        """A row of balls in the air, at rest."""
        p = parameters
        count = int(rng.integers(p.balls[0], p.balls[1] + 1))
        gravity = float(rng.uniform(*p.gravity_m_s2[rng.integers(len(p.gravity_m_s2))]))
        radii = rng.uniform(*p.radius_m, count)
        sides = np.cumsum(2 * radii + GAP_M) - radii
        sides -= (sides[0] - radii[0] + sides[-1] + radii[-1]) / 2
        things = [
            build(
                f"ball_{i}",
                ball(float(radius)),
                two_tone(colour),
                density_kg_m3=float(rng.uniform(*p.density_kg_m3)),
                restitution=float(rng.uniform(*p.restitution)),
                friction=0.5,
                position=(
                    side, rng.uniform(-DEPTH_M, DEPTH_M), radius + rng.uniform(*p.height_m)
                ),
                velocity=ORIGIN,
                angular_velocity=ORIGIN,
                quaternion=turn_about(direction(rng), rng.uniform(0, 2 * math.pi)),
            )
            for i, (radius, side, colour) in enumerate(
                zip(radii, sides, colours(count, rng), strict=True)
            )
        ]  # fmt: skip
        return Scene(
            family=self.name,
            bodies=(floor(), *things),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=whole_rate(PHYSICS_RATE_HZ, frame_rate_hz),
            gravity=(0.0, 0.0, -gravity),
            light=LIGHT,
            parameters={"balls": count, "gravity_m_s2": gravity},
        )

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """settled: every ball nearly at rest on the floor at the end; moving: otherwise.

        Each ball's restitution is as measured at its first impact, from the speeds of the flights
        before and after it.
        """
        speed = np.linalg.norm(motion.velocity[scene.frames - 1], axis=-1)
        margins = {"fastest_at_end_m_s": float(speed.max())}
        for row in range(1, len(scene.bodies)):
            name = scene.bodies[row].name
            margins[f"bounces_{name}"] = float(len(touches_of(motion, row)))
            if hits := impacts(scene, motion, row):
                margins[f"restitution_{name}"] = restitution(hits[0])
        end_s = scene.frames / scene.frame_rate_hz
        down = all(np.any(touches_of(motion, row)["end_s"] > end_s - 0.25)
                   for row in range(1, len(scene.bodies)))  # fmt: skip
        return Outcome("settled" if down and speed.max() < SETTLED_M_S else "moving", margins)

    def laws(self, scene: Scene, motion: Motion) -> tuple[Law, ...]:
        """Of each ball: its fall, its first bounce, its first rebound."""
        return tuple(
            law
            for row in range(1, len(scene.bodies))
            if len(touches_of(motion, row))
            for law in self._of_ball(scene, motion, row)
        )

    def _of_ball(self, scene: Scene, motion: Motion, row: int) -> tuple[Law, ...]:
        body, gravity = scene.bodies[row], -scene.gravity[2]
        geom = body.geoms[0]
        height = body.position[2] - geom.size[0]
        fall = Law(
            "fall time", float(touches_of(motion, row)["start_s"][0]),
            math.sqrt(2 * height / gravity), 0.002, "s", "t = sqrt(2 h / g)",
        )  # fmt: skip
        hits = impacts(scene, motion, row)
        if not hits:
            return (fall,)
        hit, share = hits[0], restitution(hits[0])
        push = body.mass_kg * (hit.after[2] - hit.before[2] + gravity * (hit.end_s - hit.start_s))
        laws = [
            fall,
            Law("restitution", share, geom.restitution, 0.04, "1", SOURCE),
            Law("impulse / momentum change", hit.impulse_ns / push, 1.0, 0.01, "1",
                "impulse = change of momentum + weight x time"),
        ]  # fmt: skip
        times = np.arange(len(motion.position)) / scene.frame_rate_hz
        apex = hit.end_s + hit.after[2] / gravity
        if apex < times[-1]:
            top = int(np.abs(times - apex).argmin())
            peak = motion.position[top, row, 2] + motion.velocity[top, row, 2] ** 2 / 2 / gravity
            laws.append(
                Law("rebound height / drop height", (peak - geom.size[0]) / height, share**2, 0.01,
                    "1", "h' = e^2 h")
            )  # fmt: skip
        return tuple(laws)

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The row of balls from floor to start."""
        rows = range(1, len(scene.bodies))
        radius = max(scene.bodies[row].geoms[0].size[0] for row in rows)
        point, away = framing(motion.position[:, list(rows)], radius)
        return point, max(away, 1.6)


def restitution(hit: Impact) -> float:
    """Vertical speed after an impact over that before it."""
    return float(-hit.after[2] / hit.before[2])
