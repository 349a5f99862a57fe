"""A gymnast who swings around a high bar, lets go, somersaults, and lands or falls."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from simgen.captions.words import Words
from simgen.families import Limits, Outcome
from simgen.families.gymnast import GRIP_M, Gymnast, rotate
from simgen.families.high_bar_routine import Plan, Routine
from simgen.families.landing import HOLD_S, STEP_M, Judge, landing_phrases
from simgen.families.objects import PALETTE, Amount, Range, Size
from simgen.motion import Motion
from simgen.recipe.fields import within
from simgen.scene import Body, Geom, Joint, Material, Scene, Vector3

# The apparatus (FIG norms: bar 2.8 m over the floor, 2.4 m wide, mats of 0.2 m); the bar's spring
# and the mass that swings with it, from measured bars: 26 kN/m
BAR_M, BAR_HALF_M, BAR_RADIUS_M = 2.8, 1.2, 0.022
BAR_N_M, BAR_N_S_M, BAR_KG = 26_000.0, 120.0, 6.0
MAT_M, MAT_X, MAT_HALF = 0.2, 2.0, (4.6, 1.5)
PHYSICS_RATE_HZ = 720.0  # RK4: the swing differs by 0.01 degrees from that at 1200 Hz

GIANT_S, REST_S = 1.75, 3.3  # what a giant takes, and everything else up to a held landing

STEEL = Material("grey", (0.42, 0.44, 0.47))
MAT = Material("blue", (0.05, 0.14, 0.50))
FLOOR = Material(
    "beige", (0.55, 0.46, 0.34), rgb2=(0.50, 0.41, 0.30), pattern="checker", scale_m=1.0
)
WALL = Material("grey", (0.62, 0.64, 0.66))
TOPS = ("red", "orange", "green", "purple", "pink", "cyan")  # not the mat's blue
TROUSERS = {"white": (0.80, 0.80, 0.82), "black": (0.04, 0.04, 0.06)}
SKINS = ((0.80, 0.50, 0.36), (0.62, 0.36, 0.23), (0.38, 0.20, 0.12), (0.18, 0.09, 0.05))
HAIRS = ((0.03, 0.02, 0.015), (0.10, 0.05, 0.02), (0.42, 0.25, 0.09))


TURNS = "turns {somersaults:.1f} somersaults"
WORDS = Words(
    opening=("swings on a high bar", "swings around a high bar"),
    outcomes={
        "landed": (
            f"{TURNS} and lands on the feet",
            f"{TURNS} and stands",
            f"{TURNS} after giant {{giants:.0f}} and lands on the feet",
        ),
        **landing_phrases(TURNS),
    },
    apparatus=("bar",),
)


class Parameters(BaseModel):
    """Ranges [low, high] that an episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height_m: Size = (1.58, 1.74)
    body_mass_index: Size = (22.0, 24.5)  # kg/m2
    strength: Size = (0.95, 1.10)  # times the servos' torque limits
    giants: Annotated[tuple[int, int], within(0, 4)] = (1, 3)  # first; fewer in a shorter clip
    start_deg: Range = (-158.0, -148.0)  # of the body about the bar: -180 is a handstand
    start_speed_rad_s: Amount = (1.7, 2.2)
    tap: Amount = (0.92, 1.03)  # strength of arch and kick
    release_deg: Range = (58.0, 74.0)  # 0 hanging, 90 level in front of the bar
    release_jitter_s: Annotated[float, Field(ge=0, le=0.2)] = 0.05  # late or early by up to this
    somersaults: tuple[int, int] = (2, 2)
    pike_share: float = Field(default=0.4, ge=0, le=1)  # the others tuck
    open_s: Amount = (0.28, 0.40)  # before touchdown
    misjudgement_rad: float = Field(default=0.14, ge=0, le=3)  # of the turn, standard deviation
    lost_share: float = Field(default=0.1, ge=0, le=1)  # of them lose count of the turn in the air
    lost_rad: Amount = (1.1, 1.8)  # and misjudge it by this, either way


