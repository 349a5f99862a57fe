"""Twins: one change from one frame on, the same bytes before it, and the difference it makes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from simgen.episode import Episode, make_episode
from simgen.recipe import Recipe, RecipeError, load
from simgen.twins import Delayed, first_apart, touches

SMALL = {"frames": 40, "frame_rate_hz": 24.0, "height": 48, "width": 48}


def recipe(family: str, engine: str, twins: list[dict], **scene) -> Recipe:
    table = {"family": family, "engine": engine, "twins": twins, **scene}
    tables = {"name": "twins", "episodes": 8, "video": SMALL, "splits": {"train": 1.0},
              "state_every": 4, "scene": [table]}  # fmt: skip
    return Recipe.model_validate_json(json.dumps(tables))


def group(made: Recipe, number: int = 0) -> list[Episode]:
    size = made.group_size
    return [make_episode(made, number * size + i) for i in range(size)]


@pytest.fixture(scope="module", params=["bullet", "mujoco"])
def balls(request) -> list[Episode]:
    changes = [
        {"change": "mass", "factor": [5.0, 5.0]},
        {"change": "speed", "factor": [0.5, 0.5]},
        {"change": "gravity", "factor": [0.0, 0.0]},
        {"change": "remove"},
    ]
    parameters = {"bodies": [3, 3], "restitution": [0.9, 0.9]}
    return group(recipe("bouncing_balls", request.param, changes, parameters=parameters))


def test_before_the_change_the_bytes_are_the_originals(balls):
    original, *twins = balls
    assert original.change is None
    for twin in twins:
        assert not twin.reasons
        frame = twin.change.frame
        assert 0 < frame < SMALL["frames"]
        for name in ("position", "quaternion", "velocity", "kinetic_energy_j"):
            one, other = getattr(original.motion, name), getattr(twin.motion, name)
            assert np.array_equal(one[:frame], other[:frame])
        assert np.array_equal(original.frames["rgb"][:frame], twin.frames["rgb"][:frame])
        shared = original.motion.state_frames < frame
        assert np.array_equal(original.motion.state[shared], twin.motion.state[: shared.sum()])


def test_a_twin_says_where_it_diverges(balls):
    original, _, *others = balls  # a mass shows only when something is hit
    for twin in others:
        frame = twin.change.diverges_frame
        assert frame >= twin.change.frame
        assert frame == first_apart(original.motion, twin.motion, range(len(original.scene.bodies)),
                                    twin.change.frame)  # fmt: skip
        assert not np.array_equal(original.frames["rgb"][frame:], twin.frames["rgb"][frame:])


def test_the_change_is_the_one_that_was_asked_for(balls):
    original, mass, speed, gravity, removed = balls
    row = original.scene.body_index(mass.change.body)
    assert mass.scene.bodies[row].mass_kg == pytest.approx(5 * original.scene.bodies[row].mass_kg)
    row, frame = original.scene.body_index(speed.change.body), speed.change.frame
    before = original.motion.velocity[frame, row]
    assert speed.motion.velocity[frame, row] == pytest.approx(0.5 * before)
    frame = gravity.change.frame
    for episode, falls in ((original, True), (gravity, False)):
        free = [i for i, body in enumerate(episode.scene.bodies) if body.motion == "free"]
        step = np.diff(episode.motion.velocity[frame : frame + 2, free, 2], axis=0)
        assert (np.abs(step).min() > 0.3) == falls  # one at least flies straight on
    row, frame = original.scene.body_index(removed.change.body), removed.change.frame
    assert (removed.truth.area[frame:, row] == 0).all()
    energy = removed.motion.kinetic_energy_j + removed.motion.potential_energy_j
    assert energy[frame] < energy[frame - 1]
    late = removed.motion.contacts["start_s"] > (frame + 1) / 24
    touching = removed.motion.contacts[late]
    assert row not in {*touching["body_a"], *touching["body_b"]}


def test_a_change_is_an_event_of_its_twin(balls):
    for episode in balls[1:]:
        (event,) = [e for e in episode.truth.events if e.kind == "change"]
        assert event.value == episode.change.kind
        assert event.start_s == episode.change.frame / 24


def test_a_release_comes_later_by_the_delay():
    seen = object()
    from simgen.scene import Command

    def script(frame, _):
        return Command(np.zeros(1), {"grip": 0.01} if frame == 3 else {})

    late = Delayed(script, delay_s=0.06, frame_s=0.04)
    commands = [late(frame, seen) for frame in range(8)]
    released = {i: c.releases for i, c in enumerate(commands) if c.releases}
    assert list(released) == [4]
    assert released[4]["grip"] == pytest.approx(0.03)


def test_a_later_release_makes_another_flight():
    table = load("datasets/high_bar/recipe.toml").scene[0]
    scene = {"parameters": table.parameters, "camera": {"azimuth_deg": [-90, -90]}}
    twins = [{"change": "release", "delay_s": [0.06, 0.06]}]
    made = recipe("high_bar", "mujoco", twins, **scene)
    made = made.model_copy(update={"video": made.video.model_copy(update={"frames": 96})})
    original, late = group(made)
    at = [next(e.start_s for e in twin.truth.events if e.kind == "release")
          for twin in (original, late)]  # fmt: skip
    assert at[1] - at[0] == pytest.approx(0.06, abs=1e-6)
    assert late.change.diverges_frame >= late.change.frame


def test_a_touch_through_the_change_is_one():
    dtype = group(recipe("bouncing_balls", "mujoco", []))[0].motion.contacts.dtype
    before, after = np.zeros(2, dtype), np.zeros(2, dtype)
    before["body_b"], after["body_b"] = (1, 2), (1, 3)
    before["end_s"], before["start_s"] = (1.0, 0.5), (0.2, 0.1)
    after["start_s"], after["end_s"] = (1.0, 1.5), (2.0, 1.6)
    before["impulse_ns"], after["impulse_ns"] = (2.0, 1.0), (3.0, 4.0)
    both = touches(before, after)
    assert both["start_s"].tolist() == [0.1, 0.2, 1.5]
    assert both["impulse_ns"].tolist() == [1.0, 5.0, 4.0]


def test_twins_share_a_split_and_a_seed_but_for_the_impossible():
    made = recipe("permanence", "mujoco", [{"change": "gravity"}, {"change": "vanish"}])
    at = [made.assign(i) for i in range(6)]
    assert [a.group for a in at] == [0, 0, 0, 1, 1, 1]
    assert [a.variant for a in at] == [0, 1, 2, 0, 1, 2]
    assert [a.split for a in at[:3]] == ["train", "train", "impossible"]
    assert at[2].drawn_split == "train"
    assert made.rng(0).integers(1000) == made.rng(2).integers(1000)


def test_scenes_with_other_numbers_of_twins_are_refused(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(
        'name = "uneven"\n[[scene]]\nfamily = "bouncing_balls"\n'
        'twins = [{ change = "gravity" }]\n[[scene]]\nfamily = "bouncing_balls"\n'
    )
    with pytest.raises(RecipeError, match="0 twins where scene 0 has 1"):
        load(path)


IMPOSSIBLE = {
    "emerge": ({"act": "emerge", "screens": 2, "hidden_s": [0.35, 0.35],
                "screen_widths": [1.8, 1.8]},
               ("vanish", "teleport")),
    "reverse": ({"act": "reverse"}, ("recolour", "pass_through")),
}  # fmt: skip


@pytest.mark.parametrize("act", IMPOSSIBLE)
def test_what_no_physics_makes_happens_out_of_sight(act):
    parameters, changes = IMPOSSIBLE[act]
    camera = {"azimuth_deg": [-90, -90], "elevation_deg": [8, 8]}
    made = recipe("permanence", "mujoco", [{"change": c} for c in changes],
                  parameters=parameters, camera=camera)  # fmt: skip
    larger = {"frames": 64, "height": 96, "width": 96}
    made = made.model_copy(update={"video": made.video.model_copy(update=larger)})
    original, *twins = group(made)
    for twin in twins:
        assert not twin.reasons
        assert twin.split == "impossible"
        frame = twin.change.frame
        row = twin.scene.body_index(twin.change.body)
        assert (original.truth.area[frame - 1 : frame + 1, row] == 0).all()
        assert np.array_equal(original.frames["rgb"][:frame], twin.frames["rgb"][:frame])
        later = slice(frame + 1, None)
        assert not np.array_equal(original.frames["rgb"][later], twin.frames["rgb"][later])
        assert twin.motion.state_frames.max() < frame
        seen = {e.kind for e in twin.truth.events}
        assert "change" in seen
    if act == "emerge":
        vanished, jumped = twins
        assert (vanished.truth.area[vanished.change.frame :, -1] == 0).all()
        x = jumped.motion.position[:, -1, 0]
        step = np.abs(np.diff(x))
        assert step[jumped.change.frame - 1] > 5 * np.median(step)
    else:
        double, ghost = twins
        assert len(double.scene.bodies) == len(original.scene.bodies) + 1
        shown = double.scene.bodies[-1].geoms[0].material.colour
        assert shown != original.scene.bodies[-1].geoms[0].material.colour
        start, end = ghost.motion.position[[0, -1], -1, 0]
        assert start * end < 0  # beyond the wall


def test_without_an_occluder_nothing_impossible_can_hide():
    made = recipe("bouncing_balls", "mujoco", [{"change": "vanish"}])
    twin = make_episode(made, 1)
    assert "needs an occluder" in twin.reasons[0]
