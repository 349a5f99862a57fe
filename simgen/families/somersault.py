"""Flight and landing of a gymnast who jumps: fold, open in time, place the feet, hold the landing.

Everything is triggered by what is seen (predicted time and turn at the ground), never by the
clock. Angles here count backward rotation as positive; a forward somersault turns to -2 pi. A pose
names joints by their flexion in rad; joints that it leaves out are straight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from simgen.families.gymnast import SEGMENTS, Gymnast, Planar, Pose, Sums, pitch_of, rotate
from simgen.families.stepping import Stepper
from simgen.scene import Body, Material, Observation

GRAVITY_M_S2 = 9.81
Shape = Literal["tuck", "pike"]
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
REACH: Pose = {  # for the ground
    "hip": 0.60, "knee": 0.45, "waist": 0.15, "shoulder": 1.7, "elbow": 0.15, "ankle": 0.05,
}  # fmt: skip
# Both have the mass centre above the middle of flat soles
SQUAT: Pose = {
    "hip": 1.0, "knee": 1.1, "waist": 0.25, "shoulder": 1.7, "elbow": 0.1, "ankle": 0.4,
}  # fmt: skip
STAND: Pose = {
    "hip": 0.37, "knee": 0.45, "waist": 0.05, "shoulder": 1.2, "elbow": 0.1, "ankle": 0.2,
}  # fmt: skip

HIPS = np.linspace(0.15, 1.25, 23)  # rad, that the legs can be placed with
CHANGE_S = 0.2  # what a change of pose in flight takes
NO_TIME_S = 0.15  # before the ground: open in any case
ANKLE_KP = next(s.servo[0] for s in SEGMENTS if s.name == "foot")
LEAD_S = 0.04
SQUAT_S = 0.25  # how long the squat is held
SOLE_M = 0.10  # height of the ankle's joint over the ground that counts as touchdown
# Targets stay this close to the joints as they are: legs then brake and do not bounce
NEAR = {"hip": 0.30, "ankle": 0.30, "waist": 0.2}
NEAR_OTHERS = 0.6


@dataclass(frozen=True)
class Aim:
    """What a gymnast in the air intends, and how much the judgement of it is off."""

    turn_rad: float  # of the trunk at the end, from upright; a whole number of turns
    shape: Shape
    open_s: float  # before touchdown
    misjudged_rad: float  # turn that the gymnast believes to be missing and is not


@dataclass(frozen=True)
class Balance:
    """How a landing is held; found by search over landings of gymnasts of 1.58 to 1.74 m."""

    # legs that give way need the feet at another place than stiff ones
    feet_ahead_m: float = 0.12
    ankles: float = 2.0  # m of the soles' pressure per m that the mass centre will miss them by
    arms: float = 2.0  # rad per m of the same
    hips: float = 0.0  # rad per m that the mass centre is in front of the feet
    soles_m: float = 0.12  # reach of the pressure from the middle of the soles
    knees_rad: float = 0.28  # closeness of the knees' target, as NEAR
    rise_s: float = 0.6  # what standing up takes
    steps: bool = False  # where the soles cannot hold it


@dataclass
class Ground:
    """Where the feet will come down, and how far it lets itself be pushed along x.

    A board afloat slides at a speed in proportion to the push: `slip_1_s` is that speed over the
    distance by which a standing gymnast's mass centre is ahead of the pressure under the soles.
    """

    height_m: float
    speed_m_s: float = 0.0  # along x
    grip: float = 1.0  # share of the gymnast's speed over it that a touchdown stops
    slip_1_s: float = 0.0
    load: float = 1.0  # what it carries, in body weights


class Flyer:
    """A gymnast between take-off and the held landing.

    Args:
        rows: The gymnast's rows among the scene's bodies.
        columns: The gymnast's columns among the scene's joints.
        ground: Kept by reference: a routine on moving ground writes what it sees into it.
        first_turn: Where the trunk's first turn is unwrapped from: within a turn above this.
    """

    def __init__(
        self, gymnast: Gymnast, *, rows: np.ndarray, columns: np.ndarray, ground: Ground,
        first_turn: float = -np.pi, balance: Balance = Balance(),
    ) -> None:  # fmt: skip
        self.gymnast, self.rows, self.columns = gymnast, rows, columns
        self.ground, self.first_turn, self.balance = ground, first_turn, balance
        self.feet = [rows[gymnast.names.index(f"{side}_foot")] for side in ("left", "right")]
        self.reach = gymnast.planar(REACH)
        self.stepper = Stepper(gymnast, rows=rows, columns=columns, ground_m=ground.height_m)
        self.begin()

    def begin(self) -> None:
        self.turn_rad: float | None = None  # of the trunk, 0 upright, unwrapped
        self.opened = False
        self.fold: Pose | None = None
        self.touch_s: float | None = None
        self.stepper.begin()

    def follow(self, seen: Observation) -> None:
        """Unwrap the turn of the trunk."""
        turn = -pitch_of(seen.quaternion[self.rows[0]])
        if self.turn_rad is None:
            self.turn_rad = self.first_turn + (turn - self.first_turn) % (2 * np.pi)
        self.turn_rad += wrapped(turn - self.turn_rad)

    def pose(self, seen: Observation, sums: Sums, aim: Aim) -> Pose:
        """Flight's pose until the feet are down, then landing's."""
        low = seen.position[self.feet, 2].min() < self.ground.height_m + SOLE_M
        if self.touch_s is None and low and sums.velocity[2] < 0:
            self.touch_s = seen.time_s
        return self.fly(seen, sums, aim) if self.touch_s is None else self.land(seen, sums)

    def fly(self, seen: Observation, sums: Sums, aim: Aim) -> Pose:
        """Folded until opening now would bring the feet down; then small corrections."""
        time_s = self.time_to_ground(sums)
        rate = -sums.angular_momentum
        sense = 1.0 if rate >= 0 else -1.0
        now = self.gymnast.pose(seen, self.columns)
        left = aim.turn_rad + self._lean(sums, time_s) + aim.misjudged_rad - self.turn_rad
        if self.fold is None:
            self.fold = self._choose_fold(now, rate, left, time_s, aim)
        reached = rate * self._opening_time(sums, self.reach, time_s)
        reached -= self.gymnast.counter_turn(now, REACH)
        self.opened = self.opened or sense * (reached - left) > 0 or time_s < NO_TIME_S
        if not self.opened:
            return self.fold
        return self._reach_for_ground(now, sums, time_s)

    def _reach_for_ground(self, now: Pose, sums: Sums, time_s: float) -> Pose:
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
                flat = wrapped(REACH["knee"] - REACH["waist"] - hip - turn)
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

        (x, z) leads to the mass centre from feet_ahead_m behind the soles.
        """
        x0, z0 = shape.middle - shape.sole
        x = x0 * np.cos(turn) - z0 * np.sin(turn) + self.balance.feet_ahead_m
        z = z0 * np.cos(turn) + x0 * np.sin(turn)
        fall = sums.velocity[2] - GRAVITY_M_S2 * time_s
        stopped = self.ground.grip * (sums.velocity[0] - self.ground.speed_m_s)
        return sums.angular_momentum + self.gymnast.mass_kg * (z * stopped - x * fall)

    def time_to_ground(self, sums: Sums) -> float:
        """Seconds of free fall until the soles of a gymnast who reaches for the ground meet it."""
        height = self.reach.middle[1] - self.reach.sole[1]
        drop = sums.centre[2] - self.ground.height_m - height
        rise = sums.velocity[2]
        return float(rise + np.sqrt(max(rise * rise + 2 * GRAVITY_M_S2 * drop, 0.0))) / GRAVITY_M_S2

    def _lean(self, sums: Sums, time_s: float) -> float:
        """Turn of the trunk at which the soles' impulse stops fall and rotation at once.

        Angular momentum about the soles is then zero.
        """
        lean = np.linspace(-0.6, 0.6, 121)
        about = self._momentum_about_soles(sums, self.reach, lean, time_s)
        return float(lean[np.abs(about).argmin()])

    def _choose_fold(self, now: Pose, rate: float, left: float, time_s: float, aim: Aim) -> Pose:
        """The loosest fold that makes the turn with open_s to spare; the tightest if none does."""
        shape = SHAPES[aim.shape]
        sense = 1.0 if rate >= 0 else -1.0
        fold: Pose = shape
        for share in np.linspace(0.0, 1.0, 21):
            fold = blend(STRETCH, shape, share)
            inertia = self.gymnast.planar(fold).inertia
            folded_s = time_s - aim.open_s - CHANGE_S
            turn = rate * (
                folded_s / inertia
                + aim.open_s / self.reach.inertia
                + 2 * CHANGE_S / (inertia + self.reach.inertia)
            )
            turn -= self.gymnast.counter_turn(now, fold) + self.gymnast.counter_turn(fold, REACH)
            if sense * (turn - left) > 0:
                break
        return fold

    def land(self, seen: Observation, sums: Sums) -> Pose:
        """Absorb in a squat, then stand up, the ankles steering the mass centre over the feet."""
        share = np.clip((seen.time_s - self.touch_s - SQUAT_S) / self.balance.rise_s, 0, 1)
        still = self.balanced(blend(SQUAT, STAND, float(share)), seen, sums)
        if not self.balance.steps:
            return still
        return self.stepper.pose(seen, sums, still, landed_s=seen.time_s - self.touch_s)

    def balanced(self, wanted: Pose, seen: Observation, sums: Sums, *, lean_m: float = 0.0) -> Pose:
        """The pose with ankles and arms that keep the mass centre lean_m in front of the feet."""
        height = max(sums.centre[2] - self.ground.height_m, 0.3)
        feet = seen.centre_of_mass[self.feet, 0].mean()
        # where an inverted pendulum of that height would come to rest, seen from the feet: the part
        # of its state that grows, at the rate that solves rate^2 = slip rate + g / height
        slip, weight = self.ground.slip_1_s, GRAVITY_M_S2 * max(self.ground.load, 0.3)
        rate = 0.5 * (slip + np.sqrt(slip * slip + 4 * weight / height))
        error = sums.centre[0] + sums.velocity[0] / rate - feet - lean_m
        balance = self.balance
        hips = balance.hips * (sums.centre[0] - feet - lean_m)
        wanted = {
            **wanted,
            "shoulder": wanted.get("shoulder", 0.0)
            + float(np.clip(balance.arms * error, -1.2, 1.2)),
            "hip": wanted.get("hip", 0.0) + float(np.clip(hips, -0.4, 0.4)),
        }
        now = self.gymnast.pose(seen, self.columns)
        nearness = {**NEAR, "knee": balance.knees_rad}
        pose = {
            joint: float(np.clip(angle, now[joint] - near, now[joint] + near))
            for joint, angle in wanted.items()
            for near in (nearness.get(joint, NEAR_OTHERS),)
        }
        # the pressure under the soles goes beyond that point, and pushes it back
        pressure = (
            feet
            + float(np.clip(balance.ankles * error, -balance.soles_m, balance.soles_m))
            * self.gymnast.scale
        )
        lever = pressure - seen.position[self.feet, 0].mean()
        torque = self.gymnast.mass_kg * weight * lever / 2
        pose["ankle"] = now["ankle"] - torque / ANKLE_KP + LEAD_S * self._speed(seen, "ankle")
        return pose

    def _speed(self, seen: Observation, joint: str) -> float:
        """Mean of both sides, rad/s."""
        columns = [
            c for c, n in zip(self.columns, self.gymnast.joints, strict=True) if n.endswith(joint)
        ]
        return float(seen.joint_velocity[columns].mean())


