"""A Jaeger on the high bar: swing forwards, let go behind the bar, somersault, and catch it again.

Everything is triggered by what is seen, never by the clock. Pitch and turns are forward, about +y.
A pose names joints by their flexion in rad; joints that it leaves out are straight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simgen.families.gymnast import FIST_M, SIDES, Gymnast, Pose, Sums, pitch_of
from simgen.families.somersault import GRAVITY_M_S2, blend, wrapped
from simgen.scene import Command, Observation

# Swing: pose at angles of the mass centre about the bar along its way, 0 hanging, 90 level behind
SWING_DEG = (-150, -75, -30, 10, 45, 90)
SWING: dict[str, tuple[float, ...]] = {
    "hip": (0.05, 0.15, 0.35, -0.20, -0.40, -0.20),
    "waist": (0.05, 0.10, 0.20, -0.10, -0.25, -0.15),
    "shoulder": (0.05, 0.10, 0.20, -0.10, -0.25, -0.10),
    "neck": (0.1, 0.1, 0.0, -0.1, -0.1, 0.0),
}
POINTED = -1.0  # ankles
OPEN: Pose = {"hip": 0.30, "knee": 0.0, "waist": 0.1, "shoulder": 0.6, "ankle": -0.9, "neck": -0.3}
FOLD: Pose = {
    "hip": 2.2, "knee": 0.1, "waist": 0.6, "shoulder": 2.3, "elbow": 0.3, "neck": 0.3, "ankle": -1.0
}  # fmt: skip
FALLING: Pose = {"hip": 0.5, "knee": 0.5, "shoulder": 0.9, "elbow": 0.3, "ankle": -0.5}
UPPER_ARM_M = 0.28
LEAD_S = 0.05  # servos lag behind a target that moves by this
CHANGE_S = 0.2  # what a change of pose in flight takes
HELD_M = 0.03  # a fist this near the bar, a frame after a catch, has it
LOST_M = 0.9  # mass centre under the bar, when it is given up


@dataclass(frozen=True)
class Plan:
    """What a gymnast intends, and the errors of judgement that decide how it ends."""

    tap: float  # strength of pike and arch, 1: as in SWING
    release_deg: float  # of the mass centre about the bar behind it, 90 level
    late_s: float  # the grip opens this much after it should
    catch_deg: float  # pitch of the trunk at the catch beyond a whole turn, 90 level, face down
    catch_m: float  # mass centre over the bar at the catch
    misjudged_rad: float  # turn that the gymnast believes to be missing and is not


class Routine:
    """Script of one episode. Frame 0 begins it afresh, so a scene can be simulated again.

    Args:
        rows: The gymnast's rows among the scene's bodies, and `bar` the bar's.
        columns: The gymnast's columns among the scene's joints.
    """

    def __init__(
        self, gymnast: Gymnast, plan: Plan, *, rows: np.ndarray, columns: np.ndarray, bar: int,
        frame_s: float,
    ) -> None:  # fmt: skip
        self.gymnast, self.plan, self.rows, self.columns = gymnast, plan, rows, columns
        self.bar, self.frame_s = bar, frame_s
        self.upper_m, self.fore_m = UPPER_ARM_M * gymnast.scale, FIST_M * gymnast.scale
        self.forearm = rows[gymnast.names.index("left_forearm")]
        self._begin()

    def _begin(self) -> None:
        self.pitch: float | None = None
        self.released = self.opened = self.asked = self.held = self.lost = False
        self.fold: Pose | None = None

    def __call__(self, frame: int, seen: Observation) -> Command:
        if frame == 0:
            self._begin()
        pitch = pitch_of(seen.quaternion[self.rows[0]])
        self.pitch = pitch if self.pitch is None else self.pitch + wrapped(pitch - self.pitch)
        sums = self.gymnast.sums(seen, self.rows)
        if not self.released or self.held:
            pose, releases = self._swing(seen, sums)
            return Command(self.gymnast.targets(pose), releases)
        self.held = self.asked and self._gap_m(seen) < HELD_M
        self.lost = self.lost or sums.centre[2] < seen.position[self.bar, 2] - LOST_M
        if self.lost:
            return Command(self.gymnast.targets(FALLING))
        pose = self._fly(seen, sums)
        self.asked = self.opened
        grips = frozenset(f"{side}_grip" for side in SIDES) if self.opened else frozenset()
        return Command(self.gymnast.targets(pose), catches=grips)

    def _gap_m(self, seen: Observation) -> float:
        """Between fist and bar, from the side."""
        pitch = pitch_of(seen.quaternion[self.forearm])
        way = seen.position[self.forearm] - seen.position[self.bar]
        return float(
            np.hypot(way[0] + self.fore_m * np.sin(pitch), way[2] + self.fore_m * np.cos(pitch))
        )

    def _swing(self, seen: Observation, sums: Sums) -> tuple[Pose, dict[str, float]]:
        """The pose at the angle that this frame will bring, and the release in its time."""
        plan = self.plan
        x, _, z = sums.centre - seen.position[self.bar]
        speed = (z * sums.velocity[0] - x * sums.velocity[2]) / (x * x + z * z)
        angle = float(np.arctan2(-x, -z))
        ahead = np.degrees(wrapped(angle + 0.5 * speed * self.frame_s))
        pose = {j: plan.tap * float(np.interp(ahead, SWING_DEG, a)) for j, a in SWING.items()}
        pose["ankle"] = POINTED
        due_s = (np.radians(plan.release_deg) - angle) / max(speed, 0.1) + plan.late_s
        if self.released or angle < 0.5 or due_s >= self.frame_s:
            return pose, {}
        self.released = True
        return pose, {f"{side}_grip": max(due_s, 0.0) for side in SIDES}

    def _fly(self, seen: Observation, sums: Sums) -> Pose:
        """Folded until opening now would bring the trunk where the arms reach the bar."""
        drop = sums.centre[2] - seen.position[self.bar, 2] - self.plan.catch_m
        rise = sums.velocity[2]
        time_s = (rise + np.sqrt(max(rise * rise + 2 * GRAVITY_M_S2 * drop, 0.0))) / GRAVITY_M_S2
        left = 2 * np.pi + np.radians(self.plan.catch_deg) + self.plan.misjudged_rad - self.pitch
        now = self.gymnast.pose(seen, self.columns)
        if self.fold is None:
            self.fold = self._choose_fold(now, sums, left, time_s)
        opened = self.gymnast.planar(OPEN).inertia
        change_s = min(CHANGE_S, time_s)
        reached = sums.angular_momentum * (
            2 * change_s / (sums.inertia + opened) + (time_s - change_s) / opened
        )
        reached += self.gymnast.counter_turn(now, OPEN)
        self.opened = self.opened or reached > left or time_s < 0.1
        if not self.opened:
            return self.fold
        return {**OPEN, **self._reach(seen)}

    def _choose_fold(self, now: Pose, sums: Sums, left: float, time_s: float) -> Pose:
        """The loosest fold that makes the turn with time to spare; the tightest if none does."""
        opened, fold = self.gymnast.planar(OPEN).inertia, FOLD
        for share in np.linspace(0.0, 1.0, 21):
            fold = blend(OPEN, FOLD, share)
            inertia = self.gymnast.planar(fold).inertia
            turn = sums.angular_momentum * (
                (time_s - 0.25 - 2 * CHANGE_S) / inertia
                + 0.25 / opened
                + 4 * CHANGE_S / (inertia + opened)
            )
            turn += self.gymnast.counter_turn(now, fold) + self.gymnast.counter_turn(fold, OPEN)
            if turn > left:
                break
        return fold

    def _reach(self, seen: Observation) -> Pose:
        """Shoulders and elbows that bring the fists to the bar where it will be seen from then."""
        ahead_s = self.frame_s + LEAD_S
        trunk = self.rows[0]
        fall = np.array([0.0, 0.0, -0.5 * GRAVITY_M_S2 * ahead_s**2])
        shoulder = seen.position[trunk] + seen.velocity[trunk] * ahead_s + fall
        pitch = self.pitch + seen.angular_velocity[trunk, 1] * ahead_s
        wx, _, wz = seen.position[self.bar] - shoulder
        x, z = np.cos(pitch) * wx - np.sin(pitch) * wz, np.cos(pitch) * wz + np.sin(pitch) * wx
        a, b = self.upper_m, self.fore_m
        distance = min(float(np.hypot(x, z)), 0.999 * (a + b))
        elbow = float(np.arccos(np.clip((distance**2 - a * a - b * b) / (2 * a * b), -1, 1)))
        inner = np.arctan2(b * np.sin(elbow), a + b * np.cos(elbow))
        flexion = wrapped(float(np.arctan2(x, z) + inner) - 1.4) + 1.4
        return {"shoulder": float(np.clip(flexion, -0.6, 3.4)), "elbow": elbow}
