"""A gymnast who jumps a backflip from a floating paddleboard, and lands on it or falls in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from simgen.captions.words import Words
from simgen.families import Limits, Outcome
from simgen.families.gymnast import Gymnast, Pose, Sums
from simgen.families.high_bar import clothes
from simgen.families.landing import HOLD_S, Judge
from simgen.families.objects import PALETTE, Amount, Size
from simgen.families.somersault import Aim, Balance, Flyer, Ground, blend, start
from simgen.motion import Motion
from simgen.scene import Body, Command, Geom, Material, Observation, Scene, Vector3, Water

PHYSICS_RATE_HZ = 480.0
DRAG = 110.0  # N s/m per m2 of wetted area: nose, tail and fin hold more than a plate
THICK_M, ROUND_M = 0.12, 0.25  # of the board; how far nose and tail reach beyond the box
WATER = Material(
    "blue", (0.03, 0.16, 0.30), rgb2=(0.04, 0.20, 0.36), pattern="checker", scale_m=0.7, gloss=0.5
)
PAD = Material("grey", (0.20, 0.21, 0.23))
BOARDS = ("yellow", "orange", "red", "green")
SWIMMING = ("torso", "head", "pelvis", "left_thigh", "right_thigh", "left_shank", "right_shank",
            "left_upper_arm", "right_upper_arm")  # fmt: skip

# Technique, found by search for a take-off that a trained gymnast manages: 3 m/s up
STANDING: Pose = {"hip": 0.25, "knee": 0.3, "ankle": 0.12, "shoulder": 1.5, "waist": 0.05}
CROUCH: Pose = {
    "hip": 1.56, "knee": 1.32, "ankle": 0.62, "waist": 0.32, "shoulder": 3.24, "elbow": 0.1,
    "neck": -0.2,
}  # fmt: skip
PUSH: Pose = {
    "hip": -0.37, "knee": 0.0, "ankle": -0.73, "waist": -0.03, "shoulder": -0.2, "elbow": 0.05,
    "neck": -0.3,
}  # fmt: skip
CROUCH_S = 0.39  # what going down takes
DELAY_S = {"knee": 0.14, "ankle": 0.06, "shoulder": -0.036}  # of the push, after the hips
BALANCE = Balance(ankles=2.6, arms=3.6, hips=-0.65, soles_m=0.14, knees_rad=0.41, rise_s=0.32)
OFF_M = 0.19  # height of the ankles over the board with only the toes on it
BIAS_RAD = 0.23  # turn added to the predicted one: legs give way to a board that sinks
BACK_LEAN_M = -0.055  # mass centre from the feet before the push


TURNS = "turns {somersaults:.1f} somersaults"
WORDS = Words(
    opening=("jumps a backflip from a floating paddleboard", "flips backwards off a paddleboard"),
    outcomes={
        "landed": (f"{TURNS} and lands on the board again", f"{TURNS} and stands on the board"),
        "off_balance": (f"{TURNS}, comes down on the feet and loses balance",),
        "fell_in": (f"{TURNS} and falls into the water",),
        "fell_forward": (f"{TURNS}, comes down on the feet and falls forwards on the board",),
        "fell_backward": (f"{TURNS}, comes down on the feet and falls backwards on the board",),
        "under_rotated": (f"{TURNS}, too little, and misses the feet",),
        "over_rotated": (f"{TURNS}, too much, and misses the feet",),
        "unfinished": ("has not landed when the clip ends",),
    },
    apparatus=("paddleboard",),
)


@dataclass(frozen=True)
class Plan:
    """What a gymnast intends, and the errors of judgement that decide how it ends."""

    wait_s: float  # standing before the crouch
    lean_m: float  # error of the mass centre's place over the feet
    late_s: float  # legs push this much after hips and arms
    open_s: float  # before touchdown
    misjudged_rad: float  # turn that the gymnast believes to be missing and is not


class Backflip:
    """Script of one episode. Frame 0 begins it afresh, so a scene can be simulated again.

    Args:
        rows: The gymnast's rows among the scene's bodies, and `board` the board's.
        columns: The gymnast's columns among the scene's joints.
    """

    def __init__(
        self, gymnast: Gymnast, plan: Plan, *, rows: np.ndarray, columns: np.ndarray, board: int,
        ground: Ground, frame_s: float,
    ) -> None:  # fmt: skip
        self.gymnast, self.plan, self.rows = gymnast, plan, rows
        self.board, self.frame_s = board, frame_s
        self.ground = ground
        self.flyer = Flyer(gymnast, rows=rows, columns=columns, ground=ground, balance=BALANCE)
        self.aim = Aim(2 * np.pi, "tuck", plan.open_s, plan.misjudged_rad)
        self.flying = False

    def __call__(self, frame: int, seen: Observation) -> Command:
        if frame == 0:
            self.flyer.begin()
            self.flying = False
        self.ground.height_m = float(seen.position[self.board, 2]) + THICK_M / 2
        self.ground.speed_m_s = float(seen.velocity[self.board, 0])
        self.flyer.follow(seen)
        sums = self.gymnast.sums(seen, self.rows)
        pushed_s = seen.time_s - self.plan.wait_s - CROUCH_S
        ankles_m = seen.position[self.flyer.feet, 2].min() - self.ground.height_m
        if pushed_s > 0 and ankles_m > OFF_M:
            self.flying = True
        if self.flying:
            pose = self.flyer.pose(seen, sums, self.aim)
        else:
            pose = self._jump(seen, sums, pushed_s)
        return Command(self.gymnast.targets(pose))

    def _jump(self, seen: Observation, sums: Sums, pushed_s: float) -> Pose:
        """Crouch with arms swung back, then stretch; each joint switches at its own time."""
        down = float(np.clip(1 + (pushed_s + self.frame_s) / (0.9 * CROUCH_S), 0, 1))
        pose = blend(STANDING, CROUCH, down)
        lean = BACK_LEAN_M + self.plan.lean_m if pushed_s > -CROUCH_S else 0.0
        steady = self.flyer.balanced(pose, seen, sums, lean_m=lean)["ankle"]
        for joint, target in PUSH.items():
            late = DELAY_S.get(joint, 0.0)
            late += self.plan.late_s if joint in ("knee", "ankle") else 0.0
            share = float(np.clip((pushed_s - late) / self.frame_s + 1, 0, 1))
            before = steady if joint == "ankle" else pose.get(joint, 0.0)
            pose[joint] = (1 - share) * before + share * target
        return pose


class Parameters(BaseModel):
    """Ranges [low, high] that an episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height_m: Size = (1.58, 1.74)
    body_mass_index: Size = (22.0, 24.5)  # kg/m2
    strength: Size = (1.0, 1.1)  # times the servos' torque limits
    board_m: Size = (2.8, 3.4)
    board_width_m: Size = (0.76, 0.84)
    board_kg: Size = (10.0, 14.0)
    place_m: Annotated[float, Field(ge=0, le=1)] = 0.15  # off the board's middle by up to this
    wait_s: Amount = (0.0, 0.25)
    lean_error_m: Annotated[float, Field(ge=0, le=0.2)] = 0.008  # standard deviation
    late_s: Annotated[float, Field(ge=0, le=0.2)] = 0.01  # legs late or early by up to this
    open_s: Amount = (0.22, 0.28)  # before touchdown
    misjudgement_rad: float = Field(default=0.08, ge=0, le=3)  # of the turn, standard deviation


