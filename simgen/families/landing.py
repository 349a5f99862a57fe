"""How a jump ended: what touched down first, whether the feet held it, and by how much."""

from __future__ import annotations

import math

import numpy as np

from simgen.cameras import rotation_matrix
from simgen.motion import Motion
from simgen.scene import Scene

UPRIGHT_RAD = math.radians(45)  # trunk at the clip's end
LOWEST_RAD = math.radians(75)  # trunk: beyond, a fall, unless it comes up again
OVER_FEET_M = 0.25  # mass centre from the middle of the feet at the clip's end
HOLD_S = 0.4  # of clip after touchdown, or nobody can say how it ended
STEP_M = 0.10  # a foot that ends this far from where it came down has stepped
SET_S = 0.10  # after its touchdown a foot lies flat; before, it may slide
FLIGHT_S = 0.3  # without any touch is a flight


def landing_phrases(turns: str) -> dict[str, tuple[str, ...]]:
    """Words for the Judge's labels of what is no landing, after the words for the turns."""
    return {
        "stepped": (f"{turns}, lands and takes a step", f"{turns} and stands after a step"),
        "off_balance": (f"{turns}, comes down on the feet and loses balance",),
        "fell_forward": (f"{turns}, comes down on the feet and falls forwards",),
        "fell_backward": (f"{turns}, comes down on the feet and falls backwards",),
        "under_rotated": (f"{turns}, too little, and misses the feet",),
        "over_rotated": (f"{turns}, too much, and misses the feet",),
        "unfinished": ("has not landed when the clip ends",),
    }


class Judge:
    """Reads the motion, and nothing of what the script intended.

    Landed: from touchdown to the clip's end, at least HOLD_S, only feet touch the ground, and in
    the end the trunk is within UPRIGHT_RAD of upright, with the mass centre within over_feet_m of
    the middle of the feet. Stepped: the same, but a foot has ended least_step_m or more from where
    it came down.

    Args:
        ground: Bodies that a gymnast can come down on.
    """

    over_feet_m = OVER_FEET_M
    least_step_m = math.inf  # a family that tells steps from landings that stick has STEP_M

    def __init__(self, scene: Scene, motion: Motion, *, ground: tuple[str, ...]) -> None:
        self.scene, self.motion = scene, motion
        self.names = scene.body_names
        self.rows = [i for i, b in enumerate(scene.bodies) if b.object == "gymnast"]
        self.feet = [i for i in self.rows if self.names[i].endswith("_foot")]
        self.ground = [self.names.index(name) for name in ground]
        mass = np.array([scene.bodies[i].mass_kg for i in self.rows])
        self.centre = np.einsum("b,tbk->tk", mass, motion.centre_of_mass[:, self.rows]) / mass.sum()
        trunk = rotation_matrix(motion.quaternion[:, self.rows[0]])
        self.tilt = np.arccos(np.clip(trunk[:, 2, 2], -1, 1))
        self.turn = np.unwrap(-np.arctan2(trunk[:, 0, 2], trunk[:, 2, 2]))  # backward is positive
        self.times = np.arange(len(self.tilt)) / scene.frame_rate_hz
        self.end_s = scene.frames / scene.frame_rate_hz

    def at(self, series: np.ndarray, time_s: float) -> float:
        return float(np.interp(time_s, self.times, series))

    def touches(self, after_s: float = -1.0) -> np.ndarray:
        """Touches of the gymnast with the ground that begin later; body_b is the gymnast's part."""
        found = self.motion.contacts
        found = found[np.isin(found["body_a"], self.ground) & np.isin(found["body_b"], self.rows)]
        return found[found["start_s"] > after_s]

    def take_off_s(self) -> float | None:
        """When the first flight of at least FLIGHT_S that begins from the ground begins."""
        found = self.touches()
        reached = np.maximum.accumulate(found["end_s"])
        following = np.append(found["start_s"][1:], self.end_s)
        flights = np.flatnonzero(following - reached >= FLIGHT_S)
        return float(reached[flights[0]]) if len(flights) else None

    def flight(self, off_s: float, touch_s: float) -> dict[str, float]:
        """Margins of a flight and its landing."""
        height = self.centre[:, 2]
        frames = (self.times >= off_s) & (self.times <= touch_s)
        return {
            "somersaults": abs(self.at(self.turn, touch_s) - self.at(self.turn, off_s)) / math.tau,
            "flight_s": touch_s - off_s,
            "flight_height_m": float(height[frames].max(initial=0)) - self.at(height, off_s),
            "touchdown_tilt_rad": self.at(self.tilt, touch_s),
            "landing_tilt_rad": float(self.tilt[-1]),
            "off_feet_m": self.off_feet(self.times[-1]),
        }

    def landing_event(self, touches: np.ndarray) -> dict:
        """The first touch of a landing as an event."""
        part = self.names[touches["body_b"][0]]
        return {
            "kind": "landing", "start_s": float(touches["start_s"][0]), "body_a": part,
            "body_b": self.names[touches["body_a"][0]], "value": part,
        }  # fmt: skip

    def off_feet(self, time_s: float) -> float:
        """How far the mass centre is in front of the middle of the feet, m."""
        feet = self.motion.centre_of_mass[:, self.feet, 0].mean(axis=1)
        return self.at(self.centre[:, 0] - feet, time_s)

    def step_m(self, touches: np.ndarray) -> float:
        """How far the foot that moved more is, at the clip's end, from where it came down, m."""
        moved = [0.0]
        for foot in self.feet:
            down_s = touches["start_s"][touches["body_b"] == foot]
            if len(down_s):
                x = self.motion.centre_of_mass[:, foot, 0]
                moved.append(abs(float(x[-1]) - self.at(x, float(down_s[0]) + SET_S)))
        return max(moved)

    def judged(self, touches: np.ndarray, *, sense: float = 1.0) -> tuple[str, float]:
        """The label, and for how long after touchdown it looked like a landing.

        Args:
            touches: Of the landing, the first is touchdown.
            sense: 1 for a backward somersault, -1 for a forward one.
        """
        touch_s = float(touches["start_s"][0])
        if touches["body_b"][0] not in self.feet:
            turns = sense * self.at(self.turn, touch_s) / math.tau
            return ("under_rotated" if turns < max(1, round(turns)) else "over_rotated"), 0.0
        others = touches["start_s"][~np.isin(touches["body_b"], self.feet)]
        low = self.times[(self.times > touch_s) & (self.tilt > LOWEST_RAD)]
        stands = self.tilt[-1] <= UPRIGHT_RAD and abs(self.off_feet(self.end_s)) <= self.over_feet_m
        over_s = min([self.end_s, *others.tolist(), *([] if stands else low.tolist())])
        if over_s >= self.end_s:
            landed = "stepped" if self.step_m(touches) >= self.least_step_m else "landed"
            return (landed if stands else "off_balance"), self.end_s - touch_s
        forward = self.off_feet(min([self.end_s, *others.tolist()])) > 0
        return ("fell_forward" if forward else "fell_backward"), over_s - touch_s
