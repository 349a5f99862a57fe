"""Scene families: one file each, one line here.

A family is a class with
    name, summary: str          what captions and `simgen recipes` call it
    engines: tuple[str, ...]    the engines that claim it
    outcomes: tuple[str, ...]   every label that `outcome` may give
    Parameters                  pydantic model of its recipe parameters (extra keys forbidden)
    limits(parameters) -> Limits    most bodies, joints and actions any episode can have
    sample(parameters, rng, *, frames, frame_rate_hz) -> Scene
    outcome(scene, motion) -> Outcome   measured from the motion, never from the script
    look_at(scene, motion) -> (point, distance_m)   what a default camera frames
and, where it has them,
    laws(scene, motion) -> tuple[Law, ...]      known answers beside what the engine did
    settings(scene) -> tuple[Setting, ...]      places to show one after the other, a shot each
    pass_through(scene) -> Scene                the scene without its hidden wall
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module

from simgen.scene import Light, Sky, Vector3

FAMILIES = {
    "bar_catch": "simgen.families.bar_catch:BarCatch",
    "basketball": "simgen.families.basketball:Basketball",
    "beam": "simgen.families.beam:Beam",
    "billiards": "simgen.families.billiards:Billiards",
    "bouncing_balls": "simgen.families.bouncing_balls:BouncingBalls",
    "box_bounce": "simgen.families.box_bounce:BoxBounce",
    "camera_orbit": "simgen.families.camera_orbit:CameraOrbit",
    "collision": "simgen.families.collision:Collision",
    "combinatorial": "simgen.families.combinatorial:Combinatorial",
    "double_pendulum": "simgen.families.double_pendulum:DoublePendulum",
    "drop": "simgen.families.drop:Drop",
    "high_bar": "simgen.families.high_bar:HighBar",
    "journey": "simgen.families.journey:Journey",
    "newtons_cradle": "simgen.families.newtons_cradle:NewtonsCradle",
    "paddleboard": "simgen.families.paddleboard:Paddleboard",
    "parabola": "simgen.families.parabola:Parabola",
    "pendulum": "simgen.families.pendulum:Pendulum",
    "permanence": "simgen.families.permanence:Permanence",
    "ramp": "simgen.families.ramp:Ramp",
    "rings": "simgen.families.rings:Rings",
    "rolling": "simgen.families.rolling:Rolling",
    "spinning_top": "simgen.families.spinning_top:SpinningTop",
    "spring": "simgen.families.spring:SpringWeight",
    "tower": "simgen.families.tower:Tower",
    "trampoline": "simgen.families.trampoline:Trampoline",
    "triple_axel": "simgen.families.triple_axel:TripleAxel",
    "uniform_motion": "simgen.families.uniform_motion:UniformMotion",
    "vault": "simgen.families.vault:Vault",
}


@dataclass(frozen=True)
class Limits:
    """Array sizes that hold for every episode of a family under given parameters."""

    bodies: int
    joints: int = 0
    actions: int = 0


@dataclass(frozen=True)
class Outcome:
    """How the episode ended, as the simulation decided it."""

    label: str
    margins: dict[str, float] = field(default_factory=dict)  # e.g. somersaults, landing_tilt_rad
    events: tuple[dict, ...] = ()  # more of simgen.events.Event's fields, without their ids


@dataclass(frozen=True)
class Law:
    """One known answer of physics beside what the simulation did."""

    name: str  # e.g. period, flight parabola, speed after impact
    measured: float
    expected: float
    tolerance: float  # largest |measured - expected| that passes, same unit
    unit: str
    source: str = ""  # of the formula


@dataclass(frozen=True)
class Setting:
    """A place within the scene that a shot shows: what its camera frames, and its own light."""

    name: str
    point: Vector3
    distance_m: float
    first_frame: int  # of its shot, which lasts until the next setting's
    light: Light | None = None  # None: the scene's
    sky: Sky | None = None


def family(name: str):
    """The family of that name, ready to use.

    Raises:
        ValueError: Unknown name; the message lists the known ones.
    """
    if name not in FAMILIES:
        raise ValueError(f"unknown family {name!r}; known: {', '.join(sorted(FAMILIES))}")
    module, cls = FAMILIES[name].split(":")
    return getattr(import_module(module), cls)()
