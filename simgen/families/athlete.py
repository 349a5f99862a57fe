"""An athlete of 13 bodies with 20 servos, whose joints also work sideways and about the long axis.

At joint angle zero the athlete stands straight with the arms hanging, facing +x, the origin of
every body at its upper joint. Segment masses and lengths: de Leva (1996), women, whose mean
height is 1.735 m; everything scales with height. Joint angles mean the same on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from simgen.cameras import rotation_matrix
from simgen.masses import mass_properties
from simgen.scene import Actuator, Body, Geom, Joint, Material, Observation, Vector3

MEAN_HEIGHT_M = 1.735
SIDES = {"left": 1.0, "right": -1.0}
SOLE_M, BLADE_M = 0.076, 0.118  # ankle to the underside of bare foot and of skate, mean height
THIGH_M, SHANK_M = 0.42, 0.43
BLADE_HALF_M, BLADE_RADIUS_M = 0.12, 0.012
# A blade is two runners: its edges grip across and glide along (squares: a pair takes the root of
# the product with the ice's own)
EDGES_APART_M, EDGE_GRIP, EDGE_GLIDE = 0.08, 12.0, 0.01
# Of each servo: keeps the stiff ankles of light feet stable at 480 steps a second
ARMATURE_KGM2 = 0.04
GREY = Material("grey", (0.5, 0.5, 0.5))
Angles = Mapping[str, float]  # joint name -> rad; joints left out are at 0


@dataclass(frozen=True)
class Hinge:
    """One servo-driven joint: axis for the left side, range in rad, kp, kd and torque limit."""

    name: str
    axis: Vector3
    range: tuple[float, float]
    servo: tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """One body part; lengths in m at mean height, mass as a share of the whole."""

    name: str
    parent: str | None
    at: Vector3  # its joints in the parent's frame, for the left side
    centre: Vector3  # of its main geom
    kind: str
    size: tuple[float, ...]
    mass: float
    cloth: str
    hinges: tuple[Hinge, ...] = ()
    paired: bool = False


X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
LESS_Y, LESS_Z = (0.0, -1.0, 0.0), (0.0, 0.0, -1.0)
# The trunk is cut at the navel. A shoulder's first hinge carries the raised arm forwards ("round"),
# its second raises it sideways; a hip flexes first and then abducts.
PARTS = (
    Part("torso", None, (0, 0, 0), (0, 0, -0.13), "ellipsoid", (0.088, 0.148, 0.20), 0.2279, "top"),
    Part("head", "torso", (0, 0, 0.07), (0.01, 0, 0.13), "ellipsoid", (0.09, 0.076, 0.12), 0.0668,
         "skin", (Hinge("neck", Y, (-0.6, 0.7), (60.0, 4.0, 30.0)),)),
    Part("pelvis", "torso", (0, 0, -0.30), (0, 0, -0.12), "ellipsoid", (0.10, 0.155, 0.17), 0.1978,
         "top", (
            Hinge("waist_side", X, (-0.6, 0.6), (800.0, 40.0, 250.0)),
            Hinge("waist", LESS_Y, (-0.6, 0.9), (800.0, 40.0, 300.0)),
            Hinge("waist_twist", Z, (-0.8, 0.8), (500.0, 20.0, 150.0)))),
    Part("upper_arm", "torso", (0, 0.175, -0.02), (0, 0, -0.135), "capsule", (0.041, 0.115), 0.0255,
         "skin", (
            Hinge("round", LESS_Z, (-1.2, 2.4), (220.0, 11.0, 120.0)),
            Hinge("shoulder", X, (-0.3, 3.0), (220.0, 11.0, 120.0))), True),
    Part("forearm", "upper_arm", (0, 0, -0.27), (0, 0, -0.14), "capsule", (0.033, 0.12), 0.0194,
         "skin", (Hinge("elbow", LESS_Y, (0.0, 2.6), (120.0, 5.0, 80.0)),), True),
    Part("thigh", "pelvis", (0, 0.085, -0.19), (0, 0, -0.20), "capsule", (0.078, 0.16), 0.1478,
         "legs", (
            Hinge("hip", LESS_Y, (-1.4, 2.2), (800.0, 45.0, 300.0)),
            Hinge("hip_side", X, (-0.6, 1.2), (800.0, 45.0, 260.0))), True),
    Part("shank", "thigh", (0, 0, -THIGH_M), (0, 0, -0.20), "capsule", (0.050, 0.18), 0.0481,
         "legs", (Hinge("knee", Y, (0.0, 2.5), (700.0, 35.0, 320.0)),), True),
    Part("foot", "shank", (0, 0, -SHANK_M), (0.05, 0, -0.042), "box", (0.115, 0.042, 0.034), 0.0129,
         "shoes", (
            Hinge("ankle", LESS_Y, (-1.1, 0.8), (600.0, 22.0, 190.0)),
            Hinge("ankle_side", X, (-0.6, 0.6), (500.0, 16.0, 120.0))), True),
)  # fmt: skip


def _sides(part: Part) -> tuple[str, ...]:
    return tuple(f"{side}_" for side in SIDES) if part.paired else ("",)


@dataclass(frozen=True)
class Place:
    """Where the parts of a pose are, the torso at the origin with the identity for orientation."""

    positions: Float64[np.ndarray, "body 3"]  # of the upper joints, m
    turns: Float64[np.ndarray, "body 3 3"]  # part to torso frame
    centres: Float64[np.ndarray, "body 3"]  # of mass
    middle: Float64[np.ndarray, " 3"]  # of the whole mass


@dataclass(frozen=True)
class Sums:
    """Whole-body quantities about the mass centre, world frame."""

    centre: Float64[np.ndarray, " 3"]
    velocity: Float64[np.ndarray, " 3"]
    angular_momentum: Float64[np.ndarray, " 3"]  # kg m2/s
    inertia: Float64[np.ndarray, "3 3"]  # kg m2


class Athlete:
    """Bodies and servos of one athlete, and sums over them.

    Args:
        height_m, mass_kg: Of the whole athlete.
        strength: Scales every torque limit.
        skates: Blades under the feet, and a short skirt.
    """

    def __init__(
        self, height_m: float, mass_kg: float, *, strength: float = 1.0, skates: bool = False
    ) -> None:
        self.scale = height_m / MEAN_HEIGHT_M
        self.mass_kg, self.strength, self.skates = mass_kg, strength, skates
        self.sole_m = self.scale * (BLADE_M if skates else SOLE_M)
        self.thigh_m, self.shank_m = self.scale * THIGH_M, self.scale * SHANK_M
        self.parts = [(part, side) for part in PARTS for side in _sides(part)]
        self.names = tuple(side + part.name for part, side in self.parts)
        self.row = {name: i for i, name in enumerate(self.names)}
        shares = np.array([part.mass for part, _ in self.parts])
        self.masses = mass_kg * shares / shares.sum()
        self.hinges = {
            side + hinge.name: hinge for part, side in self.parts for hinge in part.hinges
        }
        self.joints = tuple(self.hinges)
        self.column = {name: i for i, name in enumerate(self.joints)}
        bare = dict.fromkeys(("skin", "hair", "top", "legs", "shoes", "blade"), GREY)
        found = [mass_properties(self._body(*part, bare, {})) for part in self.parts]
        self.centres = np.array([centre for centre, _ in found])  # in each part's frame
        self.tensors = np.array([tensor for _, tensor in found])  # about it
        self.axes = {name: self._axis(name) for name in self.joints}  # in the part's frame

    def _axis(self, joint: str) -> np.ndarray:
        x, y, z = self.hinges[joint].axis
        sign = SIDES.get(joint.split("_")[0], 1.0)
        return np.array([sign * x, y, sign * z])

    def bodies(
        self,
        cloth: Mapping[str, Material],
        *,
        pose: Angles,
        position: Vector3,
        yaw: float = 0.0,
        tilt: tuple[float, float] = (0.0, 0.0),
        velocity: Vector3 = (0.0, 0.0, 0.0),
        spin: Vector3 = (0.0, 0.0, 0.0),
    ) -> tuple[Body, ...]:
        """The athlete in a pose, moving as one piece.

        Args:
            cloth: Materials of skin, hair, top, legs, shoes and, on skates, blade.
            position: Of the mass centre.
            yaw: Turn about the vertical, after the trunk's `tilt` (roll about x, pitch about y).
            velocity: Of the mass centre.
            spin: Angular velocity, world frame, about the mass centre, rad/s.
        """  # fmt: skip
        bodies = [self._body(part, side, cloth, pose) for part, side in self.parts]
        quaternion = quaternion_of(yaw, *tilt)
        turn, place = rotation_matrix(np.array(quaternion)), self.place(pose)
        origin = np.array(position) - turn @ place.middle
        arm = turn @ (place.centres[0] - place.middle)
        moving = np.array(velocity) + np.cross(spin, arm)
        bodies[0] = replace(
            bodies[0], position=tuple(origin.tolist()), quaternion=quaternion,
            velocity=tuple(moving.tolist()), angular_velocity=tuple(float(w) for w in spin),
        )  # fmt: skip
        return tuple(bodies)

    def _body(self, part: Part, side: str, cloth: Mapping[str, Material], pose: Angles) -> Body:
        sign, name = SIDES.get(side.rstrip("_"), 1.0), side + part.name
        friction = 1.0
        main = Geom(
            part.kind, self._scaled(part.size), cloth[part.cloth], self._scaled(part.centre),
            friction=friction,
        )  # fmt: skip
        joints = tuple(
            Joint(
                side + hinge.name, "hinge",
                (sign * hinge.axis[0], hinge.axis[1], sign * hinge.axis[2]),
                range=hinge.range, damping=0.3, armature=ARMATURE_KGM2,
                position=float(pose.get(side + hinge.name, 0.0)),
            )
            for hinge in part.hinges
        )  # fmt: skip
        x, y, z = self._scaled(part.at)
        body = Body(
            name, (main,), mass_kg=float(self.masses[self.row[name]]),
            motion="jointed" if joints else "free",
            parent=self._parent(part, side), joints=joints, position=(x, sign * y, z),
            object="athlete", label="skater" if self.skates else "gymnast",
        )  # fmt: skip
        extras = self._trimmings(part, cloth)
        if not extras:
            return body
        _, tensor = mass_properties(body)
        whole = replace(body, geoms=(main, *extras))
        if part.name in ("head", "forearm"):
            return whole
        # Cloth and blades are thin: by volume they would take the mass far out
        return replace(whole, inertia_kgm2=tuple(np.diagonal(tensor).tolist()))

    def _parent(self, part: Part, side: str) -> str | None:
        if part.parent is None:
            return None
        return side + part.parent if side + part.parent in self.row else part.parent

    def _scaled(self, values) -> tuple[float, ...]:
        return tuple(float(v) * self.scale for v in values)

    def _trimmings(self, part: Part, cloth: Mapping[str, Material]) -> list[Geom]:
        """Small geoms that make a part recognisable: fist, hair, skirt; and the blades."""
        s = self._scaled
        if part.name == "forearm":
            return [Geom("sphere", s((0.040,)), cloth["skin"], s((0, 0, -0.31)), friction=1.0)]
        if part.name == "head":
            return [
                Geom("ellipsoid", s((0.088, 0.080, 0.10)), cloth["hair"], s((-0.018, 0, 0.155))),
                Geom("sphere", s((0.042,)), cloth["hair"], s((-0.095, 0, 0.20)), collide=False),
            ]
        if not self.skates:
            return []
        if part.name == "pelvis":
            return [
                Geom("ellipsoid", s((0.165, 0.21, 0.045)), cloth["top"], s((0, 0, -0.17)),
                     collide=False)
            ]  # fmt: skip
        if part.name == "foot":
            along = (math.sqrt(0.5), 0.0, math.sqrt(0.5), 0.0)  # local z to +x
            low = BLADE_RADIUS_M - BLADE_M
            edges = [
                Geom("capsule", s((BLADE_RADIUS_M, BLADE_HALF_M)), cloth["blade"],
                     s((0.05, y, low)), along, visible=False, friction=EDGE_GRIP, glide=EDGE_GLIDE)
                for y in (-EDGES_APART_M / 2, EDGES_APART_M / 2)
            ]  # fmt: skip
            blade = Geom(
                "box", s((0.135, 0.006, 0.022)), cloth["blade"], s((0.05, 0, -0.096)), collide=False
            )
            return [*edges, blade]
        return []

    def actuators(self) -> tuple[Actuator, ...]:
        """One torque-limited servo a joint, in the order of `joints`."""
        return tuple(
            Actuator(name, name, *self.gains(name), self.hinges[name].servo[2] * self.strength)
            for name in self.joints
        )

    def gains(self, joint: str) -> tuple[float, float]:
        """kp and kd of a servo. Legs that spin at 35 rad/s fly apart with less than I w^2 of
        stiffness, 2,500 N m/rad; a skater is that stiff in hips and waist."""
        kp, kd, _ = self.hinges[joint].servo
        stiff = self.skates and joint.split("_", 1)[-1] in ("hip", "hip_side", "side", "twist")
        stiff = stiff or (self.skates and joint.startswith("waist"))
        return (3.2 * kp, 1.8 * kd) if stiff else (kp, kd)

    def targets(self, angles: Angles) -> Float64[np.ndarray, " actuator"]:
        """One target per servo, kept within the joints' ranges by a hand's breadth."""
        return np.array([angles.get(name, 0.0) for name in self.joints])

    def place(self, pose: Angles) -> Place:
        """Forward kinematics of a pose in the torso's frame."""
        positions, turns = np.zeros((len(self.parts), 3)), np.zeros((len(self.parts), 3, 3))
        turns[0] = np.eye(3)
        for row, (part, side) in enumerate(self.parts[1:], start=1):
            parent = self.row[self._parent(part, side)]
            x, y, z = self._scaled(part.at)
            at = np.array([x, SIDES.get(side.rstrip("_"), 1.0) * y, z])
            turn = turns[parent]
            positions[row] = positions[parent] + turn @ at
            for hinge in part.hinges:
                name = side + hinge.name
                turn = turn @ turned(self.axes[name], pose.get(name, 0.0))
            turns[row] = turn
        centres = positions + np.einsum("bij,bj->bi", turns, self.centres)
        return Place(positions, turns, centres, self.masses @ centres / self.mass_kg)

    def inertia(self, place: Place) -> Float64[np.ndarray, "3 3"]:
        """Of the rigid whole about its mass centre, in the torso's frame, kg m2."""
        tensors = place.turns @ self.tensors @ place.turns.transpose(0, 2, 1)
        r = place.centres - place.middle
        square = (self.masses @ (r * r).sum(axis=1)) * np.eye(3) - (self.masses * r.T) @ r
        return tensors.sum(axis=0) + square

    def pose(self, seen: Observation, columns: np.ndarray) -> dict[str, float]:
        """The present joint angles, from a scene's joint columns."""
        return dict(zip(self.joints, seen.joint_position[columns].tolist(), strict=True))

    def sums(self, seen: Observation, rows: np.ndarray) -> Sums:
        """Mass centre, velocity, angular momentum and inertia of the athlete at `rows`."""
        centres = seen.centre_of_mass[rows]
        spins = seen.angular_velocity[rows]
        velocities = seen.velocity[rows] + np.cross(spins, centres - seen.position[rows])
        centre = self.masses @ centres / self.mass_kg
        velocity = self.masses @ velocities / self.mass_kg
        r = centres - centre
        turns = rotation_matrix(seen.quaternion[rows])
        tensors = turns @ self.tensors @ turns.transpose(0, 2, 1)
        momentum = self.masses @ np.cross(r, velocities - velocity)
        momentum = momentum + np.einsum("bij,bj->i", tensors, spins)
        square = (self.masses @ (r * r).sum(axis=1)) * np.eye(3) - (self.masses * r.T) @ r
        return Sums(centre, velocity, momentum, tensors.sum(axis=0) + square)

    def knee(self, length_m: float) -> float:
        """Knee angle of a leg of that length from hip to ankle, rad; straight if it is too long."""
        reach = self.thigh_m + self.shank_m
        length = min(max(length_m, 0.3 * reach), 0.9995 * reach)
        square = length**2 - self.thigh_m**2 - self.shank_m**2
        return math.acos(square / (2 * self.thigh_m * self.shank_m))

    def leg_m(self, knee: float) -> float:
        """Hip to ankle of a leg with that knee angle, m."""
        sides = self.thigh_m**2 + self.shank_m**2
        return math.sqrt(sides + 2 * self.thigh_m * self.shank_m * math.cos(knee))

    def leg(self, side: str, ankle: np.ndarray) -> dict[str, float]:
        """Hip, hip_side and knee that put an ankle at a point of the pelvis' frame, m.

        Points out of reach are approached as far as the leg is long.
        """
        sign = SIDES[side]
        part = next(p for p in PARTS if p.name == "thigh")
        x, y, z = self._scaled(part.at)
        way = np.asarray(ankle, dtype=float) - (x, sign * y, z)
        knee = self.knee(float(np.linalg.norm(way)))
        straight = self.thigh_m + self.shank_m * math.cos(knee)  # along the thigh
        aside = math.asin(np.clip(way[1] / straight, -1.0, 1.0))
        back = math.atan2(self.shank_m * math.sin(knee), straight * math.cos(aside))
        return {
            f"{side}_hip": math.atan2(way[0], -way[2]) + back,
            f"{side}_hip_side": sign * aside,
            f"{side}_knee": knee,
        }


def turned(axis: np.ndarray, angle: float) -> Float64[np.ndarray, "3 3"]:
    """Matrix of a turn about a unit axis (Rodrigues)."""
    c, s = math.cos(angle), math.sin(angle)
    x, y, z = axis
    t = 1 - c
    return np.array(
        [
            [t * x * x + c, t * x * y - s * z, t * x * z + s * y],
            [t * x * y + s * z, t * y * y + c, t * y * z - s * x],
            [t * x * z - s * y, t * y * z + s * x, t * z * z + c],
        ]
    )


def quaternion_of(yaw: float, roll: float, pitch: float) -> tuple[float, float, float, float]:
    """Roll about x, then pitch about y, then yaw about z, all of the world."""
    cy, sy = math.cos(yaw / 2), math.sin(yaw / 2)
    cp, sp = math.cos(pitch / 2), math.sin(pitch / 2)
    cr, sr = math.cos(roll / 2), math.sin(roll / 2)
    return (
        cy * cp * cr + sy * sp * sr,
        cy * cp * sr - sy * sp * cr,
        cy * sp * cr + sy * cp * sr,
        sy * cp * cr - cy * sp * sr,
    )
