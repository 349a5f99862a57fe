"""MuJoCo: Scene -> Motion, bit for bit the same within one version and CPU architecture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float64

from simgen.engines import water
from simgen.engines.contacts import ContactRecorder
from simgen.engines.mujoco_model import GEOM_TYPES, compile_model
from simgen.motion import Motion, SimulationError
from simgen.scene import Command, Observation, Scene

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
FARTHEST_M = 200.0  # from the origin: no scene is that large
ENERGY_GROWTH = 0.1  # unexplained rise, as a share of the largest kinetic energy so far
ENERGY_SLACK_J = 1.0

ActionSource = Callable[[int, Observation], np.ndarray]  # (frame, what is seen) -> one action row


def check(scene: Scene) -> tuple[str, ...]:
    """What about the scene this engine cannot simulate; empty if nothing."""
    reasons = []
    names = set()
    for body in scene.bodies:
        if body.name in names:
            reasons.append(f"two bodies are called {body.name!r}")
        if body.parent is not None and body.parent not in names:
            reasons.append(
                f"body {body.name!r}: its parent {body.parent!r} does not stand before it"
            )
        names.add(body.name)
        if body.motion != "static" and not body.mass_kg > 0:
            reasons.append(f"body {body.name!r}: moving, so mass_kg {body.mass_kg} must be above 0")
        if body.motion == "free" and body.parent is not None:
            reasons.append(f"body {body.name!r}: free, so it has no parent")
        if (body.motion == "jointed") != bool(body.joints):
            reasons.append(f"body {body.name!r}: {body.motion} with {len(body.joints)} joints")
        for geom in body.geoms:
            if geom.kind not in GEOM_TYPES:
                reasons.append(f"body {body.name!r}: unknown geom kind {geom.kind!r}")
            elif geom.kind == "plane" and body.motion != "static":
                reasons.append(f"body {body.name!r}: a plane cannot move")
    joints = set(scene.joint_names)
    reasons += [
        f"actuator {a.name!r}: no joint {a.joint!r}"
        for a in scene.actuators
        if a.joint not in joints
    ]
    reasons += [
        f"connect {c.name!r}: no body {name!r}"
        for c in scene.connects
        for name in (c.body_a, c.body_b)
        if name not in names
    ]
    reasons += [
        f"spring {s.name!r}: no body {name!r}"
        for s in scene.springs
        for name in (s.body_a, s.body_b)
        if name not in names
    ]
    tied = [tie.name for tie in (*scene.connects, *scene.springs)]
    reasons += [f"two ties are called {name!r}" for name in set(tied) if tied.count(name) > 1]
    return (*reasons, *water.problems(scene))


def simulate(scene: Scene, *, state_every: int) -> Motion:
    """Motion of the scene, driven by its script.

    Raises:
        SimulationError: NaN, a MuJoCo warning, time not monotone, a body far outside, or energy
            that no servo put in; the message says which, when and where.
    """
    run = Run(scene)
    run.start()
    return run.record(0, scene.frames, scripted(scene), state_every)


def resume(
    scene: Scene,
    state: Float64[np.ndarray, " state"],
    *,
    frame: int,
    frames: int,
    action: Float64[np.ndarray, "time action"],
    position_offset_m: Float64[np.ndarray, "body 3"] | None = None,
    velocity_offset_m_s: Float64[np.ndarray, "body 3"] | None = None,
    state_every: int | None = None,
) -> Motion:
    """Motion of `frames` frames from a stored state, driven by recorded actions.

    Args:
        frame: The clip's frame that the state belongs to; action row 0 acts from it.
        position_offset_m: Added to free bodies first, and so is velocity_offset_m_s.
    """
    run = Run(scene)
    run.restore(state, position_offset_m, velocity_offset_m_s)
    return run.record(
        frame, frames, lambda number, _: action[number - frame], state_every or frames
    )


def scripted(scene: Scene) -> ActionSource:
    """Action rows from the scene's script, rounded to the float32 that the store keeps."""
    servos, connects = len(scene.actuators), scene.connects

    def act(frame: int, seen: Observation) -> np.ndarray:
        row = np.zeros(servos + len(connects))
        if scene.script is None:
            return row
        command: Command = scene.script(frame, seen)
        row[:servos] = command.targets
        for name, delay_s in command.releases.items():
            column = servos + [c.name for c in connects].index(name)
            row[column] = 1.0 - delay_s * scene.frame_rate_hz
        for number, connect in enumerate(connects):
            if connect.name in command.catches and row[servos + number] == 0.0:
                row[servos + number] = -1.0
        return row.astype(np.float32).astype(np.float64)

    return act


