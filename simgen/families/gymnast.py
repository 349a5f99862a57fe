"""A gymnast of capsules: 13 bodies, 12 servos about the lateral axis, and the planar sums over
them (mass centre, angular momentum, inertia) that a routine decides by.

At joint angle zero the gymnast stands straight with the arms overhead, facing +x, the origin of
every body at its upper joint. Segment masses and lengths: de Leva (1996), men, whose mean height
is 1.741 m; everything scales with height.
"""

from __future__ import annotations

import cmath
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from simgen.masses import mass_properties
from simgen.scene import Actuator, Body, Connect, Geom, Joint, Material, Observation

MEAN_HEIGHT_M = 1.741
SIDES = {"left": 1.0, "right": -1.0}
GRIP_M = 0.63  # shoulder to the middle of the fist
FIST_M = GRIP_M - 0.28  # elbow to the middle of the fist


@dataclass(frozen=True)
class Segment:
    """One body part. Lengths in m at mean height; mass as a share of the whole."""

    name: str
    parent: str | None
    at: tuple[float, float, float]  # its joint in the parent's frame; y is for the left side
    centre: tuple[float, float, float]  # of its main geom, in its own frame
    size: tuple[float, ...]
    kind: str
    mass: float
    axis: int = (
        0  # the joint turns about axis * y, positive is flexion (shoulder: arms down in front)
    )
    range: tuple[float, float] = (0.0, 0.0)
    servo: tuple[float, float, float] = (0.0, 0.0, 0.0)  # kp, kd, limit
    paired: bool = False
    cloth: str = "skin"


# The trunk is cut at the navel; hands count with the forearms.
SEGMENTS = (
    Segment("torso", None, (0, 0, 0), (0, 0, -0.13), (0.10, 0.165, 0.20), "ellipsoid", 0.2413,
            cloth="top"),
    Segment("head", "torso", (0.0, 0, 0.07), (0.01, 0, 0.13), (0.095, 0.08, 0.125), "ellipsoid",
            0.0694, +1, (-0.6, 0.7), (60.0, 4.0, 30.0)),
    Segment("pelvis", "torso", (0, 0, -0.30), (0, 0, -0.13), (0.105, 0.155, 0.18), "ellipsoid",
            0.1933, -1, (-0.5, 0.9), (800.0, 40.0, 300.0), cloth="top"),
    Segment("upper_arm", "torso", (0, 0.19, 0), (0, 0, 0.14), (0.048, 0.12), "capsule", 0.0271,
            +1, (-0.6, 3.4), (420.0, 24.0, 170.0), True),
    Segment("forearm", "upper_arm", (0, 0, 0.28), (0, 0, 0.145), (0.038, 0.125), "capsule",
            0.0223, -1, (0.0, 2.5), (160.0, 8.0, 90.0), True),
    Segment("thigh", "pelvis", (0, 0.095, -0.20), (0, 0, -0.20), (0.078, 0.17), "capsule",
            0.1416, -1, (-0.6, 2.5), (700.0, 40.0, 300.0), True, "trousers"),
    Segment("shank", "thigh", (0, 0, -0.42), (0, 0, -0.20), (0.052, 0.17), "capsule", 0.0433,
            +1, (0.0, 2.6), (600.0, 30.0, 320.0), True, "trousers"),
    Segment("foot", "shank", (0, 0, -0.43), (0.06, 0, -0.04), (0.135, 0.048, 0.036), "box",
            0.0137, -1, (-1.2, 0.75), (350.0, 14.0, 190.0), True, "shoes"),
)  # fmt: skip
JOINTS = {
    "neck": "head", "waist": "pelvis", "shoulder": "upper_arm", "elbow": "forearm",
    "hip": "thigh", "knee": "shank", "ankle": "foot",
}  # fmt: skip
GREY = Material("grey", (0.5, 0.5, 0.5))
JOINT_OF = {part: joint for joint, part in JOINTS.items()}
Pose = Mapping[str, float]  # joint, of both sides where it names none -> rad


def _sides(segment: Segment) -> tuple[str, ...]:
    return tuple(f"{side}_" for side in SIDES) if segment.paired else ("",)


