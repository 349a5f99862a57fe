"""Edits of a PyBullet world on its way: what makes a twin of a clip, with every touch kept."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from simgen.engines.bullet_build import pybullet, xyzw
from simgen.engines.bullet_loads import Loads
from simgen.engines.bullet_world import World
from simgen.masses import mass_properties
from simgen.scene import Body, Scene


def become(
    world: World,
    scene: Scene,
    position_offset_m: Float64[np.ndarray, "body 3"] | None = None,
    velocity_offset_m_s: Float64[np.ndarray, "body 3"] | None = None,
) -> None:
    """Go on as an edited scene of the same bodies.

    Args:
        scene: With other masses, another gravity, or bodies that no longer collide.
        position_offset_m: Added to free bodies; so is velocity_offset_m_s.
    """
    before = world.scene
    world.poses(range(len(world.parts)))
    world.scene = world.grips.scene = scene
    for row, (old, new) in enumerate(zip(before.bodies, scene.bodies, strict=True)):
        if old != new:
            _edit(world, row, new)
    if scene.gravity != before.gravity:
        pybullet.setGravity(*scene.gravity, physicsClientId=world.client)
    for row, body in enumerate(scene.bodies):
        if body.motion != "free":
            continue
        uid, known = world.parts[row][0][0], world.known[row]
        if position_offset_m is not None and position_offset_m[row].any():
            place = (known[:3] + position_offset_m[row]).tolist()
            pybullet.resetBasePositionAndOrientation(
                uid, place, xyzw(known[3:7]), physicsClientId=world.client
            )
        if velocity_offset_m_s is not None and velocity_offset_m_s[row].any():
            velocity = (known[7:10] + velocity_offset_m_s[row]).tolist()
            pybullet.resetBaseVelocity(
                uid, velocity, known[10:].tolist(), physicsClientId=world.client
            )
    world.loads = Loads(world)


def _edit(world: World, row: int, body: Body) -> None:
    """Give a body its new mass, and take it out of collisions if nothing of it collides any more.

    A new inertia acts from the second step on: Bullet turns it to the body's pose in a step.
    """
    world.masses[row] = body.mass_kg
    world.inertias[row] = mass_properties(body)[1].diagonal()
    for uid, link in world.parts[row]:
        pybullet.changeDynamics(
            uid, link, mass=body.mass_kg, localInertiaDiagonal=world.inertias[row].tolist(),
            physicsClientId=world.client,
        )  # fmt: skip
        if not any(geom.collide for geom in body.geoms):
            pybullet.setCollisionFilterGroupMask(uid, link, 0, 0, physicsClientId=world.client)
