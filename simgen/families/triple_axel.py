"""A figure skater's triple axel: three and a half turns in the air, landed backwards or not."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from simgen.cameras import rotation_matrix
from simgen.captions.words import Words
from simgen.families import Limits, Outcome
from simgen.families.athlete import (
    BLADE_HALF_M,
    BLADE_M,
    BLADE_RADIUS_M,
    SIDES,
    Athlete,
    quaternion_of,
)
from simgen.families.high_bar import HAIRS, SKINS
from simgen.families.objects import PALETTE, Amount, Share, Size
from simgen.families.triple_axel_routine import FREE, LANDING, TAKE_OFF, Jump, Plan
from simgen.motion import Motion, centre_velocity
from simgen.scene import Body, Geom, Material, Scene, Vector3

PHYSICS_RATE_HZ = 480.0
STRENGTH = 1.15  # times the servos' torque limits: a trained skater's
OPEN_S = 0.1602  # before touchdown that the check-out begins
YAW, START_X_M = 0.3, -0.6  # heading at take-off, a little ahead of the way
ICE = Material("white", (0.80, 0.86, 0.93), rgb2=(0.74, 0.82, 0.91), pattern="checker", scale_m=1.5)
ICE_FRICTION = 0.04
BOARD = Material("white", (0.85, 0.86, 0.88))
RAIL = Material("blue", (0.06, 0.16, 0.55))
TOPS = ("red", "purple", "pink", "green", "orange")


TURNS = "turns {turns:.1f} times in the air"
TURNS_WANTED = 3.5
TAKEN_OFF_S = 0.3  # touches before are of the blade that leaves
HELD_S = 0.8
UPRIGHT_RAD = math.radians(30)  # of the trunk of one who stands
# From the blade's middle, along and across, a centimetre within its ends and runners: a skater is
# righted by pressure beyond where the body tends
SUPPORT_M = (0.12, 0.03)
FALLEN_RAD = math.radians(65)  # of the trunk


class Parameters(BaseModel):
    """Ranges [low, high] that an episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height_m: Size = (1.60, 1.62)
    body_mass_index: Size = (19.2, 19.4)  # kg/m2
    glide_m_s: Size = (0.40, 0.60)
    rise_m_s: Size = (3.17, 3.22)  # at take-off
    angular_momentum: Size = (19.7, 20.2)  # about the vertical, kg m2/s at 1.61 m and 50 kg
    error: Share = (0.0, 0.6)  # how much of the errors below a jump has
    weak: Share = (0.0, 0.07)  # upward speed and spin that the take-off lacks
    lean_rad: float = Field(default=0.025, ge=0, le=0.5)  # at take-off, standard deviation
    late_s: Amount = (0.0, 0.06)  # of pulling the arms in
    loose: Share = (0.0, 0.15)  # how far they stay out
    opening_s: float = Field(default=0.03, ge=0, le=0.1)  # too early or late by up to this


