"""Springs, ropes, water and grips against formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simgen.engines import ENGINES, simulate
from simgen.resimulate import resimulate
from simgen.scene import Body, Command, Connect, Geom, Joint, Material, Scene, Spring, Water

GREY = Material("grey", (0.5, 0.5, 0.5))
GRAVITY = 9.81
POST = Body("post", (Geom("box", (0.1, 0.1, 0.1), GREY, collide=False),), motion="static")

engines = pytest.mark.parametrize("engine", sorted(ENGINES))


def ball(name="ball", **about) -> Body:
    geom = Geom("sphere", (0.1,), GREY, collide=False)
    return Body(name, (geom,), **{"mass_kg": 2.0, **about})


def scene(*bodies: Body, **about) -> Scene:
    return Scene(
        "test", bodies, **{"frames": 48, "frame_rate_hz": 24, "physics_rate_hz": 480, **about}
    )


def energy(motion):
    return motion.kinetic_energy_j + motion.potential_energy_j


def again(world, engine, motion, row, **about):
    """The clip gone on from one of its stored states."""
    frame = int(motion.state_frames[row])
    return frame, resimulate(
        world, engine, motion.state[row], frame=frame, frames=world.frames - frame,
        action=motion.action[frame:].astype(np.float32), **about,
    )  # fmt: skip


def rod(name: str, parent: str | None, position) -> Body:
    geom = Geom("capsule", (0.02, 0.25), GREY, position=(0, 0, -0.25), collide=False)
    return Body(
        name, (geom,), 1.0, motion="jointed", parent=parent, position=position, object="rods",
        joints=(Joint(f"{name}_hinge", "hinge", (0, 1, 0), position=0.5),),
    )  # fmt: skip


# A double pendulum elsewhere: with such inertia MuJoCo steps by RK4
RODS = (rod("upper", None, (5, 0, 3)), rod("lower", "upper", (0, 0, -0.5)))


@engines
@pytest.mark.parametrize("others", [(), RODS], ids=["free", "jointed"])
def test_a_mass_on_a_spring_swings_as_the_cosine(engine, others):
    stiffness, rest, mass = 80.0, 0.5, 2.0
    low = -rest - mass * GRAVITY / stiffness
    spring = Spring("s", "post", (0, 0, 0.0), "ball", (0, 0, 0), stiffness, rest)
    world = scene(POST, ball(position=(0, 0, low - 0.1)), *others, springs=(spring,))
    motion = simulate(world, engine)
    t = np.arange(49) / 24
    exact = low - 0.1 * np.cos(np.sqrt(stiffness / mass) * t)
    np.testing.assert_allclose(motion.position[:, 1, 2], exact, atol=2e-3)
    assert np.ptp(energy(motion)) < 0.02 * stiffness / 2 * 0.2**2
    assert np.ptp(motion.potential_energy_j) > 0.3


@engines
def test_damping_of_a_spring_acts_along_it_and_takes_energy(engine):
    spring = Spring("s", "a", (0, 0, 0), "b", (0, 0, 0), 50.0, 0.5, damping=1.0)
    a, b = ball("a", position=(-0.4, 0, 0)), ball("b", position=(0.4, 0, 0), mass_kg=1.0)
    motion = simulate(scene(a, b, springs=(spring,), gravity=(0, 0, 0)), engine)
    reduced = 2.0 / 3.0
    rate, own = 1.0 / (2 * reduced), np.sqrt(50.0 / reduced)
    way, t = np.sqrt(own**2 - rate**2), np.arange(49) / 24
    stretch = 0.3 * np.exp(-rate * t) * (np.cos(way * t) + rate / way * np.sin(way * t))
    length = motion.position[:, 1, 0] - motion.position[:, 0, 0]
    np.testing.assert_allclose(length - 0.5, stretch, atol=8e-3)
    np.testing.assert_allclose(motion.velocity[:, :, 0] @ [2.0, 1.0], 0, atol=1e-5)


@engines
def test_a_rope_is_slack_until_it_is_taut_and_never_pushes(engine):
    rope = Spring("r", "post", (0, 0, 0), "ball", (0, 0, 0), 2e4, 1.0, damping=300, pull_only=True)
    motion = simulate(scene(POST, ball(position=(0.3, 0, 0)), springs=(rope,)), engine)
    drop = -0.5 * GRAVITY * (np.arange(10) / 24) ** 2
    np.testing.assert_allclose(motion.position[:10, 1, 2], drop, atol=6e-3)
    np.testing.assert_allclose(motion.velocity[:10, 1, 0], 0, atol=1e-9)  # slack: no drag either
    assert np.linalg.norm(motion.position[:, 1], axis=1).max() < 1.03
    assert abs(motion.velocity[20:, 1, 0]).max() > 0.5  # it swings now
    frame, part = again(scene(POST, ball(), springs=(rope,)), engine, motion, 2)
    np.testing.assert_allclose(part.position, motion.position[frame:], atol=1e-9)


BOARD = Body(
    "board", (Geom("box", (1.5, 0.4, 0.08), GREY, collide=False),), mass_kg=90.0,
)  # fmt: skip


@engines
@pytest.mark.parametrize("others", [(), RODS], ids=["free", "jointed"])
def test_a_board_floats_as_deep_as_archimedes_says(engine, others):
    draft = 90.0 / (1000 * 3.0 * 0.8)
    start = replace(BOARD, position=(0, 0, 0.08))
    world = scene(start, *others, water=Water(0.0, ("board",)), frames=72)
    motion = simulate(world, engine)
    assert 0.08 - motion.position[-1, 0, 2] == pytest.approx(draft, rel=0.02)
    assert np.abs(motion.velocity[-1, 0]).max() < 1e-3
    frame, part = again(world, engine, motion, 3)
    np.testing.assert_allclose(part.position, motion.position[frame:], atol=1e-12)


@engines
@pytest.mark.parametrize("others", [(), RODS], ids=["free", "jointed"])
def test_a_rocking_board_without_drag_keeps_its_energy(engine, others):
    turned = replace(BOARD, position=(0, 0, 0.1), quaternion=(np.cos(0.15), np.sin(0.15), 0, 0))
    still = Water(0.0, ("board",), damping=0.0, drag=0.0)
    motion = simulate(scene(turned, *others, water=still), engine)
    assert np.ptp(motion.kinetic_energy_j) > 5.0
    assert np.ptp(energy(motion)) < 0.04 * np.ptp(motion.potential_energy_j)


@engines
def test_drag_stops_a_board_and_a_sunken_body_rises_by_its_volume(engine):
    afloat = replace(BOARD, position=(0, 0, 0.08 - 0.0375), velocity=(1.0, 0, 0))
    motion = simulate(scene(afloat, water=Water(0.0, ("board",))), engine)
    wetted = 60.0 * 3.0 * 0.8
    expected = np.exp(-wetted / 90.0 * np.arange(49) / 24)
    np.testing.assert_allclose(motion.velocity[:, 0, 0], expected, atol=0.02)
    deep = ball(position=(0, 0, -4.0))
    motion = simulate(scene(deep, water=Water(0.0, ("ball",), damping=0, drag=0)), engine)
    lift = 1000 * 4 / 3 * np.pi * 0.1**3 * GRAVITY / 2.0 - GRAVITY
    np.testing.assert_allclose(motion.velocity[12, 0, 2], lift * 0.5, rtol=1e-3)


def trapeze(catch_frame: int, **about) -> Scene:
    """A ball that flies past a post and may catch it."""
    grip = Connect("grip", "post", (0, 0, 0), "ball", (0, 0, 0.1), active=False, reach_m=0.06)

    def script(frame, seen):
        return Command(
            np.zeros(0),
            catches=frozenset({"grip"} if frame == catch_frame else ()),
            releases={"grip": 0.0} if frame == 30 else {},
        )

    flier = ball(position=(-0.5, 0, -0.13), velocity=(1.0, 0, 0))
    return scene(POST, flier, connects=(grip,), script=script, gravity=(0, 0, 0), **about)


@engines
def test_a_catch_in_reach_holds_and_is_repeated_exactly(engine):
    world = trapeze(12)  # half a second in, 3 cm under the post
    motion = simulate(world, engine)
    grip = motion.action[:, 0]
    assert np.flatnonzero(grip).tolist() == [12, 30]
    assert grip[[12, 30]].tolist() == [-1.0, 1.0]
    apart = np.linalg.norm(motion.position[15:31, 1], axis=1)
    np.testing.assert_allclose(apart, 0.1, atol=4e-3)
    assert np.linalg.norm(motion.position[-1, 1]) > 0.2  # and lets go
    for row in (1, 2):  # before the catch and after it
        frame, part = again(world, engine, motion, row)
        np.testing.assert_allclose(part.position, motion.position[frame:], atol=1e-12)
        np.testing.assert_array_equal(part.action[:-1], motion.action[frame:-1])


@engines
def test_a_catch_out_of_reach_stays_open_and_is_recorded_as_nothing(engine):
    motion = simulate(trapeze(6), engine)
    assert not motion.action[6].any()
    np.testing.assert_allclose(motion.velocity[:, 1], [[1.0, 0, 0]] * 49, atol=1e-9)


@engines
def test_a_clip_goes_on_with_another_mass_and_gravity(engine):
    spring = Spring("s", "post", (0, 0, 0), "ball", (0, 0, 0), 80.0, 0.5)
    world = scene(POST, ball(position=(0, 0, -0.7)), springs=(spring,))
    motion = simulate(world, engine)
    other = replace(world, gravity=(0, 0, 0))
    frame, part = again(other, engine, motion, 2, state_every=8)
    np.testing.assert_allclose(part.position[0], motion.position[frame], atol=1e-12)
    assert part.state_frames.tolist() == [16, 24, 32, 40]
    fall = part.velocity[1, 1, 2] - motion.velocity[frame + 1, 1, 2]
    assert fall == pytest.approx(GRAVITY / 24, rel=0.02)
    heavy = replace(world, bodies=(POST, replace(world.bodies[1], mass_kg=4.0)))
    _, part = again(heavy, engine, motion, 2)
    assert part.kinetic_energy_j[0] == pytest.approx(2 * motion.kinetic_energy_j[frame])


def bob(name: str, x: float, angle: float, *, radius_m=0.05, **about) -> Body:
    """A ball on a massless rod of half a metre, hinged at (x, 0, 1)."""
    geom = Geom("sphere", (radius_m,), GREY, (0, 0, -0.5), friction=0.0, restitution=1.0)
    joint = Joint(f"{name}_hinge", "hinge", (0, 1, 0), position=angle, **about)
    return Body(name, (geom,), 1.0, motion="jointed", joints=(joint,), position=(x, 0, 1.0))


@engines
def test_a_newtons_cradle_hands_the_swing_over_and_gains_none(engine):
    bobs = [bob(f"bob{i}", 0.11 * i, 0.5 * (i == 0)) for i in range(3)]
    motion = simulate(scene(*bobs, physics_rate_hz=2400, frames=40), engine)
    reached = np.abs(motion.joint_position).max(axis=0)
    assert reached[0] == pytest.approx(0.5)
    assert 0.46 < reached[2] < 0.505
    assert reached[1] < 0.06
    assert energy(motion).max() < energy(motion)[0] + 0.01


@engines
def test_a_spring_in_a_hinge_and_its_stop(engine):
    sprung = bob("sprung", 0.0, 0.3, stiffness=5.0)
    motion = simulate(scene(sprung, gravity=(0, 0, 0), physics_rate_hz=960), engine)
    inertia = 0.5**2 + 0.4 * 0.05**2
    exact = 0.3 * np.cos(np.sqrt(5.0 / inertia) * np.arange(49) / 24)
    np.testing.assert_allclose(motion.joint_position[:, 0], exact, atol=0.01)
    assert np.ptp(energy(motion)) < 0.03 * energy(motion)[0]
    stopped = bob("stopped", 0.0, 0.8, range=(-0.2, 1.0))
    motion = simulate(scene(stopped, physics_rate_hz=960), engine)
    lowest = motion.joint_position.min()
    assert -0.26 < lowest < -0.15  # frames may miss the instant
    assert motion.joint_velocity[0:30, 0].max() > 1.0  # thrown back


@engines
def test_a_double_pendulum_keeps_its_energy_and_its_rods(engine):
    motion = simulate(scene(*RODS, physics_rate_hz=1920), engine)
    upper, lower = motion.position[:, 0], motion.position[:, 1]
    np.testing.assert_allclose(np.linalg.norm(upper - lower, axis=1), 0.5, atol=1e-4)
    assert np.ptp(motion.kinetic_energy_j) > 1.0
    assert np.ptp(energy(motion)) < 0.02 * np.ptp(motion.kinetic_energy_j)
    frame, part = again(scene(*RODS, physics_rate_hz=1920), engine, motion, 2)
    np.testing.assert_allclose(part.position, motion.position[frame:], atol=1e-6)


@engines
def test_a_hinged_body_counts_its_whole_turns(engine):
    wheel = bob("wheel", 0.0, 0.0, velocity=10.0)
    motion = simulate(scene(wheel, gravity=(0, 0, 0), physics_rate_hz=2400), engine)
    assert motion.joint_position[-1, 0] == pytest.approx(10.0 * 2, rel=0.003)


@engines
def test_a_fast_top_on_a_tip_precesses_as_its_spin_says(engine):
    spin, arm, mass, tilt = 100.0, 0.06, 0.4, 0.3
    along = mass * 0.05**2 / 2
    across = mass * (0.05**2 / 4 + 0.02**2 / 12 + arm**2)  # about the tip
    # steady: across cos(tilt) rate^2 - along spin rate + m g arm = 0, the slow one
    a, b, c = across * np.cos(tilt), along * spin, mass * GRAVITY * arm
    rate = (b - np.sqrt(b * b - 4 * a * c)) / (2 * a)
    axis = np.array([0.0, -np.sin(tilt), np.cos(tilt)])
    turning = (spin - rate * np.cos(tilt)) * axis + np.array([0, 0, rate])
    top = Body(
        "top", (Geom("cylinder", (0.05, 0.01), GREY, (0, 0, arm), collide=False),), mass,
        quaternion=(np.cos(tilt / 2), np.sin(tilt / 2), 0, 0),
        velocity=tuple(np.cross(turning, arm * axis)), angular_velocity=tuple(turning),
    )  # fmt: skip
    tip = Connect("tip", "post", (0, 0, 0), "top", (0, 0, 0))
    motion = simulate(scene(POST, top, connects=(tip,), physics_rate_hz=2400), engine)
    way = np.unwrap(np.arctan2(motion.centre_of_mass[:, 1, 1], motion.centre_of_mass[:, 1, 0]))
    assert (way[-1] - way[0]) / 2.0 == pytest.approx(
        rate, rel={"bullet": 0.03, "mujoco": 0.001}[engine]
    )
    leaning = np.arccos(motion.centre_of_mass[:, 1, 2] / arm)
    # Bullet's gyroscopic term is implicit, which takes energy
    assert np.ptp(leaning) < {"bullet": 0.25, "mujoco": 0.004}[engine]


def test_bullet_names_what_it_cannot_do():
    bed = Body(
        "bed", (Geom("box", (0.5, 0.5, 0.05), GREY, restitution=0.5),), 1.0, motion="jointed",
        joints=(Joint("sink", "slide", (0, 0, 1)),),
    )  # fmt: skip
    tied = Spring("s", "bed", (0, 0, 0), "post", (0, 0, 0), 1.0, 1.0)
    mixed = ball("mixed")
    rough = replace(mixed.geoms[0], friction=0.9, collide=True)
    mixed = replace(mixed, geoms=(replace(mixed.geoms[0], collide=True), rough))
    for world, said in (
        (scene(bed), "a bounce on a slide"),
        (scene(POST, bed, springs=(tied,)), "slide 'sink' with ties"),
        (scene(mixed), "geoms that differ in friction"),
        (scene(ball(), water=Water(0.0, ("boat",))), "water: no body 'boat'"),
    ):
        with pytest.raises(ValueError, match=said):
            simulate(world, "bullet")
