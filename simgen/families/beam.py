"""A gymnast who walks along a balance beam, wobbles, and recovers or falls off it."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from simgen.cameras import rotation_matrix
from simgen.captions.words import Words
from simgen.families import Limits, Outcome
from simgen.families.athlete import SIDES, Athlete
from simgen.families.beam_routine import ARMS, KNEE, Walk, WalkScript
from simgen.families.high_bar import HAIRS, SKINS
from simgen.families.objects import PALETTE, Amount, Range, Size
from simgen.motion import Motion
from simgen.scene import Body, Geom, Material, Scene, Vector3

# FIG's apparatus: 5 m long, 0.10 m wide, its top 1.25 m over the mats
BEAM_M, BEAM_HALF = 1.25, (2.5, 0.05, 0.08)
PHYSICS_RATE_HZ = 480.0
WOBBLE_RAD = math.radians(6)  # sideways tilt of the trunk: a judge sees it
OVER_M = 0.12  # mass centre from the beam's middle: over the edge, nobody comes back from there
DOWN_M = 0.10  # height of an ankle over the beam with the foot flat on it
TOPS = ("red", "green", "purple", "pink", "cyan")  # not the mat's blue nor the beam's brown
SUEDE = Material("brown", (0.50, 0.32, 0.17))
STEEL = Material("grey", (0.42, 0.44, 0.47))
MAT = Material("blue", (0.05, 0.14, 0.50))
FLOOR = Material(
    "beige", (0.55, 0.46, 0.34), rgb2=(0.50, 0.41, 0.30), pattern="checker", scale_m=1.0
)


class Parameters(BaseModel):
    """Ranges [low, high] that an episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height_m: Size = (1.48, 1.64)
    body_mass_index: Size = (18.0, 20.5)  # kg/m2
    steps: tuple[int, int] = (2, 3)
    step_m: Size = (0.30, 0.40)
    offset_m: Range = (-0.04, 0.04)  # of the mass centre from the beam's middle at the start
    sway_m_s: Amount = (0.0, 0.08)  # its speed to the same side
    misplaced_m: float = Field(default=0.01, ge=0, le=0.05)  # of the feet, standard deviation


