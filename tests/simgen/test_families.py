"""What holds for every registered family, and what the loose-body families promise on top."""

import colorsys
import inspect
import math
import pkgutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

import simgen.families
from simgen import cameras
from simgen.engines import ENGINES, simulate
from simgen.families import FAMILIES, family
from simgen.families.objects import PALETTE, place_apart
from simgen.motion import SimulationError
from simgen.recipe import load
from simgen.scene import Scene

RECIPES = sorted((Path(__file__).parents[2] / "datasets").glob("*/recipe.toml"))
families = pytest.mark.parametrize("name", sorted(FAMILIES))
loose = pytest.mark.parametrize("name", ["bouncing_balls", "camera_orbit"])
recipes = pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.parent.name)


def sample(name, seed=0, *, frames=12, **parameters) -> Scene:
    made = family(name)
    return made.sample(
        made.Parameters(**parameters),
        np.random.default_rng(seed),
        frames=frames,
        frame_rate_hz=24.0,
    )


def facts(scene):
    """Everything about a scene that compares, so not its script."""
    return scene.bodies, scene.gravity, scene.parameters, scene.actuators, scene.connects


def test_every_family_in_the_folder_is_registered():
    found = set()
    for module in pkgutil.iter_modules(simgen.families.__path__):
        loaded = import_module(f"simgen.families.{module.name}")
        found |= {
            f"{loaded.__name__}:{name}"
            for name, cls in inspect.getmembers(loaded, inspect.isclass)
            if cls.__module__ == loaded.__name__ and {"sample", "outcome"} <= set(vars(cls))
        }
    assert found == set(FAMILIES.values())


def test_unknown_family_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown family 'ball'; known: .*bouncing_balls, box"):
        family("ball")


@families
def test_a_family_says_who_it_is(name):
    made = family(name)
    assert made.name == name
    assert made.summary
    assert set(made.engines) <= set(ENGINES)
    assert made.engines
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        made.Parameters(no_such_parameter=1)


@families
def test_the_generator_decides_the_scene(name):
    one, same, other = sample(name, 0), sample(name, 0), sample(name, 1)
    assert facts(one) == facts(same)
    assert facts(one) != facts(other)


@families
def test_scenes_keep_to_their_limits_and_every_claimed_engine_takes_them(name):
    made = family(name)
    limits = made.limits(made.Parameters())
    for seed in range(20):
        scene = sample(name, seed)
        assert scene.family == name
        assert len(scene.bodies) <= limits.bodies
        assert len(scene.joint_names) <= limits.joints
        assert len(scene.action_names) <= limits.actions
        assert len(set(scene.body_names)) == len(scene.bodies)
        assert scene.substeps >= 1
        for engine in made.engines:
            assert import_module(ENGINES[engine]).check(scene) == ()


@loose
def test_moving_bodies_have_colours_of_their_own_and_show_their_spin(name):
    for seed in range(20):
        moving = [b for b in sample(name, seed).bodies if b.motion == "free"]
        colours = [b.geoms[0].material.colour for b in moving]
        assert len(set(colours)) == len(colours)
        assert set(colours) <= set(PALETTE)
        assert {b.geoms[0].material.pattern for b in moving} == {"two_tone"}
        assert {b.label for b in moving} <= {"ball", "box", "cylinder"}


def test_palette_hues_stand_apart():
    hues = sorted(
        colorsys.rgb_to_hsv(*(c ** (1 / 2.2) for c in rgb))[0] for rgb in PALETTE.values()
    )
    gaps = np.diff([*hues, hues[0] + 1]) * 360
    assert gaps.min() > 20


@loose
def test_masses_follow_size_and_density(name):
    scene = sample(name, 5, density_kg_m3=(500, 500))
    for body in scene.bodies:
        geom = body.geoms[0]
        if geom.kind == "sphere":
            assert body.mass_kg == pytest.approx(500 * 4 / 3 * math.pi * geom.size[0] ** 3)
        if geom.kind == "box" and body.motion == "free":
            assert body.mass_kg == pytest.approx(500 * 8 * math.prod(geom.size))


@pytest.mark.parametrize("engine", ["bullet", "mujoco"])
def test_nothing_leaves_a_closed_room(engine):
    made = family("bouncing_balls")
    for seed in range(2):
        scene = sample("bouncing_balls", seed, frames=48, speed_m_s=(6, 8), bodies=(4, 4))
        motion = simulate(scene, engine)
        assert made.outcome(scene, motion).label in ("moving", "settled")
        speed = np.linalg.norm(motion.velocity[0], axis=1).max()
        assert speed * 48 / 24 > 4 * scene.parameters["width_m"]  # it would have, without walls


