"""Building: the same bytes however it is done, and refusal of what cannot be."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

import fake_episodes
import numpy as np
import pytest
from fake_episodes import contents, make, recipe

import simgen
from simgen.build import (
    BuildError,
    build,
    groups,
    plan,
    planning,
    publish,
    run_group,
    run_part,
    writing,
)
from simgen.build.planning import UnfinishedError
from simgen.store import metadata


def test_same_bytes_whatever_the_workers(finished: Path, tmp_path: Path):
    report = build(recipe(), tmp_path / "two.zarr", workers=2, make=make)
    assert report.parts_run == report.parts > 2
    assert contents(tmp_path / "two.zarr") == contents(finished)


def test_same_bytes_whatever_the_order(finished: Path, tmp_path: Path):
    out = tmp_path / "shuffled.zarr"
    with writing(recipe(), out) as todo:
        parts = list(todo.parts)
        random.Random(1).shuffle(parts)
        for part in parts:
            run_part(recipe(), part, out, make=make)
        publish(recipe(), out)
    assert contents(out) == contents(finished)


def test_a_second_run_does_nothing(dataset: Path):
    times = {path: path.stat().st_mtime_ns for path in dataset.rglob("*.*") if path.is_file()}

    def never(recipe, index):
        raise AssertionError("made an episode again")

    report = build(recipe(), dataset, workers=1, make=never)
    assert (report.parts_run, report.episodes, report.quarantined) == (0, 9, 1)
    changed = [path for path, time in times.items() if path.stat().st_mtime_ns != time]
    assert [path for path in changed if ".build" not in path.parts] == []


@pytest.mark.parametrize(
    "pattern",
    ["tables/catalog-*", "tables/events-*", "versions/000001.json", "t10_16x24/rgb/zarr.json"],
)
@pytest.mark.parametrize("published", [True, False])
def test_tables_and_metadata_are_mended_and_never_vouched_for(
    finished: Path, dataset: Path, pattern: str, published: bool
):
    (path,) = dataset.glob(pattern)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    if not published:
        (dataset / "versions" / "000001.json").unlink()
    assert build(recipe(), dataset, workers=1, make=make).parts_run == 0
    assert contents(dataset) == contents(finished)


@pytest.mark.parametrize(
    "tear",
    [
        lambda out: (out / "parts/t10_16x24-000001.json").unlink(),
        lambda out: (out / "parts/t10_16x24-000001.json").write_text('{"bucket": "t10'),
        lambda out: (out / "t10_16x24/rgb/c.1.0.0.0.0").unlink(),
        lambda out: (out / "t10_16x24/rgb/c.1.0.0.0.0").write_bytes(b"half"),
    ],
    ids=["no marker", "half a marker", "no object", "half an object"],
)
def test_a_torn_part_is_made_again(finished: Path, dataset: Path, tear):
    tear(dataset)
    assert [part.name for part in plan(recipe(), dataset).todo] == ["t10_16x24-000001"]
    assert build(recipe(), dataset, workers=1, make=make).parts_run == 1
    assert contents(dataset) == contents(finished)


def test_more_workers_than_parts(tmp_path: Path):
    report = build(recipe(2), tmp_path / "few.zarr", workers=8, make=make)
    assert report.episodes == 2


def test_groups_hold_every_part_once_in_order(tmp_path: Path):
    parts = plan(recipe(200), tmp_path / "x").parts
    grouped = groups(parts, 1.0)
    assert [part for group in grouped for part in group] == list(parts)
    assert 1 < len(grouped) < len(parts)
    assert all(sum(p.seconds for p in group[:-1]) < 1.0 for group in grouped)


def test_groups_can_be_run_by_anyone(finished: Path, tmp_path: Path):
    out = tmp_path / "groups.zarr"
    with writing(recipe(), out) as todo:
        for group in groups(todo.todo, 0.3):
            run_group(recipe(), group, out, make=make)
        counts = publish(recipe(), out)
    assert counts["episodes"] == 9
    assert contents(out) == contents(finished)


def test_publish_refuses_an_unfinished_dataset(tmp_path: Path):
    out = tmp_path / "half.zarr"
    with writing(recipe(), out) as todo:
        run_part(recipe(), todo.parts[0], out, make=make)
        with pytest.raises(UnfinishedError, match=r"lacks 3 of 4 parts.*run the same build again"):
            publish(recipe(), out)
    assert not (out / "versions").exists()


def test_a_bug_stops_the_build_and_is_no_crash(tmp_path: Path):
    out = tmp_path / "bug.zarr"
    for _ in range(4):
        with pytest.raises(ZeroDivisionError, match="a bug of ours"):
            build(recipe(), out, workers=1, make=fake_episodes.make_broken)
    assert build(recipe(), out, workers=1, make=make).quarantined == 1


def test_another_recipe_is_refused(dataset: Path):
    before = contents(dataset)
    with pytest.raises(BuildError, match=r"holds another recipe .*build into another folder"):
        build(recipe(seed=1), dataset, workers=1, make=make)
    with pytest.raises(BuildError, match=r"holds another recipe \(episodes_per_part 3, .* has 4\)"):
        build(recipe(episodes_per_part=4), dataset, workers=1, make=make)
    with pytest.raises(BuildError, match=r"holds 10 episodes .* asks for 11; `simgen add .* 11`"):
        build(recipe(11), dataset, workers=1, make=make)
    assert contents(dataset) == before


def test_more_episodes_are_a_new_version_and_the_old_one_stays(dataset: Path, finished: Path):
    before = contents(dataset)
    report = build(recipe(25), dataset, workers=1, make=make, add=True)
    assert (report.version, report.episodes, report.quarantined) == (2, 22, 3)
    after = contents(dataset)
    kept = {key for key in before if not key.endswith("zarr.json")}
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
    old, new = simgen.open(dataset, version=1), simgen.open(dataset)
    assert old.catalog.equals(simgen.open(finished).catalog)
    assert new.catalog.slice(0, 9).equals(old.catalog)
    for name in new.catalog["episode_id"].to_pylist()[::5]:
        made = make(recipe(25), new.row(name)["index"])
        np.testing.assert_array_equal(new.read(name, "rgb"), made.frames["rgb"])
    again = build(recipe(25), dataset, workers=1, make=make, add=True)
    assert (again.version, again.parts_run) == (2, 0)
    assert build(recipe(), dataset, workers=1, make=make).parts_run == 0
    assert contents(dataset) == after


def test_other_versions_are_refused(dataset: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metadata, "version", lambda package: "9.9")
    with pytest.raises(BuildError, match=r"begun with engine_versions .*9\.9.*must not mix"):
        build(recipe(), dataset, workers=1, make=make)


def test_a_folder_with_something_else_is_refused(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(BuildError, match=r"not a physreel dataset.*thesis\.tex"):
        build(recipe(), tmp_path, workers=1, make=make)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match="cannot be used: Not a directory"):
        build(recipe(), tmp_path / "file" / "out.zarr", workers=1, make=make)


def test_a_read_only_folder_is_refused():
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o555)
        if user == 0:
            os.seteuid(65534)  # root may write anywhere
        try:
            with pytest.raises(BuildError, match=r"out\.zarr cannot be used: Permission denied"):
                build(recipe(), Path(name) / "out.zarr", workers=1, make=make)
        finally:
            os.seteuid(user)


def test_a_plan_larger_than_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = planning.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(planning.shutil, "disk_usage", lambda path: usage._replace(free=12_345))
    with pytest.raises(BuildError, match=r"needs about [\d,]+ bytes more and .* 12,345 free"):
        build(recipe(), tmp_path / "out.zarr", workers=1, make=make)
    assert list(tmp_path.iterdir()) == []


def test_arrays_larger_than_the_limits_are_refused(tmp_path: Path):
    def crowd(recipe, index):
        made = make(recipe, index)
        big = fake_episodes._motion(recipe.rng(index), 10, 40, 8)
        return type(made)(**{**vars(made), "motion": big})

    with pytest.raises(ValueError, match=r"'position' is \[10, 40, 3\], more than .*limits"):
        build(recipe(), tmp_path / "out.zarr", workers=1, make=crowd)


def test_a_part_of_rejected_episodes_alone_has_no_objects(tmp_path: Path):
    def reject(recipe, index):
        made = make(recipe, index)
        return type(made)(**{**vars(made), "reasons": ("all black",)})

    out = tmp_path / "none.zarr"
    report = build(recipe(), out, workers=1, make=reject)
    assert (report.episodes, report.quarantined, report.bytes) == (0, 10, 0)
    assert simgen.open(out).quarantine.num_rows == 10
    assert build(recipe(), out, workers=1, make=reject).parts_run == 0
