"""One MuJoCo simulation: the model, its state, and what is read from it every step and frame."""

from __future__ import annotations

import mujoco
import numpy as np
from jaxtyping import Float64

from simgen.engines.contacts import POINT_DTYPE, ContactRecorder
from simgen.engines.guard import Guard, catch_work_j
from simgen.engines.mujoco_model import compile_model
from simgen.engines.scripts import ActionSource, openings
from simgen.engines.water import Buoyancy
from simgen.motion import Motion, SimulationError
from simgen.scene import Observation, Scene

# Everything the next step depends on: after it is set, the same bytes follow.
STATE = (
    mujoco.mjtState.mjSTATE_FULLPHYSICS
    | mujoco.mjtState.mjSTATE_EQ_ACTIVE
    | mujoco.mjtState.mjSTATE_WARMSTART
)
WARNINGS = tuple(
    name.removeprefix("mjWARN_") for name in mujoco.mjtWarning.__members__ if "WARN_" in name
)
# A catch pulls its points together as a hand closes: over 6 cm in 5 ms it would throw a gymnast
CATCH_TIME_S = 0.025
ENERGY_SLACK_J = 1.0


class Run:
    """One simulation: the model, its state, and how both map to the scene's order."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.model = model = compile_model(scene)
        self.data = mujoco.MjData(model)
        self.bodies = np.array([model.body(name).id for name in scene.body_names])
        self.body_row = np.full(model.nbody, -1)
        self.body_row[self.bodies] = np.arange(len(self.bodies))
        joints = [model.joint(name) for name in scene.joint_names]
        self.qpos = np.array([j.qposadr[0] for j in joints], dtype=int)
        self.qvel = np.array([j.dofadr[0] for j in joints], dtype=int)
        self.root = model.body_rootid[self.bodies]
        self.step_s = model.opt.timestep
        self.frame_s = 1.0 / scene.frame_rate_hz
        self.contacts = ContactRecorder(self.frame_s / 4)
        self.touched: list[tuple] = []  # contacts of this frame's steps, not yet booked
        self.caught = np.zeros(len(scene.connects), dtype=bool)
        self.ropes = np.array([s.pull_only and s.damping > 0 for s in scene.springs], dtype=bool)
        self.has_ropes = bool(self.ropes.any())
        self.rope_damping = np.array([s.damping for s in scene.springs])
        self.buoyancy = Buoyancy(scene, scene.water) if scene.water else None
        self.hull_ids = self.bodies[self.buoyancy.rows] if self.buoyancy else np.empty(0, int)
        rk4 = model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4
        self.has_loads = self.has_ropes or self.buoyancy is not None
        self.set_s = self.step_s  # model.opt.timestep, which is slow to read
        # A force held over a step of RK4 feeds oscillations, unless it is the step's middle's
        self.lead_s = 0.5 * self.step_s if rk4 else 0.0

    def start(self) -> None:
        """Put joints and free bodies where the scene says, at time 0."""
        model, data = self.model, self.data
        joints = [j for b in self.scene.bodies for j in b.joints]
        data.qpos[self.qpos] = [j.position for j in joints]
        data.qvel[self.qvel] = [j.velocity for j in joints]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        for body in self.scene.bodies:
            if body.motion == "free":
                row = model.body(body.name).id
                spin = np.array(body.angular_velocity)
                arm = data.xpos[row] - data.xipos[row]
                dof = model.joint(f"{body.name}/free").dofadr[0]
                data.qvel[dof : dof + 3] = body.velocity + np.cross(spin, arm)
                data.qvel[dof + 3 : dof + 6] = data.xmat[row].reshape(3, 3).T @ spin

    def restore(self, state, position_offset_m, velocity_offset_m_s) -> None:
        """Load a stored state, free bodies shifted by the offsets."""
        whole = np.ascontiguousarray(state, float)
        size = len(whole) - len(self.caught)
        mujoco.mj_setState(self.model, self.data, whole[:size], STATE)
        self.caught[:] = whole[size:] > 0
        self.model.eq_solref[self.caught, 0] = CATCH_TIME_S
        for row, body in enumerate(self.scene.bodies):
            if body.motion == "free":
                joint = self.model.joint(f"{body.name}/free")
                if position_offset_m is not None:
                    adr = joint.qposadr[0]
                    self.data.qpos[adr : adr + 3] += position_offset_m[row]
                if velocity_offset_m_s is not None:
                    adr = joint.dofadr[0]
                    self.data.qvel[adr : adr + 3] += velocity_offset_m_s[row]

    def record(self, first: int, frames: int, source: ActionSource, state_every: int) -> Motion:
        """Simulate `frames` frames from the present state, which is that of frame `first`."""
        rows, actions, states, state_frames = [], [], [], []
        guard = Guard(self.scene, slack_j=ENERGY_SLACK_J)
        servos = len(self.scene.actuators)
        for frame in range(first, first + frames + 1):
            last = frame == first + frames
            self.data.time = frame * self.frame_s
            self._prepare()
            mujoco.mj_forward(self.model, self.data)
            row = self.read()
            guard.check(frame, row)
            if (frame - first) % state_every == 0 and not last:
                states.append(self.state())
                state_frames.append(frame)
            torque = np.abs(self.data.actuator_force)
            depth_m = 0.0 - self.data.contact.dist.min(initial=0.0)
            if last:
                # Nothing acts after the clip's end: the last targets are held, nothing opens
                action = actions[-1].copy()
                action[servos:] = 0.0
            else:
                action = np.array(source(frame, self.observe(row, frame)))
                self.data.ctrl[:] = action[:servos]
                guard.work_j += self._catch(action[servos:])
                self._advance(action[servos:], torque)
                depth_m = max(depth_m, self._book())
                self._check_frame(frame)
            actions.append(action)
            rows.append({**row, "joint_torque": torque, "deepest_penetration_m": depth_m})
        return Motion(
            engine="mujoco",
            engine_version=mujoco.__version__,
            action=np.stack(actions),
            contacts=self.contacts.rows((first + frames) * self.frame_s),
            state=np.stack(states),
            state_frames=np.array(state_frames, dtype=np.int32),
            **{name: np.stack([row[name] for row in rows]) for name in rows[0]},
        )

    def read(self) -> dict[str, np.ndarray]:
        """Motion's per-frame arrays of the present state, after mj_forward."""
        model, data = self.model, self.data
        mujoco.mj_energyPos(model, data)
        mujoco.mj_energyVel(model, data)
        spin, shift = data.cvel[self.bodies, :3], data.cvel[self.bodies, 3:]
        arm = data.xpos[self.bodies] - data.subtree_com[self.root]
        return {
            "position": data.xpos[self.bodies],
            "quaternion": data.xquat[self.bodies],
            "velocity": shift + np.cross(spin, arm),
            "angular_velocity": spin,
            "centre_of_mass": data.xipos[self.bodies],
            "joint_position": data.qpos[self.qpos],
            "joint_velocity": data.qvel[self.qvel],
            "kinetic_energy_j": data.energy[1],
            "potential_energy_j": data.energy[0] + self._water_energy_j(),
        }

    def _water_energy_j(self) -> float:
        if self.buoyancy is None:
            return 0.0
        return self.buoyancy.energy_j(self._hulls())

    def observe(self, row: dict[str, np.ndarray], frame: int) -> Observation:
        names = self.scene.body_names
        bodies = self.body_row[self.model.geom_bodyid[self.data.contact.geom]]
        touching = {tuple(sorted((names[a], names[b]))) for a, b in bodies}
        seen = {k: row[k] for k in Observation.__dataclass_fields__ if k in row}
        return Observation(time_s=frame * self.frame_s, contacts=frozenset(touching), **seen)

    def state(self) -> Float64[np.ndarray, " state"]:
        state = np.empty(mujoco.mj_stateSize(self.model, STATE))
        mujoco.mj_getState(self.model, self.data, state, STATE)
        return np.concatenate([state, self.caught])

    def _prepare(self) -> None:
        """At a frame's start, what the state does not hold: the water's and slack ropes' forces."""
        if self.has_ropes:
            mujoco.mj_fwdPosition(self.model, self.data)
            mujoco.mj_fwdVelocity(self.model, self.data)
        self._load()

    def _load(self) -> None:
        """Forces of water at the present state, and no damping in ropes that do not pull."""
        model, data = self.model, self.data
        if self.has_ropes:
            stretch = data.ten_length - model.tendon_lengthspring[:, 1]
            pull = model.tendon_stiffness * stretch + self.rope_damping * data.ten_velocity
            slack = self.ropes & ((stretch <= 0) | (pull <= 0))
            model.tendon_damping[:] = np.where(slack, 0.0, self.rope_damping)
        if self.buoyancy is not None:
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            mujoco.mj_comVel(model, data)
            data.xfrc_applied[self.hull_ids] = self.buoyancy.wrench(
                self._hulls(), lead_s=self.lead_s
            )

    def _hulls(self) -> Float64[np.ndarray, "hull 13"]:
        """Centre of mass, quaternion, its velocity and spin of what the water carries."""
        model, data = self.model, self.data
        hulls, moving = np.empty((len(self.hull_ids), 13)), np.empty(6)
        for hull, body in zip(hulls, self.hull_ids.tolist(), strict=True):
            mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_BODY, body, moving, 0)
            hull[:3], hull[3:7] = data.xipos[body], data.xquat[body]
            hull[7:10], hull[10:] = moving[3:], moving[:3]
        return hulls

    def _catch(self, grips: np.ndarray) -> float:
        """Close the Connects marked -1 whose points are in reach; unmark the others, in place.

        Returns the most work that it does, J.
        """
        data, work_j = self.data, 0.0
        for number in np.flatnonzero(grips < 0):
            connect = self.scene.connects[number]
            a, b = (data.site(f"{connect.name}/{side}").xpos for side in "ab")
            gap_m = float(np.linalg.norm(a - b))
            if data.eq_active[number] or not gap_m <= connect.reach_m:
                grips[number] = 0.0
                continue
            data.eq_active[number] = 1
            self.caught[number] = True
            self.model.eq_solref[number, 0] = CATCH_TIME_S
            work_j += catch_work_j(self.scene, connect, gap_m, CATCH_TIME_S)
        return work_j

    def _advance(self, grips: np.ndarray, torque: np.ndarray) -> None:
        """One frame of physics steps; the step in which a grip opens is split at that instant.

        `torque` (servo,) is raised to the largest magnitude of each servo, N m.
        """
        opens = openings(grips, self.frame_s)
        for step in range(self.scene.substeps):
            begin = step * self.step_s
            done = 0.0
            while opens and opens[0][0] < begin + self.step_s:
                at, connect = opens.pop(0)
                if at - begin - done > 1e-9:
                    self._step(at - begin - done, torque)
                    done = at - begin
                self.data.eq_active[connect] = 0
            self._step(self.step_s - done, torque)

    def _step(self, step_s: float, torque: np.ndarray) -> None:
        model, data = self.model, self.data
        time_s = data.time
        if self.has_loads:
            self._load()
        if step_s != self.set_s:
            model.opt.timestep = self.set_s = step_s
        mujoco.mj_step(model, data)
        if len(torque):
            np.maximum(torque, np.abs(data.actuator_force), out=torque)
        if data.ncon:
            # Copied as they are, and made sense of once a frame: a step has no time for more
            contact = data.contact
            self.touched.append(
                (
                    time_s, step_s, contact.geom.copy(), contact.dist.copy(),
                    contact.efc_address.copy(), contact.pos.copy(), contact.frame.copy(),
                    data.efc_force.copy(),
                )
            )  # fmt: skip

    def _book(self) -> float:
        """Record the contacts of the frame's steps; returns the deepest penetration, m."""
        if not self.touched:
            return 0.0
        times, steps, *columns = zip(*self.touched, strict=True)
        self.touched = []
        geom, dist, address, place, frame, force = (np.concatenate(c) for c in columns)
        count = [len(c) for c in columns[0]]
        rows = [len(c) for c in columns[-1]]
        # A contact left out of the solver has no rows, so it gets spare zeros
        address = np.where(
            address < 0, len(force), address + np.repeat(np.cumsum(rows) - rows, count)
        )
        points = np.empty(len(dist), POINT_DTYPE)
        points["time_s"], points["dt_s"] = np.repeat(times, count), np.repeat(steps, count)
        points["body_a"], points["body_b"] = self.body_row[self.model.geom_bodyid[geom]].T
        # In an elliptic cone a contact's rows are its normal force and the two tangents
        local = np.append(force, np.zeros(3))[address[:, None] + (0, 1, 2)]
        points["normal_n"] = local[:, 0]
        points["force_n"] = np.einsum("ck,cki->ci", local, frame.reshape(-1, 3, 3))
        points["point"], points["normal"] = place, frame[:, :3]
        self.contacts.add(points)
        return max(0.0, -float(dist.min()))

    def _check_frame(self, frame: int) -> None:
        data = self.data
        fired = [n for n, w in zip(WARNINGS, data.warning, strict=False) if w.number]
        if fired:
            raise SimulationError(f"frame {frame}: MuJoCo warned {', '.join(fired)}")
        due = (frame + 1) * self.frame_s
        if not abs(data.time - due) < 1e-6:
            raise SimulationError(f"frame {frame}: time is {data.time:g} s where {due:g} s is due")
