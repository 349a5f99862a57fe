"""Bodies of a scene as PyBullet's: shapes, rigid bodies, and multibodies of joints."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

import numpy as np

from simgen.cameras import rotation_matrix
from simgen.engines.bullet_check import SHAPES
from simgen.scene import Body, Geom


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

IDENTITY_XYZW = (0.0, 0.0, 0.0, 1.0)


def xyzw(wxyz) -> list[float]:
    """PyBullet's order of a quaternion."""
    w, x, y, z = (float(v) for v in wxyz)
    return [x, y, z, w]


def _shape(client: int, geoms: list[Geom], origin: np.ndarray) -> int:
    """Collision shape of geoms with `origin` (body frame) at the shape's zero; -1: none."""
    if not geoms:
        return -1
    if geoms[0].kind == "plane":
        return pybullet.createCollisionShape(
            pybullet.GEOM_PLANE,
            planeNormal=rotation_matrix(np.array(geoms[0].quaternion))[:, 2].tolist(),
            collisionFramePosition=geoms[0].position,
            physicsClientId=client,
        )
    kinds = {k: getattr(pybullet, f"GEOM_{k.upper()}") for k in SHAPES}
    round_ = ("sphere", "capsule", "cylinder")
    return pybullet.createCollisionShapeArray(
        shapeTypes=[kinds[g.kind] for g in geoms],
        radii=[g.size[0] if g.kind in round_ else 0.0 for g in geoms],
        lengths=[2 * g.size[1] if g.kind in round_[1:] else 0.0 for g in geoms],
        halfExtents=[g.size if g.kind == "box" else (0.0, 0.0, 0.0) for g in geoms],
        collisionFramePositions=[(np.array(g.position) - origin).tolist() for g in geoms],
        collisionFrameOrientations=[xyzw(g.quaternion) for g in geoms],
        physicsClientId=client,
    )


def _finish(client: int, uid: int, link: int, geoms: list[Geom], mass_kg: float, inertia) -> None:
    """Surface, mass and no damping of its own."""
    surface = geoms[0] if geoms else None
    pybullet.changeDynamics(
        uid,
        link,
        # Bullet multiplies the two frictions of a pair, the scene takes the product's root
        lateralFriction=np.sqrt(surface.friction) if surface else 0.0,
        restitution=surface.restitution if surface else 0.0,
        rollingFriction=0.0,
        spinningFriction=0.0,
        linearDamping=0.0,
        angularDamping=0.0,
        contactProcessingThreshold=0.0,
        activationState=pybullet.ACTIVATION_STATE_DISABLE_SLEEPING,
        physicsClientId=client,
    )
    if mass_kg > 0:
        pybullet.changeDynamics(
            uid,
            link,
            mass=mass_kg,  # without it a rigid body's mass turns into NaN
            localInertiaDiagonal=np.asarray(inertia).tolist(),
            physicsClientId=client,
        )


def add_rigid(
    client: int, body: Body, mass_kg: float, centre: np.ndarray, inertia: np.ndarray
) -> list[int]:
    """Ids of a body in maximal coordinates; a static one has a part for each of its surfaces.

    It is placed as if its parent were the world.
    """
    parts: dict[tuple, list[Geom]] = {}
    for number, geom in enumerate(g for g in body.geoms if g.collide):
        alone = number if geom.kind == "plane" else -1
        parts.setdefault((geom.friction, geom.restitution, alone), []).append(geom)
    ids = []
    turn = rotation_matrix(np.array(body.quaternion))
    for geoms in parts.values() or [[]]:
        uid = pybullet.createMultiBody(
            baseMass=mass_kg,
            baseCollisionShapeIndex=_shape(client, geoms, centre),
            basePosition=(np.array(body.position) + turn @ centre).tolist(),
            baseOrientation=xyzw(body.quaternion),
            useMaximalCoordinates=1,
            physicsClientId=client,
        )
        _finish(client, uid, -1, geoms, mass_kg, inertia)
        ids.append(uid)
    return ids


def add_tree(client: int, bodies: list[Body], centres: np.ndarray, inertias: np.ndarray) -> int:
    """A multibody: a fixed, empty base and a link for each body, at its joint, in their order.

    Link frames stand at the joints, turned as the bodies. The first body's pose is the world's.
    """
    first = bodies[0]
    names = [body.name for body in bodies]
    anchors = [np.array(body.joints[0].anchor) for body in bodies]
    places, turns, parents = [], [], []
    for body, anchor in zip(bodies, anchors, strict=True):
        parent = names.index(body.parent) if body.parent in names else None
        turn = rotation_matrix(np.array(body.quaternion))
        at_joint = np.array(body.position) + turn @ anchor
        parents.append(0 if parent is None else parent + 1)
        places.append((at_joint if parent is not None else anchor) * 1.0)
        if parent is not None:
            places[-1] -= anchors[parent]
        turns.append(IDENTITY_XYZW if body is first else xyzw(body.quaternion))
    hinge = {"hinge": pybullet.JOINT_REVOLUTE, "slide": pybullet.JOINT_PRISMATIC}
    uid = pybullet.createMultiBody(
        baseMass=0.0,
        basePosition=first.position,
        baseOrientation=xyzw(first.quaternion),
        linkMasses=[body.mass_kg for body in bodies],
        linkCollisionShapeIndices=[
            _shape(client, [g for g in body.geoms if g.collide], anchor)
            for body, anchor in zip(bodies, anchors, strict=True)
        ],
        linkVisualShapeIndices=[-1] * len(bodies),
        linkPositions=[place.tolist() for place in places],
        linkOrientations=turns,
        linkInertialFramePositions=[
            (c - a).tolist() for c, a in zip(centres, anchors, strict=True)
        ],
        linkInertialFrameOrientations=[IDENTITY_XYZW] * len(bodies),
        linkParentIndices=parents,
        linkJointTypes=[hinge[body.joints[0].kind] for body in bodies],
        linkJointAxis=[body.joints[0].axis for body in bodies],
        physicsClientId=client,
    )
    pybullet.changeDynamics(uid, -1, linearDamping=0.0, angularDamping=0.0, physicsClientId=client)
    for link, (body, inertia) in enumerate(zip(bodies, inertias, strict=True)):
        geoms = [g for g in body.geoms if g.collide]
        _finish(client, uid, link, geoms, body.mass_kg, inertia)
        joint = body.joints[0]
        pybullet.changeDynamics(uid, link, jointDamping=joint.damping, physicsClientId=client)
        pybullet.setJointMotorControl2(
            uid, link, pybullet.VELOCITY_CONTROL, force=0.0, physicsClientId=client
        )
        pybullet.resetJointState(uid, link, joint.position, joint.velocity, physicsClientId=client)
    return uid
