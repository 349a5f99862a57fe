"""A PyBullet world of its own client: the scene's bodies in it, their state out and in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from simgen.cameras import rotation_matrix
from simgen.engines import bullet_hinges as hinges
from simgen.engines.bullet_build import add_rigid, add_tree, pybullet, xyzw
from simgen.engines.bullet_check import pinned
from simgen.engines.force_kernels import turned
from simgen.engines.guard import catch_work_j
from simgen.engines.pairs import may_touch
from simgen.engines.springs import Springs
from simgen.engines.water import Buoyancy
from simgen.masses import mass_properties
from simgen.scene import Scene

# A catch draws its points together in about this time, as a hand closes; at once, Bullet would
# close 6 cm within a step and throw the body
CATCH_TIME_S = 0.05
CLOSED_M = 1e-4
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
        self.springs = Springs(scene, self.centres)
        self.buoyancy = Buoyancy(scene, scene.water) if scene.water else None
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
        self.grips: list[int | None] = [None] * len(scene.connects)
        self.pivots = np.array([c.anchor_b for c in scene.connects]).reshape(-1, 3)
        for number, connect in enumerate(scene.connects):
            if connect.active:
                self.grip(number)
        self._find_loads()
        self._poses(range(len(self.parts)))

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

    def _tie(self, row_a: int, place_a, row_b: int | None, place_b) -> int:
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
            self._tie(row, point, base, body.position + turn @ point)

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

    def grip(self, number: int) -> None:
        """Close a Connect where its pivots are."""
        connect = self.scene.connects[number]
        a, b = (self.scene.body_index(name) for name in (connect.body_a, connect.body_b))
        place_a, place_b = np.array(connect.anchor_a), self.pivots[number]
        if self.masses[a] == 0:  # PyBullet wants the one that moves first
            a, b, place_a, place_b = b, a, place_b, place_a
        self.grips[number] = self._tie(a, place_a, b, place_b)

    def release(self, number: int) -> None:
        if self.grips[number] is not None:
            pybullet.removeConstraint(self.grips[number], physicsClientId=self.client)
            self.grips[number] = None

    def catch(self, grips: np.ndarray, row: dict[str, np.ndarray]) -> float:
        """Close the Connects marked -1 whose points are in reach; unmark the others, in place.

        Returns the most work that it does, J.
        """
        work_j = 0.0
        turns = rotation_matrix(row["quaternion"])
        for number in np.flatnonzero(grips < 0):
            connect = self.scene.connects[number]
            a, b = (self.scene.body_index(name) for name in (connect.body_a, connect.body_b))
            point_a = row["position"][a] + turns[a] @ connect.anchor_a
            apart = point_a - row["position"][b] - turns[b] @ connect.anchor_b
            gap_m = float(np.linalg.norm(apart))
            if self.grips[number] is not None or not gap_m <= connect.reach_m:
                grips[number] = 0.0
                continue
            self.pivots[number] = connect.anchor_b + turns[b].T @ apart
            self.grip(number)
            work_j += catch_work_j(self.scene, connect, gap_m, CATCH_TIME_S)
        return work_j

    def _draw_together(self) -> None:
        """Move the pivots of catches a step's way to where the scene has them."""
        for number, connect in enumerate(self.scene.connects):
            gap = self.pivots[number] - connect.anchor_b
            if self.grips[number] is None or not gap.any():
                continue
            gap *= np.exp(-self.step_s / CATCH_TIME_S) if np.abs(gap).max() > CLOSED_M else 0.0
            self.pivots[number] = connect.anchor_b + gap
            self.release(number)
            self.grip(number)

    def _find_loads(self) -> None:
        """Bodies and joints that forces other than contacts and gravity act on."""
        joints = [self.scene.bodies[row].joints[0] for row in self.jointed]
        self.driven = [
            k for k, j in enumerate(joints)
            if j.stiffness or j.range is not None or (j.damping and self.pinned[self.jointed[k]])
        ]  # fmt: skip
        pushed = set(self.springs.ends.ravel().tolist())
        pushed |= set(self.buoyancy.rows.tolist()) if self.buoyancy else set()
        for k in self.driven:
            pushed |= {self.jointed[k], self.parents[self.jointed[k]]} - {None}
        self.pushed = [row for row in sorted(pushed) if row in self.moving]
        self.has_loads = bool(self.pushed or self.driven)
        self.joint_inertias = [
            hinges.inertia_about(j, self.masses[row], self.centres[row], self.inertias[row])
            for j, row in zip(joints, self.jointed, strict=True)
        ]

    def step(self) -> None:
        if self.has_loads:
            self._load()
        if self.grips:
            self._draw_together()
        pybullet.stepSimulation(physicsClientId=self.client)

    def _load(self) -> None:
        """Apply springs, water and the joints' own torques for one step."""
        self._poses(self.pushed)
        total = np.zeros((len(self.known), 6))
        if len(self.springs.ends):
            total += self.springs.wrench(self.known)
        if self.buoyancy is not None:
            total[self.buoyancy.rows] += self.buoyancy.wrench(self.known[self.buoyancy.rows])
        for k in self.driven:
            self._drive(k, total)
        for row in self.pushed:
            uid, world, client = self.parts[row][0][0], pybullet.WORLD_FRAME, self.client
            force, torque, centre = total[row, :3], total[row, 3:], self.known[row, :3]
            pybullet.applyExternalForce(
                uid, -1, force.tolist(), centre.tolist(), world, physicsClientId=client
            )
            pybullet.applyExternalTorque(uid, -1, torque.tolist(), world, physicsClientId=client)

    def _drive(self, k: int, total: np.ndarray) -> None:
        """A joint's spring and stops, and a pinned one's damping, on its bodies."""
        row = self.jointed[k]
        body, base = self.scene.bodies[row], self.parents[row]
        joint, inertia = body.joints[0], self.joint_inertias[k]
        if not self.pinned[row]:
            uid, link = self.parts[row][0]
            here, speed = pybullet.getJointState(uid, link, physicsClientId=self.client)[:2]
            pybullet.setJointMotorControl2(
                uid, link, pybullet.TORQUE_CONTROL,
                force=hinges.torque(joint, here, speed, inertia), physicsClientId=self.client,
            )  # fmt: skip
            return
        here, speed = self._hinge(k)
        push = hinges.torque(joint, here, speed, inertia) - joint.damping * speed
        push *= np.array(turned(self.known[row, 3:7], hinges.unit_axis(joint)))
        total[row, 3:] += push
        if base is not None:
            total[base, 3:] -= push

    def _hinge(self, k: int) -> tuple[float, float]:
        """Angle and speed of a pinned hinge; its whole turns are counted from call to call."""
        row = self.jointed[k]
        body, base, own = self.scene.bodies[row], self.parents[row], self.known[row]
        carrier = np.array([1.0, 0, 0, 0]) if base is None else self.known[base, 3:7]
        self.angles[k] = hinges.angle(body, carrier, own[3:7], self.angles[k])
        relative = own[10:] - (0.0 if base is None else self.known[base, 10:])
        axis = turned(own[3:7], hinges.unit_axis(body.joints[0]))
        return self.angles[k], float(relative @ np.array(axis))

    def _poses(self, rows) -> None:
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
        self._poses(range(len(self.parts)))
        known = self.known.copy()
        centre, quaternion, velocity, spin = np.split(known, (3, 7, 10), axis=1)
        turns = rotation_matrix(quaternion)
        arm = np.einsum("bij,bj->bi", turns, self.centres)
        local_spin = np.einsum("bji,bj->bi", turns, spin)
        joints = np.zeros((len(self.jointed), 2))
        for k, row in enumerate(self.jointed):
            if self.pinned[row]:
                joints[k] = self._hinge(k)
            else:
                uid, link = self.parts[row][0]
                joints[k] = pybullet.getJointState(uid, link, physicsClientId=self.client)[:2]
        stored = self.springs.energy_j(known)
        if self.buoyancy is not None:
            stored += self.buoyancy.energy_j(known[self.buoyancy.rows])
        stiffness = [self.scene.bodies[row].joints[0].stiffness for row in self.jointed]
        stored += 0.5 * float(np.array(stiffness) @ joints[:, 0] ** 2)
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
            "potential_energy_j": stored
            - np.sum(self.masses * (centre @ np.array(self.scene.gravity))),
        }

    def restore(self, state: Float64[np.ndarray, " state"]) -> None:
        """Put every moving body, joint and grip where a row of `state_of` says."""
        bodies, joints, grips = np.split(
            state, np.cumsum([13 * len(self.parts), 2 * len(self.jointed)])
        )
        for number in range(len(self.grips)):
            self.release(number)
        self.angles[:] = joints[::2]
        self._place(bodies.reshape(-1, 13), joints.reshape(-1, 2))
        for number, (closed, *pivot) in enumerate(grips.reshape(-1, 4)):
            self.pivots[number] = pivot
            if closed:
                self.grip(number)

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
        closed = np.array([[grip is not None] for grip in self.grips]).reshape(-1, 1)
        grips = np.concatenate([closed, self.pivots], axis=1)
        return np.concatenate([bodies.ravel(), joints.ravel(), grips.ravel()])
