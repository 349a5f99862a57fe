"""Stored channels against what was rendered: equal, or within the bound that the array states."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from simgen.episode import Episode, make_episode
from simgen.recipe import load
from simgen.renderers import CHANNELS
from simgen.store import rounding
from simgen.store.arrays import stored_arrays
from simgen.store.codecs import LOSSLESS, Bound
from simgen.store.layout import array_specs
from simgen.store.specs import FLOW_STEP_PX, ArraySpec

DATASETS = Path(__file__).parents[2] / "datasets"
RECIPES = ("bouncing_balls", "camera_moves", "multi_shot", "looks", "ramp")  # two have cuts
SCALE = {"normals": 127}  # of the stored numbers to the rendered ones


@cache
def clip(name: str) -> tuple[Episode, dict[str, ArraySpec], dict[str, np.ndarray]]:
    """The recipe's first sound clip, small, with every channel; layout and stored arrays."""
    recipe = load(DATASETS / name / "recipe.toml", ["episodes=20"])
    size = {"height": 32, "width": 40, "channels": CHANNELS}
    scenes = [s.model_copy(update={"video": {**s.video, **size}}) for s in recipe.scene]
    recipe = recipe.model_copy(update={"scene": tuple(scenes)})
    episodes = (make_episode(recipe, index) for index in range(20))
    episode = next(episode for episode in episodes if not episode.reasons)
    specs = array_specs(recipe, recipe.assign(episode.index).bucket)
    return episode, specs, dict(stored_arrays(episode, specs))


@pytest.mark.parametrize("name", RECIPES)
def test_stored_channels_are_within_their_bounds(name: str):
    episode, specs, stored = clip(name)
    for channel in CHANNELS:
        made = episode.frames[channel] * np.float32(SCALE.get(channel, 1))
        assert specs[channel].bound.holds(stored[channel], made).all(), channel
    for channel in ("rgb", "segmentation"):
        assert specs[channel].bound == LOSSLESS
        np.testing.assert_array_equal(stored[channel], episode.frames[channel])


@pytest.mark.parametrize("name", RECIPES)
def test_states_are_stored_as_they_are(name: str):
    episode, specs, stored = clip(name)
    bodies = len(episode.scene.bodies)
    np.testing.assert_array_equal(stored["position"][:, :bodies], episode.motion.position[:-1])
    np.testing.assert_array_equal(stored["track"][:, :bodies], episode.truth.track)
    assert {n for n, s in specs.items() if n not in CHANNELS and s.bound != LOSSLESS} <= {"action"}


def test_the_bound_of_flow_is_no_looser_than_it_must_be():
    worst = 0.0
    for name in RECIPES:
        episode, _, stored = clip(name)
        error = stored["flow"].astype(np.float64) - episode.frames["flow"]
        near = np.abs(episode.frames["flow"]) < 16
        worst = max(worst, np.abs(error[near]).max())
    assert 0.9 * FLOW_STEP_PX / 2 < worst <= FLOW_STEP_PX / 2


def every_float(step: int = 1021) -> np.ndarray:
    """Bit patterns of float32 from all of its range, those beside float16's numbers included."""
    bits = np.arange(0, 2**32, step, np.uint64)
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32).view(np.uint32)
    beside = np.concatenate([halves + np.uint32(n) for n in (0, 1, 0xFFF, 0x1000, 0x1001)])
    return np.concatenate([bits.astype(np.uint32), beside]).view(np.float32)


def test_half_is_the_nearest_float16():
    values = every_float()
    with np.errstate(over="ignore", invalid="ignore"):
        wanted = np.where(np.abs(values) < 2**-14, 0, values).astype(np.float16)
    found = rounding.to_half(values)
    np.testing.assert_array_equal(found, wanted)
    assert not np.signbit(found[found == 0]).any()
    assert set(found[np.isnan(found)].view(np.uint16)) == {0x7E00}
    assert not np.isin(found.view(np.uint16) & 0x7FFF, np.arange(1, 0x400)).any()  # subnormal


@pytest.mark.parametrize("step", [1 / 64, 1 / 4, 2**-14])
def test_steps_are_whole_ones_as_far_as_float16_has_them(step: float):
    values = every_float()
    found = rounding.to_steps(values, step=step)
    kept = np.abs(values) < 65504
    assert Bound(step / 2, 2**-11).holds(found[kept], values[kept]).all()
    near = np.abs(values) < 2048 * step
    np.testing.assert_array_equal(found[near] / step, np.rint(values[near].astype("f8") / step))
    with np.errstate(over="ignore", invalid="ignore"):
        np.testing.assert_array_equal(found[~near], values[~near].astype(np.float16))


def test_still_pixels_have_one_flow():
    trembling = np.array([3e-5, -3e-5, 0.0, -0.0, -0.0078], np.float32)
    assert set(rounding.to_steps(trembling, step=1 / 64).view(np.uint16)) == {0}


def test_signed_is_the_nearest_127th():
    values = np.linspace(-1, 1, 12345, dtype=np.float32).reshape(3, -1)
    np.testing.assert_array_equal(rounding.to_signed(values), np.rint(values * np.float32(127)))


def test_bounds_say_what_breaks_them():
    bound = Bound(0.5, 0.1)
    made = np.array([1.0, 1.0, 100.0, 100.0, np.nan, np.nan, np.inf, np.inf])
    stored = np.array([1.5, 1.6, 110.0, 111.0, np.nan, 0.0, np.inf, 1.0])
    assert bound.holds(stored, made).tolist() == [True, False] * 4
