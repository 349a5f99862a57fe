"""Steps that save a landing: a foot is set where the body will be able to come to rest.

Once the capture point, where an inverted pendulum would come to rest, has left what the soles can
push on, no torque at the ankles brings it back, and a foot has to go there (Pratt et al. 2006,
doi:10.1109/ICHR.2006.321385). The legs on the ground push with a wanted force at a wanted point,
by their static torques (virtual model control, Pratt et al. 2001). Poses name joints by side here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simgen.families.gymnast import SEGMENTS, SIDES, Gymnast, Pose, Sums, pitch_of
from simgen.scene import Observation

GRAVITY_M_S2 = 9.81
THIGH_M, SHANK_M = (-next(s.at[2] for s in SEGMENTS if s.name == n) for n in ("shank", "foot"))
SOLE_M, MIDDLE_M = 0.076, 0.06  # the sole's middle under and in front of the ankle's joint
TOGETHER_M = 0.05  # feet no farther apart stand beside each other
# Joints of a leg from the hip down: the body below, the sense of flexion about +y, and its servo
LEG = tuple(
    (joint, part, sense, next(s.servo[:2] for s in SEGMENTS if s.name == part))
    for joint, part, sense in (
        ("hip", "thigh", 1.0), ("knee", "shank", -1.0), ("ankle", "foot", 1.0),
    )
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """How steps are made; found by search over landings of gymnasts of 1.58 to 1.74 m.

    Lengths are of a gymnast of mean height.
    """

    after_s: float = 0.09  # from touchdown: before, legs only brake
    error_m: float = 0.14  # of the capture point off the middles of the feet, that begins a step
    steps: int = 2  # at most
    swing_s: float = 0.26
    settle_s: float = 0.15  # later than that the foot is taken to be down in any case
    lift_m: float = 0.10  # of the ankle
    beyond_m: float = 0.11  # the capture point, so that it ends between the feet
    edge_m: float = 0.12  # where the standing foot pushes meanwhile, from its middle
    reach_m: float = 0.75  # from the other foot at most
    lead_s: float = 0.07  # servos lag behind a target that moves
    early: float = 1.25  # the foot is over its place at 1 / early of the swing
    undamp: float = 0.8  # share of the servos' damping that the swing does without
    sole_m: float = 0.11  # reach of the pressure from the middle of a sole
    sideways: float = 1.4  # m of the pressure per m that the mass centre will miss the feet by
    light: float = 0.2  # share of the weight from which on a leg pushes and does not only lie there
    half_s: float = 0.03  # what targets are ahead by, as they stand still for a frame
    rise_m: float = 0.02  # of the hips in a frame
    stance_m: float = 0.84  # from hip to ankle at the end
    trunk_rad: float = 0.1  # forward, that the trunk is brought to
    upright_n_m: float = 100.0  # per rad from there
    calm_1_s: float = 7.0  # torque per angular momentum that it takes away
    most_n_m: float = 80.0  # of both
    lost_rad: float = 1.6  # tilt of the trunk from which on no step helps
    lost_m: float = 0.40  # height of the hips, the same


class Stepper:
    """Steps of a gymnast on level ground that stands still.

    Args:
        rows: The gymnast's rows among the scene's bodies.
        columns: The gymnast's columns among the scene's joints.
        ground_m: Height that the feet stand on.
    """

    def __init__(
        self, gymnast: Gymnast, *, rows: np.ndarray, columns: np.ndarray, ground_m: float,
        step: Step = Step(),
    ) -> None:  # fmt: skip
        self.gymnast, self.ground_m, self.step = gymnast, ground_m, step
        self.row = dict(zip(gymnast.names, rows, strict=True))
        self.column = dict(zip(gymnast.joints, columns, strict=True))
        self.mass_kg = dict(zip(gymnast.names, gymnast.masses, strict=True))
        self.begin()

    def begin(self) -> None:
        self.swinging: str | None = None  # side of the foot in the air
        self.begun_s, self.start_m = 0.0, 0.0  # of that swing: time, and the ankle's place along x
        self.taken = 0
        self.lost = False
        self.hips_m: float | None = None  # height wanted

    def pose(self, seen: Observation, sums: Sums, still: Pose, *, landed_s: float) -> Pose:
        """The pose of a landing, with the legs' own targets while and after it takes steps.

        Args:
            still: Of a gymnast whose feet stay where they are.
            landed_s: Since touchdown.
        """
        self.lost = self.lost or self._is_lost(seen)
        if landed_s > self.step.after_s and self._needs_a_step(seen, sums):
            self._begin_step(seen, sums)
        if self.lost or not self.taken:
            return still
        if self.swinging:
            return {**still, **self._swing(seen, sums, self.swinging)}
        return {**still, **self._stand(seen, sums)}

    def _is_lost(self, seen: Observation) -> bool:
        trunk = abs(pitch_of(seen.quaternion[self.row["torso"]]))
        hips = seen.position[self.row["left_thigh"], 2] - self.ground_m
        return bool(trunk > self.step.lost_rad or hips < self.step.lost_m * self.gymnast.scale)

    def _needs_a_step(self, seen: Observation, sums: Sums) -> bool:
        """Whether the feet, where they are, cannot hold the landing."""
        if self.swinging or self.taken >= self.step.steps:
            return False
        feet, reach = self._feet(seen), self.step.error_m * self.gymnast.scale
        point = self._capture_point(sums)
        return not min(feet.values()) - reach < point < max(feet.values()) + reach

    def _begin_step(self, seen: Observation, sums: Sums) -> None:
        """Lift the foot that is farther from where one has to go."""
        feet = self._feet(seen)
        forward = self._capture_point(sums) > np.mean(list(feet.values()))
        self.swinging = (min if forward else max)(feet, key=feet.__getitem__)
        if max(feet.values()) - min(feet.values()) < TOGETHER_M:
            self.swinging = "right"
        self.begun_s = seen.time_s
        self.start_m = float(seen.position[self.row[f"{self.swinging}_foot"], 0])
        self.taken += 1

    def _swing(self, seen: Observation, sums: Sums, side: str) -> dict[str, float]:
        """Targets of both legs while the one of that side is in the air."""
        step, scale = self.step, self.gymnast.scale
        since_s = seen.time_s - self.begun_s
        other = next(name for name in SIDES if name != side)
        stance, point = self._feet(seen)[other], self._capture_point(sums)
        way = 1.0 if point > stance else -1.0
        edge = stance + way * step.edge_m * scale
        grown = math.exp(self._rate(sums) * max(step.swing_s - since_s, 0.0))
        goal = edge + (point - edge) * grown + way * step.beyond_m
        goal = float(np.clip(goal, stance - step.reach_m * scale, stance + step.reach_m * scale))
        goal -= MIDDLE_M * scale
        share = min((since_s + step.lead_s) / step.swing_s, 1.0)
        along = (1 - math.cos(math.pi * min(share * step.early, 1.0))) / 2
        height = self.ground_m + SOLE_M * scale + step.lift_m * math.sin(math.pi * share)
        ankle = (self.start_m + (goal - self.start_m) * along, height)
        hip = seen.position[self.row[f"{side}_thigh"]] + step.lead_s * sums.velocity
        pose = self._reaching(seen, side, (hip[0], hip[2]), ankle)
        for joint, _, _, (kp, kd) in LEG:
            speed = seen.joint_velocity[self.column[f"{side}_{joint}"]]
            pose[f"{side}_{joint}"] += step.undamp * kd / kp * float(speed)
        pose |= self._pushing(seen, other, edge, self._force(seen, sums, edge))
        down = share >= 1.0 and any(f"{side}_foot" in pair for pair in seen.contacts)
        if down or since_s > step.swing_s + step.settle_s:
            self.swinging = None
        return pose

    def _stand(self, seen: Observation, sums: Sums) -> dict[str, float]:
        """Targets of both legs that bring the mass centre to rest between the feet."""
        feet, sole = self._feet(seen), self.step.sole_m * self.gymnast.scale
        point = self._capture_point(sums)
        error = point - 0.5 * (feet["left"] + feet["right"])
        wanted = np.clip(point + error, min(feet.values()) - sole, max(feet.values()) + sole)
        # weight goes where it keeps the gymnast from tipping over sideways, since no joint does;
        # ankles do what is left
        share = self._left_share(seen, sums)
        shares = {"left": share, "right": 1.0 - share}
        middle = sum(shares[side] * feet[side] for side in SIDES)
        ahead = float(np.clip(wanted - middle, -sole, sole))
        force = self._force(seen, sums, middle + ahead)
        pose = {"shoulder": 1.2 + float(np.clip(2 * error, -0.8, 0.8))}
        for side in SIDES:
            pushing = self._pushing(seen, side, feet[side] + ahead, shares[side] * force)
            ankle = seen.position[self.row[f"{side}_foot"], 0]
            hip = seen.position[self.row[f"{side}_thigh"]]
            flat = (float(ankle), self.ground_m + SOLE_M * self.gymnast.scale)
            lying = self._reaching(seen, side, (hip[0], hip[2]), flat)
            load = min(shares[side] / self.step.light, 1.0)
            pose |= {name: load * pushing[name] + (1 - load) * lying[name] for name in pushing}
        return pose

    def _left_share(self, seen: Observation, sums: Sums) -> float:
        """Of the weight, that the left foot has to carry."""
        left, right = (float(seen.centre_of_mass[self.row[f"{s}_foot"], 1]) for s in SIDES)
        point = float(sums.centre[1] + sums.velocity[1] / self._rate(sums))
        point += self.step.sideways * (point - 0.5 * (left + right))
        return float(np.clip((point - right) / (left - right), 0.0, 1.0))

    def _force(self, seen: Observation, sums: Sums, pressure: float) -> np.ndarray:
        """Of the ground on both feet, (x, z), N: turns the trunk upright and raises the hips.

        Args:
            pressure: Where along x it acts, m.
        """
        step, scale = self.step, self.gymnast.scale
        feet, hips = self._feet(seen), float(seen.position[self.row["left_thigh"], 2])
        apart = 0.0 if self.swinging else abs(feet["left"] - feet["right"]) / 2
        top = math.sqrt(max((step.stance_m * scale) ** 2 - apart**2, 0.25))
        top += self.ground_m + SOLE_M * scale
        self.hips_m = hips if self.hips_m is None else self.hips_m
        self.hips_m += float(np.clip(top - self.hips_m, -step.rise_m, step.rise_m))
        rise = 40.0 * np.clip(self.hips_m - hips, -0.12, 0.12) - 6.0 * sums.velocity[2]
        up = self.gymnast.mass_kg * (GRAVITY_M_S2 + float(np.clip(rise, -5.0, 6.0)))
        trunk = pitch_of(seen.quaternion[self.row["torso"]])
        turn = step.upright_n_m * (step.trunk_rad - trunk) - step.calm_1_s * sums.angular_momentum
        turn = float(np.clip(turn, -step.most_n_m, step.most_n_m))
        height = float(sums.centre[2]) - self.ground_m
        return np.array([((sums.centre[0] - pressure) * up - turn) / height, up])

    def _pushing(
        self, seen: Observation, side: str, pressure: float, force: np.ndarray
    ) -> dict[str, float]:
        """Targets of a leg on which the ground pushes with that force, (x, z), at that place."""
        pose, weight, moment = {}, 0.0, 0.0  # of what is below a joint
        for joint, part, sense, (kp, kd) in reversed(LEG):
            body, column = self.row[f"{side}_{part}"], self.column[f"{side}_{joint}"]
            part_n = GRAVITY_M_S2 * self.mass_kg[f"{side}_{part}"]
            weight += part_n
            moment += part_n * seen.centre_of_mass[body, 0]
            x, _, z = seen.position[body]
            torque = (self.ground_m - z) * force[0] - (pressure - x) * force[1]
            torque = sense * (torque + moment - weight * x)
            angle, speed = seen.joint_position[column], seen.joint_velocity[column]
            target = angle + (torque + kd * speed) / kp + self.step.half_s * speed
            pose[f"{side}_{joint}"] = float(target)
        return pose

    def _reaching(
        self, seen: Observation, side: str, hip: tuple[float, float], ankle: tuple[float, float]
    ) -> dict[str, float]:
        """Targets of a leg that hold the ankle at a point with the sole level.

        Args:
            hip, ankle: Of those joints, (x, z), m.
        """
        thigh, shank = THIGH_M * self.gymnast.scale, SHANK_M * self.gymnast.scale
        x, down = ankle[0] - hip[0], hip[1] - ankle[1]
        length = float(np.clip(math.hypot(x, down), 0.35, 0.995 * (thigh + shank)))
        knee = math.acos((length**2 - thigh**2 - shank**2) / (2 * thigh * shank))
        ahead = math.acos((thigh**2 + length**2 - shank**2) / (2 * thigh * length))
        pelvis = pitch_of(seen.quaternion[self.row["pelvis"]])
        flexed = math.atan2(x, down) + ahead + pelvis
        return {
            f"{side}_hip": flexed, f"{side}_knee": knee, f"{side}_ankle": pelvis - flexed + knee,
        }  # fmt: skip

    def _feet(self, seen: Observation) -> dict[str, float]:
        """Where the middles of the soles are along x, m, by side."""
        return {side: float(seen.centre_of_mass[self.row[f"{side}_foot"], 0]) for side in SIDES}

    def _capture_point(self, sums: Sums) -> float:
        """Where along x an inverted pendulum in the mass centre's place would come to rest, m."""
        return float(sums.centre[0] + sums.velocity[0] / self._rate(sums))

    def _rate(self, sums: Sums) -> float:
        """At which that pendulum falls, 1/s."""
        return math.sqrt(GRAVITY_M_S2 / max(sums.centre[2] - self.ground_m, 0.4))
