"""Cradles, towers, billiards and PhyWorld's parts: known answers, outcomes, held-out templates."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from simgen.engines import simulate
from simgen.families import family
from simgen.families.combinatorial import CHOSEN, HELD_OUT, SETS, SIX, TEMPLATES, TRAINING
from simgen.families.plane_parts import PARTS
from simgen.families.plane_world import off_plane_m
from simgen.families.tower import balance_margin
from simgen.recipe import load

DATASETS = Path(__file__).parents[2] / "datasets"
engines = pytest.mark.parametrize("engine", ["bullet", "mujoco"])


def played(name, seed, engine, *, frames=64, rate_hz=24.0, **parameters):
    made = family(name)
    rng = np.random.default_rng(seed)
    scene = made.sample(made.Parameters(**parameters), rng, frames=frames, frame_rate_hz=rate_hz)
    return made, scene, simulate(scene, engine)


def broken(laws):
    return [law for law in laws if not abs(law.measured - law.expected) <= law.tolerance]


@engines
@pytest.mark.parametrize(("balls", "lifted"), [(3, 1), (6, 2)])
def test_as_many_balls_leave_a_cradle_as_arrive(engine, balls, lifted):
    made, scene, motion = played(
        "newtons_cradle", 1, engine, frames=40, balls=(balls, balls), lifted=(lifted, lifted)
    )
    laws = made.laws(scene, motion)
    assert len(laws) == 3
    assert broken(laws) == []
    assert made.outcome(scene, motion).margins["balls_left"] == lifted


def test_a_cradle_that_loses_height_breaks_its_law():
    made, scene, motion = played("newtons_cradle", 1, "bullet", frames=40, restitution=0.9)
    assert "angle of the far ball, of the lift" in {
        law.name for law in broken(made.laws(scene, motion))
    }


def test_the_balance_of_two_blocks_is_that_of_the_upper_ones_middle():
    half = np.array([[0.2, 0.2, 0.1], [0.2, 0.2, 0.1]])
    for offset in (0.0, 0.1, 0.3):
        places = np.array([[0, 0, 0.1], [offset, 0, 0.3]])
        # the face carries from offset - 0.2 to 0.2, and the weight is at `offset`
        assert balance_margin(places, half) == pytest.approx(min(0.2, 0.2 - offset) / 0.2)


@engines
def test_a_tower_stands_if_and_only_if_it_is_balanced(engine):
    seen = Counter()
    for seed in range(2):
        unstable = seed % 2
        made, scene, motion = played("tower", seed, engine, unstable=unstable, struck=0.0)
        assert broken(made.laws(scene, motion)) == []
        seen[made.outcome(scene, motion).label] += 1
    assert seen == {"stands": 1, "topples": 1}


@engines
def test_a_billiard_ball_leaves_along_the_line_of_centres(engine):
    told = 0
    for seed in range(4):
        made, scene, motion = played("billiards", seed, engine, frames=30, balls=(1, 1))
        laws = made.laws(scene, motion)
        assert broken(laws) == []
        told += len(laws)
    assert told >= 4


def test_a_straight_shot_is_pocketed_and_a_poor_one_is_not():
    labels = {}
    for error in (0.0, 14.0):
        labels[error] = Counter()
        for seed in range(4):
            made, scene, motion = played(
                "billiards", seed, "mujoco", frames=44, balls=(1, 1), aim_error_deg=(error, error)
            )
            labels[error][made.outcome(scene, motion).label] += 1
    assert labels[0.0]["pocketed"] >= 3
    assert labels[14.0]["missed"] >= 3


def test_templates_are_all_choices_of_parts_and_the_sets_are_nested():
    assert len(TEMPLATES) == 70
    assert all(len(set(parts)) == CHOSEN for parts in TEMPLATES)
    assert (len(HELD_OUT), len(TRAINING)) == (10, 60)
    assert not set(HELD_OUT) & set(TRAINING)
    assert [len(SETS[name]) for name in ("6", "30", "60")] == [6, 30, 60]
    assert set(SETS["6"]) < set(SETS["30"]) < set(SETS["60"])
    assert {part for t in SIX for part in TEMPLATES[t]} == set(PARTS)
    assert {part for t in HELD_OUT for part in TEMPLATES[t]} == set(PARTS)


def test_training_and_held_out_scenes_never_share_a_template():
    recipe, made = load(DATASETS / "combinatorial" / "recipe.toml"), family("combinatorial")
    seen = {}
    for index in range(160):
        split = recipe.assign(index).split
        scene = made.sample(
            recipe.parameters_of(0, split), recipe.rng(index), frames=8, frame_rate_hz=10.0
        )
        template = scene.parameters["template"]
        seen.setdefault(split, set()).add(template)
        assert scene.parameters["parts"].split() == list(TEMPLATES[template])
        assert scene.parameters["held_out"] == (split == "combinatorial")
    assert seen["combinatorial"] <= set(HELD_OUT)
    assert not seen["combinatorial"] & (seen["train"] | seen["val"] | seen["test"])
    assert len(seen["train"]) >= 45


def test_parts_stay_in_their_plane():
    for seed in range(3):
        _, scene, motion = played("combinatorial", seed, "mujoco", frames=40, rate_hz=10.0)
        assert off_plane_m(scene, motion) < 1e-3
        assert motion.deepest_penetration_m[0] < 1e-3


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("newtons_cradle", {"lifted": (2, 3)}, r"lifted \[2, 3\] must be 1 or more and less"),
        ("newtons_cradle", {"balls": (3, 9)}, "within 1 to 8"),
        ("tower", {"blocks": (3, 8)}, "must lie within 2 to 7"),
        ("billiards", {"balls": (3, 8)}, "must lie within 1 to 7"),
        ("combinatorial", {"templates": "12"}, "'6', '30', '60' or 'held_out'"),
    ],
)
def test_parameters_that_cannot_be_are_refused(name, parameters, message):
    with pytest.raises(ValidationError, match=message):
        family(name).Parameters(**parameters)
