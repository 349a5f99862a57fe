"""A gymnast who somersaults on a trampoline: bounce, push, flight, and feet on the bed or not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from simgen.captions.words import Words
from simgen.families import Limits, Outcome
from simgen.families.gymnast import Gymnast, Pose
from simgen.families.high_bar import FLOOR, STEEL, clothes
from simgen.families.landing import HOLD_S, Judge, landing_phrases
from simgen.families.objects import Amount, Size
from simgen.families.somersault import (
    GRAVITY_M_S2,
    Aim,
    Balance,
    Flyer,
    Ground,
    Shape,
    blend,
    start,
)
from simgen.motion import Motion
from simgen.scene import Body, Command, Connect, Geom, Joint, Material, Observation, Scene, Vector3

PHYSICS_RATE_HZ = 480.0
# The bed of a competition trampoline is 4.28 x 2.14 m at 1.155 m, in a frame of 5.05 x 2.91 m. Its
# middle is a plate on springs; panels between plate and frame follow it.
BED_M, BED_HALF, FRAME_HALF = 1.155, (2.14, 1.07), (2.52, 1.40)
PLATE_HALF_M, SHEET_M, TUCKED_M = 0.45, 0.012, 0.10  # of the plate; half thickness; under the pads
BED_KG, PANEL_KG, BED_N_S_M, ACROSS_N_M = 7.0, 2.0, 45.0, 20_000.0
SHEET = Material("white", (0.62, 0.63, 0.62))
CROSS = Material("red", (0.60, 0.05, 0.05))
PADS = Material("blue", (0.04, 0.12, 0.45))

FALLING: Pose = {"shoulder": 1.0, "ankle": -0.3, "hip": 0.1, "knee": 0.1}
SINKING: Pose = {"hip": 0.30, "knee": 0.56, "ankle": 0.11, "waist": 0.06, "shoulder": 3.1}
PUSHING: Pose = {
    "knee": 0.0, "ankle": -0.10, "waist": -0.30, "shoulder": -0.1, "neck": -0.2,
}  # fmt: skip
HIPS_RAD_M = 1.1  # straighter for the short, who have less momentum
BALANCE = Balance(feet_ahead_m=-0.03, knees_rad=0.4)
EARLY_S = 0.025  # the push begins this much before the bed's lowest point


TURNS = "turns {somersaults:.1f} somersaults"
WORDS = Words(
    opening=("bounces on a trampoline", "takes off from a trampoline"),
    outcomes={
        "landed": (f"{TURNS} and lands on the feet", f"{TURNS} and comes down standing"),
        **landing_phrases(TURNS),
        "missed": (f"{TURNS} and comes down beside the bed",),
    },
    apparatus=("trampoline",),
)


@dataclass(frozen=True)
class Entry:
    """How the gymnast comes down, by the last somersault, to the next; ranges."""

    drop_m: tuple[float, float]  # of the soles over the bed at the last jump's top
    tilt_rad: tuple[float, float]  # of the trunk, forward is positive
    spin_rad_s: tuple[float, float]  # backward
    hips_rad: float  # at the end of the push: the straighter, the more rotation
    bias_rad: float  # turn added to the predicted one, since legs give way
    start_m: float  # in front of the bed's middle: somersaults travel backward


ENTRIES = {
    1: Entry((1.6, 2.0), (0.005, 0.015), (0.0, 0.0), 0.2, 0.0, 0.2),
    2: Entry((2.1, 2.3), (0.21, 0.23), (1.95, 2.05), -0.3, 0.1, 0.3),
}


@dataclass(frozen=True)
class Plan:
    """What a gymnast intends, and the errors of judgement that decide how it ends."""

    somersaults: int
    shape: Shape
    hips_rad: float  # at the end of the push: the straighter, the more rotation
    late_s: float  # the push begins this much after it should
    open_s: float  # before touchdown
    misjudged_rad: float  # turn that the gymnast believes to be missing and is not


class Bounce:
    """Script of one episode. Frame 0 begins it afresh, so a scene can be simulated again.

    Args:
        rows: The gymnast's rows among the scene's bodies, and `bed` the bed's.
        columns: The gymnast's columns among the scene's joints.
    """

    def __init__(
        self, gymnast: Gymnast, plan: Plan, *, rows: np.ndarray, columns: np.ndarray, bed: int,
        frame_s: float, bed_hz: float,
    ) -> None:  # fmt: skip
        self.gymnast, self.plan, self.rows = gymnast, plan, rows
        self.bed, self.frame_s, self.bed_hz = bed, frame_s, bed_hz
        self.ground = Ground(BED_M + SHEET_M)
        self.flyer = Flyer(gymnast, rows=rows, columns=columns, ground=self.ground, balance=BALANCE)
        self.aim = Aim(2 * np.pi * plan.somersaults, plan.shape, plan.open_s, plan.misjudged_rad)
        self._begin()

    def _begin(self) -> None:
        self.flyer.begin()
        self.touched = self.flying = False
        self.push_s: float | None = None

    def __call__(self, frame: int, seen: Observation) -> Command:
        if frame == 0:
            self._begin()
        down = BED_M - float(seen.position[self.bed, 2])
        self.ground.load = (math.tau * self.bed_hz) ** 2 * max(down, 0.0) / GRAVITY_M_S2
        self.flyer.follow(seen)
        sums = self.gymnast.sums(seen, self.rows)
        touching = any("foot" in b for _, b in seen.contacts)
        self.touched = self.touched or touching
        if self.push_s is not None and not touching and seen.time_s > self.push_s + 0.1:
            self.flying = True
        pose = self.flyer.pose(seen, sums, self.aim) if self.flying else self._bounce(seen)
        return Command(self.gymnast.targets(pose))

    def _bounce(self, seen: Observation) -> Pose:
        """Give way until the bed is about to turn, then stretch."""
        if not self.touched:
            return FALLING
        down, speed = BED_M - seen.position[self.bed, 2], seen.velocity[self.bed, 2]
        if self.push_s is None:
            # a spring's phase says when its speed will be zero
            left_s = math.atan2(-speed, self.bed_hz * 2 * np.pi * max(down, 0.01))
            left_s = left_s / (2 * np.pi * self.bed_hz) - EARLY_S + self.plan.late_s
            if left_s > self.frame_s:
                return SINKING
            self.push_s = seen.time_s + max(left_s, 0.0)
        share = np.clip((seen.time_s + self.frame_s - self.push_s) / self.frame_s, 0, 1)
        return blend(SINKING, {**PUSHING, "hip": self.plan.hips_rad}, float(share))


class Parameters(BaseModel):
    """Ranges [low, high] that an episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height_m: Size = (1.58, 1.74)
    body_mass_index: Size = (22.0, 24.5)  # kg/m2
    strength: Size = (1.0, 1.1)  # times the servos' torque limits
    stiffness_n_m: Size = (5000.0, 7000.0)  # of the bed
    double_share: float = Field(default=0.35, ge=0, le=1)  # the others turn one somersault
    late_s: Annotated[float, Field(ge=0, le=0.2)] = 0.01
    hips_error_rad: Annotated[float, Field(ge=0, le=1)] = 0.05  # standard deviation
    pike_share: float = Field(default=0.3, ge=0, le=1)  # of single somersaults; the others tuck
    open_s: Amount = (0.20, 0.30)  # before touchdown
    misjudgement_rad: float = Field(default=0.12, ge=0, le=3)  # of the turn, standard deviation


