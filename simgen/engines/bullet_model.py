"""Scene -> a PyBullet world of its own client, and its state out and in.

What makes Bullet's restitution true (measured over drops, e 0.5 to 1, 240 to 2400 Hz): free
bodies as rigid bodies in maximal coordinates, and split impulses for every penetration. Then a
bounce returns the asked share of the speed within 0.004. PyBullet's default multibodies turn the
position correction into speed and bounce at 1.2 where 1 was asked; only jointed bodies are those.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float64

from simgen.cameras import rotation_matrix
from simgen.masses import mass_properties
from simgen.scene import Body, Scene

BOUNCE_LEAST_M_S = 0.05  # slower impacts do not bounce, or a ball would hop for ever
SHAPES = ("sphere", "capsule", "cylinder", "box", "plane")


@contextmanager
def _silenced():
    """Keep C code off standard error: PyBullet greets there with its build time."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


with _silenced():
    import pybullet


def check(scene: Scene) -> tuple[str, ...]:
    """What about the scene this engine cannot simulate; empty if nothing."""
    reasons = []
    if scene.actuators:
        reasons.append("actuators")
    if scene.connects:
        reasons.append("connects")
    if scene.springs:
        reasons.append("springs")
    if scene.water:
        reasons.append("water")
    names = scene.body_names
    reasons += [f"two bodies are called {name!r}" for name in set(names) if names.count(name) > 1]
    for body in scene.bodies:
        reasons += [f"body {body.name!r}: {reason}" for reason in _body_reasons(body)]
    return tuple(reasons)


def _body_reasons(body: Body) -> list[str]:
    touchable = [g for g in body.geoms if g.collide]
    reasons = [f"colliding {g.kind}" for g in touchable if g.kind not in SHAPES]
    if len({(g.friction, g.restitution) for g in touchable}) > 1:
        reasons.append("geoms that differ in friction or restitution")
    if any(g.kind == "plane" for g in touchable):
        if body.motion != "static":
            reasons.append("a plane cannot move")
        if len(touchable) > 1:
            reasons.append("a plane beside other geoms")
    if body.motion != "static":
        _, tensor = mass_properties(body)
        if not body.mass_kg > 0:
            reasons.append(f"moving, so mass_kg {body.mass_kg} must be above 0")
        elif np.abs(tensor - np.diag(tensor.diagonal())).max() > 1e-6 * np.trace(tensor):
            reasons.append("principal axes of inertia that are not the body's")
    if body.parent is not None:
        reasons.append("a parent other than the world")
    if (body.motion == "jointed") != bool(body.joints) or len(body.joints) > 1:
        reasons.append(f"{body.motion} with {len(body.joints)} joints (one hinge or slide at most)")
    for joint in body.joints:
        if joint.range is not None or joint.stiffness or joint.armature:
            reasons.append(f"joint {joint.name!r} with range, stiffness or armature")
    return reasons


def _xyzw(wxyz) -> list[float]:
    w, x, y, z = (float(v) for v in wxyz)
    return [x, y, z, w]