class HighBar:
    """Skill and error on one apparatus: the outcome hangs on tens of milliseconds."""

    name = "high_bar"
    summary = "a gymnast's swing, release, flight and landing or fall"
    engines = ("mujoco",)
    Parameters = Parameters
    outcomes = (
        "landed",
        "stepped",
        "off_balance",
        "fell_forward",
        "fell_backward",
        "under_rotated",
        "over_rotated",
        "unfinished",
    )
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
        fit = int((frames / frame_rate_hz - REST_S) // GIANT_S)
        plan = Plan(
            giants=max(0, min(int(rng.integers(p.giants[0], p.giants[1] + 1)), fit)),
            tap=float(rng.uniform(*p.tap)),
            release_deg=float(rng.uniform(*p.release_deg)),
            late_s=p.release_jitter_s * float(rng.uniform(-1, 1)),
            somersaults=int(rng.integers(p.somersaults[0], p.somersaults[1] + 1)),
            shape="pike" if rng.uniform() < p.pike_share else "tuck",
            open_s=float(rng.uniform(*p.open_s)),
            misjudged_rad=_misjudged(p, rng),
        )
        start, speed = float(rng.uniform(*p.start_deg)), float(rng.uniform(*p.start_speed_rad_s))
        sag = mass * 9.81 / BAR_N_M
        hall = apparatus(sag)
        pivot, pitch = (0.0, 0.0, BAR_M - sag), -math.radians(start)
        shoulders = np.array(pivot) + rotate(np.array([0, 0, -GRIP_M * gymnast.scale]), pitch)
        person = gymnast.bodies(
            clothes(rng), position=tuple(shoulders.tolist()), pitch=pitch, spin=-speed, pivot=pivot
        )
        routine = Routine(
            gymnast, plan,
            rows=np.arange(len(hall), len(hall) + len(person)),
            columns=np.arange(2, 2 + len(gymnast.joints)), bar=len(hall) - 1,
            mat_m=MAT_M, frame_s=1 / frame_rate_hz,
        )  # fmt: skip
        return Scene(
            family=self.name,
            bodies=(*hall, *person),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=frame_rate_hz * math.ceil(PHYSICS_RATE_HZ / frame_rate_hz),
            actuators=gymnast.actuators(),
            connects=gymnast.grips("bar"),
            script=routine,
            parameters={
                "height_m": height, "mass_kg": mass, "strength": gymnast.strength,
                "start_deg": start, "start_speed_rad_s": speed, **vars(plan),
            },
        )  # fmt: skip

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """landed; stepped: the same after a step; off_balance: on the feet to the end, but about to
        fall; fell_forward, fell_backward: touched down on the feet and did not stay on them;
        under_rotated, over_rotated: something else came down first; unfinished: clip too
        short.
        """
        return _BarJudge(scene, motion, ground=("floor", "mat")).outcome()

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The middle of everything that the gymnast reaches, from where it fills the picture."""
        rows = [i for i, b in enumerate(scene.bodies) if b.object == "gymnast"]
        x, z = motion.position[:, rows, 0], motion.position[:, rows, 2]
        left, right = min(float(x.min()), -1.0) - 0.35, max(float(x.max()), 1.0) + 0.35
        top = float(z.max()) + 0.35
        half = 0.5 * max(right - left, top)
        return (0.5 * (left + right), 0.0, 0.5 * top), float(half / math.tan(math.pi / 8)) + 0.4


def apparatus(sag_m: float) -> tuple[Body, ...]:
    """Hall, mat, posts, cables and, last, the sprung bar, bent by a gymnast at rest."""
    lying = (math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0)  # local z to world -y
    bodies = [
        Body("floor", (Geom("plane", (), FLOOR, friction=1.0),), motion="static", label="floor"),
        Body(
            "mat",
            (Geom("box", (MAT_HALF[0], MAT_HALF[1], MAT_M / 2), MAT, friction=1.0),),
            motion="static", position=(MAT_X, 0.0, MAT_M / 2), label="mat",
        ),
    ]  # fmt: skip
    for side, y in (("left", BAR_HALF_M), ("right", -BAR_HALF_M)):
        post = Geom("cylinder", (0.035, BAR_M / 2), STEEL, collide=False)
        bodies.append(
            Body(f"{side}_post", (post,), motion="static", position=(0.0, y, BAR_M / 2),
                 object="stand", label="post")
        )  # fmt: skip
        for way, x in (("front", 1.9), ("back", -1.9)):
            bodies.append(_cable(f"{side}_{way}_cable", (0.0, y, BAR_M), (x, 1.6 * y, 0.0)))
    bodies.append(
        Body(
            "bar",
            (Geom("capsule", (BAR_RADIUS_M, BAR_HALF_M), STEEL, quaternion=lying),),
            mass_kg=BAR_KG,
            motion="jointed",
            position=(0.0, 0.0, BAR_M),
            joints=tuple(
                Joint(name, "slide", axis, stiffness=BAR_N_M, damping=BAR_N_S_M, position=at)
                for name, axis, at in (
                    ("bar_x", (1.0, 0.0, 0.0), 0.0), ("bar_z", (0.0, 0.0, 1.0), -sag_m),
                )
            ),
            label="bar",
        )
    )  # fmt: skip
    return tuple(bodies)


def _cable(name: str, top: Vector3, foot: Vector3) -> Body:
    """A thin guy wire between two points."""
    way = np.array(foot) - np.array(top)
    length = float(np.linalg.norm(way))
    half = np.array([0.0, 0.0, 1.0]) + way / length  # the turn that takes z to the wire
    axis = np.cross([0.0, 0.0, 1.0], way / length)
    quaternion = np.array([0.5 * float(half @ half), *axis])
    quaternion /= np.linalg.norm(quaternion)
    return Body(
        name,
        (Geom("capsule", (0.008, length / 2), STEEL, collide=False),),
        motion="static",
        position=tuple(float(v) for v in 0.5 * (np.array(top) + np.array(foot))),
        quaternion=tuple(float(v) for v in quaternion),
        object="stand",
    )


def _misjudged(p: Parameters, rng: np.random.Generator) -> float:
    """Turn that a gymnast believes to be missing and is not, rad."""
    error = p.misjudgement_rad * float(rng.normal())
    if rng.uniform() >= p.lost_share:
        return error
    return float(rng.choice((-1.0, 1.0)) * rng.uniform(*p.lost_rad))


def clothes(rng: np.random.Generator) -> dict[str, Material]:
    top, trousers = str(rng.choice(TOPS)), str(rng.choice(list(TROUSERS)))
    skin, hair = SKINS[rng.integers(len(SKINS))], HAIRS[rng.integers(len(HAIRS))]
    return {
        "skin": Material("skin", skin),
        "hair": Material("dark", hair),
        "top": Material(top, PALETTE[top]),
        "trousers": Material(trousers, TROUSERS[trousers]),
        "shoes": Material(trousers, TROUSERS[trousers]),
    }


class _BarJudge(Judge):
    """A landing after a release; Judge has the bounds."""

    least_step_m = STEP_M

    def outcome(self) -> Outcome:
        release_s = self._release()
        if release_s is None:
            return Outcome("unfinished")
        bar = self.motion.position[:, self.names.index("bar")]
        x, z = (self.centre - bar)[:, 0], (self.centre - bar)[:, 2]
        swing = np.degrees(np.unwrap(np.arctan2(x, -z)))
        margins = {
            "release_deg": math.degrees(math.atan2(self.at(x, release_s), -self.at(z, release_s))),
            "giants": float((self.at(swing, release_s) - swing[0]) // 360),
        }
        events = [
            {"kind": "release", "start_s": release_s, "body_a": "left_forearm", "body_b": "bar",
             "value": f"{margins['release_deg']:.0f} deg"}
        ]  # fmt: skip
        touches = self.touches(release_s)
        if not len(touches) or self.end_s - touches["start_s"][0] < HOLD_S:
            return Outcome("unfinished", margins, tuple(events))
        margins |= self.flight(release_s, float(touches["start_s"][0]))
        margins["step_m"] = self.step_m(touches)
        events.append(self.landing_event(touches))
        label, held_s = self.judged(touches)
        return Outcome(label, {**margins, "held_s": held_s}, tuple(events))

    def _release(self) -> float | None:
        """When the later hand opened, from the recorded actions."""
        grips = self.motion.action[: self.scene.frames, len(self.scene.actuators) :]
        frames, hands = np.nonzero(grips)
        if len(frames) == 0:
            return None
        return float((frames + 1 - grips[frames, hands]).max() / self.scene.frame_rate_hz)
