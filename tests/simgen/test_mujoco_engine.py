"""MuJoCo's engine: restitution, exact release, restorable states, and faults that must stop it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simgen.engines import simulate
from simgen.engines.mujoco_model import damping_of_restitution, restitution_of_damping
from simgen.motion import SimulationError
from simgen.resimulate import resimulate
from simgen.scene import (
    Actuator,
    Body,
    Command,
    Connect,
    Geom,
    Joint,
    Material,
    Scene,
)

GREY = Material("grey", (0.5, 0.5, 0.5))
FLOOR = Body("floor", (Geom("plane", (), GREY, restitution=1.0),), motion="static")


def ball(name: str, **about) -> Body:
    restitution = about.pop("restitution", 0.0)
    geom = Geom("sphere", (about.pop("radius_m", 0.1),), GREY, restitution=restitution)
    return Body(name, (geom,), **{"mass_kg": 1.0, **about})


def scene(*bodies: Body, **about) -> Scene:
    return Scene(
        "test", bodies, **{"frames": 24, "frame_rate_hz": 24, "physics_rate_hz": 2400, **about}
    )


def pendulum(*, limit: float = 5.0, **about) -> Scene:
    """A rod on a servo, and a ball that hangs from its end until frame 6.25."""
    rod = Body(
        "rod", (Geom("capsule", (0.02, 0.5), GREY, position=(0, 0, -0.5)),),
        mass_kg=1.0, motion="jointed", position=(0, 0, 3),
        joints=(Joint("hinge", "hinge", (0, 1, 0), position=0.3),),
    )  # fmt: skip
    end = np.array([0, 0, 3]) + np.array([-np.sin(0.3), 0, -np.cos(0.3)])
    held = ball("held", position=tuple(end.tolist()), radius_m=0.05)

    def script(frame: int, seen) -> Command:
        return Command(np.array([2.0]), {"grip": 0.25 / 24} if frame == 6 else {})

    return scene(
        rod, held, physics_rate_hz=480, script=script,
        actuators=(Actuator("servo", "hinge", kp=50.0, kd=2.0, limit=limit),),
        connects=(Connect("grip", "rod", (0, 0, -1.0), "held", (0, 0, 0)),), **about,
    )  # fmt: skip


@pytest.mark.parametrize("restitution", [0.05, 0.3, 0.7, 0.95])
def test_damping_gives_the_restitution_it_was_solved_for(restitution):
    zeta = damping_of_restitution(restitution)
    assert restitution_of_damping(zeta) == pytest.approx(restitution, abs=1e-9)


@pytest.mark.parametrize("offset_m", [0.0, 0.0003, 0.0006])
@pytest.mark.parametrize("restitution", [0.5, 0.8, 1.0])
def test_two_balls_part_with_the_restitution_of_the_pair(restitution, offset_m):
    a = ball("a", restitution=restitution, velocity=(2, 0, 0), position=(-0.5 + offset_m, 0, 0))
    b = ball("b", restitution=1.0, mass_kg=3.0, radius_m=0.2)
    motion = simulate(scene(a, b, gravity=(0, 0, 0)), "mujoco")
    before, after = motion.velocity[0, :, 0], motion.velocity[-1, :, 0]
    assert (after[1] - after[0]) / 2.0 == pytest.approx(restitution, abs=0.025)
    assert after @ [1, 3] == pytest.approx(before @ [1, 3], rel=1e-9)
    assert len(motion.contacts) == 1
    assert motion.contacts["impulse_ns"][0] == pytest.approx(3 * after[1], rel=1e-6)


def test_friction_is_the_root_of_the_product():
    floor = replace(FLOOR, geoms=(Geom("plane", (), GREY, friction=0.4),))
    box = Body(
        "box", (Geom("box", (0.2, 0.2, 0.1), GREY, friction=0.1),), mass_kg=2.0,
        position=(0, 0, 0.1), velocity=(2, 0, 0),
    )  # fmt: skip
    motion = simulate(scene(floor, box, frames=12), "mujoco")
    assert motion.velocity[-1, 1, 0] == pytest.approx(2 - 0.2 * 9.81 * 0.5, abs=0.05)


def test_the_same_scene_gives_the_same_bytes():
    first, second = simulate(pendulum(), "mujoco"), simulate(pendulum(), "mujoco")
    for name, value in vars(first).items():
        if isinstance(value, np.ndarray):
            assert value.tobytes() == getattr(second, name).tobytes(), name


def test_servo_torque_reaches_its_limit_and_never_passes_it():
    motion = simulate(pendulum(limit=3.0), "mujoco")
    assert motion.joint_torque.max() == pytest.approx(3.0)
    unlimited = simulate(pendulum(limit=1e6), "mujoco")
    assert unlimited.joint_torque.max() > 50.0  # at rest 1.7 rad from its target


def test_a_grip_opens_within_the_frame():
    motion = simulate(pendulum(), "mujoco")
    held = motion.position[:, 1]
    rod = motion.position[:, 0] + np.stack(
        [
            -np.sin(motion.joint_position[:, 0]),
            0 * held[:, 0],
            -np.cos(motion.joint_position[:, 0]),
        ],
        axis=1,
    )
    apart = np.linalg.norm(held - rod, axis=1)
    assert apart[:7].max() < 2e-3
    assert apart[8] > 5e-3
    assert motion.action[6, 1] == 0.75
    assert np.flatnonzero(motion.action[:, 1]).tolist() == [6]
    # ballistic from 6.25 frames on: two frames of flight give where it was let go
    v = motion.velocity[7, 1] + np.array([0, 0, 9.81]) * 0.75 / 24
    then = held[7] - v * 0.75 / 24 + 0.5 * np.array([0, 0, 9.81]) * (0.75 / 24) ** 2
    assert np.linalg.norm(then - [0, 0, 3]) == pytest.approx(1.0, abs=3e-3)


def test_a_stored_state_goes_on_exactly_as_the_clip_did():
    whole = simulate(pendulum(), "mujoco", state_every=4)
    row = 1
    frame = int(whole.state_frames[row])
    part = resimulate(
        pendulum(), "mujoco", whole.state[row], frame=frame, frames=16,
        action=whole.action[frame:].astype(np.float32),
    )  # fmt: skip
    assert part.position.tobytes() == whole.position[frame : frame + 17].tobytes()
    moved = resimulate(
        pendulum(), "mujoco", whole.state[-1], frame=int(whole.state_frames[-1]), frames=2,
        action=whole.action[int(whole.state_frames[-1]) :],
        position_offset_m=np.array([[0, 0, 0], [0.1, 0, 0]]),
    )  # fmt: skip
    start = whole.position[int(whole.state_frames[-1]), 1]
    assert moved.position[0, 1] - start == pytest.approx([0.1, 0, 0])


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (scene(FLOOR, ball("b", velocity=(np.inf, 0, 0))), "energy is not finite"),
        (scene(ball("b", velocity=(5e3, 0, 0)), frames=4), r"'b' is \d+ m from the origin"),
        (
            scene(  # one inside the other
                ball("a", restitution=1.0, radius_m=0.5),
                ball("b", restitution=1.0, radius_m=0.5, position=(0.1, 0, 0)),
            ),
            "energy rose by",
        ),
    ],
)
def test_broken_physics_is_refused_with_its_reason(broken, reason):
    with pytest.raises(SimulationError, match=reason):
        simulate(broken, "mujoco")


def test_a_reset_after_nan_is_noticed():
    joint = Joint("j", "slide", (1, 0, 0), stiffness=1e12)
    body = replace(ball("b"), motion="jointed", joints=(replace(joint, position=1.0),))
    with pytest.raises(SimulationError, match=r"MuJoCo warned|energy|origin"):
        simulate(scene(body, physics_rate_hz=24), "mujoco")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (scene(ball("a"), ball("a")), "two bodies are called 'a'"),
        (scene(replace(ball("a"), mass_kg=0.0)), "mass_kg 0.0 must be above 0"),
        (scene(replace(FLOOR, motion="free", mass_kg=1.0)), "a plane cannot move"),
        (scene(replace(ball("a"), parent="b")), "parent 'b' does not stand before it"),
        (scene(ball("a"), connects=(Connect("c", "a", (0, 0, 0), "b", (0, 0, 0)),)), "no body 'b'"),
        (scene(ball("a"), actuators=(Actuator("s", "j", 1.0, 1.0, 1.0),)), "no joint 'j'"),
    ],
)
def test_scenes_that_it_cannot_do_are_named(wrong, reason):
    with pytest.raises(ValueError, match=reason):
        simulate(wrong, "mujoco")