class TripleAxel:
    """Three and a half turns between a take-off that is given and a landing that is not."""

    name = "triple_axel"
    summary = "a figure skater's triple axel, landed, stepped out of or fallen"
    engines = ("mujoco",)
    outcomes = (
        "landed",
        "off_balance",
        "stepped_out",
        "under_rotated",
        "over_rotated",
        "fell",
        "unfinished",
    )
    Parameters = Parameters
    words = Words(
        opening=("jumps on the ice, spinning", "spins through the air over the ice"),
        outcomes={
            "landed": (f"{TURNS} and lands on one foot",),
            "off_balance": (f"{TURNS}, lands on one foot and loses balance",),
            "stepped_out": (f"{TURNS} and has to put the other foot down",),
            "under_rotated": (f"{TURNS}, too little for a triple axel",),
            "over_rotated": (f"{TURNS}, too much for a triple axel",),
            "fell": (f"{TURNS} and falls",),
            "unfinished": ("has not landed when the clip ends",),
        },
    )

    def limits(self, parameters: Parameters) -> Limits:
        athlete = Athlete(1.6, 50.0, skates=True)
        joints = len(athlete.joints)
        return Limits(bodies=len(athlete.names) + 7, joints=joints, actions=joints)

    def sample(
        self, parameters: Parameters, rng: np.random.Generator, *, frames: int, frame_rate_hz: float
    ) -> Scene:
        """One skater at the instant of take-off, with an entry and its errors."""
        p = parameters
        height = float(rng.uniform(*p.height_m))
        mass = height**2 * float(rng.uniform(*p.body_mass_index))
        athlete = Athlete(height, mass, skates=True, strength=STRENGTH)
        glide, rise = float(rng.uniform(*p.glide_m_s)), float(rng.uniform(*p.rise_m_s))
        momentum = float(rng.uniform(*p.angular_momentum)) * mass * height**2 / (50.0 * 1.61**2)
        error = float(rng.uniform(*p.error))
        weak = error * float(rng.uniform(*p.weak))
        lean = tuple((error * p.lean_rad * rng.normal(size=2)).tolist())
        plan = Plan(
            tight=1.0 - error * float(rng.uniform(*p.loose)),
            late_s=error * float(rng.uniform(*p.late_s)),
            open_s=OPEN_S + error * p.opening_s * float(rng.uniform(-1, 1)),
        )  # fmt: skip
        momentum, rise = (1 - weak) * momentum, (1 - 0.5 * weak) * rise
        rink = apparatus()
        person = taking_off(athlete, clothes(rng), (glide, 0.0, rise), momentum, lean)
        script = Jump(
            athlete, plan,
            rows=np.arange(len(rink), len(rink) + len(person)),
            columns=np.arange(len(athlete.joints)),
        )  # fmt: skip
        return Scene(
            family=self.name,
            bodies=(*rink, *person),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=frame_rate_hz * math.ceil(PHYSICS_RATE_HZ / frame_rate_hz),
            actuators=athlete.actuators(),
            script=script,
            parameters={
                "height_m": height, "mass_kg": mass, "glide_m_s": glide, "rise_m_s": rise,
                "angular_momentum": momentum, "error": error, "lean_x": lean[0], "lean_y": lean[1],
                **vars(plan),
            },
        )  # fmt: skip

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """under_rotated, over_rotated: a quarter turn or more off three and a half at touchdown,
        however it ends; fell: something other than a blade came down, or the trunk leant over
        FALLEN_RAD; stepped_out: the free foot came down; off_balance: neither, but at the clip's
        end the skater topples, see `over_m`, or the trunk leans over UPRIGHT_RAD; landed: nor
        that; unfinished: the clip ends less than HELD_S after touchdown.
        """
        names = scene.body_names
        rows = [i for i, b in enumerate(scene.bodies) if b.object == "athlete"]
        ice = names.index("ice")
        touches = motion.contacts[(motion.contacts["body_a"] == ice)]
        touches = touches[touches["start_s"] > TAKEN_OFF_S]
        end_s = scene.frames / scene.frame_rate_hz
        if not len(touches) or end_s - touches["start_s"][0] < HELD_S:
            return Outcome("unfinished")
        touch_s = float(touches["start_s"][0])
        times = np.arange(len(motion.position)) / scene.frame_rate_hz
        turn = rotation_matrix(motion.quaternion[:, names.index("pelvis")])
        yaw = np.unwrap(np.arctan2(turn[:, 1, 0], turn[:, 0, 0]))
        up = rotation_matrix(motion.quaternion[:, rows[0]])[:, 2, 2]
        tilt = np.arccos(np.clip(up, -1, 1))
        mass = np.array([scene.bodies[i].mass_kg for i in rows])
        height = motion.centre_of_mass[:, rows, 2] @ mass / mass.sum()
        feet = {side: names.index(f"{side}_foot") for side in SIDES}
        others = touches["start_s"][~np.isin(touches["body_b"], list(feet.values()))]
        leaning = times[(times > touch_s) & (tilt > FALLEN_RAD)]
        free = touches["start_s"][touches["body_b"] == feet[FREE]]
        turns = float(np.interp(touch_s, times, yaw) - yaw[0]) / math.tau
        over_s = min([end_s, *others.tolist(), *leaning.tolist(), *free.tolist()])
        margins = {
            "turns": turns, "flight_s": touch_s, "height_m": float(height.max() - height[0]),
            "touchdown_tilt_deg": math.degrees(float(np.interp(touch_s, times, tilt))),
            "held_s": over_s - touch_s, "end_tilt_deg": math.degrees(float(tilt[-1])),
            "over_m": over_m(scene, motion, rows, feet[LANDING]),
        }  # fmt: skip
        events = (
            {"kind": "landing", "start_s": touch_s, "body_a": names[touches["body_b"][0]],
             "body_b": "ice", "value": f"{turns:.2f} turns"},
        )  # fmt: skip
        if abs(turns - TURNS_WANTED) > 0.25:
            label = "under_rotated" if turns < TURNS_WANTED else "over_rotated"
        elif len(others) or len(leaning):
            label = "fell"
        else:
            stands = tilt[-1] <= UPRIGHT_RAD and margins["over_m"] <= 0
            standing = "landed" if stands else "off_balance"
            label = "stepped_out" if len(free) else standing
        return Outcome(label, margins, events)

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The skater's way, from as far for a fall as for a landing."""
        torso = motion.position[:, scene.body_index("torso"), 0]
        return (0.5 * float(torso.min() + torso.max()), 0.0, 1.12), 3.6


