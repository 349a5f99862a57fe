"""The real thing, small: both engines, rendered, stored, verified, simulated again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import simgen
from simgen.build import build
from simgen.episode import make_episode
from simgen.recipe import load
from simgen.store.verify import verify

RECIPE = Path(__file__).parents[2] / "datasets" / "smoke" / "recipe.toml"


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("smoke") / "smoke.zarr"
    report = build(load(RECIPE), out, workers=1)
    assert (report.episodes + report.quarantined, report.quarantined) == (12, 0)
    return out


def test_it_verifies_and_simulates_to_the_same_bytes(smoke: Path):
    report = verify(smoke, sample=0.25, make=make_episode)
    assert report.problems == ()
    assert len(report.resimulated) == 3


def test_both_engines_are_there_and_frames_show_the_bodies(smoke: Path):
    dataset = simgen.open(smoke)
    assert set(dataset.catalog["engine"].to_pylist()) == {"bullet", "mujoco"}
    for name in dataset.catalog["episode_id"].to_pylist():
        shown = set(np.unique(dataset.read(name, "segmentation"))) - {0}
        moving = {i + 1 for i, body in enumerate(dataset.bodies(name)) if not body["static"]}
        assert moving <= shown
        assert dataset.read(name, "rgb").std() > 5


def test_an_episode_does_not_depend_on_how_many_there_are(smoke: Path):
    first = simgen.open(smoke).catalog.to_pylist()[0]
    alone = make_episode(load(RECIPE, ["episodes=3"]), 0)
    assert alone.episode_id == first["episode_id"]
    stored = simgen.open(smoke).read(first["episode_id"], "rgb")
    np.testing.assert_array_equal(stored, alone.frames["rgb"])
