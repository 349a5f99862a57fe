"""A PyBullet world of its own client: the scene's bodies in it, their state out and in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from simgen.cameras import rotation_matrix
from simgen.engines import bullet_hinges as hinges
from simgen.engines.bullet_build import add_rigid, add_tree, pybullet, xyzw
from simgen.engines.bullet_check import pinned
from simgen.engines.bullet_grips import Grips
from simgen.engines.bullet_loads import Loads
from simgen.engines.force_kernels import turned
from simgen.engines.pairs import may_touch
from simgen.masses import mass_properties
from simgen.scene import Scene

UPDATE_S = 1e-6
BOUNCE_LEAST_M_S = 0.05  # slower impacts do not bounce, or a ball would hop for ever
PIN_M = 0.2  # from the middle of a hinge's axis to each of the two points that hold it


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
        self.known = np.zeros((len(scene.bodies), 13))  # what _poses read last
        self.known[:, 3] = 1.0
        self.parents = [
            None if b.parent is None else scene.body_index(b.parent) for b in scene.bodies
        ]
        self.pinned = [b.name in pinned(scene) for b in scene.bodies]
        self.client = pybullet.connect(pybullet.DIRECT)
        if self.client < 0:
            raise RuntimeError("PyBullet has no free client: more than 1000 are open")
        try:
            self._configure()
            self._fill()
        except BaseException:
            self.close()
            raise

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

    def _fill(self) -> None:
        """Create every body where it starts, its joints, and what must not touch."""
        scene = self.scene
        position, quaternion, velocity, spin = hinges.start_pose(scene)
        self.parts: list[list[tuple[int, int]]] = [[] for _ in scene.bodies]  # (id, link)
        trees: dict[int, list[int]] = {}  # the first body's row -> rows
        root: dict[int, int] = {}
        for row, body in enumerate(scene.bodies):
            if body.motion == "jointed" and not self.pinned[row]:
                root[row] = root.get(self.parents[row], row)
                trees.setdefault(root[row], []).append(row)
                continue
            placed = replace(
                body, position=tuple(position[row].tolist()),
                quaternion=tuple(quaternion[row].tolist()),
            )  # fmt: skip
            mass = (float(self.masses[row]), self.centres[row], self.inertias[row])
            self.parts[row] = [(uid, -1) for uid in add_rigid(self.client, placed, *mass)]
        for first, rows in trees.items():
            self._add_tree(first, rows)
        self.ground = pybullet.createMultiBody(useMaximalCoordinates=1, physicsClientId=self.client)
        last = max(self.ground, *(uid for parts in self.parts for uid, _ in parts))
        links = max((link for parts in self.parts for _, link in parts), default=-1)
        self.rows = np.full((last + 1, links + 2), -1)  # [id, link + 1] -> row
        for row, parts in enumerate(self.parts):
            for uid, link in parts:
                self.rows[uid, link + 1] = row
        self.moving = [
            row for row, b in enumerate(scene.bodies) if b.motion == "free" or self.pinned[row]
        ]
        self.jointed = [row for row, b in enumerate(scene.bodies) if b.joints]
        self.axes = [hinges.unit_axis(scene.bodies[row].joints[0]) for row in self.jointed]
        self.angles = np.array([scene.bodies[row].joints[0].position for row in self.jointed])
        arms = np.einsum("bij,bj->bi", rotation_matrix(quaternion), self.centres)
        velocity += np.cross(spin, arms)
        free = np.array([b.motion == "free" for b in scene.bodies])
        velocity[free] = np.array([b.velocity for b in scene.bodies])[free]  # of the centres
        joints = [scene.bodies[row].joints[0] for row in self.jointed]
        self._place(
            np.concatenate([position + arms, quaternion, velocity, spin], axis=1),
            np.array([[j.position, j.velocity] for j in joints]).reshape(-1, 2),
        )
        for row in self.jointed:
            if self.pinned[row]:
                self._pin(row)
        self._part()
        self.grips = Grips(self)
        self.loads = Loads(self)
        self.poses(range(len(self.parts)))

    def _add_tree(self, first: int, rows: list[int]) -> None:
        bodies = [self.scene.bodies[row] for row in rows]
        if (base := self.parents[first]) is not None:  # a static body
            carrier = self.scene.bodies[base]
            turn = rotation_matrix(np.array(carrier.quaternion))
            place = np.array(carrier.position) + turn @ bodies[0].position
            stand = hinges.product(np.array(carrier.quaternion), np.array(bodies[0].quaternion))
            bodies[0] = replace(bodies[0], position=tuple(place), quaternion=tuple(stand))
        uid = add_tree(self.client, bodies, self.centres[rows], self.inertias[rows])
        for link, row in enumerate(rows):
            self.parts[row] = [(uid, link)]

    def _place(
        self, bodies: Float64[np.ndarray, "body 13"], joints: Float64[np.ndarray, "joint 2"]
    ) -> None:
        """Put bodies (as in `known`) and joints (position, velocity) there.

        Bullet's first step would take the inertia for that of the shape, turned as it was made: it
        brings that up to date when it moves a body. So one step of next to no time goes before.
        """
        self._set(bodies * ([1.0] * 7 + [0.0] * 6), joints * (1.0, 0.0))
        pybullet.setGravity(0, 0, 0, physicsClientId=self.client)
        pybullet.setTimeStep(UPDATE_S, physicsClientId=self.client)
        pybullet.stepSimulation(physicsClientId=self.client)
        pybullet.setTimeStep(self.step_s, physicsClientId=self.client)
        pybullet.setGravity(*self.scene.gravity, physicsClientId=self.client)
        self._set(bodies, joints)

    def _set(self, bodies: np.ndarray, joints: np.ndarray) -> None:
        client = self.client
        for row in self.moving:
            uid = self.parts[row][0][0]
            centre, turn, velocity, spin = np.split(bodies[row], (3, 7, 10))
            pybullet.resetBasePositionAndOrientation(
                uid, centre.tolist(), xyzw(turn), physicsClientId=client
            )
            pybullet.resetBaseVelocity(
                uid, velocity.tolist(), spin.tolist(), physicsClientId=client
            )
        for row, (here, speed) in zip(self.jointed, joints.tolist(), strict=True):
            if not self.pinned[row]:
                uid, link = self.parts[row][0]
                pybullet.resetJointState(uid, link, here, speed, physicsClientId=client)

    def tie(self, row_a: int, place_a, row_b: int | None, place_b) -> int:
        """A ball joint between points of two rigid bodies, in their frames (row_b None: world)."""
        a = self.parts[row_a][0][0]
        b = self.ground if row_b is None else self.parts[row_b][0][0]
        centre_b = 0.0 if row_b is None else self.centres[row_b]
        return pybullet.createConstraint(
            a, -1, b, -1, pybullet.JOINT_POINT2POINT, [0, 0, 0],
            (place_a - self.centres[row_a]).tolist(), (place_b - centre_b).tolist(),
            physicsClientId=self.client,
        )  # fmt: skip

    def _pin(self, row: int) -> None:
        """Hold a hinged body to its parent by two points of the axis."""
        body = self.scene.bodies[row]
        joint, base = body.joints[0], self.parents[row]
        turn = rotation_matrix(np.array(body.quaternion))
        for side in (-PIN_M, PIN_M):
            point = joint.anchor + side * hinges.unit_axis(joint)
            self.tie(row, point, base, body.position + turn @ point)

    def _part(self) -> None:
        """Switch off collisions that the scene's rule does not have."""
        for row, body in enumerate(self.scene.bodies):
            for other in range(row):
                if may_touch(self.scene, body, self.scene.bodies[other]):
                    continue
                for a, link_a in self.parts[row]:
                    for b, link_b in self.parts[other]:
                        pybullet.setCollisionFilterPair(
                            a, b, link_a, link_b, 0, physicsClientId=self.client
                        )

    def step(self) -> None:
        if self.loads.any:
            self.loads.apply()
        self.grips.draw_together()
        pybullet.stepSimulation(physicsClientId=self.client)

    def hinge(self, k: int) -> tuple[float, float]:
        """Angle and speed of a pinned hinge; its whole turns are counted from call to call."""
        row = self.jointed[k]
        body, base, own = self.scene.bodies[row], self.parents[row], self.known[row]
        carrier = np.array([1.0, 0, 0, 0]) if base is None else self.known[base, 3:7]
        self.angles[k] = hinges.angle(body, carrier, own[3:7], self.axes[k], near=self.angles[k])
        relative = own[10:] - (0.0 if base is None else self.known[base, 10:])
        axis = turned(own[3:7], self.axes[k])
        return self.angles[k], float(relative @ np.array(axis))

    def poses(self, rows) -> None:
        """Bring centre of mass, quaternion, velocity and spin of these bodies up to date."""
        client = self.client
        for row in rows:
            uid, link = self.parts[row][0]
            if link >= 0:
                state = pybullet.getLinkState(uid, link, 1, 1, physicsClientId=client)
                centre, turn, velocity, spin = state[0], state[1], state[6], state[7]
            else:
                centre, turn = pybullet.getBasePositionAndOrientation(uid, physicsClientId=client)
                velocity, spin = pybullet.getBaseVelocity(uid, physicsClientId=client)
            self.known[row] = (*centre, turn[3], *turn[:3], *velocity, *spin)

    def read(self) -> dict[str, np.ndarray]:
        """Motion's per-frame kinematics and energies of the present state."""
        self.poses(range(len(self.parts)))
        known = self.known.copy()
        centre, quaternion, velocity, spin = np.split(known, (3, 7, 10), axis=1)
        turns = rotation_matrix(quaternion)
        arm = np.einsum("bij,bj->bi", turns, self.centres)
        local_spin = np.einsum("bji,bj->bi", turns, spin)
        joints = np.zeros((len(self.jointed), 2))
        for k, row in enumerate(self.jointed):
            if self.pinned[row]:
                joints[k] = self.hinge(k)
            else:
                uid, link = self.parts[row][0]
                joints[k] = pybullet.getJointState(uid, link, physicsClientId=self.client)[:2]
        return {
            "position": centre - arm,
            "quaternion": quaternion,
            "velocity": velocity - np.cross(spin, arm),
            "angular_velocity": spin,
            "centre_of_mass": centre,
            "joint_position": joints[:, 0],
            "joint_velocity": joints[:, 1],
            "kinetic_energy_j": 0.5 * np.sum(self.masses * np.sum(velocity**2, axis=1))
            + 0.5 * np.sum(self.masses[:, None].astype(bool) * self.inertias * local_spin**2),
            "potential_energy_j": self.loads.energy_j(known, joints[:, 0])
            - np.sum(self.masses * (centre @ np.array(self.scene.gravity))),
        }

    def restore(self, state: Float64[np.ndarray, " state"]) -> None:
        """Put every moving body, joint and grip where a row of `state_of` says."""
        bodies, joints, grips = np.split(
            state, np.cumsum([13 * len(self.parts), 2 * len(self.jointed)])
        )
        self.angles[:] = joints[::2]
        self._place(bodies.reshape(-1, 13), joints.reshape(-1, 2))
        self.grips.restore(grips.reshape(-1, 4))

    def state_of(self, row: dict[str, np.ndarray]) -> Float64[np.ndarray, " state"]:
        """Restorable state of what `read` gave: 13 numbers a body, two a joint, four a Connect.

        A body: centre of mass, quaternion, its velocity, angular velocity. A Connect: 1 if closed,
        and the point of body b that it holds.
        """
        arm = row["centre_of_mass"] - row["position"]
        velocity = row["velocity"] + np.cross(row["angular_velocity"], arm)
        bodies = np.concatenate(
            [row["centre_of_mass"], row["quaternion"], velocity, row["angular_velocity"]], axis=1
        )
        joints = np.stack([row["joint_position"], row["joint_velocity"]], axis=1)
        return np.concatenate([bodies.ravel(), joints.ravel(), self.grips.state().ravel()])
