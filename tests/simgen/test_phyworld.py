"""PhyWorld's families: their ranges, as the stored truth shows them, and their laws."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from simgen.engines import simulate
from simgen.episode import make_episode
from simgen.families import family
from simgen.families.plane_world import off_plane_m
from simgen.recipe import load

DATASETS = Path(__file__).parents[2] / "datasets"
SMALL = ["video.height=64", "video.width=64", 'video.channels=["segmentation"]']
IN_SPEED, LOW_SPEED, HIGH_SPEED = (1.0, 4.0), (0.0, 0.8), (4.5, 6.0)
ONE_BALL = {"in": (0.7, 1.4), "low": (0.3, 0.6), "high": (1.5, 2.0)}
TWO_BALLS = {"in": (0.5, 1.5), "low": (0.3, 0.4), "high": (1.7, 2.0)}
SPEEDS = {"in": IN_SPEED, "low": LOW_SPEED, "high": HIGH_SPEED}
# split -> what is out of distribution, of the radii and speeds of the balls
ONE_BALL_LEVELS = {
    "train": "", "test": "", "ood_speed": "v1", "ood_radius": "r1", "ood_both": "r1 v1",
}  # fmt: skip
TWO_BALL_LEVELS = {
    "train": "", "test": "", "ood_r1": "r1", "ood_v1": "v1", "ood_r1r2": "r1 r2",
    "ood_v1v2": "v1 v2", "ood_r1v1": "r1 v1", "ood_all": "r1 r2 v1 v2",
    "ood_cross": "r1 r2 v1 v2",
}  # fmt: skip


def episodes(name, splits, each=2):
    """The recipe's first episodes of each split and scene, tiny pictures."""
    recipe = load(DATASETS / name / "recipe.toml", SMALL)
    wanted = defaultdict(int)
    for index in range(recipe.episodes):
        at = recipe.assign(index)
        key = (at.split, at.scene_index)
        if at.split not in splits or wanted[key] >= each:
            continue
        wanted[key] += 1
        episode = make_episode(recipe, index)
        assert episode.reasons == ()
        yield at, episode
    assert set(wanted) == {(s, i) for s in splits for i in range(len(recipe.scene))}


def size_and_speed(episode):
    """Truth: radii from the bodies, speeds at frame 0 from the motion."""
    balls = episode.scene.bodies[1:]
    radii = [body.geoms[0].size[0] for body in balls]
    return radii, np.linalg.norm(episode.motion.velocity[0, 1:], axis=1)


def within(value, bounds):
    return bounds[0] - 1e-9 <= value <= bounds[1] + 1e-9


@pytest.mark.parametrize(
    ("name", "levels", "radii"),
    [
        ("phyworld_uniform", ONE_BALL_LEVELS, ONE_BALL),
        ("phyworld_parabola", ONE_BALL_LEVELS, ONE_BALL),
        ("phyworld_collision", TWO_BALL_LEVELS, TWO_BALLS),
    ],
)
def test_the_stored_truth_keeps_to_the_ranges_of_its_split(name, levels, radii):
    for at, episode in episodes(name, levels):
        out = levels[at.split].split()
        side = ("low", "high")[at.scene_index]
        for number, (radius, speed) in enumerate(zip(*size_and_speed(episode), strict=True), 1):
            flipped = {"low": "high", "high": "low"}[side]
            here = flipped if at.split == "ood_cross" and number == 2 else side
            assert within(radius, radii[here if f"r{number}" in out else "in"]), at
            assert within(speed, SPEEDS[here if f"v{number}" in out else "in"]), at
        assert np.abs(off_plane_m(episode.scene, episode.motion)) < 1e-9
        assert episode.scene.frames == 32
        assert episode.scene.frame_rate_hz == 10
        g = 2.5 if name == "phyworld_parabola" else 0.0
        assert episode.scene.gravity == (0.0, 0.0, -g)
        if name == "phyworld_collision":
            assert episode.outcome.margins["frames_before"] >= 8 - 1e-6
            assert episode.outcome.margins["frames_after"] >= 8


