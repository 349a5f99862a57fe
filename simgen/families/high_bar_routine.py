"""What the gymnast does on the bar: giants by arch and tap, and the release.

Everything is triggered by what is seen (angle of the swing, predicted turn at the floor), never
by the clock. Angles here count backward rotation, the sense of the giant, as positive. A pose
names joints by their flexion in rad; joints that it leaves out are straight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simgen.families.gymnast import Gymnast, Pose, Sums
from simgen.families.somersault import Aim, Balance, Flyer, Ground, Shape, wrapped
from simgen.scene import Command, Observation

# Giant: pose at angles of the mass centre about the bar, 0 hanging, -180 and 180 handstand. Arch
# before the bottom, kick ("tap") through it, stretch on the way up: muscles that shorten against
# the centrifugal pull put energy into the swing.
GIANT_DEG = (-180, -120, -70, -35, -8, 25, 60, 100, 150, 180)
GIANT = {
    "hip": (0.10, 0.0, -0.20, -0.45, -0.30, 0.60, 0.50, 0.20, 0.10, 0.10),
    "waist": (0.10, 0.0, -0.15, -0.30, -0.15, 0.35, 0.30, 0.15, 0.10, 0.10),
    "shoulder": (0.05, 0.0, -0.15, -0.35, -0.20, 0.40, 0.45, 0.25, 0.10, 0.05),
    "knee": (0.0, 0.0, 0.05, 0.10, 0.10, 0.0, 0.0, 0.0, 0.0, 0.0),
    "neck": (0.1, 0.0, -0.2, -0.2, 0.0, 0.3, 0.2, 0.0, 0.0, 0.1),
}
POINTED = -1.0  # ankles while swinging
BALANCE = Balance(steps=True)


@dataclass(frozen=True)
class Plan:
    """What a gymnast intends, and the errors of judgement that decide how it ends."""

    giants: int  # whole turns before the release
    tap: float  # strength of arch and kick, 1: as in GIANT
    release_deg: float  # of the mass centre about the bar, after the last bottom
    late_s: float  # the grip opens this much after it should
    somersaults: int
    shape: Shape
    open_s: float  # before touchdown
    misjudged_rad: float  # turn that the gymnast believes to be missing and is not


class Routine:
    """Script of one episode. Frame 0 begins it afresh, so a scene can be simulated again.

    Args:
        rows: The gymnast's rows among the scene's bodies, and `bar` the bar's.
        columns: The gymnast's columns among the scene's joints.
        mat_m: Height of the mat's top.
    """

    def __init__(
        self, gymnast: Gymnast, plan: Plan, *, rows: np.ndarray, columns: np.ndarray, bar: int,
        mat_m: float, frame_s: float,
    ) -> None:  # fmt: skip
        self.gymnast, self.plan = gymnast, plan
        self.rows, self.bar, self.frame_s = rows, bar, frame_s
        self.flyer = Flyer(
            gymnast,
            rows=rows,
            columns=columns,
            ground=Ground(mat_m),
            first_turn=-2 * np.pi,
            balance=BALANCE,
        )
        self.aim = Aim(
            2 * np.pi * (plan.somersaults + plan.giants), plan.shape, plan.open_s,
            plan.misjudged_rad,
        )  # fmt: skip
        self._begin()

    def _begin(self) -> None:
        self.swing_rad: float | None = None  # of the mass centre about the bar, unwrapped
        self.released = False
        self.flyer.begin()

    def __call__(self, frame: int, seen: Observation) -> Command:
        if frame == 0:
            self._begin()
        sums = self.gymnast.sums(seen, self.rows)
        self._follow(seen, sums)
        if not self.released:
            pose, releases = self._swing(seen, sums)
            return Command(self.gymnast.targets(pose), releases)
        return Command(self.gymnast.targets(self.flyer.pose(seen, sums, self.aim)))

    def _follow(self, seen: Observation, sums: Sums) -> None:
        """Unwrap the angles of swing and trunk; both start between a full turn back and 0."""
        self.flyer.follow(seen)
        x, _, z = sums.centre - seen.position[self.bar]
        swing = float(np.arctan2(x, -z))
        if self.swing_rad is None:
            self.swing_rad = swing % (-2 * np.pi)
        self.swing_rad += wrapped(swing - self.swing_rad)

    def _swing(self, seen: Observation, sums: Sums) -> tuple[Pose, dict[str, float]]:
        """The giant's pose at the angle that this frame will bring, and the release in its time."""
        plan = self.plan
        x, _, z = sums.centre - seen.position[self.bar]
        speed = (x * sums.velocity[2] - z * sums.velocity[0]) / (x * x + z * z)
        ahead = np.degrees(wrapped(self.swing_rad + 0.5 * speed * self.frame_s))
        pose = {
            joint: plan.tap * float(np.interp(ahead, GIANT_DEG, angles))
            for joint, angles in GIANT.items()
        }
        pose["ankle"] = POINTED
        left = np.radians(plan.release_deg) + 2 * np.pi * plan.giants - self.swing_rad
        due_s = left / max(speed, 0.1) + plan.late_s
        if due_s >= self.frame_s or self.swing_rad < 2 * np.pi * plan.giants:
            return pose, {}
        self.released = True
        return pose, {f"{side}_grip": max(due_s, 0.0) for side in ("left", "right")}
