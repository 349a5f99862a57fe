"""A gymnast who vaults: off the springboard, hands on the table, somersault, mat."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from simgen.captions.words import Words
from simgen.families import Limits, Outcome
from simgen.families.gymnast import GRIP_M, Gymnast, Pose
from simgen.families.high_bar import FLOOR, MAT, STEEL, clothes
from simgen.families.landing import HOLD_S, STEP_M, Judge, landing_phrases
from simgen.families.objects import Amount, Range, Size
from simgen.families.somersault import Aim, Balance, Flyer, Ground, start
from simgen.motion import Motion
from simgen.scene import Body, Command, Geom, Material, Observation, Scene, Vector3

PHYSICS_RATE_HZ = 480.0
# FIG norms: table 1.35 m high, 1.2 m long, 0.95 m wide; springboard 0.2 m high, 1.2 m long
TABLE_M, TABLE_HALF, TABLE_THICK_M = 1.35, (0.60, 0.475), 0.28
BOARD_M, BOARD_HALF = 0.20, (0.60, 0.30)
MAT_M, MAT_HALF = 0.2, (3.2, 1.25)
FIST_M = 0.045
CLEAR_M = 0.13  # pointed toes have just left the board
LEATHER = Material("beige", (0.50, 0.33, 0.17))
CARPET = Material("red", (0.42, 0.04, 0.05))

STRETCHED: Pose = {"shoulder": 0.35, "hip": 0.0, "waist": 0.0, "ankle": -0.9, "elbow": -0.1}
SUPPORT: Pose = {"shoulder": 0.0, "hip": -0.05, "waist": -0.05, "ankle": -1.0, "elbow": -0.2,
                 "neck": -0.3}  # fmt: skip
BIAS_RAD = 0.0  # turn added to the predicted one
BALANCE = Balance(feet_ahead_m=-0.1, steps=True)


TURNS = "turns {somersaults:.1f} somersaults off the table"
WORDS = Words(
    opening=("vaults over a table", "leaves the springboard and vaults"),
    outcomes={
        "landed": (f"{TURNS} and lands on the feet", f"{TURNS} and stands"),
        **landing_phrases(TURNS),
        "missed": ("misses the table with the hands",),
    },
)


@dataclass(frozen=True)
class Plan:
    """What a gymnast intends, and the errors of judgement that decide how it ends."""

    turns: int  # of the trunk from the board to the mat
    open_s: float  # before touchdown
    misjudged_rad: float  # turn that the gymnast believes to be missing and is not


class Vaulting:
    """Script of one episode. Frame 0 begins it afresh, so a scene can be simulated again.

    Args:
        rows: The gymnast's rows among the scene's bodies.
        columns: The gymnast's columns among the scene's joints.
    """

    def __init__(
        self, gymnast: Gymnast, plan: Plan, *, rows: np.ndarray, columns: np.ndarray
    ) -> None:
        self.gymnast, self.rows = gymnast, rows
        self.flyer = Flyer(
            gymnast, rows=rows, columns=columns, ground=Ground(MAT_M), balance=BALANCE
        )
        self.aim = Aim(-2 * np.pi * plan.turns, "tuck", plan.open_s, plan.misjudged_rad)
        self._begin()

    def _begin(self) -> None:
        self.flyer.begin()
        self.supported = self.flying = False

    def __call__(self, frame: int, seen: Observation) -> Command:
        if frame == 0:
            self._begin()
        self.flyer.follow(seen)
        sums = self.gymnast.sums(seen, self.rows)
        touching = any(a == "table" or b == "table" for a, b in seen.contacts)
        self.supported = self.supported or touching
        self.flying = self.flying or (self.supported and not touching)
        pose = self.flyer.pose(seen, sums, self.aim) if self.flying else SUPPORT
        return Command(self.gymnast.targets(pose))


class Parameters(BaseModel):
    """Ranges [low, high] that an episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height_m: Size = (1.58, 1.74)
    body_mass_index: Size = (22.0, 24.5)  # kg/m2
    strength: Size = (1.05, 1.15)  # times the servos' torque limits
    forward_m_s: Amount = (4.8, 5.2)  # off the springboard
    up_m_s: Amount = (4.2, 4.4)
    spin_rad_s: Amount = (6.8, 7.2)
    pitch_rad: Range = (0.17, 0.23)  # of the trunk, forward is positive
    hands_m: Amount = (0.2, 0.4)  # on the table, from its near edge
    open_s: Amount = (0.22, 0.28)  # before touchdown
    misjudgement_rad: float = Field(default=0.06, ge=0, le=3)  # of the turn, standard deviation