def test_training_speeds_leave_the_hole_that_the_hole_split_fills():
    recipe = load(DATASETS / "phyworld_hole" / "recipe.toml")
    made, holes = family("collision"), defaultdict(list)
    for index in range(200):
        split = recipe.assign(index).split
        scene = made.sample(
            recipe.parameters_of(0, split), recipe.rng(index), frames=32, frame_rate_hz=10.0
        )
        speeds = [abs(body.velocity[0]) for body in scene.bodies[1:]]
        holes[split].append(all(2.0 <= speed <= 3.0 for speed in speeds))
        assert all(within(speed, IN_SPEED) for speed in speeds)
    assert all(holes["hole"])
    assert not any(holes["train"] + holes["test"])
    assert len(holes["hole"]) >= 20


def test_conflicting_attributes_are_swapped_in_the_test_split():
    recipe = load(DATASETS / "phyworld_conflict" / "recipe.toml")
    named = set()
    for scene_index, table in enumerate(recipe.scene):
        first, second = table.parameters["conflict"].split(" and ")
        named.add((first, second))
        train, swapped = (recipe.parameters_of(scene_index, s).kinds for s in ("train", "conflict"))

        def is_high(kind, attribute):
            value = {
                "colour": kind.colour == "blue",
                "shape": kind.shape == "box",
                "size": kind.radius_m and kind.radius_m[0] >= 1.05,
                "speed": kind.speed_m_s and kind.speed_m_s[0] >= 2.5,
            }
            return bool(value[attribute])

        assert {is_high(k, first) for k in train} == {is_high(k, first) for k in swapped}
        assert all(is_high(kind, first) == is_high(kind, second) for kind in train)
        assert all(is_high(kind, first) != is_high(kind, second) for kind in swapped)
    assert len(named) == 6


@pytest.mark.parametrize("engine", ["bullet", "mujoco"])
@pytest.mark.parametrize("space", ["2d", "3d"])
@pytest.mark.parametrize("name", ["uniform_motion", "parabola", "collision"])
def test_the_laws_hold(name, space, engine):
    made = family(name)
    more = {"offset": (0.3, 0.7)} if name == "collision" else {}
    for seed in range(3):
        scene = made.sample(
            made.Parameters(space=space, **more),
            np.random.default_rng(seed),
            frames=32,
            frame_rate_hz=10.0,
        )
        motion = simulate(scene, engine)
        laws = made.laws(scene, motion)
        assert laws
        for law in laws:
            assert abs(law.measured - law.expected) <= law.tolerance, law


def test_a_wrong_law_would_be_noticed():
    made = family("collision")
    scene = made.sample(
        made.Parameters(restitution=0.8), np.random.default_rng(0), frames=32, frame_rate_hz=10.0
    )
    motion = simulate(scene, "bullet")
    assert all(
        abs(law.measured - law.expected) <= law.tolerance for law in made.laws(scene, motion)
    )
    motion.velocity[:, 1:] *= 1.02
    broken = [abs(law.measured - law.expected) > law.tolerance for law in made.laws(scene, motion)]
    assert any(broken)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("uniform_motion", {"hole": (0.5, 5.0)}, "leaves nothing of the speeds"),
        ("parabola", {"colour": "mauve"}, "unknown colour 'mauve'; known: red"),
        ("collision", {"hole": (0.0, 9.0)}, "leaves nothing of the speeds"),
        ("collision", {"offset": (0.0, 1.0)}, "under 0.95, or they miss"),
        ("collision", {"speed_1_m_s": (0, 0), "speed_2_m_s": (0, 0.01)}, "close in at 0.1 m/s"),
    ],
)
def test_parameters_that_cannot_be_are_refused(name, parameters, message):
    with pytest.raises(ValidationError, match=message):
        family(name).Parameters(**parameters)
