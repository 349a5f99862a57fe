"""Statistics: numbers that can be checked by hand, the same bytes however they came about."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simgen
from simgen.store import moments, survey, tombstones
from simgen.store.shard import IntegrityError
from simgen.store.versions import RequestError


def of(*parts: np.ndarray) -> dict:
    return moments.summary(moments.merge([moments.measure(p) for p in parts], parts[0].dtype))


def test_known_answers():
    a = np.array([[1.0, np.nan], [3.0, np.inf]], np.float32)
    b = np.array([[5.0, 2.0]], np.float32)
    assert of(a, b) == {
        "count": [3, 3], "non_finite": [0.0, 2 / 3], "min": [1.0, 2.0], "max": [5.0, 2.0],
        "mean": [3.0, 2.0], "std": [pytest.approx((8 / 3) ** 0.5), 0.0],
    }  # fmt: skip


def test_bytes_are_counted_exactly():
    whole = np.repeat(np.array([0, 255], np.uint8), [1_000_000, 1])[:, None]
    told = of(whole[:7], whole[7:])
    assert told["mean"] == [255 / 1_000_001]
    assert told["std"] == [255 * 1_000_000**0.5 / 1_000_001]
    assert of(np.array([[-127], [127]], np.int8))["min"] == [-127.0]


def test_no_finite_number_has_no_mean():
    told = of(np.full((4, 1), np.nan))
    assert (told["mean"], told["min"], told["non_finite"]) == ([None], [None], [1.0])
    assert of(np.empty((0, 1)))["count"] == [0]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.sampled_from(["f8", "f2", "i4"]))
def test_parts_put_together_are_the_whole(sizes: list[int], kind: str):
    rng = np.random.default_rng(sum(sizes))
    parts = [rng.normal(100, 3, (n, 2)).astype(kind) for n in sizes]
    whole = np.concatenate(parts).astype(np.float64)
    told = of(*parts)
    if len(whole):
        np.testing.assert_allclose(told["mean"], whole.mean(0), rtol=1e-12)
        np.testing.assert_allclose(told["std"], whole.std(0), rtol=1e-9, atol=1e-12)
        assert told["max"] == whole.max(0).tolist()
    assert told["count"] == [len(whole)] * 2


def test_a_dataset_in_numbers(dataset: Path):
    opened = simgen.open(dataset)
    told = survey.compute(dataset)
    rows = opened.catalog.to_pylist()
    assert (told["episodes"], told["frames"]) == (9, 90)
    assert sum(told["counts"]["split"].values()) == 9
    assert told["counts"]["events"] == {"contact": 9, "landing": 9}
    rgb = np.concatenate([opened.read(r["episode_id"], "rgb").reshape(-1, 3) for r in rows])
    one = told["channels"]["rgb"]
    assert one["mean"] == rgb.mean(0, dtype=np.float64).tolist()
    np.testing.assert_allclose(one["std"], rgb.std(0, dtype=np.float64))
    assert one["histogram"] == [np.bincount(column, minlength=256).tolist() for column in rgb.T]
    depth = np.concatenate([opened.read(r["episode_id"], "depth").ravel() for r in rows])
    sky = ~np.isfinite(depth)
    assert told["channels"]["depth"]["non_finite"] == [sky.mean()]
    assert told["channels"]["depth"]["max"] == [depth[~sky].max()]
    # bodies that an episode lacks are no numbers of it
    position = told["channels"]["position"]
    assert (position["non_finite"], len(position["mean"])) == ([0.0] * 3, 3)
    bodies = sum(len(json.loads(r["bodies"])) for r in rows)
    assert told["channels"]["area"]["count"] == [10 * bodies]
    assert told["channels"]["area"]["min"][0] >= 0
    assert "rgb" in survey.summary(told)


def test_the_same_bytes_whatever_the_workers(dataset: Path):
    survey.compute(dataset, workers=1)
    path = dataset / "stats" / "000001.json"
    alone = path.read_bytes()
    path.unlink()
    survey.compute(dataset, workers=3)
    assert path.read_bytes() == alone
    assert opened_stats(dataset) == survey.compute(dataset)


def opened_stats(dataset: Path) -> dict:
    return simgen.open(dataset).stats()


def test_they_are_computed_once_for_each_version(dataset: Path, monkeypatch):
    with pytest.raises(RequestError, match=r"no statistics of version 1; `simgen stats .* 1`"):
        opened_stats(dataset)
    survey.compute(dataset)
    gone = simgen.open(dataset).catalog["episode_id"].to_pylist()[:2]
    tombstones.remove(dataset, gone, reason="ugly")
    assert survey.compute(dataset)["episodes"] == 7
    monkeypatch.setattr(survey, "_computed", None)
    assert survey.compute(dataset, version=1)["episodes"] == 9
    assert survey.compute(dataset)["episodes"] == 7


def test_damaged_statistics_and_data_are_refused(dataset: Path):
    (dataset / "t10_16x24" / "flow" / "c.1.0.0.0.0").unlink()
    with pytest.raises(IntegrityError, match="'flow'"):
        survey.compute(dataset)
    survey_of = dataset / "stats" / "000001.json"
    survey_of.parent.mkdir()
    survey_of.write_text("{}")
    with pytest.raises(IntegrityError, match=r"stats/000001\.json is damaged; run .*repair"):
        opened_stats(dataset)