def over_m(scene: Scene, motion: Motion, rows: list[int], foot: int) -> float:
    """How far outside the blade the skater tends at the clip's end, m; negative within it.

    Of the capture point, where an inverted pendulum as high as the mass centre would come to rest
    over a foot that glides on as it does now: centre + (its velocity - the foot's) sqrt(h / g)
    (Hof 2008, the extrapolated centre of mass). Outside SUPPORT_M no pressure helps.
    """
    mass = np.array([scene.bodies[row].mass_kg for row in rows])
    centre = mass @ motion.centre_of_mass[-1, rows] / mass.sum()
    velocity = mass @ centre_velocity(motion)[-1, rows] / mass.sum() - motion.velocity[-1, foot]
    tends = centre + velocity * math.sqrt(max(centre[2], 0.0) / -scene.gravity[2])
    sole = motion.centre_of_mass[-1, foot]
    turn = rotation_matrix(motion.quaternion[-1, foot])
    along = np.array([turn[0, 0], turn[1, 0]]) / max(np.hypot(turn[0, 0], turn[1, 0]), 1e-9)
    ahead, aside = (tends - sole)[:2] @ np.array([along, (-along[1], along[0])]).T
    return float(max(abs(ahead) - SUPPORT_M[0], abs(aside) - SUPPORT_M[1]))


def apparatus() -> tuple[Body, ...]:
    bodies = [
        Body("ice", (Geom("plane", (), ICE, friction=ICE_FRICTION),), motion="static", label="ice")
    ]
    for name, y in (("far", 5.0), ("near", -9.0)):
        bodies.append(
            Body(
                f"{name}_boards",
                (
                    Geom("box", (14.0, 0.05, 0.55), BOARD, (0.0, 0.0, 0.55), collide=False),
                    Geom("box", (14.0, 0.06, 0.06), RAIL, (0.0, 0.0, 1.12), collide=False),
                    Geom("box", (14.0, 0.06, 0.10), RAIL, (0.0, 0.0, 0.10), collide=False),
                ),
                motion="static",
                position=(0.0, y, 0.0),
                label="boards",
            )
        )
    return tuple(bodies)


def clothes(rng: np.random.Generator) -> dict[str, Material]:
    top = str(rng.choice(TOPS))
    skin = Material("skin", SKINS[rng.integers(len(SKINS))])
    return {
        "skin": skin,
        "hair": Material("dark", HAIRS[rng.integers(len(HAIRS))]),
        "top": Material(top, PALETTE[top]),
        "legs": skin,
        "shoes": Material("white", (0.85, 0.85, 0.86)),
        "blade": Material("grey", (0.35, 0.37, 0.40)),
    }


def taking_off(
    athlete: Athlete,
    cloth: dict[str, Material],
    velocity: Vector3,
    momentum: float,
    lean: tuple[float, float],
) -> tuple[Body, ...]:
    """The skater as the left blade leaves the ice, turning about the vertical as one piece.

    Args:
        momentum: Angular momentum about the vertical, kg m2/s; about level axes it is nil.
        lean: Tilt of the trunk about x and y.
    """  # fmt: skip
    place = athlete.place(TAKE_OFF)
    turn = rotation_matrix(np.array(quaternion_of(YAW, *lean)))
    tensor = turn @ athlete.inertia(place) @ turn.T
    spin = np.linalg.solve(tensor, np.array([0.0, 0.0, momentum]))
    foot = athlete.row["left_foot"]
    toe = np.array([0.05 + BLADE_HALF_M, 0.0, BLADE_RADIUS_M - BLADE_M]) * athlete.scale
    points = place.positions[foot] + place.turns[foot] @ toe - place.middle
    height = BLADE_RADIUS_M * athlete.scale - float((turn @ points)[2])
    return athlete.bodies(
        cloth, pose=TAKE_OFF, position=(START_X_M, 0.0, height + 0.001), yaw=YAW, tilt=lean,
        velocity=velocity, spin=tuple(spin.tolist()),
    )  # fmt: skip
