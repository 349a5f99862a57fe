"""What the gymnast does: giants by arch and tap, release, somersaults, opening and landing.

Everything is triggered by what is seen (angle of the swing, predicted turn at the floor), never
by the clock. Angles here count backward rotation, the sense of the giant, as positive. A pose
names joints by their flexion in rad; joints that it leaves out are straight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from simgen.families.gymnast import Gymnast, Pose, Sums, pitch_of
from simgen.scene import Command, Observation

GRAVITY_M_S2 = 9.81

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
SHAPES: dict[str, Pose] = {
    "tuck": {
        "hip": 2.15, "knee": 2.3, "waist": 0.65, "shoulder": 2.35, "elbow": 0.75, "neck": 0.45,
        "ankle": -0.8,
    },
    "pike": {
        "hip": 2.2, "knee": 0.05, "waist": 0.6, "shoulder": 2.3, "elbow": 0.3, "neck": 0.3,
        "ankle": -1.0,
    },
}  # fmt: skip
STRETCH: Pose = {
    "hip": -0.1, "waist": -0.1, "shoulder": 2.6, "elbow": 0.3, "ankle": -0.9, "neck": -0.2,
}  # fmt: skip
REACH: Pose = {  # for the floor
    "hip": 0.60, "knee": 0.45, "waist": 0.15, "shoulder": 1.7, "elbow": 0.15, "ankle": 0.05,
}  # fmt: skip
# Both have the mass centre above the middle of flat soles
SQUAT: Pose = {
    "hip": 1.0, "knee": 1.1, "waist": 0.25, "shoulder": 1.7, "elbow": 0.1, "ankle": 0.4,
}  # fmt: skip
STAND: Pose = {
    "hip": 0.37, "knee": 0.45, "waist": 0.05, "shoulder": 1.2, "elbow": 0.1, "ankle": 0.2,
}  # fmt: skip

# Technique, found by search over landings of gymnasts of 1.58 to 1.74 m.
LEAN_RAD = 0.14  # further back at touchdown than stops the rotation of a body that stays stiff
CHANGE_S = 0.2  # what a change of pose in flight takes
CORRECTION = 0.85  # rad of hip and knee flexion per rad of turn that would be missing
ANKLE_GAIN = 0.95  # rad of ankle per m that the mass centre is going to miss the feet by
SQUAT_S, RISE_S = 0.25, 0.6  # how long the squat is held, and standing up from it
SOLE_M = 0.10  # height of the ankle's joint over the mat that counts as touchdown
# Targets stay this close to the joints as they are: legs then brake and do not bounce
NEAR = {"hip": 0.30, "knee": 0.28, "ankle": 0.30, "waist": 0.2}
NEAR_OTHERS = 0.6


@dataclass(frozen=True)
class Plan:
    """What a gymnast intends, and the errors of judgement that decide how it ends."""

    giants: int  # whole turns before the release
    tap: float  # strength of arch and kick, 1: as in GIANT
    release_deg: float  # of the mass centre about the bar, after the last bottom
    late_s: float  # the grip opens this much after it should
    somersaults: int
    shape: Literal["tuck", "pike"]
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
        self.rows, self.columns, self.bar = rows, columns, bar
        self.mat_m, self.frame_s = mat_m, frame_s
        self.feet = [rows[gymnast.names.index(f"{side}_foot")] for side in ("left", "right")]
        self.reach = gymnast.planar(REACH)
        self._begin()

    def _begin(self) -> None:
        self.swing_rad: float | None = None  # of the mass centre about the bar, unwrapped
        self.turn_rad: float | None = None  # of the trunk, 0 upright, unwrapped
        self.released = self.opened = False
        self.fold: Pose | None = None
        self.touch_s: float | None = None

    def __call__(self, frame: int, seen: Observation) -> Command:
        if frame == 0:
            self._begin()
        sums = self.gymnast.sums(seen, self.rows)
        self._follow(seen, sums)
        if not self.released:
            pose, releases = self._swing(seen, sums)
            return Command(self.gymnast.targets(pose), releases)
        if self.touch_s is None and seen.position[self.feet, 2].min() < self.mat_m + SOLE_M:
            self.touch_s = seen.time_s
        pose = self._fly(seen, sums) if self.touch_s is None else self._land(seen, sums)
        return Command(self.gymnast.targets(pose))

    def _follow(self, seen: Observation, sums: Sums) -> None:
        """Unwrap the angles of swing and trunk; both start between a full turn back and 0."""
        x, _, z = sums.centre - seen.position[self.bar]
        swing = float(np.arctan2(x, -z))
        turn = -pitch_of(seen.quaternion[self.rows[0]])
        if self.swing_rad is None or self.turn_rad is None:
            self.swing_rad, self.turn_rad = swing % (-2 * np.pi), turn % (-2 * np.pi)
        self.swing_rad += _wrapped(swing - self.swing_rad)
        self.turn_rad += _wrapped(turn - self.turn_rad)

    def _swing(self, seen: Observation, sums: Sums) -> tuple[Pose, dict[str, float]]:
        """The giant's pose at the angle that this frame will bring, and the release in its time."""
        plan = self.plan
        x, _, z = sums.centre - seen.position[self.bar]
        speed = (x * sums.velocity[2] - z * sums.velocity[0]) / (x * x + z * z)
        ahead = np.degrees(_wrapped(self.swing_rad + 0.5 * speed * self.frame_s))
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

    def _fly(self, seen: Observation, sums: Sums) -> Pose:
        """Folded until opening now would bring the feet down; then small corrections."""
        time_s = self._time_to_floor(sums)
        rate = -sums.angular_momentum
        now = self.gymnast.pose(seen, self.columns)
        whole = 2 * np.pi * (self.plan.somersaults + self.plan.giants)
        target = whole + self._lean(sums, time_s) + LEAN_RAD + self.plan.misjudged_rad
        left = target - self.turn_rad
        if self.fold is None:
            self.fold = self._choose_fold(now, rate, left, time_s)
        change_s = min(CHANGE_S, time_s)
        opening = 2 * change_s / (sums.inertia + self.reach.inertia)
        opening += (time_s - change_s) / self.reach.inertia
        reached = rate * opening - self.gymnast.counter_turn(now, REACH)
        self.opened = self.opened or reached > left or time_s < 0.15
        if not self.opened:
            return self.fold
        if time_s < 2 * self.frame_s:
            return REACH
        draw = float(np.clip(CORRECTION * (left - reached), -0.4, 0.9))
        return {**REACH, "hip": REACH["hip"] + draw, "knee": REACH["knee"] + draw}

    def _time_to_floor(self, sums: Sums) -> float:
        """Seconds of free fall until the soles of a gymnast who reaches for it meet the mat."""
        height = self.reach.middle[1] - self.reach.sole[1]
        drop = sums.centre[2] - self.mat_m - height
        rise = sums.velocity[2]
        return float(rise + np.sqrt(max(rise * rise + 2 * GRAVITY_M_S2 * drop, 0.0))) / GRAVITY_M_S2

    def _lean(self, sums: Sums, time_s: float) -> float:
        """Turn of the trunk at which the soles' impulse stops fall and rotation at once.

        Angular momentum about the soles is then zero: L + m (z vx - x vz), with (x, z) from the
        soles to the mass centre.
        """
        x0, z0 = self.reach.middle - self.reach.sole
        fall = sums.velocity[2] - GRAVITY_M_S2 * time_s
        lean = np.linspace(-0.6, 0.6, 121)
        x = x0 * np.cos(lean) - z0 * np.sin(lean)
        z = z0 * np.cos(lean) + x0 * np.sin(lean)
        about = sums.angular_momentum + self.gymnast.mass_kg * (z * sums.velocity[0] - x * fall)
        return float(lean[np.abs(about).argmin()])

    def _choose_fold(self, now: Pose, rate: float, left: float, time_s: float) -> Pose:
        """The loosest fold that makes the turn with open_s to spare; the tightest if none does."""
        shape = SHAPES[self.plan.shape]
        fold: Pose = shape
        for share in np.linspace(0.0, 1.0, 21):
            fold = blend(STRETCH, shape, share)
            inertia = self.gymnast.planar(fold).inertia
            folded_s = time_s - self.plan.open_s - CHANGE_S
            turn = rate * (
                folded_s / inertia
                + self.plan.open_s / self.reach.inertia
                + 2 * CHANGE_S / (inertia + self.reach.inertia)
            )
            turn -= self.gymnast.counter_turn(now, fold) + self.gymnast.counter_turn(fold, REACH)
            if turn > left:
                break
        return fold

    def _land(self, seen: Observation, sums: Sums) -> Pose:
        """Absorb in a squat, then stand up, the ankles steering the mass centre over the feet."""
        share = np.clip((seen.time_s - self.touch_s - SQUAT_S) / RISE_S, 0.0, 1.0)
        wanted = blend(SQUAT, STAND, float(share))
        height = max(sums.centre[2] - self.mat_m, 0.3)
        feet = seen.centre_of_mass[self.feet, 0].mean()
        # where an inverted pendulum of that height would come to rest
        going = sums.centre[0] + sums.velocity[0] * np.sqrt(height / GRAVITY_M_S2)
        wanted["ankle"] -= ANKLE_GAIN * float(np.clip(going - feet, -0.4, 0.4))
        now = self.gymnast.pose(seen, self.columns)
        return {
            joint: float(np.clip(angle, now[joint] - near, now[joint] + near))
            for joint, angle in wanted.items()
            for near in (NEAR.get(joint, NEAR_OTHERS),)
        }


def blend(start: Pose, end: Pose, share: float) -> dict[str, float]:
    """The pose a share of the way from one to another."""
    return {
        joint: (1 - share) * start.get(joint, 0.0) + share * end.get(joint, 0.0)
        for joint in sorted({*start, *end})
    }


def _wrapped(angle: float) -> float:
    """The same angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
