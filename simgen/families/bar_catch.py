"""A gymnast who lets go of the high bar, somersaults behind it, and catches it again or falls."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated

import numpy as np
from jaxtyping import Float64
from pydantic import BaseModel, ConfigDict, Field

from simgen.cameras import rotation_matrix
from simgen.captions.words import Words
from simgen.families import Limits, Outcome
from simgen.families.bar_catch_routine import HELD_M, LOST_M, Plan, Routine
from simgen.families.gymnast import GRIP_M, Gymnast, rotate
from simgen.families.high_bar import BAR_M, BAR_N_M, apparatus, clothes
from simgen.families.objects import Amount, Range, Size
from simgen.motion import Motion
from simgen.scene import Scene, Vector3

PHYSICS_RATE_HZ = 480.0
CATCH_DEG, CATCH_M = 80.0, 0.05
HANG_S = 0.4  # of clip after a catch, or nobody can say that it holds
AWAY_M = 0.3  # hands this far from the bar have let go of it

TURNS = "turns {turn_deg:.0f} degrees in the air"
WORDS = Words(
    opening=("swings around a high bar", "swings on a high bar"),
    outcomes={
        "caught": (f"{TURNS} and catches the bar again", f"{TURNS} and grasps the bar again"),
        "missed_catch": (
            f"{TURNS} and misses the bar by {{least_gap_m:.2f}} m",
            f"{TURNS}, misses the bar and falls",
        ),
        "unfinished": ("has not come back to the bar when the clip ends",),
    },
    apparatus=("bar",),
    events={"catch": ("catches the bar", "has the bar again")},
)


class Parameters(BaseModel):
    """Ranges [low, high] that an episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height_m: Size = (1.58, 1.74)
    body_mass_index: Size = (22.0, 24.5)  # kg/m2
    strength: Size = (0.95, 1.10)  # times the servos' torque limits
    start_deg: Range = (144.0, 152.0)  # of the body about the bar: 180 is a handstand
    start_speed_rad_s: Amount = (1.7, 2.1)
    tap: Amount = (0.95, 1.05)  # strength of pike and arch
    release_deg: Range = (95.0, 98.0)  # 0 hanging, 90 level behind the bar
    release_jitter_s: Annotated[float, Field(ge=0, le=0.2)] = 0.02  # late or early by up to this
    misjudgement_rad: float = Field(default=0.1, ge=0, le=3)  # of the turn, standard deviation
    reach_m: Size = (0.09, 0.09)  # a hand closes around what is this near its middle


