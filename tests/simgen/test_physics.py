"""Engines against formulas: what a textbook says, within what each engine was measured to reach.

Tolerances are about twice the measured error at 2400 steps a second, the rate of the families.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ellipk

from simgen.engines import ENGINES, simulate
from simgen.motion import SimulationError
from simgen.scene import Body, Geom, Joint, Material, Scene

GREY = Material("grey", (0.5, 0.5, 0.5))
GRAVITY = 9.81
RADIUS = 0.1
PHYSICS_RATE_HZ = 2400.0

engines = pytest.mark.parametrize("engine", sorted(ENGINES))


def sphere(name="ball", *, restitution=1.0, friction=0.0, mass_kg=1.0, **keys):
    geom = Geom("sphere", (RADIUS,), GREY, friction=friction, restitution=restitution)
    return Body(name, (geom,), mass_kg, **keys)


def floor(*, restitution=1.0, friction=0.0):
    return Body(
        "floor",
        (Geom("plane", (), GREY, friction=friction, restitution=restitution),),
        motion="static",
    )


def scene(*bodies, seconds=1.0, gravity=GRAVITY, frame_rate_hz=60.0, **keys):
    return Scene(
        family="test",
        bodies=bodies,
        frames=round(seconds * frame_rate_hz),
        frame_rate_hz=frame_rate_hz,
        physics_rate_hz=PHYSICS_RATE_HZ,
        gravity=(0.0, 0.0, -gravity),
        **keys,
    )


def times(motion, frame_rate_hz=60.0):
    return np.arange(len(motion.position)) / frame_rate_hz


@engines
def test_free_fall_follows_the_parabola(engine):
    start, speed = np.array([0.0, 0.0, 9.0]), np.array([1.0, -2.0, 3.0])
    motion = simulate(scene(sphere(position=tuple(start), velocity=tuple(speed))), engine)
    t = times(motion)[:, None]
    exact = start + speed * t + 0.5 * np.array([0.0, 0.0, -GRAVITY]) * t**2
    # both engines step by semi-implicit Euler, which is late by g t dt / 2
    euler = 0.5 * GRAVITY * t / PHYSICS_RATE_HZ
    assert (np.abs(motion.position[:, 0] - exact) <= 1.001 * euler + 1e-6).all()
    np.testing.assert_allclose(
        motion.velocity[:, 0], speed + np.array([0.0, 0.0, -GRAVITY]) * t, atol=1e-5
    )
    assert len(motion.contacts) == 0


def bounce(engine, restitution, *, seconds=3.0):
    """Heights of the apexes after bounces from 1 m, and the times between touches."""
    motion = simulate(
        scene(
            sphere(restitution=restitution, position=(0, 0, 1 + RADIUS)), floor(), seconds=seconds
        ),
        engine,
    )
    # the apex from energy in mid-air, so that the frame rate does not blur it
    height = motion.position[:, 0, 2] - RADIUS
    apex = height + motion.velocity[:, 0, 2] ** 2 / (2 * GRAVITY)
    touches = motion.contacts["start_s"]
    middle = 0.5 * (touches[1:] + touches[:-1])
    return motion, np.interp(middle, times(motion), apex), np.diff(touches)


@engines
def test_an_elastic_ball_comes_back_to_its_height_on_time(engine):
    _, heights, periods = bounce(engine, 1.0, seconds=5.0)
    assert len(heights) >= 4
    np.testing.assert_allclose(heights, 1.0, atol={"bullet": 0.002, "mujoco": 0.006}[engine])
    # a touch of MuJoCo's spring takes pi / sqrt(1e5) = 10 ms, one of Bullet's a step
    period_s = 2 * np.sqrt(2 / GRAVITY)
    np.testing.assert_allclose(periods, period_s, atol={"bullet": 0.005, "mujoco": 0.02}[engine])


@engines
@pytest.mark.parametrize("restitution", [0.9, 0.7, 0.5])
def test_a_bounce_keeps_the_share_of_speed_that_was_asked(engine, restitution):
    _, heights, _ = bounce(engine, restitution)
    measured = np.sqrt(heights[:3] / np.array([1.0, *heights[:2]]))
    np.testing.assert_allclose(
        measured, restitution, atol={"bullet": 0.007, "mujoco": 0.04}[engine]
    )


@engines
def test_a_ball_without_restitution_stays_where_it_lands(engine):
    motion, _, _ = bounce(engine, 0.0)
    rest = motion.position[times(motion) > 0.6, 0, 2]
    np.testing.assert_allclose(rest, RADIUS, atol=0.004)
    assert motion.contacts["end_s"][-1] == pytest.approx(3.0)


@engines
def test_the_impulse_of_a_bounce_is_the_change_of_momentum(engine):
    motion, _, _ = bounce(engine, 0.8, seconds=0.8)
    speed = np.sqrt(2 * GRAVITY)
    gravity_ns = GRAVITY * (motion.contacts["end_s"][0] - motion.contacts["start_s"][0])
    assert motion.contacts["impulse_ns"][0] == pytest.approx(1.8 * speed + gravity_ns, rel=0.02)
    np.testing.assert_allclose(motion.contacts["normal"][0], (0, 0, -1), atol=1e-6)  # ball to floor
    np.testing.assert_allclose(motion.contacts["point"][0], (0, 0, 0), atol=0.005)


@engines
@pytest.mark.parametrize("floor_first", [True, False])
def test_the_impulse_vector_of_an_oblique_bounce_holds_friction_too(engine, floor_first):
    ball = sphere(
        restitution=0.7, friction=0.3, mass_kg=2.0, position=(0, 0, 0.6), velocity=(2.0, 1.0, -3.0),
        angular_velocity=(0, -20.0, 5.0),
    )  # fmt: skip
    bodies = [ball, floor(friction=0.3)]
    motion = simulate(scene(*bodies[:: -1 if floor_first else 1], gravity=0.0), engine)
    (touch,) = motion.contacts
    gained = 2.0 * (motion.velocity[-1] - motion.velocity[0])[int(floor_first)]
    to_ball = touch["impulse_vector_ns"] * (1 if floor_first else -1)
    assert np.hypot(*gained[:2]) > 0.2 * gained[2] > 0.5
    np.testing.assert_allclose(to_ball, gained, atol=0.02 * np.linalg.norm(gained))
    assert touch["impulse_ns"] == pytest.approx(gained[2], rel=0.02)


@engines
def test_the_impulse_vector_of_a_slide_is_what_stopped_it(engine):
    geom = Geom("box", (0.2, 0.2, 0.1), GREY, friction=0.2)
    box = Body("box", (geom,), 1.5, position=(0, 0, 0.1), velocity=(1.0, 0.5, 0))
    motion = simulate(scene(floor(friction=0.2, restitution=0.0), box), engine)
    given = motion.contacts["impulse_vector_ns"].sum(axis=0)  # a box trembles as it slides
    expected = 1.5 * np.array([-1.0, -0.5, GRAVITY])
    np.testing.assert_allclose(given, expected, atol=0.02 * np.linalg.norm(expected))


@engines
def test_frames_with_a_touch_report_how_deep_it_went(engine):
    motion, _, _ = bounce(engine, 0.8, seconds=0.8)
    assert 1e-6 < motion.deepest_penetration_m.max() < 0.02
    assert (motion.deepest_penetration_m[: int(0.4 * 60)] == 0).all()


LENGTH = 0.5


def pendulum(engine, amplitude, *, seconds=6.0):
    """Period and energy drift of a ball on a massless rod, let go at `amplitude`."""
    bob = Body(
        "bob",
        (Geom("sphere", (RADIUS,), GREY, position=(0.0, 0.0, -LENGTH)),),
        2.0,
        motion="jointed",
        joints=(Joint("swing", "hinge", (0.0, 1.0, 0.0), position=amplitude),),
        position=(0.0, 0.0, 2.0),
    )
    motion = simulate(scene(bob, seconds=seconds), engine)
    angle = motion.joint_position[:, 0]
    up = np.flatnonzero((angle[:-1] < 0) & (angle[1:] >= 0))
    crossing = times(motion)[up] - angle[up] / (angle[up + 1] - angle[up]) / 60
    return motion, np.diff(crossing).mean()


@engines
@pytest.mark.parametrize("amplitude", [0.05, np.pi / 2, 2.6])
def test_pendulum_keeps_the_period_of_its_amplitude(engine, amplitude):
    motion, period_s = pendulum(engine, amplitude)
    inertia = LENGTH**2 + 0.4 * RADIUS**2  # of a unit mass about the pivot
    small = 2 * np.pi * np.sqrt(inertia / (GRAVITY * LENGTH))
    exact = small * 2 / np.pi * ellipk(np.sin(amplitude / 2) ** 2)
    assert period_s == pytest.approx(exact, rel=0.002)
    energy = motion.kinetic_energy_j + motion.potential_energy_j
    swing_j = 2.0 * GRAVITY * LENGTH * (1 - np.cos(amplitude))
    assert np.ptp(energy) < 0.005 * swing_j
    where = motion.centre_of_mass[:, 0] - (0, 0, 2.0)
    np.testing.assert_allclose(np.linalg.norm(where, axis=1), LENGTH, atol=1e-4)
    np.testing.assert_allclose(motion.position[:, 0], [[0, 0, 2.0]] * len(where), atol=1e-4)


def collision(engine, *, offset, restitution):
    ball = sphere("a", restitution=restitution, position=(-0.5, offset, 1.0), velocity=(2, 0, 0))
    other = sphere("b", restitution=1.0, position=(0.0, 0.0, 1.0), mass_kg=3.0)
    return simulate(scene(ball, other, gravity=0.0), engine)


@engines
@pytest.mark.parametrize("restitution", [1.0, 0.6])
def test_two_balls_part_as_momentum_and_restitution_say(engine, restitution):
    motion = collision(engine, offset=0.0, restitution=restitution)
    after = motion.velocity[-1, :, 0]
    common = 2.0 / 4.0
    expected = (common - restitution * 1.5, common + restitution * 0.5)
    np.testing.assert_allclose(after, expected, atol={"bullet": 0.001, "mujoco": 0.03}[engine])


@engines
def test_an_oblique_hit_keeps_momentum_and_energy(engine):
    motion = collision(engine, offset=0.08, restitution=1.0)
    assert len(motion.contacts) == 1
    momentum = motion.velocity[:, 0] + 3.0 * motion.velocity[:, 1]
    np.testing.assert_allclose(momentum, [[2.0, 0, 0]] * len(momentum), atol=1e-5)
    assert abs(motion.velocity[-1, 1, 1]) > 0.1  # it really was oblique
    assert motion.kinetic_energy_j[-1] == pytest.approx(
        2.0, rel={"bullet": 0.001, "mujoco": 0.005}[engine]
    )


@engines
def test_a_sliding_box_stops_where_friction_says(engine):
    geom = Geom("box", (0.2, 0.2, 0.1), GREY, friction=0.1)
    box = Body("box", (geom,), 1.5, position=(0, 0, 0.1), velocity=(2.0, 0, 0))
    motion = simulate(scene(box, floor(friction=0.4, restitution=0.0), seconds=2.0), engine)
    friction = np.sqrt(0.1 * 0.4)
    assert motion.position[-1, 0, 0] == pytest.approx(2.0**2 / (2 * friction * GRAVITY), rel=0.02)
    assert np.linalg.norm(motion.velocity[-1, 0]) < 0.005


@engines
def test_a_corner_with_friction_gives_no_energy(engine):
    wall = Geom("box", (0.5, 2.0, 2.0), GREY, friction=0.5, restitution=1.0)
    ball = sphere(restitution=0.95, friction=0.5, position=(0.2, 0, 0.3), velocity=(3.0, 0, -3.0))
    corner = Body("wall", (wall,), motion="static", position=(1.0, 0, 0))
    motion = simulate(scene(ball, floor(friction=0.5), corner, gravity=0.0, seconds=0.5), engine)
    assert len(motion.contacts) == 2
    assert motion.contacts["start_s"][0] == pytest.approx(motion.contacts["start_s"][1], abs=1e-3)
    assert (motion.velocity[-1, 0] * (-1, 0, 1) >= 0).all()  # it came back out
    assert motion.kinetic_energy_j[-1] < motion.kinetic_energy_j[0]


@engines
def test_a_tumbling_box_keeps_angular_momentum_and_energy(engine):
    size, mass_kg = np.array([0.1, 0.2, 0.3]), 2.0
    box = Body(
        "box",
        (Geom("box", tuple(size), GREY),),
        mass_kg,
        angular_velocity=(3.0, 5.0, 1.0),  # mostly about the unstable middle axis
    )
    motion = simulate(scene(box, gravity=0.0, seconds=3.0), engine)
    inertia = mass_kg / 3 * ((size**2).sum() - size**2)
    w, x, y, z = motion.quaternion[:, 0].T
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    local = np.einsum("jit,tj->ti", turn, motion.angular_velocity[:, 0])
    angular_momentum = np.einsum("ijt,tj->ti", turn, inertia * local)
    start = np.linalg.norm(angular_momentum[0])
    drift = np.linalg.norm(angular_momentum - angular_momentum[0], axis=1) / start
    assert drift.max() < 0.02
    assert np.ptp(motion.kinetic_energy_j) < 0.02 * motion.kinetic_energy_j[0]
    assert np.ptp(local[:, 1]) > 5.0  # it flipped, so the gyroscopic term was there


@engines
def test_velocity_belongs_to_the_origin_and_not_to_the_centre_of_mass(engine):
    arm = 0.3
    geom = Geom("sphere", (RADIUS,), GREY, position=(arm, 0, 0))
    body = Body("club", (geom,), 1.0, velocity=(0, 0, 1.0), angular_velocity=(0, 0, 2.0))
    motion = simulate(scene(body, gravity=0.0), engine)
    np.testing.assert_allclose(motion.velocity[0, 0], (0, -2.0 * arm, 1.0), atol=1e-9)
    np.testing.assert_allclose(motion.centre_of_mass[0, 0], (arm, 0, 0), atol=1e-12)
    t = times(motion)
    np.testing.assert_allclose(
        motion.centre_of_mass[:, 0], np.stack([arm + 0 * t, 0 * t, t], axis=1), atol=5e-4
    )


@engines
def test_same_scene_same_bytes(engine):
    bodies = [sphere("a", restitution=0.8, position=(0, 0, 1.0), velocity=(1, 0, 0))]
    bodies += [sphere("b", restitution=0.8, position=(0.3, 0.02, 0.6)), floor()]
    one, two = (simulate(scene(*bodies), engine) for _ in range(2))
    assert len(one.contacts) > 2
    for name in ("position", "quaternion", "velocity", "angular_velocity", "contacts", "state"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes(), name


@engines
def test_a_stored_state_goes_on_as_the_run_did(engine):
    resume = pytest.importorskip(ENGINES[engine]).resume
    setting = scene(
        sphere("a", restitution=0.8, position=(0, 0, 0.6), angular_velocity=(0, 3, 0)),
        floor(friction=0.5),
    )
    motion = simulate(setting, engine, state_every=10)
    assert motion.state_frames.tolist() == list(range(0, 60, 10))
    again = resume(setting, motion.state[1], frame=10, frames=50, action=motion.action[10:])
    np.testing.assert_allclose(again.position, motion.position[10:], atol=1e-6)
    np.testing.assert_allclose(again.contacts["start_s"], motion.contacts["start_s"], atol=1e-6)
    shift = np.zeros((2, 3))
    shift[0, 0] = 0.01
    moved = resume(
        setting,
        motion.state[1],
        frame=10,
        frames=5,
        action=motion.action[10:],
        position_offset_m=shift,
    )
    np.testing.assert_allclose(
        moved.position[:, 0, 0] - motion.position[10:16, 0, 0], 0.01, atol=1e-9
    )


@engines
def test_a_state_that_is_not_finite_is_refused(engine):
    a = sphere("a", position=(0, 0, 0), velocity=(0, 0, float("nan")))
    with pytest.raises(SimulationError, match=r"finite|BADQ|nan"):
        simulate(scene(a), engine)


@engines
def test_a_body_that_leaves_the_world_is_refused(engine):
    a = sphere("a", velocity=(500.0, 0, 0))
    with pytest.raises(SimulationError, match=r"body 'a' is .* m from the origin"):
        simulate(scene(a), engine)


def test_an_engine_that_cannot_says_what_it_cannot():
    egg = Body("egg", (Geom("ellipsoid", (0.1, 0.1, 0.2), GREY),), 1.0)
    with pytest.raises(
        ValueError, match="engine 'bullet' cannot simulate 'test': body 'egg': coll"
    ):
        simulate(scene(egg), "bullet")


def test_physics_rate_must_be_a_multiple_of_the_frame_rate():
    with pytest.raises(ValueError, match="not a whole multiple"):
        simulate(replace(scene(sphere()), physics_rate_hz=100.0), "bullet")
