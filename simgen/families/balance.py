"""Standing on one leg: what an athlete sees of the own body, and the torques that hold it up."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64

from simgen.cameras import rotation_matrix
from simgen.families.athlete import SIDES, Athlete, turned
from simgen.scene import Observation

GRAVITY_M_S2 = 9.81
LEG = ("hip", "hip_side", "knee", "ankle", "ankle_side")


class Seen:
    """One observation in the athlete's own terms.

    Args:
        rows, columns: The athlete's rows among the scene's bodies and columns among its joints.
    """

    def __init__(
        self, athlete: Athlete, observation: Observation, rows: np.ndarray, columns: np.ndarray
    ) -> None:
        self.athlete, self.time_s = athlete, observation.time_s
        self.position = observation.position[rows]
        self.centres = observation.centre_of_mass[rows]
        self.velocity = observation.velocity[rows]
        self.spin = observation.angular_velocity[rows]
        self.turn = rotation_matrix(observation.quaternion[rows])
        self.pose = athlete.pose(observation, columns)
        self.speed = dict(
            zip(athlete.joints, observation.joint_velocity[columns].tolist(), strict=True)
        )
        self.sums = athlete.sums(observation, rows)

    def row(self, name: str) -> int:
        return self.athlete.row[name]

    @property
    def yaw(self) -> float:
        """Heading of the pelvis, rad."""
        turn = self.turn[self.row("pelvis")]
        return math.atan2(turn[1, 0], turn[0, 0])

    def capture_point(self, floor_m: float) -> Float64[np.ndarray, " 2"]:
        """Where an inverted pendulum of this height would come to rest, x and y."""
        height = max(self.sums.centre[2] - floor_m, 0.3)
        return self.sums.centre[:2] + self.sums.velocity[:2] * math.sqrt(height / GRAVITY_M_S2)

    def sole(self, side: str) -> Float64[np.ndarray, " 3"]:
        """Middle of a foot's underside, world frame."""
        row, scale = self.row(f"{side}_foot"), self.athlete.scale
        return self.position[row] + self.turn[row] @ (0.05 * scale, 0.0, -self.athlete.sole_m)

    def axes(self, side: str) -> dict[str, np.ndarray]:
        """World axes of the joints of a leg."""
        found = {}
        for part, parent in (("thigh", "pelvis"), ("shank", f"{side}_thigh"),
                             ("foot", f"{side}_shank")):  # fmt: skip
            turn = self.turn[self.row(parent)]
            for joint in (f"{side}_{name}" for name in LEG):
                if (joint.removeprefix(f"{side}_"), part) in _CARRIED:
                    axis = self.athlete.axes[joint]
                    found[joint] = turn @ axis
                    turn = turn @ turned(axis, self.pose[joint])
        return found

    def bearing(self, side: str, pressure: np.ndarray, force: np.ndarray) -> dict[str, float]:
        """Torques with which a leg at rest carries a force on its foot, N m.

        Args:
            pressure: Where the ground's force acts, world frame (3,).
            force: Of the ground on the foot, N (3,).
        """
        torques, below, weight = {}, np.zeros(3), np.zeros(3)
        axes = self.axes(side)
        for part, joints in (("foot", ("ankle_side", "ankle")), ("shank", ("knee",)),
                             ("thigh", ("hip_side", "hip"))):  # fmt: skip
            row = self.row(f"{side}_{part}")
            pull = np.array([0.0, 0.0, -self.athlete.masses[row] * GRAVITY_M_S2])
            weight = weight + pull
            below = below + np.cross(self.centres[row], pull)
            at = self.position[row]
            moment = np.cross(pressure - at, force) + below - np.cross(at, weight)
            for joint in joints:
                torques[f"{side}_{joint}"] = -float(axes[f"{side}_{joint}"] @ moment)
        return torques


_CARRIED = {
    ("hip", "thigh"), ("hip_side", "thigh"), ("knee", "shank"), ("ankle", "foot"),
    ("ankle_side", "foot"),
}  # fmt: skip


def stand(
    seen: Seen,
    side: str,
    *,
    pressure: np.ndarray,
    lift_n: float,
    knee: float,
    lean: tuple[float, float] = (0.0, 0.0),
    lead_s: float = 0.04,
) -> dict[str, float]:
    """Targets of the leg stood on: ankles that put the pressure there, the trunk upright above.

    Args:
        pressure: World point (3,) under the sole.
        lift_n: Vertical force of the ground.
        knee: Angle that the knee should have.
        lean: Wanted roll about x and pitch about y of the trunk, in its own heading.
    """  # fmt: skip
    athlete, pose, speed = seen.athlete, seen.pose, seen.speed
    torques = seen.bearing(side, pressure, np.array([0.0, 0.0, lift_n]))
    stiffness = {joint: athlete.gains(joint)[0] for joint in torques}
    targets = {}
    for name in ("ankle", "ankle_side"):
        joint = f"{side}_{name}"
        targets[joint] = pose[joint] + torques[joint] / stiffness[joint] + lead_s * speed[joint]
    joint = f"{side}_knee"
    targets[joint] = knee + torques[joint] / stiffness[joint]
    c, s = math.cos(seen.yaw), math.sin(seen.yaw)
    roll, pitch = lean
    up = np.array([c * pitch + s * roll, s * pitch - c * roll, 1.0])
    error = np.cross(seen.turn[0][:, 2], up / np.linalg.norm(up))
    axes = seen.axes(side)
    for name in ("hip", "hip_side"):
        joint = f"{side}_{name}"
        wanted = -float(axes[joint] @ (error - lead_s * seen.spin[0]))
        targets[joint] = pose[joint] + wanted + torques[joint] / stiffness[joint]
    return targets


def reach(seen: Seen, side: str, sole: np.ndarray, *, point: float = 0.0) -> dict[str, float]:
    """Targets that bring the other foot's sole to a world point, level but for `point` (toes down).

    Angles are those of the pelvis as it is.
    """
    athlete = seen.athlete
    c, s = math.cos(seen.yaw), math.sin(seen.yaw)
    ahead = 0.05 * athlete.scale
    ankle = sole + np.array([-ahead * c, -ahead * s, athlete.sole_m])
    row = seen.row("pelvis")
    pelvis = seen.turn[row]
    targets = athlete.leg(side, pelvis.T @ (ankle - seen.position[row]))
    sign = SIDES[side]
    # the shank's tilt about the pelvis' y and x, and the pelvis' own, are undone by the ankle
    pitch = math.atan2(-pelvis[2, 0], math.hypot(pelvis[2, 1], pelvis[2, 2]))
    roll = math.atan2(pelvis[2, 1], pelvis[2, 2])
    flat = targets[f"{side}_knee"] - targets[f"{side}_hip"]
    targets[f"{side}_ankle"] = float(np.clip(flat + pitch - point, -1.0, 0.7))
    side_tilt = -targets[f"{side}_hip_side"] - sign * roll
    targets[f"{side}_ankle_side"] = float(np.clip(side_tilt, -0.5, 0.5))
    return targets