class Vault:
    """A flight in two parts: what the hands do between them decides the second."""

    name = "vault"
    summary = "a gymnast's vault over the table"
    engines = ("mujoco",)
    outcomes = (
        "landed", "stepped", "off_balance", "fell_forward", "fell_backward", "under_rotated",
        "over_rotated", "missed", "unfinished",
    )  # fmt: skip
    Parameters = Parameters
    words = WORDS

    def limits(self, parameters: Parameters) -> Limits:
        gymnast = Gymnast(1.7, 65.0)
        joints = len(gymnast.joints)
        return Limits(bodies=len(gymnast.names) + 5, joints=joints, actions=joints)

    def sample(
        self, parameters: Parameters, rng: np.random.Generator, *, frames: int, frame_rate_hz: float
    ) -> Scene:
        """One gymnast leaving the springboard, with one intention and some errors of judgement."""
        p = parameters
        height = float(rng.uniform(*p.height_m))
        mass = height**2 * float(rng.uniform(*p.body_mass_index))
        gymnast = Gymnast(height, mass, strength=float(rng.uniform(*p.strength)))
        plan = Plan(
            turns=2,
            open_s=float(rng.uniform(*p.open_s)),
            misjudged_rad=BIAS_RAD + p.misjudgement_rad * float(rng.normal()),
        )
        pitch, spin = float(rng.uniform(*p.pitch_rad)), float(rng.uniform(*p.spin_rad_s))
        forward, up = float(rng.uniform(*p.forward_m_s)), float(rng.uniform(*p.up_m_s))
        hands_m = float(rng.uniform(*p.hands_m))
        hands = _reach(gymnast, pitch, spin, forward, up)
        hall = apparatus(hands - hands_m)
        person = start(
            gymnast, clothes(rng), STRETCHED, pitch=pitch, velocity=(forward, up), spin=spin,
            soles=(0.0, BOARD_M + CLEAR_M),
        )  # fmt: skip
        routine = Vaulting(
            gymnast, plan, rows=np.arange(len(hall), len(hall) + len(person)),
            columns=np.arange(len(gymnast.joints)),
        )  # fmt: skip
        return Scene(
            family=self.name,
            bodies=(*hall, *person),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=frame_rate_hz * math.ceil(PHYSICS_RATE_HZ / frame_rate_hz),
            actuators=gymnast.actuators(),
            script=routine,
            parameters={
                "height_m": height, "mass_kg": mass, "strength": gymnast.strength,
                "pitch_rad": pitch, "spin_rad_s": spin, "forward_m_s": forward, "up_m_s": up,
                "hands_m": hands_m, **vars(plan),
            },
        )  # fmt: skip

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """landed; stepped: the same after a step; off_balance: on the feet to the end, but about to
        fall; fell_forward, fell_backward: touched down on the feet and did not stay on them;
        under_rotated, over_rotated: something else came down first; missed: no hand on the
        table; unfinished: clip too short. Judge has the bounds."""
        return _VaultJudge(scene, motion, ground=("floor", "springboard", "table", "mat")).outcome()

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The way from board to mat, from where it fills the picture."""
        rows = [i for i, b in enumerate(scene.bodies) if b.object == "gymnast"]
        x, z = motion.position[:, rows, 0], motion.position[:, rows, 2]
        left, right = float(x.min()) - 0.3, float(x.max()) + 0.3
        top = float(z.max()) + 0.35
        half = 0.5 * max(right - left, top)
        return (0.5 * (left + right), 0.0, 0.5 * top), float(half / math.tan(math.pi / 8)) + 0.4


def _reach(gymnast: Gymnast, pitch: float, spin: float, forward: float, up: float) -> float:
    """Where along x a stretched gymnast's fists come down to the table's height, m."""
    shape = gymnast.planar(STRETCHED)
    fists = GRIP_M * gymnast.scale - shape.middle[1]
    x0 = -shape.sole[0] * math.cos(pitch) + (shape.middle[1] - shape.sole[1]) * math.sin(pitch)
    z0 = BOARD_M + CLEAR_M + (shape.middle[1] - shape.sole[1]) * math.cos(pitch)
    time = np.linspace(0.0, 0.6, 601)
    angle = pitch + spin * time
    z = z0 + up * time - 0.5 * 9.81 * time**2 + fists * np.cos(angle)
    down = np.flatnonzero((z < TABLE_M + FIST_M) & (time > 0.05))
    at = down[0] if len(down) else -1
    return float(x0 + forward * time[at] + fists * math.sin(angle[at]))


def apparatus(near: float) -> tuple[Body, ...]:
    """Floor, springboard at the origin, table with its near edge there, and mat behind it."""
    middle = near + TABLE_HALF[0]
    top = Geom("box", (*TABLE_HALF, TABLE_THICK_M / 2), LEATHER,
               (0.0, 0.0, TABLE_M - TABLE_THICK_M / 2), friction=1.0)  # fmt: skip
    leg = (TABLE_M - TABLE_THICK_M) / 2
    post = Geom("box", (0.16, 0.16, leg), STEEL, (0.0, 0.0, leg))
    foot = Geom("box", (0.5, 0.4, 0.03), STEEL, (0.0, 0.0, 0.03))
    tread = Geom("box", (*BOARD_HALF, 0.02), CARPET, (-0.25, 0.0, BOARD_M - 0.06),
                 quaternion=(math.cos(-0.05), 0.0, math.sin(-0.05), 0.0), friction=1.0)  # fmt: skip
    base = Geom("box", (*BOARD_HALF, 0.02), STEEL, (-0.25, 0.0, 0.02))
    return (
        Body("floor", (Geom("plane", (), FLOOR, friction=1.0),), motion="static", label="floor"),
        Body("springboard", (tread, base), motion="static", label="springboard"),
        Body("table", (top, post, foot), motion="static", position=(middle, 0.0, 0.0),
             label="vaulting table"),
        Body("mat", (Geom("box", (*MAT_HALF, MAT_M / 2), MAT, friction=1.0),), motion="static",
             position=(middle + 0.8 + MAT_HALF[0], 0.0, MAT_M / 2), label="mat"),
    )  # fmt: skip


class _VaultJudge(Judge):
    """Support on the table, and the landing behind it."""

    least_step_m = STEP_M

    def outcome(self) -> Outcome:
        touches = self.touches(0.05)
        table = touches[touches["body_a"] == self.names.index("table")]
        if not len(table):
            return Outcome("missed" if len(touches) else "unfinished")
        on_s = float(table["start_s"][0])
        ends = [float(table["end_s"][0])]
        for touch in table[1:]:
            if touch["start_s"] < ends[-1] + 0.1:
                ends[-1] = max(ends[-1], float(touch["end_s"]))
        off_s = ends[-1]
        margins = {
            "support_s": off_s - on_s,
            "hands_ns": float(table["impulse_ns"][table["start_s"] < off_s].sum()),
        }
        touches = self.touches(off_s)
        if not len(touches) or self.end_s - touches["start_s"][0] < HOLD_S:
            return Outcome("unfinished", margins)
        margins |= self.flight(off_s, float(touches["start_s"][0]))
        margins["step_m"] = self.step_m(touches)
        label, held_s = self.judged(touches, sense=-1.0)
        return Outcome(label, {**margins, "held_s": held_s}, (self.landing_event(touches),))
