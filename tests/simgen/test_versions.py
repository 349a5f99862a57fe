"""Versions: adding, removing, restoring, expiring, compacting; old ones stay as they were."""

from __future__ import annotations

import json
from pathlib import Path

import fake_episodes
import numpy as np
import pytest
from fake_episodes import contents, make
from hypothesis import given, settings
from hypothesis import strategies as st

import simgen
from simgen.build import add, build, planning
from simgen.build.repair import repair
from simgen.store import history, layout, metadata, tombstones, versions
from simgen.store.compact import compact
from simgen.store.layout import copy_path, version_path
from simgen.store.objects import LocalObjects, objects_at
from simgen.store.shard import IntegrityError
from simgen.store.verify import verify
from simgen.store.versions import ConflictError, RequestError, UnknownVersionError

RECIPE = fake_episodes.recipe()
NAMES = [RECIPE.episode_id(index) for index in range(20)]
GONE = [NAMES[1], NAMES[8]]


class Killed(BaseException):
    """Stands in for SIGKILL: no handler of ours may catch it."""


def shown(dataset: Path, version: int | None = None) -> list[str]:
    return simgen.open(dataset, version=version).catalog["episode_id"].to_pylist()


def row_in(dataset: Path, name: str) -> bool:
    """Whether any marker still holds the episode."""
    return any(name in path.read_text() for path in dataset.glob("parts/*"))


def test_removed_episodes_are_gone_with_a_reason_and_the_old_version_stays(dataset: Path):
    before = contents(dataset)
    version = tombstones.remove(dataset, GONE, reason="ball leaves the picture")
    assert (version.version, version.episodes, version.removed) == (2, 7, 2)
    assert version.change == {
        "kind": "remove", "episodes": 2, "reason": "ball leaves the picture",
    }  # fmt: skip
    after = contents(dataset)
    assert {key: after[key] for key in before} == before
    new = simgen.open(dataset)
    assert [r["episode_id"] for r in new.removed.to_pylist()] == GONE
    assert {r["version"] for r in new.removed.to_pylist()} == {2}
    assert not set(GONE) & {*shown(dataset), *new.events()["episode_id"].to_pylist()}
    assert set(GONE) < set(shown(dataset, 1))
    simgen.open(dataset, version=1).read(GONE[0], "rgb")
    with pytest.raises(KeyError, match="removed"):
        new.read(GONE[0], "rgb")
    assert verify(dataset).intact
    assert verify(dataset, version=1).intact


def test_restored_is_as_if_never_removed(dataset: Path):
    tombstones.remove(dataset, GONE, reason="a mistake")
    version = tombstones.restore(dataset, GONE)
    assert (version.version, version.episodes, version.removed) == (3, 9, 0)
    first = versions.read(objects_at(dataset), 1)
    assert version.tables == first.tables
    assert verify(dataset).intact


def test_the_same_command_again_changes_nothing(dataset: Path):
    for _ in range(2):
        assert tombstones.remove(dataset, GONE, reason="ugly").version == 2
    for _ in range(2):
        assert tombstones.restore(dataset, GONE).version == 3
    for _ in range(2):
        assert history.expire(dataset, [1])[0] in ([1], [])
    assert versions.numbers(objects_at(dataset)) == [2, 3]


def test_what_cannot_be_is_refused_and_nothing_is_written(dataset: Path, tmp_path: Path):
    before = contents(dataset)
    with pytest.raises(RequestError, match=r"has no episode 'nobody'; ids are in its catalog"):
        tombstones.remove(dataset, [NAMES[0], "nobody"], reason="ugly")
    with pytest.raises(RequestError, match="needs a reason"):
        tombstones.remove(dataset, [NAMES[0]], reason=" ")
    with pytest.raises(RequestError, match="has no episode"):
        tombstones.restore(dataset, ["nobody"])
    with pytest.raises(RequestError, match=r"version 1 is the newest .*cannot be expired"):
        history.expire(dataset, [1])
    with pytest.raises(UnknownVersionError, match="has no version 7; it has 1"):
        history.expire(dataset, [7])
    with pytest.raises(RequestError, match="how many to keep"):
        history.expire(dataset)
    with pytest.raises(RequestError, match="has 10 episodes already"):
        add(dataset, 9, workers=1, make=make)
    with pytest.raises(RequestError, match="holds no finished dataset"):
        tombstones.remove(tmp_path / "none", [NAMES[0]], reason="ugly")
    assert contents(dataset) == before


