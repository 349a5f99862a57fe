"""What the skater does in the air and on the ice: pull in, open, land on one leg, or step out.

On ice the ground's force is nearly vertical, so balance is keeping its point of attack where it
rights the body and takes the angular momentum about level axes away; the mass centre glides on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simgen.families.athlete import SIDES, Athlete
from simgen.families.balance import GRAVITY_M_S2, Seen, reach, stand
from simgen.scene import Command, Observation

FREE, LANDING = "left", "right"
TAKE_OFF = {  # the left leg has just extended, free leg and arms are on their way in
    "left_hip": -0.05, "left_knee": 0.12, "left_ankle": -0.6, "right_hip": 0.40,
    "right_knee": 0.60, "right_ankle": -0.4, "right_hip_side": -0.05, "left_shoulder": 0.60,
    "right_shoulder": 0.60, "left_round": 0.9, "right_round": 0.9, "left_elbow": 1.3,
    "right_elbow": 1.3,
}  # fmt: skip
TIGHT = {  # arms on the chest, the left leg crossed over the right one
    "left_hip": 0.18, "right_hip": 0.03, "left_hip_side": -0.17, "right_hip_side": -0.12,
    "left_knee": 0.32, "right_knee": 0.05, "left_ankle": -0.5, "right_ankle": -0.6,
    "left_shoulder": 0.20, "right_shoulder": 0.20, "left_round": 1.0, "right_round": 1.0,
    "left_elbow": 2.0, "right_elbow": 2.0,
}  # fmt: skip
CHECK = {  # arms out, the free leg behind
    "left_hip": -0.6102, "left_hip_side": 0.2033, "left_knee": 0.7037, "left_ankle": -0.8,
    "left_shoulder": 1.4, "right_shoulder": 1.4, "left_round": 0.0126, "right_round": 0.0126,
    "left_elbow": 0.1, "right_elbow": 0.1, "neck": -0.05, "waist": -0.0083, "waist_side": 0.0,
}  # fmt: skip
SPRAWL = {  # nothing helps any more
    f"{side}_{joint}": angle
    for side in SIDES
    for joint, angle in {
        "hip": 0.8, "knee": 1.0, "ankle": -0.3, "shoulder": 0.9, "round": 0.7, "elbow": 0.5,
    }.items()
}  # fmt: skip
FOLD = {"left_hip": 0.5169, "left_hip_side": 0.02, "left_knee": 1.7069, "left_ankle": -0.7}
ARMS = tuple(f"{side}_{joint}" for side in SIDES for joint in ("shoulder", "round", "elbow"))

# Found by search over landings
STILL, RIGHT_N_M = 9.0, 28.0  # 1/s, N m per rad of lean: what the pressure is to do
SETTLE_S, FLAT = 0.1762, 0.97  # ankles just keep the blade flat until it rests
BLADE_M = (0.11, 0.0253)  # reach of the pressure from its middle, along and across
OPENING_S = 0.10  # how long arms and leg take to open
REACH_KNEE, AIM_GAIN = 0.3559, 0.7392
AIM_M = (-0.059, 0.0623)  # of the landing foot from under the mass centre, ahead and to the left
KNEE_S, KNEE = (0.0, 0.15, 0.4, 1.0), (0.8, 0.8, 0.68, 0.4758)  # gives and comes up again
KNEE_NEAR, YIELD_S = 0.0476, 0.0148
GIVE_S, GIVE_RAD = 0.0579, 0.5564
LIFT_S, LIFT = (0.0, 0.08, 0.2), (0.138, 1.2, 1.0)  # weights that the leg is ready for
FREE_S = (0.1033, 0.4181)  # when the free leg goes behind, after touchdown
LOST_RAD = 0.95  # of the trunk
STEP_LEAN = 0.5  # of trunk or leg: the free foot comes down


@dataclass(frozen=True)
class Plan:
    """What the skater intends on one jump, and the errors."""

    tight: float  # 1: arms fully in; less: a looser position
    late_s: float  # of pulling in, after take-off
    open_s: float  # before touchdown that the check-out begins


class Jump:
    """Script of one episode; frame 0 begins it afresh, at take-off. The ice is at z = 0."""

    def __init__(
        self, athlete: Athlete, plan: Plan, *, rows: np.ndarray, columns: np.ndarray
    ) -> None:
        self.athlete, self.plan, self.rows, self.columns = athlete, plan, rows, columns
        self._begin()

    def _begin(self) -> None:
        self.touch_s: float | None = None
        self.open_s: float | None = None
        self.stepping = self.down = False

    def __call__(self, frame: int, observation: Observation) -> Command:
        if frame == 0:
            self._begin()
        seen = Seen(self.athlete, observation, self.rows, self.columns)
        touching = any("ice" in pair for pair in observation.contacts)
        if self.touch_s is None and touching and seen.time_s > 0.3:
            self.touch_s = seen.time_s
        angles = self._fly(seen) if self.touch_s is None else self._land(seen)
        return Command(self.athlete.targets(angles))

    def _fly(self, seen: Seen) -> dict[str, float]:
        left = self._time_to_ice(seen)
        if self.open_s is None and left < self.plan.open_s:
            self.open_s = seen.time_s
        if self.open_s is not None:
            return self._check(seen, min(1.0, (seen.time_s - self.open_s + 0.04) / OPENING_S))
        angles = dict(TIGHT)
        share = self.plan.tight if seen.time_s >= self.plan.late_s else 0.0
        angles |= {n: TAKE_OFF[n] + share * (TIGHT[n] - TAKE_OFF[n]) for n in ARMS}
        return angles

    def _time_to_ice(self, seen: Seen) -> float:
        """Until the landing foot below a nearly straight leg meets the ice, s."""
        rise = seen.sums.velocity[2]
        leg = self.athlete.leg_m(REACH_KNEE) + self.athlete.sole_m + 0.19 * self.athlete.scale
        drop = seen.sums.centre[2] - leg
        return (rise + math.sqrt(max(rise * rise + 2 * GRAVITY_M_S2 * drop, 0.0))) / GRAVITY_M_S2

    def _check(self, seen: Seen, share: float) -> dict[str, float]:
        """Arms open; the landing leg reaches for the ice below the mass centre.

        The free leg folds, out of the way of the landing: going behind, it would tilt the body.
        """
        angles = TIGHT | {n: (1 - share) * TIGHT[n] + share * a for n, a in FOLD.items()}
        angles |= {n: (1 - share) * TIGHT.get(n, 0.0) + share * CHECK[n] for n in (*ARMS, "neck")}
        hip = seen.position[seen.row(f"{LANDING}_thigh")]
        soft = GIVE_RAD if self._time_to_ice(seen) < GIVE_S else 0.0  # a stiff leg would bounce
        height = self.athlete.leg_m(REACH_KNEE + soft) + self.athlete.sole_m
        below = np.array([*seen.sums.centre[:2], hip[2] - height])
        missed = below - seen.sole(LANDING)  # the servos lag behind a turning body
        c, s = math.cos(seen.yaw), math.sin(seen.yaw)
        ahead, aside = AIM_M
        below[:2] += np.clip(AIM_GAIN * missed[:2], -0.15, 0.15)
        below[:2] += (c * ahead - s * aside, s * ahead + c * aside)
        return angles | reach(seen, LANDING, below, point=0.10)

    def _land(self, seen: Seen) -> dict[str, float]:
        """The knee gives and comes up again; the other foot goes down when one is not enough."""
        since = seen.time_s - self.touch_s
        self.down = self.down or seen.turn[0][2, 2] < math.cos(LOST_RAD)
        if self.down:
            return SPRAWL
        centre, weight = seen.sums.centre, self.athlete.mass_kg * GRAVITY_M_S2
        lift = weight * float(np.interp(since, LIFT_S, LIFT))
        pressure = self._pressure(seen)
        sinking = YIELD_S * max(0.0, -seen.sums.velocity[2])  # the leg is to give that much
        rest_m = float(seen.sole(LANDING)[2])
        placed = reach(seen, LANDING, np.array([*centre[:2], rest_m + sinking]))
        now = placed[f"{LANDING}_knee"]
        knee = now + float(np.clip(np.interp(since, KNEE_S, KNEE) - now, -KNEE_NEAR, KNEE_NEAR))
        leg = stand(seen, LANDING, pressure=pressure, lift_n=lift, knee=knee)
        torques = seen.bearing(LANDING, pressure, np.array([0.0, 0.0, lift]))
        for name in ("hip", "hip_side"):  # the foot glides: it is put under the mass centre
            joint = f"{LANDING}_{name}"
            leg[joint] = placed[joint] + torques[joint] / self.athlete.gains(joint)[0]
        flat = seen.turn[seen.row(f"{LANDING}_foot")][2, 2]
        if since < SETTLE_S or flat < FLAT:
            leg |= {f"{LANDING}_{n}": placed[f"{LANDING}_{n}"] for n in ("ankle", "ankle_side")}
        share = float(np.interp(since, FREE_S, (0.0, 1.0)))
        folded = TIGHT | FOLD
        free = {n: (1 - share) * folded.get(n, 0.0) + share * a for n, a in CHECK.items()}
        arms = {n: CHECK[n] for n in ARMS}
        return free | arms | leg | self._second_foot(seen)

    def _second_foot(self, seen: Seen) -> dict[str, float]:
        """The free leg: behind in the air, or wide on the ice when balance is going."""
        away = seen.sums.centre[:2] - seen.sole(LANDING)[:2]
        trunk = float(np.linalg.norm(seen.turn[0][:2, 2]))
        lean = max(trunk, float(np.linalg.norm(away)) / max(seen.sums.centre[2], 0.3))
        self.stepping = self.stepping or lean > STEP_LEAN
        if not self.stepping:
            return {}
        c, s = math.cos(seen.yaw), math.sin(seen.yaw)
        aside = SIDES[FREE] * 0.22 * np.array([-s, c])
        goal = seen.sums.centre[:2] + aside + 1.2 * np.clip(away, -0.25, 0.25)
        return reach(seen, FREE, np.array([*goal, 0.0]))

    def _pressure(self, seen: Seen) -> np.ndarray:
        """Where the pressure rights the leaning body and stops its turning, on the blade.

        On ice there is little to push against; a leaning body is righted by pressure ahead of
        its mass centre alone.
        """
        x, y, _ = seen.sums.angular_momentum
        weight = self.athlete.mass_kg * GRAVITY_M_S2
        wanted = RIGHT_N_M * seen.turn[0][:2, 2] + STILL * np.array([y, -x])
        c, s = math.cos(seen.yaw), math.sin(seen.yaw)
        turn = np.array([[c, s], [-s, c]])
        sole = seen.sole(LANDING)[:2]
        local = turn @ (seen.sums.centre[:2] + wanted / weight - sole)
        local = np.clip(local, (-BLADE_M[0], -BLADE_M[1]), BLADE_M)
        return np.array([*(sole + turn.T @ local), 0.0])