class BarCatch:
    """Hands that leave the bar and may find it again: centimetres decide."""

    name = "bar_catch"
    summary = "a gymnast's release from the high bar, somersault, and catch or fall"
    engines = ("mujoco",)
    Parameters = Parameters
    outcomes = ("caught", "missed_catch", "unfinished")
    words = WORDS

    def limits(self, parameters: Parameters) -> Limits:
        gymnast = Gymnast(1.7, 65.0)
        joints = len(gymnast.joints)
        return Limits(bodies=len(gymnast.names) + 10, joints=joints + 2, actions=joints + 2)

    def sample(
        self, parameters: Parameters, rng: np.random.Generator, *, frames: int, frame_rate_hz: float
    ) -> Scene:
        """One gymnast with one intention and some errors of judgement."""
        p = parameters
        height = float(rng.uniform(*p.height_m))
        mass = height**2 * float(rng.uniform(*p.body_mass_index))
        gymnast = Gymnast(height, mass, strength=float(rng.uniform(*p.strength)))
        plan = Plan(
            tap=float(rng.uniform(*p.tap)),
            release_deg=float(rng.uniform(*p.release_deg)),
            late_s=p.release_jitter_s * float(rng.uniform(-1, 1)),
            catch_deg=CATCH_DEG,
            catch_m=CATCH_M,
            misjudged_rad=p.misjudgement_rad * float(rng.normal()),
        )
        start, speed = float(rng.uniform(*p.start_deg)), float(rng.uniform(*p.start_speed_rad_s))
        reach = float(rng.uniform(*p.reach_m))
        sag = mass * 9.81 / BAR_N_M
        hall = apparatus(sag)
        pivot, pitch = (0.0, 0.0, BAR_M - sag), -math.radians(start)
        shoulders = np.array(pivot) + rotate(np.array([0, 0, -GRIP_M * gymnast.scale]), pitch)
        person = gymnast.bodies(
            clothes(rng), position=tuple(shoulders.tolist()), pitch=pitch, spin=speed, pivot=pivot
        )
        routine = Routine(
            gymnast, plan,
            rows=np.arange(len(hall), len(hall) + len(person)),
            columns=np.arange(2, 2 + len(gymnast.joints)), bar=len(hall) - 1,
            frame_s=1 / frame_rate_hz,
        )  # fmt: skip
        return Scene(
            family=self.name,
            bodies=(*hall, *person),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=frame_rate_hz * math.ceil(PHYSICS_RATE_HZ / frame_rate_hz),
            actuators=gymnast.actuators(),
            connects=tuple(replace(grip, reach_m=reach) for grip in gymnast.grips("bar")),
            script=routine,
            parameters={
                "height_m": height, "mass_kg": mass, "strength": gymnast.strength,
                "start_deg": start, "start_speed_rad_s": speed, "reach_m": reach, **vars(plan),
            },
        )  # fmt: skip

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """caught: both hands closed around the bar again and hold it to the clip's end;
        missed_catch: the gymnast came down past the bar without; unfinished: clip too short.
        least_gap_m is of the hand farther from the bar, at the frame that it was nearest in.
        """
        rate, end_s = scene.frame_rate_hz, scene.frames / scene.frame_rate_hz
        grips = motion.action[: scene.frames, len(scene.actuators) :]
        opened, closed = np.argwhere(grips > 0), np.flatnonzero((grips < 0).all(axis=1))
        if not len(opened):
            return Outcome("unfinished")
        release_s = max(float(frame + 1 - grips[frame, hand]) / rate for frame, hand in opened)
        centre, turn = _centre(scene, motion), _turn(scene, motion)
        frames = np.arange(scene.frames + 1)
        gap = _gap(scene, motion)
        away = np.flatnonzero((frames > release_s * rate) & (gap > AWAY_M))
        bar_z = motion.position[:, scene.body_index("bar"), 2]
        under = np.flatnonzero((frames > release_s * rate) & (centre[:, 2] < bar_z - LOST_M))
        margins = {"release_deg": _swing_deg(scene, motion, centre, release_s)}
        events = [
            {"kind": "release", "start_s": release_s, "body_a": "left_forearm",
             "body_b": "bar", "value": f"{margins['release_deg']:.0f} deg"}
        ]  # fmt: skip
        last = closed[0] if len(closed) else (under[0] if len(under) else scene.frames)
        flight = frames[(frames >= (away[0] if len(away) else last)) & (frames <= last)]
        nearest = int(flight[gap[flight].argmin()])
        turned = turn[nearest] - np.interp(release_s * rate, frames, turn)
        margins |= {
            "flight_s": float(nearest / rate - release_s),
            "flight_height_m": float(centre[flight, 2].max() - bar_z[nearest]),
            "turn_deg": math.degrees(abs(turned)),
            "least_gap_m": float(gap[nearest]),
        }
        if len(closed):
            held = gap[-1] < HELD_M and end_s - closed[0] / rate >= HANG_S
            events.append(
                {"kind": "catch", "start_s": float(closed[0] / rate), "body_a": "left_forearm",
                 "body_b": "bar", "value": "left_forearm"}
            )  # fmt: skip
            return Outcome("caught" if held else "unfinished", margins, tuple(events))
        return Outcome("missed_catch" if len(under) else "unfinished", margins, tuple(events))

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The middle of everything that the gymnast reaches, from where it fills the picture."""
        rows = [i for i, b in enumerate(scene.bodies) if b.object == "gymnast"]
        x, z = motion.position[:, rows, 0], motion.position[:, rows, 2]
        left, right = float(x.min()) - 0.35, float(x.max()) + 0.35
        top = float(z.max()) + 0.3
        half = 0.5 * max(right - left, top)
        return (0.5 * (left + right), 0.0, 0.5 * top), float(half / math.tan(math.pi / 8)) + 0.2


def _centre(scene: Scene, motion: Motion) -> Float64[np.ndarray, "time1 3"]:
    """The gymnast's mass centre, m."""
    rows = [i for i, b in enumerate(scene.bodies) if b.object == "gymnast"]
    mass = np.array([scene.bodies[i].mass_kg for i in rows])
    return np.einsum("b,tbk->tk", mass / mass.sum(), motion.centre_of_mass[:, rows])


def _turn(scene: Scene, motion: Motion) -> Float64[np.ndarray, " time1"]:
    """Forward turn of the trunk, unwrapped, rad."""
    trunk = rotation_matrix(motion.quaternion[:, scene.body_index("torso")])
    return np.unwrap(np.arctan2(trunk[:, 0, 2], trunk[:, 2, 2]))


def _gap(scene: Scene, motion: Motion) -> Float64[np.ndarray, " time1"]:
    """Larger of the hands' distances from where they held the bar, m."""
    found = []
    for grip in scene.connects:
        points = []
        for name, anchor in ((grip.body_a, grip.anchor_a), (grip.body_b, grip.anchor_b)):
            row = scene.body_index(name)
            turn = rotation_matrix(motion.quaternion[:, row])
            points.append(motion.position[:, row] + turn @ np.array(anchor))
        found.append(np.linalg.norm(points[0] - points[1], axis=-1))
    return np.max(found, axis=0)


def _swing_deg(scene: Scene, motion: Motion, centre: np.ndarray, time_s: float) -> float:
    """Angle of the mass centre about the bar, behind it from hanging."""
    way = centre - motion.position[:, scene.body_index("bar")]
    frames = np.arange(len(way)) / scene.frame_rate_hz
    x, z = (float(np.interp(time_s, frames, way[:, k])) for k in (0, 2))
    return math.degrees(math.atan2(-x, -z))