def test_additions_leave_removed_episodes_out(dataset: Path):
    tombstones.remove(dataset, GONE, reason="ugly")
    assert add(dataset, more=4, workers=1, make=make).episodes == 10  # one of them is rejected
    assert not set(GONE) & set(shown(dataset))
    assert verify(dataset).intact
    assert build(RECIPE, dataset, workers=1, make=make).parts_run == 0
    told = history.history(dataset)
    assert [(one["change"]["kind"], one["episodes"]) for one in told] == [
        ("build", 9), ("remove", 7), ("add", 10),
    ]  # fmt: skip
    assert json.loads(json.dumps(told)) == told


def test_splits_stay_as_the_recipe_orders_them(tmp_path: Path):
    """An order that is not alphabetical must survive the commit."""
    recipe = fake_episodes.recipe(12, splits={"val": 0.4, "train": 0.3, "test": 0.3})
    out = tmp_path / "splits.zarr"
    build(recipe, out, workers=1, make=make)
    add(out, 20, workers=1, make=make)
    rows = simgen.open(out).catalog.to_pylist()
    assert {r["index"]: r["split"] for r in rows} == {
        r["index"]: recipe.assign(r["index"]).split for r in rows
    }


def test_compaction_deletes_the_bytes_of_removed_episodes_once_none_shows_them(dataset: Path):
    tombstones.remove(dataset, GONE, reason="no licence")
    nothing = compact(dataset)
    assert (nothing.swept, nothing.squeezed, nothing.version) == (0, 0, 2)
    history.expire(dataset, keep=1)
    first = compact(dataset)
    assert (first.version, first.squeezed > 0, first.dropped) == (3, True, 2)
    assert first.held_by == (2,)
    old = simgen.open(dataset, version=2)
    made = {r["episode_id"]: make(RECIPE, r["index"]) for r in old.catalog.to_pylist()}
    new = simgen.open(dataset, verify_on_read=True)
    for name, episode in made.items():
        np.testing.assert_array_equal(new.read(name, "rgb"), episode.frames["rgb"])
        np.testing.assert_array_equal(old.read(name, "rgb"), episode.frames["rgb"])
    assert new.events().equals(old.events())
    history.expire(dataset, keep=1)
    last = compact(dataset)
    assert last.swept_bytes >= first.held_bytes > 0
    assert all(verify(dataset, version=n).intact for n in versions.numbers(objects_at(dataset)))
    assert not any(row_in(dataset, name) for name in GONE)
    with pytest.raises(RequestError, match="compaction has deleted the bytes"):
        tombstones.restore(dataset, GONE)


def test_a_squeezed_dataset_goes_on(dataset: Path):
    """It grows, it is built again, and every part of it can be made again from the recipe."""
    tombstones.remove(dataset, GONE, reason="ugly")
    report = compact(dataset, keep=1)
    assert (report.version, report.expired) == (3, (1, 2))
    assert build(RECIPE, dataset, workers=1, make=make).parts_run == 0
    assert add(dataset, 14, workers=1, make=make).version == 4
    tombstones.remove(dataset, [NAMES[2], NAMES[13]], reason="ugly too")
    compact(dataset, keep=1)
    assert add(dataset, 16, workers=1, make=make).parts_run > 0
    assert verify(dataset, sample=1.0, make=make).intact
    whole = contents(dataset)
    for path in [*dataset.glob("t10_*/*/c.*"), *dataset.glob("parts/*"), dataset / "zarr.json"]:
        path.write_bytes(path.read_bytes()[:-1])
    assert repair(dataset, make=make).lost == ()
    assert contents(dataset) == whole


def test_metadata_lengthened_by_hand_is_what_zarr_writes():
    short = metadata.metadata(RECIPE, (10,))
    long = metadata.metadata(RECIPE, (10,), ({"after": 1, "moved": [0, 1, 2], "dropped": [3]},))
    rows = {
        name: len(bucket.rows)
        for name, bucket in layout.buckets(
            RECIPE, (10,), ({"after": 1, "moved": [0, 1, 2], "dropped": [3]},)
        ).items()
    }
    assert short != long
    assert metadata.lengthened(short, rows) == long


def test_leftovers_are_swept_and_strangers_stay(dataset: Path):
    whole = contents(dataset)
    (dataset / "notes.txt").write_text("mine")
    (dataset / "tables" / "catalog-0123456789abcdef.parquet").write_bytes(b"left")
    (dataset / "t10_16x24" / "rgb" / "c.9.0.0.0.0").write_bytes(b"left")
    (dataset / "parts" / "t10_16x24-000009.json").write_bytes(b"left")
    would = compact(dataset, dry_run=True)
    assert (would.swept, would.swept_bytes, would.dry_run) == (3, 12, True)
    assert len(contents(dataset)) == len(whole) + 4
    assert compact(dataset).swept == 3
    assert contents(dataset) == whole | {"notes.txt": b"mine"}