class World:
    """One PyBullet client with the scene's bodies in it. Use as a context manager.

    Bullet knows centres of mass; the scene's body frames differ from them by `centres`.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.step_s = 1.0 / (scene.frame_rate_hz * scene.substeps)
        properties = [mass_properties(b) for b in scene.bodies]
        self.centres = np.array([centre for centre, _ in properties])
        self.inertias = np.array([tensor.diagonal() for _, tensor in properties])
        self.masses = np.array([0.0 if b.motion == "static" else b.mass_kg for b in scene.bodies])
        self.client = pybullet.connect(pybullet.DIRECT)
        if self.client < 0:
            raise RuntimeError("PyBullet has no free client: more than 1000 are open")
        try:
            self._configure()
            self.ids = [self._add(row, body) for row, body in enumerate(scene.bodies)]
        except BaseException:
            self.close()
            raise
        self.rows = np.zeros(max(self.ids) + 1, dtype=int)
        self.rows[self.ids] = np.arange(len(self.ids))

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        pybullet.disconnect(physicsClientId=self.client)

    def _configure(self) -> None:
        pybullet.setGravity(*self.scene.gravity, physicsClientId=self.client)
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=self.step_s,
            numSubSteps=0,
            numSolverIterations=50,
            solverResidualThreshold=0.0,
            restitutionVelocityThreshold=BOUNCE_LEAST_M_S,
            useSplitImpulse=1,
            splitImpulsePenetrationThreshold=0.0,
            contactSlop=0.0,  # else a touch at zero depth bounces too slowly, by slop / step
            deterministicOverlappingPairs=1,
            physicsClientId=self.client,
        )

    def _shape(self, body: Body, origin: np.ndarray) -> int:
        """Collision shape of the body with `origin` (body frame) at the shape's zero; -1: none."""
        geoms = [g for g in body.geoms if g.collide]
        if not geoms:
            return -1
        if geoms[0].kind == "plane":
            return pybullet.createCollisionShape(
                pybullet.GEOM_PLANE,
                planeNormal=rotation_matrix(np.array(geoms[0].quaternion))[:, 2].tolist(),
                physicsClientId=self.client,
            )
        kinds = {k: getattr(pybullet, f"GEOM_{k.upper()}") for k in SHAPES}
        round_ = ("sphere", "capsule", "cylinder")
        return pybullet.createCollisionShapeArray(
            shapeTypes=[kinds[g.kind] for g in geoms],
            radii=[g.size[0] if g.kind in round_ else 0.0 for g in geoms],
            lengths=[2 * g.size[1] if g.kind in round_[1:] else 0.0 for g in geoms],
            halfExtents=[g.size if g.kind == "box" else (0.0, 0.0, 0.0) for g in geoms],
            collisionFramePositions=[(np.array(g.position) - origin).tolist() for g in geoms],
            collisionFrameOrientations=[_xyzw(g.quaternion) for g in geoms],
            physicsClientId=self.client,
        )

    def _add(self, row: int, body: Body) -> int:
        uid = self._add_jointed(row, body) if body.joints else self._add_rigid(row, body)
        surface = next((g for g in body.geoms if g.collide), None)
        pybullet.changeDynamics(
            uid,
            0 if body.joints else -1,
            # Bullet multiplies the two frictions of a pair, the scene takes the product's root
            lateralFriction=np.sqrt(surface.friction) if surface else 0.0,
            restitution=surface.restitution if surface else 0.0,
            rollingFriction=0.0,
            spinningFriction=0.0,
            linearDamping=0.0,
            angularDamping=0.0,
            jointDamping=body.joints[0].damping if body.joints else 0.0,
            contactProcessingThreshold=0.0,
            activationState=pybullet.ACTIVATION_STATE_DISABLE_SLEEPING,
            physicsClientId=self.client,
        )
        if self.masses[row] > 0:
            pybullet.changeDynamics(
                uid,
                0 if body.joints else -1,
                mass=body.mass_kg,  # without it a rigid body's mass turns into NaN
                localInertiaDiagonal=self.inertias[row].tolist(),
                physicsClientId=self.client,
            )
        return uid

    def _add_rigid(self, row: int, body: Body) -> int:
        turn = rotation_matrix(np.array(body.quaternion))
        uid = pybullet.createMultiBody(
            baseMass=float(self.masses[row]),
            baseCollisionShapeIndex=self._shape(body, self.centres[row]),
            basePosition=(np.array(body.position) + turn @ self.centres[row]).tolist(),
            baseOrientation=_xyzw(body.quaternion),
            useMaximalCoordinates=1,
            physicsClientId=self.client,
        )
        if body.motion == "free":
            pybullet.resetBaseVelocity(
                uid, body.velocity, body.angular_velocity, physicsClientId=self.client
            )
        return uid

    def _add_jointed(self, row: int, body: Body) -> int:
        """A multibody of a fixed, empty base in the body's frame and one link at the joint."""
        joint = body.joints[0]
        anchor = np.array(joint.anchor)
        hinge = joint.kind == "hinge"
        uid = pybullet.createMultiBody(
            baseMass=0.0,
            basePosition=body.position,
            baseOrientation=_xyzw(body.quaternion),
            linkMasses=[body.mass_kg],
            linkCollisionShapeIndices=[self._shape(body, anchor)],
            linkVisualShapeIndices=[-1],
            linkPositions=[joint.anchor],
            linkOrientations=[[0, 0, 0, 1]],
            linkInertialFramePositions=[(self.centres[row] - anchor).tolist()],
            linkInertialFrameOrientations=[[0, 0, 0, 1]],
            linkParentIndices=[0],
            linkJointTypes=[pybullet.JOINT_REVOLUTE if hinge else pybullet.JOINT_PRISMATIC],
            linkJointAxis=[joint.axis],
            physicsClientId=self.client,
        )
        pybullet.changeDynamics(
            uid, -1, linearDamping=0.0, angularDamping=0.0, physicsClientId=self.client
        )
        pybullet.setJointMotorControl2(
            uid, 0, pybullet.VELOCITY_CONTROL, force=0.0, physicsClientId=self.client
        )
        pybullet.resetJointState(
            uid, 0, joint.position, joint.velocity, physicsClientId=self.client
        )
        return uid

    def read(self) -> dict[str, np.ndarray]:
        """Motion's per-frame kinematics and energies of the present state."""
        centre, quaternion, velocity, spin = (np.zeros((len(self.ids), k)) for k in (3, 4, 3, 3))
        joints = []
        for row, (uid, body) in enumerate(zip(self.ids, self.scene.bodies, strict=True)):
            if body.joints:
                link = pybullet.getLinkState(uid, 0, 1, 1, physicsClientId=self.client)
                centre[row], turn, velocity[row], spin[row] = link[0], link[1], link[6], link[7]
                joints.append(pybullet.getJointState(uid, 0, physicsClientId=self.client)[:2])
            else:
                centre[row], turn = pybullet.getBasePositionAndOrientation(
                    uid, physicsClientId=self.client
                )
                velocity[row], spin[row] = pybullet.getBaseVelocity(
                    uid, physicsClientId=self.client
                )
            quaternion[row] = (turn[3], *turn[:3])
        turns = rotation_matrix(quaternion)
        arm = np.einsum("bij,bj->bi", turns, self.centres)
        local_spin = np.einsum("bji,bj->bi", turns, spin)
        joint_rows = np.array(joints, dtype=np.float64).reshape(-1, 2)
        return {
            "position": centre - arm,
            "quaternion": quaternion,
            "velocity": velocity - np.cross(spin, arm),
            "angular_velocity": spin,
            "centre_of_mass": centre,
            "joint_position": joint_rows[:, 0],
            "joint_velocity": joint_rows[:, 1],
            "kinetic_energy_j": 0.5 * np.sum(self.masses * np.sum(velocity**2, axis=1))
            + 0.5 * np.sum(self.inertias * local_spin**2),
            "potential_energy_j": -np.sum(self.masses * (centre @ np.array(self.scene.gravity))),
        }

    def restore(self, state: Float64[np.ndarray, " state"]) -> None:
        """Put every moving body where a row of `state_of` says."""
        count = len(self.ids)
        bodies = state[: 13 * count].reshape(count, 13)
        joints = iter(state[13 * count :].reshape(-1, 2).tolist())
        for uid, body, row in zip(self.ids, self.scene.bodies, bodies, strict=True):
            if body.motion == "free":
                pybullet.resetBasePositionAndOrientation(
                    uid, row[:3].tolist(), _xyzw(row[3:7]), physicsClientId=self.client
                )
                pybullet.resetBaseVelocity(
                    uid, row[7:10].tolist(), row[10:].tolist(), physicsClientId=self.client
                )
            elif body.joints:
                pybullet.resetJointState(uid, 0, *next(joints), physicsClientId=self.client)

    def state_of(self, row: dict[str, np.ndarray]) -> Float64[np.ndarray, " state"]:
        """Restorable state of what `read` gave: 13 numbers a body, then two a joint.

        A body: centre of mass, quaternion, its velocity, angular velocity.
        """
        arm = row["centre_of_mass"] - row["position"]
        velocity = row["velocity"] + np.cross(row["angular_velocity"], arm)
        bodies = np.concatenate(
            [row["centre_of_mass"], row["quaternion"], velocity, row["angular_velocity"]], axis=1
        )
        joints = np.stack([row["joint_position"], row["joint_velocity"]], axis=1)
        return np.concatenate([bodies.ravel(), joints.ravel()])
