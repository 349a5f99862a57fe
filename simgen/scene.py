"""Engine-neutral scenes: what there is before anything moves.

A Scene says everything that a physics engine and a renderer need and nothing about how either
works. Units are SI and radians; the world is right-handed with z up; quaternions are w x y z.
Sizes follow MuJoCo: sphere (radius,), capsule and cylinder (radius, half_length) along local z,
ellipsoid and box (half extents), plane () infinite with normal +z.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Vector3 = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
IDENTITY: Quaternion = (1.0, 0.0, 0.0, 0.0)
ORIGIN: Vector3 = (0.0, 0.0, 0.0)

GeomKind = Literal["sphere", "capsule", "cylinder", "ellipsoid", "box", "plane"]
Pattern = Literal["solid", "two_tone", "checker", "stripes", "grain"]


@dataclass(frozen=True)
class Material:
    """How a surface looks. `colour` is the word that captions use for it."""

    colour: str
    rgb: Vector3  # linear 0..1
    rgb2: Vector3 | None = None  # second tone of every pattern but solid
    pattern: Pattern = "solid"
    scale_m: float = 0.5  # checker: side of a square; stripes: width; grain: length of a fleck
    gloss: float = 0.0  # 0 matte .. 1 polished: strength of the light's highlight


@dataclass(frozen=True)
class Geom:
    """One primitive, fixed to its body."""

    kind: GeomKind
    size: tuple[float, ...]
    material: Material
    position: Vector3 = ORIGIN  # in the body's frame
    quaternion: Quaternion = IDENTITY
    collide: bool = True
    visible: bool = True  # False: a wall that stops bodies but is not drawn
    friction: float = 0.5  # Coulomb; a pair uses the product's square root
    restitution: float = 0.0  # a pair uses the product (Bullet's rule, kept by every engine)
    glide: float | None = None  # friction of a capsule along its own axis, on a plane: a blade


@dataclass(frozen=True)
class Joint:
    """One degree of freedom between a body and its parent (or the world)."""

    name: str
    kind: Literal["hinge", "slide"]
    axis: Vector3
    anchor: Vector3 = ORIGIN  # in the body's frame
    range: tuple[float, float] | None = None  # rad or m
    stiffness: float = 0.0  # N m/rad or N/m, towards the rest position 0
    damping: float = 0.0
    armature: float = 0.0
    position: float = 0.0  # at t = 0
    velocity: float = 0.0


@dataclass(frozen=True)
class Body:
    """A rigid body: free, static, or hung by joints from `parent` (None: the world).

    `position` and `quaternion` are at joint position zero, in the parent's frame. `object` names
    the thing that people would count: the parts of one gymnast share it.
    """

    name: str
    geoms: tuple[Geom, ...]
    mass_kg: float = 0.0  # static bodies: 0
    inertia_kgm2: Vector3 | None = None  # diagonal; None: of the geoms at uniform density
    motion: Literal["static", "free", "jointed"] = "free"
    parent: str | None = None
    joints: tuple[Joint, ...] = ()
    position: Vector3 = ORIGIN
    quaternion: Quaternion = IDENTITY
    velocity: Vector3 = ORIGIN  # free bodies, world frame, of the centre of mass
    angular_velocity: Vector3 = ORIGIN  # free bodies, world frame
    object: str = ""  # "" : the body's own name
    label: str = ""  # the caption's noun: ball, box, floor, gymnast

    @property
    def object_name(self) -> str:
        return self.object or self.name


@dataclass(frozen=True)
class Actuator:
    """A torque-limited PD servo on one joint: clip(kp (target - q) - kd qdot, +-limit)."""

    name: str
    joint: str
    kp: float  # N m/rad
    kd: float  # N m s/rad
    limit: float  # N m


@dataclass(frozen=True)
class Connect:
    """A ball-joint constraint between points of two bodies that a script can release."""

    name: str
    body_a: str
    anchor_a: Vector3  # in body_a's frame
    body_b: str
    anchor_b: Vector3
    active: bool = True  # at t = 0
    reach_m: float = 0.06  # a catch closes only with the two points this near


@dataclass(frozen=True)
class Spring:
    """A straight damped spring between points of two bodies: -stiffness (length - rest_m).

    Its force acts along the line between the points. A rope is a stiff one that only pulls.
    """

    name: str
    body_a: str
    anchor_a: Vector3  # in body_a's frame
    body_b: str
    anchor_b: Vector3
    stiffness: float  # N/m
    rest_m: float
    damping: float = 0.0  # N s/m, along the line
    pull_only: bool = False


@dataclass(frozen=True)
class Water:
    """Still water that carries the bodies named: on each cell of a grid over a body's first geom,
    a box, the weight of the water it displaces less a drag on its vertical speed; and a drag on
    the way of the body through the water. Force on a cell: density g area depth - damping area v_z.
    """

    level_m: float  # of the surface
    bodies: tuple[str, ...]
    density_kg_m3: float = 1000.0
    damping: float = 1500.0  # N s/m per m2 of wetted area, vertical
    drag: float = 60.0  # N s/m per m2 of wetted area, horizontal
    grid: tuple[int, int] = (8, 3)  # cells along the body's x and y


@dataclass(frozen=True)
class Light:
    """A distant light with hard shadows, over an ambient term. Linear 0..1."""

    direction: Vector3 = (-0.35, 0.45, -0.82)  # the way the light travels
    intensity: float = 0.65
    ambient: float = 0.38


@dataclass(frozen=True)
class Sky:
    horizon: Vector3 = (0.86, 0.91, 0.96)
    zenith: Vector3 = (0.42, 0.60, 0.84)


@dataclass(frozen=True)
class Observation:
    """What a script sees at the start of a frame; body rows as in Scene.bodies."""

    time_s: float
    position: np.ndarray  # (body, 3) body frame origins
    quaternion: np.ndarray  # (body, 4)
    velocity: np.ndarray  # (body, 3) of the origins, world frame
    angular_velocity: np.ndarray  # (body, 3) world frame
    centre_of_mass: np.ndarray  # (body, 3)
    joint_position: np.ndarray  # (joint,) in Scene.joint_names order
    joint_velocity: np.ndarray
    contacts: frozenset[tuple[str, str]]  # body names, sorted, in touch now


@dataclass(frozen=True)
class Command:
    """What a script asks for during one frame: held targets, releases at a delay in it, and
    catches, which close an open Connect at the frame's start if its two points are in reach."""

    targets: np.ndarray  # (actuator,) rad, in Scene.actuators order
    releases: Mapping[str, float] = field(default_factory=dict)  # Connect name -> s into the frame
    catches: frozenset[str] = frozenset()  # Connect names


