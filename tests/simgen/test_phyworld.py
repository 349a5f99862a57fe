"""PhyWorld's families: their ranges, as the stored truth shows them, and their laws."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

import simgen
from simgen.build import build
from simgen.engines import simulate
from simgen.families import family
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


def within(value, bounds):
    return bounds[0] - 1e-9 <= value <= bounds[1] + 1e-9


@pytest.mark.parametrize(
    ("name", "levels", "radii", "episodes"),
    [
        ("phyworld_uniform", ONE_BALL_LEVELS, ONE_BALL, 28),
        ("phyworld_parabola", ONE_BALL_LEVELS, ONE_BALL, 28),
        ("phyworld_collision", TWO_BALL_LEVELS, TWO_BALLS, 64),
    ],
)
def test_a_built_dataset_keeps_to_the_ranges_of_its_splits(name, levels, radii, episodes, tmp_path):
    """Radii from the catalog, speeds from the stored velocities, the first of the scene's."""
    recipe = load(DATASETS / name / "recipe.toml", [*SMALL, f"episodes={episodes}"])
    report = build(recipe, tmp_path / "built.zarr", workers=1)
    assert report.quarantined == 0
    built = simgen.open(tmp_path / "built.zarr")
    sides = defaultdict(set)
    for row in built.catalog.to_pylist():
        if row["split"] not in levels:
            continue
        out = levels[row["split"]].split()
        side = ("low", "high")[recipe.assign(row["index"]).scene_index]
        sides[row["split"]].add(side)
        sizes = [body["size"][0] for body in json.loads(row["bodies"])[1:]]
        balls = slice(1, 1 + len(sizes))
        speeds = np.linalg.norm(built.read(row["episode_id"], "velocity")[0, balls], axis=1)
        for number, (radius, speed) in enumerate(zip(sizes, speeds, strict=True), 1):
            flipped = {"low": "high", "high": "low"}[side]
            here = flipped if row["split"] == "ood_cross" and number == 2 else side
            assert within(radius, radii[here if f"r{number}" in out else "in"]), row["split"]
            assert within(speed, SPEEDS[here if f"v{number}" in out else "in"]), row["split"]
        place = built.read(row["episode_id"], "centre_of_mass")[:, balls]
        assert place.shape[0] == 32
        assert np.ptp(place[..., 1]) < 1e-9  # all in the picture's plane
        assert row["frame_rate_hz"] == 10
        assert row["gravity_m_s2"] == [0.0, 0.0, -2.5 if name == "phyworld_parabola" else 0.0]
        if name == "phyworld_collision":
            margins = json.loads(row["margins"])
            assert margins["frames_before"] >= 8 - 1e-6
            assert margins["frames_after"] >= 8
    assert set(sides) == set(levels)
    assert any(len(found) == 2 for split, found in sides.items() if levels[split])


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
