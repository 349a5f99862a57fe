"""A journey: one traveller in several rooms, the same before and after every cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from simgen.engines import simulate
from simgen.families import family
from simgen.families.journey import ORIGINS
from simgen.filming import film
from simgen.motion import Motion
from simgen.recipe.tables import SceneRecipe, Video
from simgen.scene import Scene

FRAMES = 48
JOURNEY = family("journey")


def sample(seed: int, frames: int = FRAMES, **parameters) -> Scene:
    return JOURNEY.sample(
        JOURNEY.Parameters(**parameters), np.random.default_rng(seed), frames=frames,
        frame_rate_hz=24.0,
    )  # fmt: skip


@pytest.fixture(scope="module", params=["bullet", "mujoco"])
def run(request: pytest.FixtureRequest) -> tuple[Scene, Motion]:
    scene = sample(4, settings=(3, 3))
    return scene, simulate(scene, request.param)


def travellers(scene: Scene) -> list[int]:
    return [i for i, body in enumerate(scene.bodies) if body.object_name == "hero"]


def test_the_traveller_is_the_same_in_every_setting():
    for seed in range(8):
        scene = sample(seed)
        copies = [scene.bodies[row] for row in travellers(scene)]
        settings = JOURNEY.settings(scene)
        assert len(copies) == len(settings) == scene.parameters["settings"]
        assert {(b.geoms, b.mass_kg, b.label, b.velocity) for b in copies} == {
            (copies[0].geoms, copies[0].mass_kg, "ball", copies[0].velocity)
        }
        colours = [b.geoms[0].material.colour for b in scene.bodies if b.label == "block"]
        assert copies[0].geoms[0].material.colour not in colours
        assert len(set(colours)) == len(colours)


def test_settings_are_far_apart_and_all_different():
    for seed in range(8):
        settings = JOURNEY.settings(sample(seed))
        assert len({s.name for s in settings}) == len(settings)
        assert len({s.light for s in settings}) == len({s.sky for s in settings}) == len(settings)
        points = np.array([s.point for s in settings])
        gaps = np.linalg.norm(points[:, None] - points, axis=-1)[~np.eye(len(points), dtype=bool)]
        assert gaps.min() > 59
        firsts = [s.first_frame for s in settings]
        assert firsts[0] == 0
        assert np.diff([*firsts, FRAMES]).min() >= 0.7 * FRAMES / len(settings) - 1


def test_every_traveller_comes_in_time(run):
    scene, motion = run
    settings = JOURNEY.settings(scene)
    for row, place in zip(travellers(scene), settings, strict=True):
        centre = np.array(place.point[:2])
        at_cut = motion.position[place.first_frame, row, :2] - centre
        assert abs(at_cut[0]) < 2.0
        assert abs(at_cut[1]) < 1e-3
        before = motion.velocity[: place.first_frame, row, 0]
        # it rolls in at the one speed, until its own shot begins
        np.testing.assert_allclose(before, scene.parameters["speed_m_s"], rtol=0.02)


def test_a_shot_a_setting_shows_its_own_traveller(run):
    scene, motion = run
    table = SceneRecipe.model_validate(
        {"family": "journey", "camera": {"kind": "tracking", "azimuth_deg": [-100, -80]}}
    )
    shots = film(
        scene, motion, JOURNEY, table, Video(frames=FRAMES), np.random.default_rng(0)
    )  # fmt: skip
    settings = JOURNEY.settings(scene)
    assert [(s.setting, s.light) for s in shots] == [(p.name, p.light) for p in settings]
    for shot, row in zip(shots, travellers(scene), strict=True):
        gap = shot.cameras.position - motion.position[shot.first_frame :][: shot.frames + 1, row]
        assert np.linalg.norm(gap, axis=1).max() < 6


def test_the_outcome_is_where_the_last_traveller_is(run):
    scene, motion = run
    outcome = JOURNEY.outcome(scene, motion)
    last = travellers(scene)[-1]
    assert outcome.label in JOURNEY.outcomes
    moved = motion.position.copy()
    for beyond, label in ((0.25, "got_past"), (-0.25, "held_up")):
        x = ORIGINS[2][0] + scene.parameters["far_m"] + beyond
        moved[FRAMES - 1, last, 0] = x
        told = JOURNEY.outcome(scene, replace(motion, position=moved))
        assert (told.label, told.margins["beyond_m"]) == (label, pytest.approx(beyond))


@pytest.mark.parametrize("settings", [(1, 3), (3, 2), (2, 5)])
def test_a_journey_has_two_to_four_settings(settings):
    with pytest.raises(ValidationError, match="within 2 to 4"):
        JOURNEY.Parameters(settings=settings)


def test_a_clip_too_short_is_refused():
    with pytest.raises(ValueError, match="4 settings in 7 frames; give each two frames"):
        sample(0, frames=7, settings=(4, 4))
