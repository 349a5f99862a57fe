"""Forces in a PyBullet world that Bullet has no name for: springs, water, joints' own torques."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from simgen.engines import bullet_hinges as hinges
from simgen.engines.bullet_build import pybullet
from simgen.engines.force_kernels import turned
from simgen.engines.springs import Springs
from simgen.engines.water import Buoyancy

if TYPE_CHECKING:
    from simgen.engines.bullet_world import World


class Loads:
    """What acts on bodies and joints beside contacts and gravity, applied anew before each step."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.springs = Springs(world.scene, world.centres)
        self.buoyancy = Buoyancy(world.scene, world.scene.water) if world.scene.water else None
        joints = [world.scene.bodies[row].joints[0] for row in world.jointed]
        self.driven = [
            k for k, j in enumerate(joints)
            if j.stiffness or j.range is not None
            or (j.damping and world.pinned[world.jointed[k]])
        ]  # fmt: skip
        pushed = set(self.springs.ends.ravel().tolist())
        pushed |= set(self.buoyancy.rows.tolist()) if self.buoyancy else set()
        for k in self.driven:
            pushed |= {world.jointed[k], world.parents[world.jointed[k]]} - {None}
        self.pushed = [row for row in sorted(pushed) if row in world.moving]
        self.any = bool(self.pushed or self.driven)
        self.joint_inertias = [
            hinges.inertia_about(j, world.masses[row], world.centres[row], world.inertias[row])
            for j, row in zip(joints, world.jointed, strict=True)
        ]

    def apply(self) -> None:
        """Apply springs, water and the joints' own torques for one step."""
        world, frame = self.world, pybullet.WORLD_FRAME
        world.poses(self.pushed)
        total = np.zeros((len(world.known), 6))
        if len(self.springs.ends):
            total += self.springs.wrench(world.known)
        if self.buoyancy is not None:
            total[self.buoyancy.rows] += self.buoyancy.wrench(world.known[self.buoyancy.rows])
        for k in self.driven:
            self._drive(k, total)
        for row in self.pushed:
            uid, client = world.parts[row][0][0], world.client
            force, torque, centre = total[row, :3], total[row, 3:], world.known[row, :3]
            pybullet.applyExternalForce(
                uid, -1, force.tolist(), centre.tolist(), frame, physicsClientId=client
            )
            pybullet.applyExternalTorque(uid, -1, torque.tolist(), frame, physicsClientId=client)

    def _drive(self, k: int, total: np.ndarray) -> None:
        """A joint's spring and stops, and a pinned one's damping, on its bodies."""
        row = self.world.jointed[k]
        body, base = self.world.scene.bodies[row], self.world.parents[row]
        joint, inertia = body.joints[0], self.joint_inertias[k]
        if not self.world.pinned[row]:
            uid, link = self.world.parts[row][0]
            here, speed = pybullet.getJointState(uid, link, physicsClientId=self.world.client)[:2]
            pybullet.setJointMotorControl2(
                uid, link, pybullet.TORQUE_CONTROL,
                force=hinges.torque(joint, here, speed, inertia), physicsClientId=self.world.client,
            )  # fmt: skip
            return
        here, speed = self.world.hinge(k)
        push = hinges.torque(joint, here, speed, inertia) - joint.damping * speed
        push *= np.array(turned(self.world.known[row, 3:7], self.world.axes[k]))
        total[row, 3:] += push
        if base is not None:
            total[base, 3:] -= push

    def energy_j(
        self, bodies: Float64[np.ndarray, "body 13"], joints: Float64[np.ndarray, " joint"]
    ) -> float:
        """Energy of springs, water and springs of joints at these bodies (as World.known), J."""
        stored = self.springs.energy_j(bodies)
        if self.buoyancy is not None:
            stored += self.buoyancy.energy_j(bodies[self.buoyancy.rows])
        scene = self.world.scene
        stiffness = [scene.bodies[row].joints[0].stiffness for row in self.world.jointed]
        return stored + 0.5 * float(np.array(stiffness) @ joints**2)