class Paddleboard:
    """A jump from ground that gives way: the board sinks, recoils, and is to be met again."""

    name = "paddleboard"
    summary = "a gymnast's backflip on a floating paddleboard"
    engines = ("mujoco",)
    outcomes = (
        "landed", "off_balance", "fell_in", "fell_forward", "fell_backward", "under_rotated",
        "over_rotated", "unfinished",
    )  # fmt: skip
    Parameters = Parameters
    words = WORDS

    def limits(self, parameters: Parameters) -> Limits:
        gymnast = Gymnast(1.7, 65.0)
        joints = len(gymnast.joints)
        return Limits(bodies=len(gymnast.names) + 2, joints=joints, actions=joints)

    def sample(
        self, parameters: Parameters, rng: np.random.Generator, *, frames: int, frame_rate_hz: float
    ) -> Scene:
        """One gymnast on one board, with one intention and some errors of judgement."""
        p = parameters
        height = float(rng.uniform(*p.height_m))
        mass = height**2 * float(rng.uniform(*p.body_mass_index))
        gymnast = Gymnast(height, mass, strength=float(rng.uniform(*p.strength)))
        plan = Plan(
            wait_s=float(rng.uniform(*p.wait_s)),
            lean_m=p.lean_error_m * float(rng.normal()),
            late_s=p.late_s * float(rng.uniform(-1, 1)),
            open_s=float(rng.uniform(*p.open_s)),
            misjudged_rad=BIAS_RAD + p.misjudgement_rad * float(rng.normal()),
        )
        cloth = clothes(rng)
        colours = [name for name in BOARDS if name != cloth["top"].colour]
        length, width = float(rng.uniform(*p.board_m)), float(rng.uniform(*p.board_width_m))
        board_kg, place = float(rng.uniform(*p.board_kg)), p.place_m * float(rng.uniform(-1, 1))
        area = (length - 2 * ROUND_M) * width
        draft = (board_kg + mass) / (1000.0 * area)
        board = _board(length, width, board_kg, THICK_M / 2 - draft, str(rng.choice(colours)))
        pitch = STANDING["waist"] + STANDING["hip"] - STANDING["knee"] + STANDING["ankle"]
        person = start(
            gymnast, cloth, STANDING, pitch=pitch, soles=(place, THICK_M - draft + 0.001)
        )
        surface = Geom("plane", (), WATER, collide=False)
        bodies = (Body("water", (surface,), motion="static", label="water"), board, *person)
        routine = Backflip(
            gymnast, plan, rows=np.arange(2, len(bodies)), columns=np.arange(len(gymnast.joints)),
            board=1, frame_s=1 / frame_rate_hz,
            ground=Ground(
                0.0, grip=board_kg / (board_kg + mass), slip_1_s=mass * 9.81 / (0.85 * area * DRAG)
            ),
        )  # fmt: skip
        return Scene(
            family=self.name,
            bodies=bodies,
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=frame_rate_hz * math.ceil(PHYSICS_RATE_HZ / frame_rate_hz),
            actuators=gymnast.actuators(),
            water=Water(0.0, ("board", *SWIMMING), drag=DRAG),
            script=routine,
            parameters={
                "height_m": height, "mass_kg": mass, "strength": gymnast.strength,
                "board_m": length, "board_width_m": width, "board_kg": board_kg, "place_m": place,
                **vars(plan),
            },
        )  # fmt: skip

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """landed; off_balance: on the feet to the end, but about to fall; fell_in: head or trunk
        under water; fell_forward, fell_backward: feet first, but not only feet on the board;
        under_rotated, over_rotated: something else came down on it first; unfinished: clip too
        short. Judge has the bounds."""
        return _BoardJudge(scene, motion, ground=("board",)).outcome()

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The middle of the jump over the board, from where both fill the picture."""
        rows = [i for i, b in enumerate(scene.bodies) if b.object == "gymnast"]
        top = float(motion.position[:, rows, 2].max()) + 0.35
        half = max(0.5 * scene.parameters["board_m"] + 0.25, 0.5 * top + 0.2)
        return (0.0, 0.0, 0.5 * top - 0.1), float(half / math.tan(math.pi / 8)) + 0.4


def _board(length: float, width: float, mass: float, height: float, colour: str) -> Body:
    """A box that the water carries, with round nose and tail and a dark pad to stand on."""
    half, radius = length / 2 - ROUND_M, width / 2
    material = Material(colour, PALETTE[colour], gloss=0.4)
    ends = tuple(
        Geom("cylinder", (radius, THICK_M / 2 - 0.004), material, friction=1.0,
             position=(sign * (length / 2 - radius), 0.0, 0.0))
        for sign in (1.0, -1.0)
    )  # fmt: skip
    pad = Geom("box", (0.62 * half, 0.8 * radius, 0.002), PAD, (0.0, 0.0, THICK_M / 2),
               collide=False)  # fmt: skip
    hull = Geom("box", (half, radius, THICK_M / 2), material, friction=1.0)
    inertia = tuple(
        mass / 12 * (a * a + b * b)
        for a, b in ((width, THICK_M), (length, THICK_M), (length, width))
    )
    return Body(
        "board", (hull, *ends, pad), mass_kg=mass, inertia_kgm2=inertia,
        position=(0.0, 0.0, height), label="paddleboard",
    )  # fmt: skip


class _BoardJudge(Judge):
    """A landing on the board, or in the water around it."""

    def outcome(self) -> Outcome:
        off_s = self.take_off_s()
        if off_s is None:
            return Outcome("unfinished")
        board = self.names.index("board")
        recoil = self.motion.velocity[:, board, 0]
        frames = (self.times >= off_s - 0.2) & (self.times <= off_s + 0.2)
        margins = {"board_recoil_m_s": float(recoil[frames].max())}
        middle = [self.names.index(name) for name in ("torso", "head", "pelvis")]
        under = self.motion.centre_of_mass[:, middle, 2].min(axis=1) < 0
        wet_s = self.times[under & (self.times > off_s)]
        touches = self.touches(off_s)
        downs = [*touches["start_s"][:1], *wet_s[:1]]
        if not downs or self.end_s - min(downs) < HOLD_S:
            return Outcome("unfinished", margins)
        margins |= self.flight(off_s, float(min(downs)))
        if not len(touches):
            return Outcome("fell_in", {**margins, "held_s": 0.0})
        margins["off_middle_m"] = float(touches["point"][0, 0]) - self.at(
            self.motion.position[:, board, 0], float(touches["start_s"][0])
        )
        label, held_s = self.judged(touches)
        if len(wet_s) and label not in ("under_rotated", "over_rotated"):
            label = "fell_in"
        return Outcome(label, {**margins, "held_s": held_s}, (self.landing_event(touches),))