def test_a_body_outside_of_its_box_is_refused():
    scene = sample("bouncing_balls", 0)
    motion = simulate(scene, "bullet")
    motion.centre_of_mass[-1, -1, 0] = 3.0
    with pytest.raises(SimulationError, match="went through a wall of its box"):
        family("bouncing_balls").outcome(scene, motion)


@pytest.mark.parametrize("engine", ["bullet", "mujoco"])
def test_planar_balls_stay_in_their_plane(engine):
    scene = sample("bouncing_balls", 2, frames=36, planar=True, box_share=0.0, bodies=(3, 3))
    motion = simulate(scene, engine)
    free = [i for i, b in enumerate(scene.bodies) if b.motion == "free"]
    assert np.abs(motion.position[:, free, 1]).max() < 1e-6
    assert len(motion.contacts) > 3


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bodies": (2, 9)}, "within 1 to 8, one colour a body"),
        ({"bodies": (4, 2)}, "within 1 to 8"),
        ({"speed_m_s": (3, 1)}, "low above high"),
        ({"radius_m": (0.0, 0.1)}, "must be above 0"),
        ({"restitution": (0.5, 1.2)}, "must not be above 1"),
        ({"gravity_m_s2": (-9.81, -9.81)}, "must not be negative"),
        ({"depth_m": 0.3}, "depth_m 0.3 is too narrow for bodies"),
        ({"radius_m": (0.5, 0.5), "box_share": 0.0}, "bodies of radius 0.5 m take over 25%"),
        ({"gravity_m_s2": (float("nan"), 1.0)}, "finite"),
    ],
)
def test_impossible_parameters_are_refused(parameters, message):
    with pytest.raises(ValidationError, match=message):
        family("bouncing_balls").Parameters(**parameters)


def test_more_bodies_than_the_stage_holds_are_refused():
    with pytest.raises(ValidationError, match="do not fit on a stage"):
        family("camera_orbit").Parameters(radius_m=(0.5, 0.6))


def test_things_are_placed_apart_and_inside():
    low, high = np.array([-1.0, -1.0, 0.0]), np.array([1.0, 1.0, 1.5])
    reaches = [0.4, 0.3, 0.3, 0.2]
    centres = place_apart(reaches, low, high, np.random.default_rng(0), gap_m=0.05)
    for i, reach in enumerate(reaches):
        assert (centres[i] - reach >= low).all()
        assert (centres[i] + reach <= high).all()
        for j in range(i):
            assert np.linalg.norm(centres[i] - centres[j]) > reach + reaches[j] + 0.05


def test_no_room_is_an_error_that_says_what_to_do():
    low, high = np.zeros(3), np.ones(3)
    with pytest.raises(ValueError, match=r"5 bodies of up to 0.80 m .*1.00 x 1.00 x 1.00 m; ask f"):
        place_apart([0.4] * 5, low, high, np.random.default_rng(0))


@recipes
def test_every_dataset_recipe_loads_and_fills_every_split(path):
    recipe = load(path)
    assert recipe.name == path.parent.name
    splits = [recipe.assign(i).split for i in range(recipe.episodes)]
    assert set(splits) - {"impossible"} == set(recipe.splits)
    if recipe.name == "demo":
        assert splits.count("test") >= 48


@pytest.mark.parametrize("kind", ["static", "orbit", "dolly"])
def test_the_camera_orbit_recipe_keeps_cameras_clear_and_things_in_view(kind):
    path = next(p for p in RECIPES if p.parent.name == "camera_orbit")
    recipe = load(path)
    shots = [c for c in recipe.scene[0].cameras if c.kind == kind]
    assert shots
    made, video = family("camera_orbit"), recipe.video_of(0)
    for seed, shot in enumerate(shots * 2):
        scene = sample("camera_orbit", seed, frames=48)
        motion = simulate(scene, "bullet")
        point, distance_m = made.look_at(scene, motion)
        track = cameras.path(
            shot,
            look_at=point,
            distance_m=distance_m,
            frames=48,
            height=video.height,
            width=video.width,
            rng=np.random.default_rng(seed),
        )
        free = [i for i, b in enumerate(scene.bodies) if b.motion == "free"]
        assert track.position[:, 2].min() > 0.5
        gap = np.linalg.norm(motion.position[:, free] - track.position[:, None], axis=-1)
        assert gap.min() > 1.0
        pixels, _ = cameras.project(motion.centre_of_mass[:, free], track)
        inside = ((pixels > 0) & (pixels < (video.width, video.height))).all(axis=-1)
        assert inside.mean() > 0.85
