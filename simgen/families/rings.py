"""A gymnast who swings on the rings, lets go, somersaults, and lands or falls."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from simgen.captions.words import Words
from simgen.families import Limits, Outcome
from simgen.families.gymnast import FIST_M, GRIP_M, SEGMENTS, SIDES, Gymnast, rotate
from simgen.families.high_bar import FLOOR, MAT, STEEL, clothes
from simgen.families.landing import HOLD_S, STEP_M, Judge, landing_phrases
from simgen.families.objects import Amount, Range, Size
from simgen.families.rings_routine import Plan, Routine
from simgen.families.somersault import Balance
from simgen.motion import Motion
from simgen.scene import Body, Connect, Geom, Joint, Material, Scene, Spring, Vector3

PHYSICS_RATE_HZ = 480.0
# The apparatus (FIG norms: frame 5.8 m, rings 2.8 m over the floor and 0.5 m apart, of 0.18 m
# inside and 0.028 m thick; mats of 0.2 m). A frame and its cables give way by some centimetres.
FRAME_M, ROPES_M, POSTS_M = 5.8, 0.25, 1.45  # height; half of what ropes and posts are apart
ROPE_M, STRAP_M = 2.81, 0.7  # frame to ring; of which a strap of cloth at the lower end
RING_M, TUBE_M, RING_PARTS = 0.104, 0.014, 10  # radii of the ring's middle line and of its wood
GRIP_DOWN_M = 2 * RING_M  # from where the rope holds the ring to where the fist does
ROPE_KG, RING_KG = 1.0, 0.6
ROPE_N_M, ROPE_N_S_M, ROPE_N_M_S = 25_000.0, 150.0, 2.0  # along it, and against swinging
MAT_M, MAT_HALF = 0.2, (4.0, 1.25)
BALANCES = {
    "front": Balance(steps=True), "back": Balance(feet_ahead_m=0.03, steps=True)
}  # fmt: skip

WOOD = Material("brown", (0.40, 0.22, 0.09))
STRAP = Material("white", (0.75, 0.74, 0.70))
CABLE = Material("grey", (0.30, 0.31, 0.33))

TURNS = "turns {turn_deg:.0f} degrees in the air"
WORDS = Words(
    opening=("swings on the rings", "swings on a pair of rings"),
    outcomes={
        "landed": (f"{TURNS} and lands on the feet", f"{TURNS} and stands"),
        **landing_phrases(TURNS),
    },
    apparatus=("ring",),
)


class Parameters(BaseModel):
    """Ranges [low, high] that an episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height_m: Size = (1.58, 1.74)
    body_mass_index: Size = (22.0, 24.5)  # kg/m2
    strength: Size = (0.95, 1.10)  # times the servos' torque limits
    back_share: float = Field(default=0.4, ge=0, le=1)  # let go at the back; others in front
    swings: tuple[int, int] = (2, 2)  # passes through the hang, the last one's with the release
    start_deg: Amount = (98.0, 106.0)  # of the body from hanging, at rest
    rings_deg: Range = (18.0, 22.0)  # of the ropes, to the other side
    tap: Amount = (0.92, 1.03)  # strength of arch and kick
    release_deg: Range = (40.0, 46.0)
    release_jitter_s: Annotated[float, Field(ge=0, le=0.2)] = 0.05  # late or early by up to this
    pike_share: float = Field(default=0.4, ge=0, le=1)  # the others tuck
    open_s: Amount = (0.20, 0.30)  # before touchdown
    misjudgement_rad: float = Field(default=0.2, ge=0, le=3)  # of the turn, standard deviation