class Gymnast:
    """Bodies and servos of one gymnast, and sums over them.

    Args:
        height_m, mass_kg: Of the whole gymnast.
        strength: Scales every torque limit.
    """

    def __init__(self, height_m: float, mass_kg: float, *, strength: float = 1.0) -> None:
        self.scale = height_m / MEAN_HEIGHT_M
        self.mass_kg = mass_kg
        self.strength = strength
        self.names = tuple(side + s.name for s in SEGMENTS for side in _sides(s))
        shares = np.array([s.mass for s in SEGMENTS for _ in _sides(s)])
        self.masses = mass_kg * shares / shares.sum()
        bare = dict.fromkeys(("skin", "hair", "top", "trousers", "shoes"), GREY)
        parts = [mass_properties(self._body(s, side, bare)) for s in SEGMENTS for side in _sides(s)]
        self.centres = np.array([centre for centre, _ in parts])  # in each body's frame, m
        self.moments = np.array([inertia[1, 1] for _, inertia in parts])  # about y, kg m2
        # each segment from the side, x + iz: joint in the parent, mass centre, underside
        self._side_view = []
        for segment in SEGMENTS:
            x, _, z = self.centres[self.names.index(_sides(segment)[0] + segment.name)].tolist()
            joint = complex(segment.at[0], segment.at[2]) * self.scale
            below = complex(segment.centre[0], segment.centre[2] - segment.size[-1]) * self.scale
            self._side_view.append((joint, complex(x, z), below))
        self.joints = tuple(
            side + JOINT_OF[s.name] for s in SEGMENTS if s.axis for side in _sides(s)
        )

    def bodies(
        self,
        cloth: Mapping[str, Material],
        *,
        position: tuple[float, float, float],
        pitch: float,
        spin: float,
        pivot: tuple[float, float, float],
    ) -> tuple[Body, ...]:
        """The straight gymnast, turning as one piece about a point of space.

        Args:
            cloth: Materials of skin, hair, top, trousers and shoes.
            position: Of the shoulders' middle.
            pitch: Turn about +y, rad.
            spin: Angular velocity about +y through `pivot`, rad/s.
        """
        bodies = []
        for segment in SEGMENTS:
            for side in _sides(segment):
                bodies.append(self._body(segment, side, cloth))
        centre = np.array([0.0, 0.0, self.scale * SEGMENTS[0].centre[2]])
        centre = np.array(position) + rotate(centre, pitch)
        velocity = np.cross([0.0, spin, 0.0], centre - np.array(pivot))
        root = bodies[0]
        bodies[0] = Body(
            **{
                **vars(root),
                "position": tuple(float(x) for x in position),
                "quaternion": (float(np.cos(pitch / 2)), 0.0, float(np.sin(pitch / 2)), 0.0),
                "velocity": tuple(float(x) for x in velocity),
                "angular_velocity": (0.0, float(spin), 0.0),
            }
        )
        return tuple(bodies)

    def _body(self, segment: Segment, side: str, cloth: Mapping[str, Material]) -> Body:
        sign = SIDES.get(side.rstrip("_"), 1.0)
        scaled = lambda v: tuple(float(x) * self.scale for x in v)  # noqa: E731
        geoms = [
            Geom(
                segment.kind,
                scaled(segment.size),
                cloth[segment.cloth],
                position=scaled(segment.centre),
                friction=1.0,
            )
        ]
        geoms += self._trimmings(segment, cloth)
        joints = ()
        if segment.axis:
            joints = (
                Joint(
                    side + JOINT_OF[segment.name],
                    "hinge",
                    (0.0, float(segment.axis), 0.0),
                    range=segment.range,
                    damping=0.5,
                    armature=0.01,
                ),
            )
        x, y, z = scaled(segment.at)
        parent = None if segment.parent is None else self._parent_name(segment.parent, side)
        return Body(
            side + segment.name,
            tuple(geoms),
            mass_kg=float(self.masses[self.names.index(side + segment.name)]),
            motion="jointed" if segment.axis else "free",
            parent=parent,
            joints=joints,
            position=(x, sign * y, z),
            object="gymnast",
            label="gymnast",
        )

    def _parent_name(self, parent: str, side: str) -> str:
        return side + parent if side + parent in self.names else parent

    def _trimmings(self, segment: Segment, cloth: Mapping[str, Material]) -> list[Geom]:
        """Small extra geoms that make a part recognisable: fist, hair, shoulders."""
        scale = self.scale
        if segment.name == "forearm":
            return [
                Geom(
                    "sphere",
                    (0.045 * scale,),
                    cloth["skin"],
                    (0.0, 0.0, FIST_M * scale),
                    friction=1.0,
                )
            ]
        if segment.name == "head":
            return [
                Geom(
                    "ellipsoid",
                    (0.092 * scale, 0.084 * scale, 0.105 * scale),
                    cloth["hair"],
                    (-0.018 * scale, 0.0, 0.158 * scale),
                    friction=1.0,
                )
            ]
        return []

    def grips(self, bar: str) -> tuple[Connect, ...]:
        """Ball joints between the fists and a bar along y, as wide as the shoulders."""
        at = SEGMENTS[[s.name for s in SEGMENTS].index("upper_arm")].at[1]
        return tuple(
            Connect(
                f"{side}_grip", bar, (0.0, sign * at * self.scale, 0.0),
                f"{side}_forearm", (0.0, 0.0, FIST_M * self.scale),
            )
            for side, sign in SIDES.items()
        )  # fmt: skip

    def actuators(self) -> tuple[Actuator, ...]:
        """One torque-limited servo a joint, in the order of `joints`."""
        servos = []
        for segment in SEGMENTS:
            if segment.axis:
                kp, kd, limit = segment.servo
                for side in _sides(segment):
                    name = side + JOINT_OF[segment.name]
                    servos.append(Actuator(name, name, kp, kd, limit * self.strength))
        return tuple(servos)

    def targets(self, pose: Pose) -> Float64[np.ndarray, " actuator"]:
        """The pose as one target per servo; joints that it does not name stay at 0.

        A name with a side, such as `left_hip`, goes before the one of both sides.
        """
        return np.array(
            [pose.get(name, pose.get(name.split("_")[-1], 0.0)) for name in self.joints]
        )

    def planar(self, pose: Pose) -> Planar:
        """The pose in the torso's frame, as if seen from the side.

        Points are complex numbers x + iz, so that exp(-i pitch) turns them about +y: a routine
        asks for hundreds of poses, and numpy on single points took as long as the physics.
        """
        frames = {"torso": (0j, 0.0)}
        points, pitches, sole = [], [], 0j
        for segment, (joint, centre, below) in zip(SEGMENTS, self._side_view, strict=True):
            if segment.parent:
                at, pitch = frames[segment.parent]
                at = at + joint * cmath.exp(-1j * pitch)
                pitch = pitch + segment.axis * pose.get(JOINT_OF[segment.name], 0.0)
                frames[segment.name] = (at, pitch)
            at, pitch = frames[segment.name]
            turn = cmath.exp(-1j * pitch)
            sides = len(_sides(segment))
            points += [at + centre * turn] * sides
            pitches += [pitch] * sides
            sole = at + below * turn  # the feet come last
        centres = np.array([(point.real, point.imag) for point in points])
        middle = self.masses @ centres / self.mass_kg
        inertia = float(self.moments.sum() + self.masses @ ((centres - middle) ** 2).sum(axis=1))
        return Planar(centres, np.array(pitches), middle, np.array([sole.real, sole.imag]), inertia)

    def counter_turn(self, start: Pose, end: Pose, *, steps: int = 8) -> float:
        """Pitch by which the torso turns when the pose changes at zero angular momentum, rad.

        All joints move together; each small change of shape is undone by a turn of the whole.
        """
        turn, before = 0.0, self.planar(start)
        for step in range(1, steps + 1):
            share = step / steps
            names = {*start, *end}
            now = self.planar(
                {n: (1 - share) * start.get(n, 0.0) + share * end.get(n, 0.0) for n in names}
            )
            r = 0.5 * (now.centres - now.middle + before.centres - before.middle)
            moved = now.centres - now.middle - before.centres + before.middle
            spin = self.masses @ (r[:, 1] * moved[:, 0] - r[:, 0] * moved[:, 1])
            spin += self.moments @ (now.pitches - before.pitches)
            turn -= float(spin) / (0.5 * (now.inertia + before.inertia))
            before = now
        return turn

    def pose(self, seen: Observation, columns: np.ndarray) -> dict[str, float]:
        """The present pose, the mean of both sides, from a scene's joint columns."""
        angles: dict[str, list[float]] = {}
        for name, angle in zip(self.joints, seen.joint_position[columns], strict=True):
            angles.setdefault(name.split("_")[-1], []).append(float(angle))
        return {name: float(np.mean(values)) for name, values in angles.items()}

    def sums(self, seen: Observation, rows: np.ndarray) -> Sums:
        """Mass centre, its velocity and angular momentum of the gymnast at `rows` of a scene."""
        arm = seen.centre_of_mass[rows] - seen.position[rows]
        return self.sums_of(
            seen.centre_of_mass[rows],
            seen.velocity[rows] + np.cross(seen.angular_velocity[rows], arm),
            seen.angular_velocity[rows, 1],
        )

    def sums_of(self, centres, velocities, spins) -> Sums:
        """The same from mass centres (body 3), their velocities and spins about y."""
        centre = self.masses @ centres / self.mass_kg
        velocity = self.masses @ velocities / self.mass_kg
        r, v = centres - centre, velocities - velocity
        turn = self.masses * (r[:, 2] * v[:, 0] - r[:, 0] * v[:, 2])
        inertia = self.moments.sum() + self.masses @ (r[:, 0] ** 2 + r[:, 2] ** 2)
        return Sums(centre, velocity, float(turn.sum() + self.moments @ spins), float(inertia))


@dataclass(frozen=True)
class Planar:
    """A pose from the side: points are (x, z) in the torso's frame, m; pitch about +y."""

    centres: np.ndarray  # (body, 2)
    pitches: np.ndarray  # (body,)
    middle: np.ndarray  # of mass
    sole: np.ndarray  # middle of the soles
    inertia: float  # about the mass centre, kg m^2


@dataclass(frozen=True)
class Sums:
    """Whole-body quantities; angular momentum and inertia about y through the mass centre."""

    centre: np.ndarray
    velocity: np.ndarray
    angular_momentum: float  # kg m^2/s
    inertia: float  # kg m^2


def rotate(vector: np.ndarray, pitch: float) -> np.ndarray:
    """A vector turned about +y."""
    c, s = np.cos(pitch), np.sin(pitch)
    x, y, z = vector
    return np.array([c * x + s * z, y, c * z - s * x])


def pitch_of(quaternion: np.ndarray) -> float:
    """Turn about +y of a body that turns about y alone, rad in (-pi, pi]."""
    w, x, y, z = quaternion
    return float(np.arctan2(2 * (w * y + x * z), 1 - 2 * (x * x + y * y)))