def start(
    gymnast: Gymnast,
    cloth: Mapping[str, Material],
    pose: Pose,
    *,
    pitch: float,
    soles: tuple[float, float],
    velocity: tuple[float, float] = (0.0, 0.0),
    spin: float = 0.0,
) -> tuple[Body, ...]:
    """The gymnast in a pose, moving as one piece.

    Args:
        pitch: Of the trunk about +y, rad.
        soles: Their middle, (x, z), m.
        velocity: Of the mass centre, (x, z), m/s.
        spin: About +y through the mass centre, rad/s.
    """
    shape = gymnast.planar(pose)
    sole = rotate(np.array([shape.sole[0], 0.0, shape.sole[1]]), pitch)
    middle = rotate(np.array([shape.middle[0], 0.0, shape.middle[1]]), pitch)
    at = np.array([soles[0], 0.0, soles[1]]) - sole
    bodies = gymnast.bodies(
        cloth, position=tuple(at.tolist()), pitch=pitch, spin=spin,
        pivot=tuple((at + middle).tolist()),
    )  # fmt: skip
    bodies = tuple(
        replace(
            body,
            joints=tuple(
                replace(joint, position=float(pose.get(joint.name.split("_")[-1], 0.0)))
                for joint in body.joints
            ),
        )
        for body in bodies
    )
    x, y, z = bodies[0].velocity
    moving = (x + velocity[0], y, z + velocity[1])
    return (replace(bodies[0], velocity=moving), *bodies[1:])


def blend(start: Pose, end: Pose, share: float) -> dict[str, float]:
    """The pose a share of the way from one to another."""
    return {
        joint: (1 - share) * start.get(joint, 0.0) + share * end.get(joint, 0.0)
        for joint in sorted({*start, *end})
    }


def wrapped(angle: float) -> float:
    """The same angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