class Rings:
    """A swing on something that swings itself, and a dismount to the front or to the back."""

    name = "rings"
    summary = "a gymnast's swing on the rings, somersault, and landing or fall"
    engines = ("mujoco",)
    Parameters = Parameters
    outcomes = (
        "landed", "stepped", "off_balance", "fell_forward", "fell_backward", "under_rotated",
        "over_rotated", "unfinished",
    )  # fmt: skip
    words = WORDS

    def limits(self, parameters: Parameters) -> Limits:
        gymnast = Gymnast(1.7, 65.0)
        joints = len(gymnast.joints)
        return Limits(bodies=len(gymnast.names) + 7, joints=joints + 8, actions=joints + 2)

    def sample(
        self, parameters: Parameters, rng: np.random.Generator, *, frames: int, frame_rate_hz: float
    ) -> Scene:
        """One gymnast with one intention and some errors of judgement."""
        p = parameters
        height = float(rng.uniform(*p.height_m))
        mass = height**2 * float(rng.uniform(*p.body_mass_index))
        gymnast = Gymnast(height, mass, strength=float(rng.uniform(*p.strength)))
        plan = Plan(
            side="back" if rng.uniform() < p.back_share else "front",
            swings=int(rng.integers(p.swings[0], p.swings[1] + 1)),
            tap=float(rng.uniform(*p.tap)),
            release_deg=float(rng.uniform(*p.release_deg)),
            late_s=p.release_jitter_s * float(rng.uniform(-1, 1)),
            shape="pike" if rng.uniform() < p.pike_share else "tuck",
            open_s=float(rng.uniform(*p.open_s)),
            misjudged_rad=p.misjudgement_rad * float(rng.normal()),
        )
        # it ends on plan.side after that many passes through the hang
        way = (1.0 if plan.side == "front" else -1.0) * (-1.0) ** plan.swings
        start = way * math.radians(float(rng.uniform(*p.start_deg)))
        ropes = -way * math.radians(float(rng.uniform(*p.rings_deg)))
        hall, hold = apparatus(gymnast, ropes, pull_n=0.25 * mass * 9.81)
        shoulders = hold + rotate(np.array([0, 0, -GRIP_M * gymnast.scale]), -start)
        person = gymnast.bodies(
            clothes(rng), position=tuple(shoulders.tolist()), pitch=-start, spin=0.0,
            pivot=tuple(hold.tolist()),
        )  # fmt: skip
        names = [body.name for body in hall]
        first = sum(len(body.joints) for body in hall)
        routine = Routine(
            gymnast, plan,
            rows=np.arange(len(hall), len(hall) + len(person)),
            columns=np.arange(first, first + len(gymnast.joints)),
            rings=(names.index("left_ring"), names.index("right_ring")),
            mat_m=MAT_M, frame_s=1 / frame_rate_hz, balance=BALANCES[plan.side],
        )  # fmt: skip
        return Scene(
            family=self.name,
            bodies=(*hall, *person),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=frame_rate_hz * math.ceil(PHYSICS_RATE_HZ / frame_rate_hz),
            actuators=gymnast.actuators(),
            connects=tuple(
                Connect(
                    f"{side}_grip", f"{side}_ring", (0.0, 0.0, -GRIP_DOWN_M),
                    f"{side}_forearm", (0.0, 0.0, FIST_M * gymnast.scale),
                )
                for side in SIDES
            ),
            springs=tuple(
                Spring(
                    f"{side}_pull", "frame", (0.0, sign * ROPES_M, FRAME_M),
                    f"{side}_ring", (0.0, 0.0, 0.0),
                    ROPE_N_M, ROPE_M, damping=ROPE_N_S_M, pull_only=True,
                )
                for side, sign in SIDES.items()
            ),
            script=routine,
            parameters={
                "height_m": height, "mass_kg": mass, "strength": gymnast.strength,
                "start_deg": math.degrees(start), "rings_deg": math.degrees(ropes), **vars(plan),
            },
        )  # fmt: skip

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """landed; stepped: the same after a step; off_balance: on the feet to the end, but about to
        fall; fell_forward, fell_backward: touched down on the feet and did not stay on them;
        under_rotated, over_rotated: something else came down first; unfinished: clip too
        short.
        """
        return _RingsJudge(scene, motion, ground=("floor", "mat")).outcome()

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The gymnast's way and the rings, from where they fill the picture; ropes leave it."""
        rows = [i for i, b in enumerate(scene.bodies) if b.object == "gymnast"]
        x, z = motion.position[:, rows, 0], motion.position[:, rows, 2]
        left, right = float(x.min()) - 0.35, float(x.max()) + 0.35
        top = max(float(z.max()), FRAME_M - ROPE_M) + 0.25
        half = 0.5 * max(right - left, top)
        return (0.5 * (left + right), 0.0, 0.5 * top), float(half / math.tan(math.pi / 8)) + 0.2


def apparatus(
    gymnast: Gymnast, ropes: float, *, pull_n: float
) -> tuple[tuple[Body, ...], np.ndarray]:
    """Floor, mat, frame, ropes and rings; and where the fists' middle holds the rings, m.

    Args:
        ropes: Angle of the ropes to the front, rad.
        pull_n: Of both hands, which stretches the ropes.
    """
    apart = SEGMENTS[[s.name for s in SEGMENTS].index("upper_arm")].at[1] * gymnast.scale
    stretch = pull_n / 2 / ROPE_N_M
    length = ROPE_M + stretch + GRIP_DOWN_M
    lean = math.asin((ROPES_M - apart) / length)  # hands are closer together than the ropes' tops
    bodies = [
        Body("floor", (Geom("plane", (), FLOOR, friction=1.0),), motion="static", label="floor"),
        Body("mat", (Geom("box", (*MAT_HALF, MAT_M / 2), MAT, friction=1.0),), motion="static",
             position=(0.0, 0.0, MAT_M / 2), label="mat"),
        _frame(),
    ]  # fmt: skip
    for side, sign in SIDES.items():
        bodies += _rope(side, sign, swing=-ropes, lean=-sign * lean, stretch=stretch)
    reach = length * math.cos(lean)
    hold = np.array([reach * math.sin(ropes), 0.0, FRAME_M - reach * math.cos(ropes)])
    return tuple(bodies), hold


