"""Torques that nobody can hide: what the motion of every physics step needs, by inverse dynamics.

The stored torques are the servos' own and clipped by the engine, so that they keep to their limits
says little. Here poses and speeds of every physics step go backwards through the equations of
motion: in flight the joints must have got what a servo with its gains and limit gives, and the
body as a whole nothing at all.
"""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from simgen.cameras import rotation_matrix
from simgen.engines import simulate
from simgen.engines.mujoco_model import compile_model
from simgen.families import family
from simgen.families.flight import flights, flyers
from simgen.scene import Command, Scene

FRAMES = {"bar_catch": 60, "high_bar": 56, "trampoline": 40, "triple_axel": 24, "vault": 36}
SEED = 4
# Half a step beside a target that jumps or a joint that meets its stop, differences of speeds
# say nothing; what cheats would push for longer
MOST = 90  # per cent of the steps
WEIGHT_SHARE = 0.03  # of the weight, N or N m: what may seem to push or turn a flying body
SERVO_SHARE = 0.01  # of its limit: what a joint's torque may differ from the servo's


def by_steps(scene: Scene) -> Scene:
    """The same clip with a frame for every physics step; the script is asked as often as before."""
    steps, step_s, held = scene.substeps, 1 / scene.physics_rate_hz, {}

    def script(step, observation):
        if step % steps == 0:
            held["command"] = scene.script(step // steps, observation)
        command, since_s = held["command"], step % steps * step_s
        due = {name: delay - since_s for name, delay in command.releases.items()}
        return Command(
            command.targets,
            {name: delay for name, delay in due.items() if -1e-9 <= delay < step_s - 1e-9},
            command.catches if step % steps == 0 else frozenset(),
        )

    rate = scene.physics_rate_hz
    return replace(scene, frames=scene.frames * steps, frame_rate_hz=rate, script=script)


def generalised(scene: Scene, motion, model) -> tuple[np.ndarray, np.ndarray]:
    """qpos and qvel of every row, from poses and speeds of the bodies and joints."""
    count = len(motion.position)
    qpos, qvel = np.zeros((count, model.nq)), np.zeros((count, model.nv))
    for column, name in enumerate(scene.joint_names):
        joint = model.joint(name)
        qpos[:, joint.qposadr[0]] = motion.joint_position[:, column]
        qvel[:, joint.dofadr[0]] = motion.joint_velocity[:, column]
    for row, body in enumerate(scene.bodies):
        if body.motion == "free":
            at, to = (model.joint(f"{body.name}/free").qposadr[0],
                      model.joint(f"{body.name}/free").dofadr[0])  # fmt: skip
            turn = rotation_matrix(motion.quaternion[:, row])
            qpos[:, at : at + 3] = motion.position[:, row]
            qpos[:, at + 3 : at + 7] = motion.quaternion[:, row]
            qvel[:, to : to + 3] = motion.velocity[:, row]
            qvel[:, to + 3 : to + 6] = np.einsum(
                "tji,tj->ti", turn, motion.angular_velocity[:, row]
            )
    return qpos, qvel


def needed(model, qpos, qvel, step_s: float) -> np.ndarray:
    """Forces beyond gravity that the acceleration of each inner row takes, (row - 2, dof)."""
    data = mujoco.MjData(model)
    data.eq_active[:] = 0
    forces = []
    for t in range(1, len(qpos) - 1):
        data.qpos[:], data.qvel[:] = qpos[t], qvel[t]
        data.qacc[:] = (qvel[t + 1] - qvel[t - 1]) / (2 * step_s)
        mujoco.mj_inverse(model, data)
        forces.append(data.qfrc_inverse.copy())
    return np.array(forces)


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_a_flight_needs_what_the_servos_give_and_nothing_from_outside(name):
    kind, rng = family(name), np.random.default_rng(SEED)
    scene = kind.sample(kind.Parameters(), rng, frames=FRAMES[name], frame_rate_hz=24.0)
    fine = by_steps(scene)
    motion = simulate(fine, "mujoco", state_every=fine.frames)
    stored = simulate(scene, "mujoco")
    assert np.allclose(motion.position[:: scene.substeps], stored.position, atol=1e-9)

    rows = next(iter(flyers(fine).values()))
    start, end = max(flights(fine, motion, rows), key=lambda flight: flight[1] - flight[0])
    assert end - start > 0.3 * fine.frame_rate_hz
    model = compile_model(fine)
    qpos, qvel = generalised(fine, motion, model)
    forces = needed(model, qpos[start:end], qvel[start:end], 1 / fine.frame_rate_hz)

    weight = 9.81 * sum(fine.bodies[row].mass_kg for row in rows)
    root = model.joint(f"{fine.bodies[rows[0]].name}/free").dofadr[0]
    inner = np.arange(start + 1, end - 1)
    steady = (inner % scene.substeps != 0) & ((inner - 1) % scene.substeps != 0)  # targets jump
    outside = np.abs(forces[steady, root : root + 6]).max(axis=1)
    assert np.percentile(outside, MOST) < WEIGHT_SHARE * weight

    moved = 0
    for column, servo in enumerate(fine.actuators):
        joint = model.joint(servo.joint)
        angle, speed = qpos[inner, joint.qposadr[0]], qvel[inner, joint.dofadr[0]]
        given = servo.kp * (motion.action[inner, column] - angle) - servo.kd * speed
        given = np.clip(given, -servo.limit, servo.limit)
        torque = forces[:, joint.dofadr[0]]
        low, high = joint.range
        free = steady & (angle > low + 0.01) & (angle < high - 0.01)
        if free.sum() < 20:
            continue
        off = np.abs(torque - given)[free] / servo.limit
        assert np.percentile(off, MOST) < SERVO_SHARE, servo.name
        assert np.percentile(np.abs(torque[free]), 99) <= 1.02 * servo.limit, servo.name
        moved += np.abs(given[free]).max() > 0.2 * servo.limit
    assert moved >= 2
