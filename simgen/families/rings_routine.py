"""What the gymnast does on the rings: swings by arch and kick, and the release.

Everything is triggered by what is seen (angle and speed of the swing, predicted turn at the floor),
never by the clock. Angles here count backward rotation, the sense of a swing to the front, as
positive. A pose names joints by their flexion in rad; joints that it leaves out are straight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from simgen.families.gymnast import SIDES, Gymnast, Pose, Sums
from simgen.families.somersault import Aim, Balance, Flyer, Ground, Shape, wrapped
from simgen.scene import Command, Observation

Side = Literal["front", "back"]
# Pose at angles of the mass centre about the rings, 0 hanging, counted along the way of the swing.
# The side that leads is arched before the bottom and closed through it: muscles that shorten
# against the centrifugal pull put energy into the swing.
SWING_DEG = (-75, -30, 15, 60)
SWINGS: dict[Side, dict[str, tuple[float, ...]]] = {
    "front": {
        "hip": (-0.30, -0.12, 0.90, 0.90),
        "waist": (-0.15, -0.06, 0.45, 0.45),
        "shoulder": (-0.40, -0.08, 0.67, 0.55),
        "neck": (0.1, -0.2, 0.3, 0.2),
    },
    "back": {
        "hip": (0.33, 0.28, -0.35, -0.50),
        "waist": (0.16, 0.14, -0.18, -0.25),
        "shoulder": (0.54, -0.01, -0.40, -0.07),
        "neck": (0.2, 0.1, -0.2, -0.1),
    },
}  # fmt: skip
POINTED = -1.0  # ankles while swinging
# A swing that has come this near its turn is let go of
EARLY_RAD, STALLED_RAD_S = 0.4, 0.5


@dataclass(frozen=True)
class Plan:
    """What a gymnast intends, and the errors of judgement that decide how it ends."""

    side: Side  # that the last swing leads to
    swings: int  # passes through the hang, the last one's with the release
    tap: float  # strength of arch and kick, 1: as in SWINGS
    release_deg: float  # of the mass centre about the rings, along the way of the last swing
    late_s: float  # the grip opens this much after it should
    shape: Shape
    open_s: float  # before touchdown
    misjudged_rad: float  # turn that the gymnast believes to be missing and is not


class Routine:
    """Script of one episode. Frame 0 begins it afresh, so a scene can be simulated again.

    Args:
        rows: The gymnast's rows among the scene's bodies, and `rings` those of the rings.
        columns: The gymnast's columns among the scene's joints.
        mat_m: Height of the mat's top.
        grip_m: From a ring's frame down to where the fist holds it.
    """

    def __init__(
        self, gymnast: Gymnast, plan: Plan, *, rows: np.ndarray, columns: np.ndarray,
        rings: tuple[int, int], mat_m: float, frame_s: float, balance: Balance,
    ) -> None:  # fmt: skip
        self.gymnast, self.plan = gymnast, plan
        self.rows, self.rings, self.frame_s = rows, list(rings), frame_s
        self.flyer = Flyer(
            gymnast, rows=rows, columns=columns, ground=Ground(mat_m), balance=balance
        )
        sense = 1.0 if plan.side == "front" else -1.0
        self.aim = Aim(sense * 2 * np.pi, plan.shape, plan.open_s, plan.misjudged_rad)
        self._begin()

    def _begin(self) -> None:
        self.passes = 0
        self.before: float | None = None  # angle of the swing at the last frame
        self.released = False
        self.flyer.begin()

    def __call__(self, frame: int, seen: Observation) -> Command:
        if frame == 0:
            self._begin()
        self.flyer.follow(seen)
        sums = self.gymnast.sums(seen, self.rows)
        if not self.released:
            pose, releases = self._swing(seen, sums)
            return Command(self.gymnast.targets(pose), releases)
        return Command(self.gymnast.targets(self.flyer.pose(seen, sums, self.aim)))

    def _swing(self, seen: Observation, sums: Sums) -> tuple[Pose, dict[str, float]]:
        """The pose at the angle that this frame will bring, and the release in its time."""
        plan = self.plan
        x, _, z = sums.centre - seen.centre_of_mass[self.rings].mean(axis=0)
        u, _, w = sums.velocity - seen.velocity[self.rings].mean(axis=0)
        angle, speed = float(np.arctan2(x, -z)), float((x * w - z * u) / (x * x + z * z))
        if self.before is not None and self.before * angle <= 0:
            self.passes += 1
        self.before = angle
        side: Side = "front" if (speed if abs(speed) > 1e-3 else -angle) > 0 else "back"
        way = 1.0 if side == "front" else -1.0
        ahead = np.degrees(way * wrapped(angle + 0.5 * speed * self.frame_s))
        pose = {
            joint: plan.tap * float(np.interp(ahead, SWING_DEG, angles))
            for joint, angles in SWINGS[side].items()
        }
        pose["ankle"] = POINTED
        if self.passes < plan.swings:
            return pose, {}
        way = 1.0 if plan.side == "front" else -1.0
        due_s = (np.radians(plan.release_deg) - way * angle) / max(way * speed, 0.1) + plan.late_s
        if way * angle > EARLY_RAD and way * speed < STALLED_RAD_S:
            due_s = 0.0
        if due_s >= self.frame_s:
            return pose, {}
        self.released = True
        return pose, {f"{side}_grip": max(due_s, 0.0) for side in SIDES}