def _frame() -> Body:
    """Two posts, the beam that they carry, and their feet."""
    along = (math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0)  # local z to world -y
    geoms = [Geom("cylinder", (0.05, POSTS_M), STEEL, (0.0, 0.0, FRAME_M), along, collide=False)]
    for y in (POSTS_M, -POSTS_M):
        geoms += [
            Geom("cylinder", (0.04, FRAME_M / 2), STEEL, (0.0, y, FRAME_M / 2), collide=False),
            Geom("box", (0.5, 0.05, 0.03), STEEL, (0.0, y, 0.03), collide=False),
        ]
    return Body("frame", tuple(geoms), motion="static", object="frame", label="frame")


def _rope(side: str, sign: float, *, swing: float, lean: float, stretch: float) -> list[Body]:
    """A rope that turns about its upper end and stretches, and the ring that turns on its lower."""
    cable = ROPE_M - STRAP_M
    rope = Body(
        f"{side}_rope",
        (
            Geom("capsule", (0.008, cable / 2), CABLE, (0.0, 0.0, -cable / 2), collide=False),
            Geom("box", (0.016, 0.005, STRAP_M / 2), STRAP, (0.0, 0.0, -ROPE_M + STRAP_M / 2),
                 collide=False),
        ),
        mass_kg=ROPE_KG, motion="jointed", position=(0.0, sign * ROPES_M, FRAME_M),
        joints=(
            Joint(f"{side}_swing", "hinge", (0.0, 1.0, 0.0), damping=ROPE_N_M_S, position=swing),
            Joint(f"{side}_lean", "hinge", (1.0, 0.0, 0.0), damping=ROPE_N_M_S, position=lean),
            Joint(f"{side}_stretch", "slide", (0.0, 0.0, -1.0), position=stretch),
        ),
        object=f"{side}_ring", label="ring",
    )  # fmt: skip
    parts = []
    for number in range(RING_PARTS):
        turn = math.tau * (number + 0.5) / RING_PARTS  # about y, of a part that lay along z
        middle = (RING_M * math.cos(turn), 0.0, -RING_M - RING_M * math.sin(turn))
        parts.append(
            Geom("capsule", (TUBE_M, RING_M * math.sin(math.pi / RING_PARTS)), WOOD, middle,
                 (math.cos(turn / 2), 0.0, math.sin(turn / 2), 0.0), collide=False)
        )  # fmt: skip
    ring = Body(
        f"{side}_ring", tuple(parts), mass_kg=RING_KG, motion="jointed", parent=f"{side}_rope",
        position=(0.0, 0.0, -ROPE_M),
        joints=(Joint(f"{side}_turn", "hinge", (0.0, 1.0, 0.0), damping=0.05),),
        object=f"{side}_ring", label="ring",
    )  # fmt: skip
    return [rope, ring]


class _RingsJudge(Judge):
    """A landing after a release; Judge has the bounds."""

    least_step_m = STEP_M

    def outcome(self) -> Outcome:
        release_s = self._release()
        if release_s is None:
            return Outcome("unfinished")
        rings = [self.names.index(f"{side}_ring") for side in SIDES]
        way = self.centre - self.motion.centre_of_mass[:, rings].mean(axis=1)
        release = math.degrees(
            math.atan2(self.at(way[:, 0], release_s), -self.at(way[:, 2], release_s))
        )
        events = [
            {"kind": "release", "start_s": release_s, "body_a": "left_forearm",
             "body_b": "left_ring", "value": f"{release:.0f} deg"}
        ]  # fmt: skip
        margins = {"release_deg": release}
        touches = self.touches(release_s)
        if not len(touches) or self.end_s - touches["start_s"][0] < HOLD_S:
            return Outcome("unfinished", margins, tuple(events))
        margins |= self.flight(release_s, float(touches["start_s"][0]))
        margins["step_m"] = self.step_m(touches)
        margins["turn_deg"] = (
            360 * margins["somersaults"]
        )  # less than a whole one, as it hangs tilted
        events.append(self.landing_event(touches))
        sense = math.copysign(1.0, self.at(self.turn, float(touches["start_s"][0])))
        label, held_s = self.judged(touches, sense=sense)
        return Outcome(label, {**margins, "held_s": held_s}, tuple(events))

    def _release(self) -> float | None:
        """When the later hand opened, from the recorded actions."""
        grips = self.motion.action[: self.scene.frames, len(self.scene.actuators) :]
        frames, hands = np.nonzero(grips)
        if len(frames) == 0:
            return None
        return float((frames + 1 - grips[frames, hands]).max() / self.scene.frame_rate_hz)