Script = Callable[[int, Observation], Command]


@dataclass(frozen=True)
class Scene:
    """Everything an engine and a renderer need for one episode."""

    family: str
    bodies: tuple[Body, ...]  # a parent stands before its children
    frames: int
    frame_rate_hz: float
    physics_rate_hz: float  # a whole multiple of frame_rate_hz
    gravity: Vector3 = (0.0, 0.0, -9.81)
    actuators: tuple[Actuator, ...] = ()
    connects: tuple[Connect, ...] = ()
    springs: tuple[Spring, ...] = ()
    water: Water | None = None
    script: Script | None = None
    light: Light = Light()
    sky: Sky = Sky()
    parameters: Mapping[str, float | int | str] = field(default_factory=dict)  # the drawn values

    @property
    def body_names(self) -> tuple[str, ...]:
        return tuple(b.name for b in self.bodies)

    @property
    def joint_names(self) -> tuple[str, ...]:
        return tuple(j.name for b in self.bodies for j in b.joints)

    @property
    def action_names(self) -> tuple[str, ...]:
        """One column a servo (target, rad), then one a Connect.

        A release column holds the share of the frame that is left when the grip opens (1: at the
        frame's start), -1 in a frame that begins with a catch, and else 0, so replay is exact.
        """
        return tuple(f"{a.name}_target" for a in self.actuators) + tuple(
            f"{c.name}_release" for c in self.connects
        )

    @property
    def substeps(self) -> int:
        """Physics steps a frame."""
        ratio = self.physics_rate_hz / self.frame_rate_hz
        if abs(ratio - round(ratio)) > 1e-9 or ratio < 1:
            raise ValueError(
                f"physics_rate_hz {self.physics_rate_hz:g} is not a whole multiple of "
                f"frame_rate_hz {self.frame_rate_hz:g}"
            )
        return round(ratio)

    def body_index(self, name: str) -> int:
        """Row of a body in every (body, ...) array; its segmentation id is this plus 1."""
        return self.body_names.index(name)
