"""What the gymnast does: giants by arch and tap, release, somersaults, opening and landing.

Everything is triggered by what is seen (angle of the swing, predicted turn at the floor), never
by the clock. Angles here count backward rotation, the sense of the giant, as positive. A pose
names joints by their flexion in rad; joints that it leaves out are straight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from simgen.families.gymnast import SEGMENTS, Gymnast, Planar, Pose, Sums, pitch_of
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
BACK_M = 0.12
HIPS = np.linspace(0.15, 1.25, 23)  # rad, that the legs can be placed with
CHANGE_S = 0.2  # what a change of pose in flight takes
ANKLE_GAIN = 2.0  # m of the soles' pressure per m that the mass centre is going to miss them by
ARMS_GAIN, HIP_GAIN = 2.0, 0.0  # rad per m of the same
SOLES_M = (-0.12, 0.12)  # reach of the pressure from the middle of the soles
ANKLE_KP = next(s.servo[0] for s in SEGMENTS if s.name == "foot")
LEAD_S = 0.04
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
        target = whole + self._lean(sums, time_s) + self.plan.misjudged_rad
        left = target - self.turn_rad
        if self.fold is None:
            self.fold = self._choose_fold(now, rate, left, time_s)
        reached = rate * self._opening_time(sums, self.reach, time_s)
        reached -= self.gymnast.counter_turn(now, REACH)
        self.opened = self.opened or reached > left or time_s < 0.15
        if not self.opened:
            return self.fold
        return self._reach_for_floor(now, sums, time_s)

    def _reach_for_floor(self, now: Pose, sums: Sums, time_s: float) -> Pose:
        """Legs placed so that the soles' impulse will stop fall and rotation at once.

        Whatever turn is missing or too much, the hips can still bring the feet to that place.
        """
        best, least = REACH, np.inf
        for hip in HIPS:
            pose = {**REACH, "hip": float(hip)}
            shape = self.gymnast.planar(pose)
            turn = self.turn_rad - sums.angular_momentum * self._opening_time(sums, shape, time_s)
            turn -= self.gymnast.counter_turn(now, pose, steps=2)
            missed = abs(self._momentum_about_soles(sums, shape, turn, time_s))
            if missed < least:
                flat = REACH["knee"] - REACH["waist"] - hip - turn
                flat = (flat + np.pi) % (2 * np.pi) - np.pi
                best, least = {**pose, "ankle": float(np.clip(flat, -0.6, 0.6))}, missed
        return best

    @staticmethod
    def _opening_time(sums: Sums, shape: Planar, time_s: float) -> float:
        """Integral of 1 / inertia until touchdown, while the shape is taken, s / (kg m2)."""
        change_s = min(CHANGE_S, time_s)
        return 2 * change_s / (sums.inertia + shape.inertia) + (time_s - change_s) / shape.inertia

    def _momentum_about_soles(
        self, sums: Sums, shape: Planar, turn: np.ndarray | float, time_s: float
    ) -> np.ndarray | float:
        """Angular momentum about the soles at touchdown, L + m (z vx - x vz), kg m2/s.

        (x, z) leads from the soles, BACK_M behind, to the mass centre: legs that give way need
        the feet further ahead than stiff ones.
        """
        x0, z0 = shape.middle - shape.sole
        x = x0 * np.cos(turn) - z0 * np.sin(turn) + BACK_M
        z = z0 * np.cos(turn) + x0 * np.sin(turn)
        fall = sums.velocity[2] - GRAVITY_M_S2 * time_s
        return sums.angular_momentum + self.gymnast.mass_kg * (z * sums.velocity[0] - x * fall)

    def _time_to_floor(self, sums: Sums) -> float:
        """Seconds of free fall until the soles of a gymnast who reaches for it meet the mat."""
        height = self.reach.middle[1] - self.reach.sole[1]
        drop = sums.centre[2] - self.mat_m - height
        rise = sums.velocity[2]
        return float(rise + np.sqrt(max(rise * rise + 2 * GRAVITY_M_S2 * drop, 0.0))) / GRAVITY_M_S2

    def _lean(self, sums: Sums, time_s: float) -> float:
        """Turn of the trunk at which the soles' impulse stops fall and rotation at once.

        Angular momentum about the soles is then zero.
        """
        lean = np.linspace(-0.6, 0.6, 121)
        about = self._momentum_about_soles(sums, self.reach, lean, time_s)
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
        # where an inverted pendulum of that height would come to rest, seen from the feet
        error = sums.centre[0] + sums.velocity[0] * np.sqrt(height / GRAVITY_M_S2) - feet
        wanted["shoulder"] += float(np.clip(ARMS_GAIN * error, -1.2, 1.2))
        wanted["hip"] += float(np.clip(HIP_GAIN * error, -0.4, 0.4))
        now = self.gymnast.pose(seen, self.columns)
        pose = {
            joint: float(np.clip(angle, now[joint] - near, now[joint] + near))
            for joint, angle in wanted.items()
            for near in (NEAR.get(joint, NEAR_OTHERS),)
        }
        # the pressure under the soles goes beyond that point, and pushes it back
        pressure = feet + float(np.clip(ANKLE_GAIN * error, *SOLES_M)) * self.gymnast.scale
        lever = pressure - seen.position[self.feet, 0].mean()
        torque = self.gymnast.mass_kg * GRAVITY_M_S2 * lever / 2
        pose["ankle"] = now["ankle"] - torque / ANKLE_KP + LEAD_S * self._speed(seen, "ankle")
        return pose

    def _speed(self, seen: Observation, joint: str) -> float:
        """Mean of both sides, rad/s."""
        columns = [
            c for c, n in zip(self.columns, self.gymnast.joints, strict=True) if n.endswith(joint)
        ]
        return float(seen.joint_velocity[columns].mean())


def blend(start: Pose, end: Pose, share: float) -> dict[str, float]:
    """The pose a share of the way from one to another."""
    return {
        joint: (1 - share) * start.get(joint, 0.0) + share * end.get(joint, 0.0)
        for joint in sorted({*start, *end})
    }


def _wrapped(angle: float) -> float:
    """The same angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