class Beam:
    """Balance on ten centimetres."""

    name = "beam"
    summary = "a gymnast's walk along a balance beam, held, wobbled or lost"
    engines = ("mujoco",)
    outcomes = ("held", "wobble", "fell_left", "fell_right")
    Parameters = Parameters
    words = Words(
        opening=("walks along a balance beam", "steps along a balance beam"),
        outcomes={
            "held": ("keeps the balance", "stays upright"),
            "wobble": (
                "wobbles and recovers",
                "sways {tilt_deg:.0f} degrees to the side and stays on",
            ),
            "fell_left": ("loses balance and goes over to the left",),
            "fell_right": ("loses balance and goes over to the right",),
        },
        apparatus=("beam",),
    )

    def limits(self, parameters: Parameters) -> Limits:
        athlete = Athlete(1.6, 50.0)
        joints = len(athlete.joints)
        return Limits(bodies=len(athlete.names) + 7, joints=joints, actions=joints)

    def sample(
        self, parameters: Parameters, rng: np.random.Generator, *, frames: int, frame_rate_hz: float
    ) -> Scene:
        p = parameters
        height = float(rng.uniform(*p.height_m))
        mass = height**2 * float(rng.uniform(*p.body_mass_index))
        athlete = Athlete(height, mass)
        steps = int(rng.integers(p.steps[0], p.steps[1] + 1))
        walk = Walk(
            steps=steps,
            first=str(rng.choice(list(SIDES))),
            step_m=float(rng.uniform(*p.step_m)) * athlete.scale,
            misplaced_m=tuple((p.misplaced_m * rng.normal(size=steps)).tolist()),
        )
        offset = float(rng.uniform(*p.offset_m))
        sway = math.copysign(float(rng.uniform(*p.sway_m_s)), offset)
        hall = apparatus()
        start_m = -0.5 * steps * walk.step_m
        person = standing(athlete, clothes(rng), walk.first, start_m, offset, sway)
        script = WalkScript(
            athlete, walk,
            rows=np.arange(len(hall), len(hall) + len(person)),
            columns=np.arange(len(athlete.joints)), top_m=BEAM_M,
        )  # fmt: skip
        return Scene(
            family=self.name,
            bodies=(*hall, *person),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=frame_rate_hz * math.ceil(PHYSICS_RATE_HZ / frame_rate_hz),
            actuators=athlete.actuators(),
            script=script,
            parameters={
                "height_m": height, "mass_kg": mass, "steps": steps, "first": walk.first,
                "step_m": walk.step_m, "offset_m": offset, "sway_m_s": sway,
            },
        )  # fmt: skip

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """fell_left, fell_right: the mass centre went over the beam's edge, to the gymnast's left
        (+y) or right; wobble: it did not, but the trunk tilted sideways by more than WOBBLE_RAD;
        held: neither.
        """
        rows = [i for i, b in enumerate(scene.bodies) if b.object == "athlete"]
        mass = np.array([scene.bodies[i].mass_kg for i in rows])
        centre = np.einsum("b,tbk->tk", mass, motion.centre_of_mass[:, rows]) / mass.sum()
        up = rotation_matrix(motion.quaternion[:, rows[0]])[:, :, 2]
        tilt = np.arctan2(np.abs(up[:, 1]), up[:, 2])
        over = np.flatnonzero(np.abs(centre[:, 1]) > OVER_M)
        fell_at = int(over[0]) if len(over) else None
        on = slice(0, fell_at)
        margins = {
            "tilt_deg": math.degrees(float(tilt[on].max(initial=0.0))),
            "farthest_off_m": float(np.abs(centre[on, 1]).max(initial=0.0)),
            "steps": float(self._steps(scene, motion, centre)),
            "end_off_m": float(centre[-1, 1]),
        }
        if fell_at is None:
            label = "wobble" if margins["tilt_deg"] > math.degrees(WOBBLE_RAD) else "held"
            return Outcome(label, margins)
        margins["fell_s"] = fell_at / scene.frame_rate_hz
        label = "fell_left" if centre[fell_at, 1] > 0 else "fell_right"
        return Outcome(label, margins)

    def _steps(self, scene: Scene, motion: Motion, centre: np.ndarray) -> int:
        """Feet set down on the beam ahead of the other one, while above it."""
        feet = [motion.position[:, scene.body_index(f"{side}_foot")] for side in SIDES]
        down = [foot[:, 2] < BEAM_M + DOWN_M for foot in feet]
        both = down[0] & down[1] & (np.abs(centre[:, 1]) < OVER_M)
        ahead = np.sign(feet[0][both, 0] - feet[1][both, 0])
        first = np.sign(feet[0][0, 0] - feet[1][0, 0])  # the front foot at the start stands
        return int(np.count_nonzero(np.diff(np.concatenate([[first], ahead]))))

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The gymnast's way and the mat beside the beam: as far for a fall as for a walk, so that
        the framing does not tell how it ends."""
        torso = motion.position[:, scene.body_index("torso"), 0]
        return (0.5 * float(torso.min() + torso.max()), 0.0, 1.40), 4.2


def apparatus() -> tuple[Body, ...]:
    """Hall, mats and the beam on its two stands."""
    bodies = [
        Body("floor", (Geom("plane", (), FLOOR, friction=1.0),), motion="static", label="floor"),
        Body(
            "mat", (Geom("box", (3.4, 2.0, 0.06), MAT, friction=1.0),), motion="static",
            position=(0.0, 0.0, 0.06), label="mat",
        ),
        Body(
            "beam", (Geom("box", BEAM_HALF, SUEDE, friction=1.2),), motion="static",
            position=(0.0, 0.0, BEAM_M - BEAM_HALF[2]), label="beam",
        ),
    ]  # fmt: skip
    height = BEAM_M - 2 * BEAM_HALF[2]
    for end, x in (("near", -1.9), ("far", 1.9)):
        stand = (
            Geom("box", (0.05, 0.04, height / 2), STEEL, (0.0, 0.0, height / 2), collide=False),
            Geom("box", (0.06, 0.45, 0.03), STEEL, (0.0, 0.0, 0.15), collide=False),
        )
        bodies.append(
            Body(f"{end}_stand", stand, motion="static", position=(x, 0.0, 0.0), label="stand")
        )
    return tuple(bodies)


def clothes(rng: np.random.Generator) -> dict[str, Material]:
    """A leotard, bare legs and feet."""
    top = str(rng.choice(TOPS))
    skin = Material("skin", SKINS[rng.integers(len(SKINS))])
    hair = Material("dark", HAIRS[rng.integers(len(HAIRS))])
    return {
        "skin": skin, "hair": hair, "top": Material(top, PALETTE[top]), "legs": skin, "shoes": skin
    }  # fmt: skip


def standing(
    athlete: Athlete, cloth: dict[str, Material], side: str, x: float, offset: float, sway: float
) -> tuple[Body, ...]:
    """On one leg at x of the beam, the other foot behind, the mass centre `offset` to the left."""
    other = "right" if side == "left" else "left"
    s = athlete.scale
    arms = {f"{a}_{joint}": angle for a in SIDES for joint, angle in ARMS.items()}
    straight = athlete.thigh_m + athlete.shank_m
    drop = straight * math.cos(KNEE / 2) + 0.18 * s  # pelvis' origin over the ankle
    shift = np.array([0.02 * s, offset])
    for _ in range(4):
        legs = {}
        for foot, at in ((side, (0.0, 0.0, 0.0)), (other, (-0.30 * s, 0.05, 0.07 * s))):
            sign = SIDES[other] if foot == other else 0.0
            ankle = (at[0] - 0.05 * s - shift[0], sign * at[1] - shift[1], at[2] - drop)
            legs |= athlete.leg(foot, np.array(ankle))
            legs[f"{foot}_ankle"] = legs[f"{foot}_knee"] - legs[f"{foot}_hip"]
            legs[f"{foot}_ankle_side"] = -legs[f"{foot}_hip_side"]
        legs[f"{other}_ankle"] -= 0.5
        pose = {**arms, **legs}
        place = athlete.place(pose)
        foot = athlete.row[f"{side}_foot"]
        sole = place.positions[foot] + (0.05 * s, 0.0, -athlete.sole_m)
        off = place.middle - sole
        shift += np.array([0.025 * s, offset]) - off[:2]
    centre = (x + off[0], off[1], BEAM_M + off[2])
    return athlete.bodies(cloth, pose=pose, position=centre, velocity=(0.0, sway, 0.0))
