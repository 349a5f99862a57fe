"""Walking on a balance beam: where the pressure goes under the foot, steps, wobbles and the end.

The mass centre over one foot is an inverted pendulum; its capture point (where it would come to
rest) is kept on its way by the pressure under the sole, which cannot leave the beam. What is left
over the trunk and the arms must turn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simgen.families.athlete import SIDES, Athlete
from simgen.families.balance import GRAVITY_M_S2, Seen, reach, stand
from simgen.scene import Command, Observation

SWING_S, SETTLE_S, RAISE_S = 0.70, 0.5, 0.8
RAISE_M = 0.16  # of the free foot in the end
AHEAD_M, LIFT_OFF_M = 0.10, -0.015  # capture point from the sole: foot about to land, to be lifted
TRANSFER_M_S = 0.5  # speed of the capture point with both feet down
AHEAD_S, LOWERED_M, NEAR_M = 0.15, 0.015, 0.01  # the hips are aimed that far ahead, a little low
LIFT_M, BOW_M = 0.085, 0.12  # the swinging foot goes around the other one
LAG_S, ROUND_SHARE, PRESS_M = 0.07, 0.8, 0.15  # of the servos; share of the step; m per step
AHEAD_GAIN, ASIDE_GAIN = 1.0, 2.0
HEEL_TOE_M = (-0.095, 0.095)  # reach of the pressure from the sole's middle
EDGE_M = 0.036  # the same to the side
KNEE = 0.35
NEAR_RAD = 0.12  # a knee's target from where it is
CALM_M, LEAN_GAIN, LEAN_MOST = 0.015, 11.0, 0.75  # trunk against the fall, rad per m
ARMS_GAIN, ARMS_MOST = 16.0, 1.3
LOST_RAD = 0.28  # of the mass centre about the beam: nothing helps any more
ARMS = {"shoulder": 1.42, "round": 0.12, "elbow": 0.12}


@dataclass(frozen=True)
class Walk:
    """What the gymnast intends and the errors on the way."""

    steps: int
    first: str  # the side stood on at the start
    step_m: float
    misplaced_m: tuple[float, ...]  # sideways, of each foot set down


class WalkScript:
    """Script of one episode; frame 0 begins it afresh.

    Args:
        top_m: Height of the beam; it lies along x at y = 0.
    """

    def __init__(
        self, athlete: Athlete, walk: Walk, *, rows: np.ndarray, columns: np.ndarray, top_m: float
    ) -> None:
        self.athlete, self.walk = athlete, walk
        self.rows, self.columns, self.top_m = rows, columns, top_m
        self._begin()

    def _begin(self) -> None:
        self.side, self.done, self.since_s = self.walk.first, 0, 0.0
        self.start: np.ndarray | None = None  # of the swinging sole
        self.from_m: float | None = None  # capture point ahead of the sole when the foot was lifted
        self.both = False  # feet down
        self.lost = False

    def __call__(self, frame: int, observation: Observation) -> Command:
        if frame == 0:
            self._begin()
        seen = Seen(self.athlete, observation, self.rows, self.columns)
        capture = seen.capture_point(self.top_m)
        tilt = math.atan2(seen.sums.centre[1], max(seen.sums.centre[2] - self.top_m, 0.05))
        self.lost = self.lost or abs(tilt) > LOST_RAD
        if self.lost:
            return Command(self.athlete.targets(self._fall(seen)))
        self._change_feet(seen, capture, observation)
        off = float(capture[1])
        excess = math.copysign(max(abs(off) - CALM_M, 0.0), off)
        roll = -float(np.clip(LEAN_GAIN * excess, -LEAN_MOST, LEAN_MOST))
        angles = self._arms(float(np.clip(ARMS_GAIN * excess, -ARMS_MOST, ARMS_MOST)))
        stance = self._transfer if self.both else self._one_leg
        angles |= stance(seen, capture, roll)
        return Command(self.athlete.targets(angles))

    @property
    def other(self) -> str:
        return "right" if self.side == "left" else "left"

    @property
    def walking(self) -> bool:
        return self.done < self.walk.steps

    def _change_feet(self, seen: Seen, capture: np.ndarray, observation: Observation) -> None:
        """Both feet stand once the swinging one is down; the rear one lifts when it may."""
        sole, front = seen.sole(self.side), seen.sole(self.other)
        if self.start is None:
            self.start, self.from_m = front, float(capture[0] - sole[0])
        since = seen.time_s - self.since_s
        down = ("beam", f"{self.other}_foot") in observation.contacts
        if not self.both and self.walking and since > 0.6 * SWING_S and down:
            self.both, self.since_s = True, seen.time_s
        elif self.both and capture[0] > front[0] + LIFT_OFF_M * self.athlete.scale:
            self.side, self.done = self.other, self.done + 1
            self.start, self.from_m = sole, float(capture[0] - front[0])
            self.both, self.since_s = False, seen.time_s

    def _one_leg(self, seen: Seen, capture: np.ndarray, roll: float) -> dict[str, float]:
        """On one foot: the capture point goes slowly towards its toes, or rests above it."""
        sole, since = seen.sole(self.side), seen.time_s - self.since_s
        goal = AHEAD_M * self.athlete.scale if self.walking else 0.0
        takes_s = SWING_S if self.walking else SETTLE_S
        share = min(since / takes_s, 1.0)
        speed = (goal - self.from_m) / takes_s if share < 1 else 0.0
        wanted = self.from_m + share * (goal - self.from_m)
        error = capture[0] - sole[0] - wanted
        ahead = wanted - speed / self._rate(seen) + (1 + AHEAD_GAIN) * error
        pressure = self._under(sole, ahead, capture)
        knee = seen.pose[f"{self.side}_knee"]
        angles = stand(
            seen, self.side, pressure=pressure, lift_n=self.athlete.mass_kg * GRAVITY_M_S2,
            knee=knee + float(np.clip(KNEE - knee, -NEAR_RAD, NEAR_RAD)), lean=(roll, 0.03),
        )  # fmt: skip
        return angles | (
            self._swing(seen, sole, since) if self.walking else self._pose(seen, sole, since)
        )

    def _transfer(self, seen: Seen, capture: np.ndarray, roll: float) -> dict[str, float]:
        """On both feet: the load goes to the front one so that the capture point follows."""
        rear, front = seen.sole(self.side), seen.sole(self.other)
        wanted = capture[0] - TRANSFER_M_S / self._rate(seen)
        share = float(np.clip((wanted - rear[0]) / max(front[0] - rear[0], 0.1), 0.05, 0.95))
        knees = {side: self._knee_on_the_way(seen, side) for side in (self.side, self.other)}
        angles: dict[str, float] = {}
        for side, sole, load in ((self.side, rear, 1 - share), (self.other, front, share)):
            angles |= stand(
                seen, side, pressure=self._under(sole, wanted - sole[0], capture),
                lift_n=load * self.athlete.mass_kg * GRAVITY_M_S2, knee=knees[side],
                lean=(roll, 0.03),
            )  # fmt: skip
        return angles

    def _knee_on_the_way(self, seen: Seen, side: str) -> float:
        """Knee of a leg whose foot stays where it is while the hips travel ahead."""
        hip = seen.position[seen.row(f"{side}_thigh")]
        ankle = seen.position[seen.row(f"{side}_foot")]
        high = self.top_m + self.athlete.sole_m + self.athlete.leg_m(KNEE) - LOWERED_M
        rise = float(np.clip(high - hip[2], -NEAR_M, NEAR_M))
        goal = hip + np.array([TRANSFER_M_S * AHEAD_S, 0.0, rise])
        return self.athlete.knee(float(np.linalg.norm(goal - ankle)))

    def _rate(self, seen: Seen) -> float:
        """Of the inverted pendulum, 1/s."""
        return math.sqrt(GRAVITY_M_S2 / max(seen.sums.centre[2] - self.top_m, 0.3))

    def _under(self, sole: np.ndarray, ahead: float, capture: np.ndarray) -> np.ndarray:
        """A point under the sole and on the beam, pushing the capture point to the middle."""
        aside = float(np.clip((1 + ASIDE_GAIN) * capture[1] - sole[1], -EDGE_M, EDGE_M))
        scale = self.athlete.scale
        x = sole[0] + float(np.clip(ahead, HEEL_TOE_M[0] * scale, HEEL_TOE_M[1] * scale))
        return np.array([x, float(np.clip(sole[1] + aside, -0.045, 0.045)), self.top_m])

    def _arms(self, sway: float) -> dict[str, float]:
        """Arms out; those of one who falls turn with the fall, which pushes the trunk back."""
        angles = {"neck": 0.12}
        for side, sign in SIDES.items():
            angles |= {f"{side}_{joint}": angle for joint, angle in ARMS.items()}
            angles[f"{side}_shoulder"] -= sign * sway
        return angles

    def _swing(self, seen: Seen, sole: np.ndarray, since: float) -> dict[str, float]:
        """The free foot on its way around the other one to its next place."""
        whole = (since + LAG_S) / SWING_S
        share = min(whole, 1.0)
        swing = min(share / ROUND_SHARE, 1.0)  # round and in line first, then down
        along = swing * swing * (3 - 2 * swing)
        aside = self.walk.misplaced_m[self.done]
        x = self.start[0] + along * (sole[0] + self.walk.step_m - self.start[0])
        y = self.start[1] + along * (aside - self.start[1])
        y += SIDES[self.other] * BOW_M * math.sin(math.pi * swing)
        z = self.top_m + LIFT_M * math.sin(math.pi * min(share, 0.98))
        z += max(0.0, self.start[2] - self.top_m) * (1 - along)
        z -= PRESS_M * max(0.0, whole - 0.8)
        point = 0.22 * math.sin(math.pi * share)
        return reach(seen, self.other, np.array([x, y, z]), point=point)

    def _pose(self, seen: Seen, sole: np.ndarray, since: float) -> dict[str, float]:
        """The free leg raised behind, from where it stood."""
        share = min(since / RAISE_S, 1.0)
        share = share * share * (3 - 2 * share)
        scale = self.athlete.scale
        high = np.array([sole[0] - 0.50 * scale, SIDES[self.other] * 0.06, self.top_m + RAISE_M])
        way = self.start + share * (high - self.start)
        return reach(seen, self.other, way, point=0.8 * share)

    def _fall(self, seen: Seen) -> dict[str, float]:
        """Legs to the side of the fall, knees and arms ready for the mat."""
        angles = {"waist": 0.15, "neck": 0.2}
        way = math.copysign(1.0, seen.sums.centre[1])
        for side, sign in SIDES.items():
            angles |= {f"{side}_hip": 0.35, f"{side}_knee": 0.45, f"{side}_ankle": 0.1}
            angles |= {f"{side}_shoulder": 1.2, f"{side}_round": 0.4, f"{side}_elbow": 0.4}
            angles[f"{side}_hip_side"] = 0.1 + 0.5 * sign * way
        return angles