@dataclass
class _Frame:
    """What is gathered over the physics steps of one frame."""

    torque: np.ndarray  # largest magnitude per servo, N m
    depth_m: float = 0.0


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
        self.caught = np.zeros(len(scene.connects), dtype=bool)
        self.ropes = np.array([s.pull_only and s.damping > 0 for s in scene.springs], dtype=bool)
        self.rope_damping = np.array([s.damping for s in scene.springs])
        self.buoyancy = water.Buoyancy(scene, scene.water) if scene.water else None
        rk4 = model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4
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
        guard = _EnergyGuard(self)
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
            gathered = _Frame(np.abs(self.data.actuator_force))
            self._look(gathered, None, 0.0)
            if last:
                # Nothing acts after the clip's end: the last targets are held, nothing opens
                action = actions[-1].copy()
                action[len(self.scene.actuators) :] = 0.0
            else:
                action = np.array(source(frame, self.observe(row, frame)))
                self.data.ctrl[:] = action[: len(self.scene.actuators)]
                self._catch(action[len(self.scene.actuators) :])
                self._advance(gathered, action[len(self.scene.actuators) :])
                self._check_frame(frame)
            actions.append(action)
            rows.append(
                {**row, "joint_torque": gathered.torque, "deepest_penetration_m": gathered.depth_m}
            )
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
        ids = self.bodies[self.buoyancy.rows]
        return self.buoyancy.energy_j(self.data.xpos[ids], self.data.xmat[ids].reshape(-1, 3, 3))

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
        if self.ropes.any():
            mujoco.mj_fwdPosition(self.model, self.data)
            mujoco.mj_fwdVelocity(self.model, self.data)
        self._load()

    def _load(self) -> None:
        """Forces of water at the present state, and no damping in ropes that do not pull."""
        model, data = self.model, self.data
        if self.ropes.any():
            stretch = data.ten_length - model.tendon_lengthspring[:, 1]
            pull = model.tendon_stiffness * stretch + self.rope_damping * data.ten_velocity
            slack = self.ropes & ((stretch <= 0) | (pull <= 0))
            model.tendon_damping[:] = np.where(slack, 0.0, self.rope_damping)
        if self.buoyancy is not None:
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            mujoco.mj_comVel(model, data)
            ids = self.bodies[self.buoyancy.rows]
            spin, centre = data.cvel[ids, :3], data.xipos[ids]
            arm = centre - data.subtree_com[model.body_rootid[ids]]
            velocity = data.cvel[ids, 3:] + np.cross(spin, arm)
            turn = data.xmat[ids].reshape(-1, 3, 3)
            ahead = centre + self.lead_s * velocity
            turned = turn + self.lead_s * np.cross(spin[:, None], turn, axisb=1, axisc=1)
            origin = data.xpos[ids] - centre
            origin += ahead + self.lead_s * np.cross(spin, origin)
            data.xfrc_applied[ids] = self.buoyancy.wrench(origin, turned, ahead, velocity, spin)

    def _catch(self, grips: np.ndarray) -> None:
        """Close the Connects marked -1 whose points are in reach; unmark the others, in place."""
        data = self.data
        for number in np.flatnonzero(grips < 0):
            connect = self.scene.connects[number]
            a, b = (data.site(f"{connect.name}/{side}").xpos for side in "ab")
            if data.eq_active[number] or not np.linalg.norm(a - b) <= connect.reach_m:
                grips[number] = 0.0
                continue
            data.eq_active[number] = 1
            self.caught[number] = True
            self.model.eq_solref[number, 0] = CATCH_TIME_S

    def _advance(self, gathered: _Frame, open_shares: np.ndarray) -> None:
        """One frame of physics steps; the step in which a grip opens is split at that instant."""
        data, steps = self.data, self.scene.substeps
        opens = sorted(
            ((1.0 - share) * self.frame_s, i) for i, share in enumerate(open_shares) if share > 0
        )
        for step in range(steps):
            begin = step * self.step_s
            done = 0.0
            while opens and opens[0][0] < begin + self.step_s:
                at, connect = opens.pop(0)
                if at - begin - done > 1e-9:
                    self._step(gathered, at - begin - done)
                    done = at - begin
                data.eq_active[connect] = 0
            self._step(gathered, self.step_s - done)

    def _step(self, gathered: _Frame, step_s: float) -> None:
        model, data = self.model, self.data
        time_s = data.time
        self._load()
        model.opt.timestep = step_s
        mujoco.mj_step(model, data)
        if model.nu:
            np.maximum(gathered.torque, np.abs(data.actuator_force), out=gathered.torque)
        if data.ncon:
            self._look(gathered, time_s, step_s)

    def _look(self, gathered: _Frame, time_s: float | None, step_s: float) -> None:
        """Note depth, and forces if there is a time to book them at, of the present contacts."""
        data = self.data
        if not data.ncon:
            return
        contact = data.contact
        gathered.depth_m = max(gathered.depth_m, -float(contact.dist.min()))
        if time_s is None or not data.nefc:
            return
        # In an elliptic cone the first row of a contact is its normal force
        rows = contact.efc_address
        force = np.where(rows >= 0, data.efc_force[rows], 0.0)
        bodies = self.body_row[self.model.geom_bodyid[contact.geom]]
        for (a, b), newton, point, normal in zip(
            bodies.tolist(),
            force.tolist(),
            contact.pos.tolist(),
            contact.frame[:, :3].tolist(),
            strict=True,
        ):
            if newton > 0.0:
                self.contacts.add(time_s, step_s, a, b, newton, point, normal)

    def _check_frame(self, frame: int) -> None:
        data = self.data
        fired = [n for n, w in zip(WARNINGS, data.warning, strict=False) if w.number]
        if fired:
            raise SimulationError(f"frame {frame}: MuJoCo warned {', '.join(fired)}")
        due = (frame + 1) * self.frame_s
        if not abs(data.time - due) < 1e-6:
            raise SimulationError(f"frame {frame}: time is {data.time:g} s where {due:g} s is due")
        if not np.isfinite(data.qpos).all() or not np.isfinite(data.qvel).all():
            raise SimulationError(f"frame {frame}: the state is not finite")
        distance = np.abs(data.xpos[self.bodies]).max(axis=1)
        if distance.max() > FARTHEST_M:
            name = self.scene.body_names[int(distance.argmax())]
            raise SimulationError(
                f"frame {frame}: body {name!r} is {distance.max():.0f} m from the origin "
                f"(at most {FARTHEST_M:g})"
            )