def test_a_dry_run_of_squeezing_says_what_is_done_then(dataset: Path):
    tombstones.remove(dataset, GONE, reason="ugly")
    before = contents(dataset)
    would = compact(dataset, keep=1, dry_run=True)
    assert contents(dataset) == before
    did = compact(dataset, keep=1)
    assert would.swept_bytes == did.swept_bytes > 0
    assert (would.moved_bytes, would.version) == (did.moved_bytes, did.version)


def test_damage_does_not_move(dataset: Path):
    tombstones.remove(dataset, GONE, reason="ugly")
    row = simgen.open(dataset, version=1).row(GONE[0])
    path = dataset / row["bucket"] / "rgb" / f"c.{row['row'] // 3}.0.0.0.0"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match=r"simgen repair .*first"):
        compact(dataset, keep=1)
    assert versions.numbers(objects_at(dataset)) == [1, 2]


def test_killed_at_any_write_every_living_version_is_whole(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
):
    tombstones.remove(dataset, GONE, reason="ugly")
    catalog = simgen.open(dataset).catalog["episode_id"].to_pylist()
    steps = _Steps()
    for name in ("put", "create", "delete"):
        monkeypatch.setattr(LocalObjects, name, steps.counted(getattr(LocalObjects, name)))
    for last in range(1, 100):
        steps.done, steps.last = 0, last
        try:
            compact(dataset, keep=1)
        except Killed:
            for number in versions.numbers(objects_at(dataset)):
                told = {p.key for p in verify(dataset, version=number).problems}
                # between a commit and its copy, which the next command writes
                assert told <= {copy_path(version_path(n)) for n in (1, 2, 3)}
            assert shown(dataset) == catalog
            continue
        break
    assert last > 5
    assert versions.numbers(objects_at(dataset)) == [3]
    assert verify(dataset).intact
    assert compact(dataset).swept == 0


class _Steps:
    """Dies at the last of so many calls."""

    done = last = 0

    def counted(self, function):
        def step(*given):
            self.done += 1
            if self.done == self.last:
                raise Killed
            return function(*given)

        return step


def test_of_two_writers_the_second_is_told(dataset: Path, monkeypatch: pytest.MonkeyPatch):
    out = objects_at(dataset)
    first = versions.read(out, 1)
    tombstones.remove(dataset, GONE, reason="ugly")
    rival = versions.Version(**{**vars(first), "version": 2, "change": {"kind": "rival"}})
    with pytest.raises(ConflictError, match="got version 2 from another writer"):
        versions.commit(out, rival)
    assert versions.read(out).change["kind"] == "remove"


def test_a_lost_newest_commit_is_damage_and_not_an_older_version(dataset: Path):
    tombstones.remove(dataset, GONE, reason="ugly")
    (dataset / "versions" / "000002.json").unlink()
    with pytest.raises(IntegrityError, match=r"000002\.json is missing; run `simgen repair`"):
        simgen.open(dataset)
    assert repair(dataset, make=make).lost == ()
    assert len(shown(dataset)) == 7


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 5),
    more=st.integers(0, 9),
    gone=st.sets(st.integers(0, 11), max_size=5),
)
def test_every_episode_has_one_row_whatever_the_part_size(size: int, more: int, gone: set[int]):
    """Growth and moves never change the rows that were given before, but to free them."""
    recipe = fake_episodes.recipe(12 + more, episodes_per_part=size)
    old = layout.buckets(recipe, (12,))
    parts = planning.parts_of(old)
    left = [i for part in parts if gone & set(part.indices) for i in part.indices]
    move = {"after": 1, "moved": sorted(set(left) - gone), "dropped": sorted(gone)}
    new = layout.buckets(recipe, (12, 12 + more), (move,) if gone else ())
    rows = [i for bucket in new.values() for i in bucket.rows if i is not None]
    assert sorted(rows) == [i for i in range(12 + more) if i not in gone]
    for name, bucket in old.items():
        held = new[name].rows[: len(bucket.rows)]
        assert all(a in (b, None) for a, b in zip(held, bucket.rows, strict=True))
    for part in planning.parts_of(new):
        held = new[part.bucket].rows[part.rows.start : part.rows.stop]
        assert held == part.indices
        assert part.rows.start == part.number * size