START_M = 0.45  # soles over the bed in the first frame


class Trampoline:
    """Flights as high as a bed and a push together make them."""

    name = "trampoline"
    summary = "a gymnast's somersault on a trampoline"
    engines = ("mujoco",)
    outcomes = (
        "landed", "off_balance", "fell_forward", "fell_backward", "under_rotated", "over_rotated",
        "missed", "unfinished",
    )  # fmt: skip
    Parameters = Parameters
    words = WORDS

    def limits(self, parameters: Parameters) -> Limits:
        gymnast = Gymnast(1.7, 65.0)
        joints = len(gymnast.joints)
        return Limits(bodies=len(gymnast.names) + 5, joints=joints + 6, actions=joints + 2)

    def sample(
        self, parameters: Parameters, rng: np.random.Generator, *, frames: int, frame_rate_hz: float
    ) -> Scene:
        """One gymnast falling towards the bed, with one intention and some errors of judgement."""
        p = parameters
        height = float(rng.uniform(*p.height_m))
        mass = height**2 * float(rng.uniform(*p.body_mass_index))
        gymnast = Gymnast(height, mass, strength=float(rng.uniform(*p.strength)))
        stiffness, turns = (
            float(rng.uniform(*p.stiffness_n_m)),
            1 + int(rng.uniform() < p.double_share),
        )
        entry = ENTRIES[turns]
        drop = float(rng.uniform(*entry.drop_m))
        plan = Plan(
            somersaults=turns,
            shape="pike" if turns == 1 and rng.uniform() < p.pike_share else "tuck",
            hips_rad=entry.hips_rad
            - HIPS_RAD_M * (1.72 - height)
            + p.hips_error_rad * float(rng.normal()),
            late_s=p.late_s * float(rng.uniform(-1, 1)),
            open_s=float(rng.uniform(*p.open_s)),
            misjudged_rad=entry.bias_rad + p.misjudgement_rad * float(rng.normal()),
        )
        tilt, spin = float(rng.uniform(*entry.tilt_rad)), float(rng.uniform(*entry.spin_rad_s))
        hall, connects = apparatus(stiffness)
        fall = -math.sqrt(2 * GRAVITY_M_S2 * (drop - START_M))
        person = start(
            gymnast, clothes(rng), FALLING, pitch=tilt, velocity=(0.0, fall), spin=-spin,
            soles=(entry.start_m, BED_M + SHEET_M + START_M),
        )  # fmt: skip
        routine = Bounce(
            gymnast, plan, rows=np.arange(len(hall), len(hall) + len(person)),
            columns=np.arange(6, 6 + len(gymnast.joints)), bed=2, frame_s=1 / frame_rate_hz,
            bed_hz=math.sqrt(stiffness / (mass + BED_KG)) / math.tau,
        )  # fmt: skip
        return Scene(
            family=self.name,
            bodies=(*hall, *person),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=frame_rate_hz * math.ceil(PHYSICS_RATE_HZ / frame_rate_hz),
            actuators=gymnast.actuators(),
            connects=connects,
            script=routine,
            parameters={
                "height_m": height, "mass_kg": mass, "strength": gymnast.strength,
                "stiffness_n_m": stiffness, "drop_m": drop, "tilt_rad": tilt,
                "spin_rad_s": spin, **vars(plan),
            },
        )  # fmt: skip

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """landed; off_balance: on the feet to the end, but about to fall; fell_forward,
        fell_backward: touched down on the feet and did not stay on them; under_rotated,
        over_rotated: something else came down on the bed first; missed: came down beside it;
        unfinished: clip too short. Judge has the bounds."""
        return _BedJudge(
            scene, motion, ground=("floor", "frame", "bed", "front_panel", "back_panel")
        ).outcome()

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The flight and the bed under it, from where both fill the picture."""
        rows = [i for i, b in enumerate(scene.bodies) if b.object == "gymnast"]
        top = float(motion.position[:, rows, 2].max()) + 0.35
        half = max(0.5 * top + 0.05, 0.9 * FRAME_HALF[0])
        return (0.0, 0.0, 0.5 * top), float(half / math.tan(math.pi / 8)) + 0.4


def apparatus(stiffness: float) -> tuple[tuple[Body, ...], tuple[Connect, ...]]:
    """Floor, frame, bed and its two panels, and what holds panels and bed together."""
    floor = Geom("plane", (), FLOOR, friction=1.0)
    sag = BED_KG * 9.81 / stiffness
    sheet = Geom("box", (PLATE_HALF_M, BED_HALF[1], SHEET_M), SHEET, friction=1.0)
    marks = tuple(
        Geom("box", size, CROSS, (0.0, 0.0, SHEET_M), collide=False)
        for size in ((0.35, 0.04, 0.002), (0.04, 0.35, 0.002))
    )
    bed = Body(
        "bed", (sheet, *marks), mass_kg=BED_KG, motion="jointed", position=(0.0, 0.0, BED_M),
        inertia_kgm2=(2.0, 0.6, 2.5),
        joints=(
            Joint("bed_x", "slide", (1.0, 0.0, 0.0), stiffness=ACROSS_N_M, damping=200.0),
            Joint("bed_z", "slide", (0.0, 0.0, 1.0), stiffness=stiffness, damping=BED_N_S_M,
                  position=-sag),
        ),
        object="trampoline", label="trampoline",
    )  # fmt: skip
    panels, connects = [], []
    reach = BED_HALF[0] - PLATE_HALF_M
    for name, sign in (("front", 1.0), ("back", -1.0)):
        half = (reach + TUCKED_M) / 2
        panel = Geom(
            "box", (half, BED_HALF[1], SHEET_M), SHEET, (sign * (TUCKED_M - half), 0.0, 0.0),
            friction=1.0,
        )  # fmt: skip
        panels.append(
            Body(
                f"{name}_panel", (panel,), mass_kg=PANEL_KG, motion="jointed",
                position=(sign * BED_HALF[0], 0.0, BED_M),
                joints=(
                    Joint(f"{name}_slope", "hinge", (0.0, 1.0, 0.0), damping=0.5,
                          position=-sign * math.atan2(sag, reach)),
                    Joint(f"{name}_stretch", "slide", (1.0, 0.0, 0.0), stiffness=400.0,
                          damping=10.0),
                ),
                object="trampoline", label="trampoline",
            )
        )  # fmt: skip
        connects.append(
            Connect(f"{name}_seam", "bed", (sign * PLATE_HALF_M, 0.0, 0.0),
                    f"{name}_panel", (-sign * reach, 0.0, 0.0))
        )  # fmt: skip
    bodies = (
        Body("floor", (floor,), motion="static", label="floor"), _frame(), bed, *panels
    )  # fmt: skip
    return bodies, tuple(connects)


def _frame() -> Body:
    """Pads all around the bed on steel legs."""
    long, wide = FRAME_HALF
    across = (long - BED_HALF[0]) / 2 + 0.05
    geoms = [
        Geom("box", (across, wide, 0.03), PADS, (sign * (long - across), 0.0, BED_M + 0.02),
             friction=1.0)
        for sign in (1.0, -1.0)
    ]  # fmt: skip
    geoms += [
        Geom("box", (long, 0.13, 0.03), PADS, (0.0, sign * (wide - 0.13), BED_M + 0.02),
             friction=1.0)
        for sign in (1.0, -1.0)
    ]  # fmt: skip
    geoms += [
        Geom("cylinder", (0.035, BED_M / 2), STEEL, (x * 0.75 * long, y * (wide - 0.1), BED_M / 2),
             collide=False)
        for x in (1.0, -1.0) for y in (1.0, -1.0)
    ]  # fmt: skip
    return Body("frame", tuple(geoms), motion="static", object="trampoline", label="frame")


class _BedJudge(Judge):
    """A landing on the bed."""

    over_feet_m = 0.4  # the bed throws up again: feet come under before the next touch

    def outcome(self) -> Outcome:
        off_s = self.take_off_s()
        if off_s is None:
            return Outcome("unfinished")
        touches = self.touches(off_s)
        if not len(touches) or self.end_s - touches["start_s"][0] < HOLD_S:
            return Outcome("unfinished")
        touch_s = float(touches["start_s"][0])
        margins = self.flight(off_s, touch_s)
        margins["off_middle_m"] = self.at(self.centre[:, 0], touch_s)
        label, held_s = self.judged(touches)
        if touches["body_a"][0] in (self.names.index("floor"), self.names.index("frame")):
            label = "missed"
        return Outcome(label, {**margins, "held_s": held_s}, (self.landing_event(touches),))