class _EnergyGuard:
    """Refuses energy that neither servos nor the start put in.

    Springs of contacts are not counted, so energy may dip in a touch and come back.
    """

    def __init__(self, run: Run) -> None:
        self.limits = np.array([a.limit for a in run.scene.actuators])
        names = list(run.scene.joint_names)
        self.joints = [names.index(a.joint) for a in run.scene.actuators]
        self.frame_s = run.frame_s
        self.start: float | None = None
        self.work_j = 0.0
        self.scale_j = 0.0
        self.speed = np.zeros(len(self.limits))

    def check(self, frame: int, row: dict[str, np.ndarray]) -> None:
        kinetic, total = (
            row["kinetic_energy_j"],
            row["kinetic_energy_j"] + row["potential_energy_j"],
        )
        if not np.isfinite(total):
            raise SimulationError(f"frame {frame}: the energy is not finite")
        speed = np.abs(row["joint_velocity"][self.joints])
        if self.start is None:
            self.start = total
        self.work_j += float(self.limits @ np.maximum(speed, self.speed)) * self.frame_s
        self.speed = speed
        rise = total - self.start - self.work_j
        self.scale_j = max(self.scale_j, kinetic - max(rise, 0.0))
        allowed = ENERGY_GROWTH * self.scale_j + ENERGY_SLACK_J
        if not rise <= allowed:
            raise SimulationError(
                f"frame {frame}: energy rose by {rise:.3g} J that nothing put in "
                f"(at most {allowed:.3g})"
            )
