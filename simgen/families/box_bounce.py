"""Boxes that are thrown with spin, tumble on a floor and come to lie on one of their faces."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from simgen.captions.words import Words
from simgen.families import Law, Limits, Outcome
from simgen.families.laboratory import LIGHT, floor, framing, whole_rate
from simgen.families.objects import (
    PHYSICS_RATE_HZ,
    Amount,
    Count,
    Form,
    Share,
    Size,
    build,
    colours,
    direction,
    place_apart,
    turn_about,
    two_tone,
)
from simgen.laws import energy_gain, momentum_drift, parabola_error_m, touches_of
from simgen.motion import Motion
from simgen.scene import Body, Scene, Vector3

STAGE_M = 0.75  # half width of the square above which everything starts
SETTLED_M_S = 0.05
SETTLED_RAD_S = 0.2


class Parameters(BaseModel):
    """Ranges [low, high] that every box or episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    boxes: Count = (1, 3)
    half_side_m: Size = (0.09, 0.17)  # of each of a box's three sides
    clearance_m: Size = (0.25, 0.8)  # under a box's lowest possible corner
    speed_m_s: Amount = (0.0, 0.5)  # sideways
    spin_rad_s: Amount = (1.0, 8.0)
    restitution: Share = (0.2, 0.75)
    friction: Amount = (0.3, 0.7)
    density_kg_m3: Size = (200.0, 900.0)
    gravity_m_s2: tuple[Size, ...] = ((9.8, 9.8), (3.7, 3.7), (1.6, 1.6))  # ranges, one is drawn

    @model_validator(mode="after")
    def something_to_choose(self) -> Parameters:
        if not self.gravity_m_s2:
            raise ValueError("gravity_m_s2 needs at least one range [low, high]")
        return self


class BoxBounce:
    """Tumbling is where an engine's contacts are tried: corners, edges, then faces."""

    name = "box_bounce"
    summary = "boxes thrown with spin that bounce off their corners and tumble on a floor"
    engines = ("bullet", "mujoco")
    outcomes = ("moving", "settled")
    words = Words()
    Parameters = Parameters

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=parameters.boxes[1] + 1)

    def sample(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        *,
        frames: int,
        frame_rate_hz: float,
    ) -> Scene:
        """Boxes in the air.

        Raises:
            ValueError: The boxes found no room.
        """
        p = parameters
        count = int(rng.integers(p.boxes[0], p.boxes[1] + 1))
        gravity = float(rng.uniform(*p.gravity_m_s2[rng.integers(len(p.gravity_m_s2))]))
        forms = [Form("box", tuple(rng.uniform(*p.half_side_m, 3).tolist()), "box")
                 for _ in range(count)]  # fmt: skip
        half = np.array([STAGE_M, STAGE_M, 0.0])
        spots = place_apart([form.reach_m for form in forms], -half, half, rng)
        things = [
            self._thing(i, form, spot, colour, p, rng)
            for i, (form, spot, colour) in enumerate(
                zip(forms, spots, colours(count, rng), strict=True)
            )
        ]
        return Scene(
            family=self.name,
            bodies=(floor(friction=0.6), *things),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=whole_rate(PHYSICS_RATE_HZ, frame_rate_hz),
            gravity=(0.0, 0.0, -gravity),
            light=LIGHT,
            parameters={"boxes": count, "gravity_m_s2": gravity},
        )

    @staticmethod
    def _thing(
        number: int,
        form: Form,
        spot: np.ndarray,
        colour: str,
        p: Parameters,
        rng: np.random.Generator,
    ) -> Body:
        way = rng.uniform(0, 2 * math.pi)
        speed = rng.uniform(*p.speed_m_s)
        return build(
            f"box_{number}",
            form,
            two_tone(colour),
            density_kg_m3=float(rng.uniform(*p.density_kg_m3)),
            restitution=float(rng.uniform(*p.restitution)),
            friction=float(rng.uniform(*p.friction)),
            position=(spot[0], spot[1], form.reach_m + rng.uniform(*p.clearance_m)),
            velocity=(speed * math.cos(way), speed * math.sin(way), 0.0),
            angular_velocity=rng.uniform(*p.spin_rad_s) * direction(rng),
            quaternion=turn_about(direction(rng), rng.uniform(0, 2 * math.pi)),
        )

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """settled: every box nearly at rest at the end; moving: otherwise."""
        last = scene.frames - 1
        speed = float(np.linalg.norm(motion.velocity[last], axis=-1).max())
        spin = float(np.linalg.norm(motion.angular_velocity[last], axis=-1).max())
        settled = speed < SETTLED_M_S and spin < SETTLED_RAD_S
        turned = motion.angular_velocity[:-1] / scene.frame_rate_hz
        margins = {
            "fastest_at_end_m_s": speed,
            "most_turned_turns": float(
                np.linalg.norm(turned, axis=-1).sum(axis=0).max() / (2 * math.pi)
            ),
            **{
                f"touches_{body.name}": float(len(touches_of(motion, row)))
                for row, body in enumerate(scene.bodies)
                if row
            },
        }
        return Outcome("settled" if settled else "moving", margins)

    def laws(self, scene: Scene, motion: Motion) -> tuple[Law, ...]:
        """What tumbling cannot do: gain energy, or turn or fall otherwise in mid-air."""
        rows = range(1, len(scene.bodies))
        drift = max(momentum_drift(scene, motion, row) for row in rows)
        astray = max(parabola_error_m(scene, motion, row) for row in rows)
        return (
            Law("energy gained / energy exchanged", energy_gain(scene, motion), 0.0, 0.02, "1",
                "contacts only take energy"),
            Law("change of angular momentum in flight", drift, 0.0, 0.01, "1",
                "no torque about the centre of mass"),
            Law("distance from the flight's parabola", astray, 0.0, 0.003, "m",
                "constant acceleration"),
        )  # fmt: skip

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """Everywhere that the boxes go."""
        rows = list(range(1, len(scene.bodies)))
        reach = max(math.hypot(*scene.bodies[row].geoms[0].size) for row in rows)
        return framing(motion.position[:, rows], 0.9 * reach)
