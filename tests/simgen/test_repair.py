"""repair: whatever is damaged in whichever version comes back bit for bit, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import fake_episodes
import pytest
from fake_episodes import contents, make

import simgen
from simgen.build import add, publish, run_part, writing
from simgen.build.repair import repair
from simgen.store import metadata, survey, tombstones, versions
from simgen.store.layout import copy_path
from simgen.store.ledger import Attempts
from simgen.store.objects import objects_at
from simgen.store.shard import IntegrityError
from simgen.store.verify import verify

RECIPE = fake_episodes.recipe()


@pytest.fixture(scope="session")
def lived(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four versions: built, added to, two episodes removed, one restored. Not to be written to."""
    out = Path(shutil.copytree(finished, tmp_path_factory.mktemp("lived") / "fake.zarr"))
    add(out, 14, workers=1, make=make)
    gone = [RECIPE.episode_id(index) for index in (1, 8)]
    tombstones.remove(out, gone, reason="ugly")
    tombstones.restore(out, gone[:1])
    survey.compute(out, workers=1)
    shutil.rmtree(out / ".build")
    return out


@pytest.fixture
def store(lived: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(lived, tmp_path / "copy.zarr"))


def never(recipe, index):
    raise AssertionError("made an episode")


def flip(path: Path, share: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(share * (len(data) - 1))] ^= 4
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "first bit": lambda path: flip(path, 0),
    "bit inside": lambda path: flip(path, 0.4),
    "last bit": lambda path: flip(path, 1),
    "missing": lambda path: path.unlink(),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_shard_of_every_array_is_named_refused_and_comes_back(
    store: Path, lived: Path, damage: str
):
    shards = {}
    folders = sorted(path for path in store.glob("t10_*/*") if path.is_dir())
    for number, folder in enumerate(folders):
        found = sorted(folder.glob("c.*"))
        path = found[number % len(found)]
        shards[path.relative_to(store).as_posix()] = path
        DAMAGES[damage](path)
    assert len(shards) > 40
    found = {problem.key: problem for problem in verify(store, version=2).problems}
    assert set(found) == set(shards)
    checked = simgen.open(store, version=2, verify_on_read=True)
    for key, problem in found.items():
        assert problem.array == key.split("/")[1]
        with pytest.raises(IntegrityError, match=f"{problem.episodes[0]}.*'{problem.array}'"):
            checked.read(problem.episodes[0], problem.array)
    report = repair(store, make=make)
    assert ({one.key for one in report.mended}, report.lost) == (set(shards), ())
    assert contents(store) == contents(lived)


def other_kinds(store: Path) -> list[str]:
    """A file of each kind but shards, as the newest versions have it."""
    tables = versions.read(objects_at(store), 4).tables
    return [
        "versions/000001.json", "versions/000004.json", "versions/copies/000003.json",
        "versions/copies/000004.json", *(told["key"] for told in tables.values()),
        copy_path(tables["removed"]["key"]), "zarr.json", "t10_16x24/zarr.json",
        "t10_24x16/rgb/zarr.json", "parts/t10_16x24-000000.json", "parts/t10_24x16-000001.json",
        "stats/000004.json",
    ]  # fmt: skip


@pytest.mark.parametrize("damage", ["bit inside", "missing", "truncated"])
def test_every_other_kind_of_file_damaged_alone_comes_back(store: Path, lived: Path, damage: str):
    """Without making an episode: something else in the dataset tells what was there."""
    whole = contents(lived)
    for key in other_kinds(store):
        if (key, damage) == ("stats/000004.json", "missing"):
            continue  # only there if somebody asked
        times = {p: p.stat().st_mtime_ns for p in store.rglob("*") if p.is_file()}
        DAMAGES[damage](store / key)
        (problem,) = verify(store).problems
        assert problem.key == key
        if key.startswith("parts/"):
            assert (problem.array, bool(problem.episodes)) == ("every array", True)
        report = repair(store, make=never)
        assert ([one.key for one in report.mended], report.lost) == ([key], ())
        assert (store / key).read_bytes() == whole[key]
        changed = [p for p, time in times.items() if p.stat().st_mtime_ns != time]
        assert [p for p in changed if ".build" not in p.parts and p != store / key] == []
    assert contents(store) == whole


def test_a_whole_store_is_left_alone(store: Path, lived: Path):
    report = repair(store, make=never)
    assert (report.mended, report.lost, report.bytes, report.versions) == ((), (), 0, (1, 2, 3, 4))
    assert contents(store) == contents(lived)


def test_older_versions_are_verified_and_mended_too(store: Path, lived: Path):
    old = versions.read(objects_at(store), 1).tables["catalog"]["key"]
    flip(store / old, 0.5)
    assert verify(store).intact
    assert [problem.key for problem in verify(store, version=1).problems] == [old]
    assert [one.key for one in repair(store, make=never).mended] == [old]
    assert contents(store) == contents(lived)


def test_swapped_objects_are_found_and_put_back(store: Path, lived: Path):
    """Between parts, arrays, buckets, tables and commits: each is whole, in the wrong place."""
    tables = versions.read(objects_at(store), 4).tables
    pairs = [
        ("t10_16x24/rgb/c.0.0.0.0.0", "t10_16x24/rgb/c.1.0.0.0.0"),
        ("t10_16x24/velocity/c.0.0.0.0", "t10_16x24/angular_velocity/c.0.0.0.0"),
        ("t10_16x24/energy/c.1.0", "t10_24x16/energy/c.1.0"),
        ("parts/t10_16x24-000001.json", "parts/t10_24x16-000001.json"),
        ("versions/000001.json", "versions/000003.json"),
        (tables["catalog"]["key"], tables["events"]["key"]),
        ("t10_16x24/rgb/zarr.json", "t10_24x16/rgb/zarr.json"),
    ]
    for pair in pairs:
        a, b = ((store / key).read_bytes() for key in pair)
        (store / pair[0]).write_bytes(b)
        (store / pair[1]).write_bytes(a)
        assert {problem.key for problem in verify(store).problems} == set(pair)
        assert {one.key for one in repair(store, make=make).mended} == set(pair)
        assert contents(store) == contents(lived)


def test_much_damaged_at_once_comes_back(store: Path, lived: Path):
    """A marker with its objects and the table of parts, a commit, the catalog, all metadata."""
    tables = versions.read(objects_at(store), 4).tables
    for path in [*store.glob("**/zarr.json"), *store.glob("parts/t10_16x24-000001.json"),
                 *store.glob("t10_16x24/*/c.1.*"), store / tables["catalog"]["key"],
                 store / "versions/000004.json"]:  # fmt: skip
        flip(path, 0.5)
    assert repair(store, make=make).lost == ()
    assert contents(store) == contents(lived)


def test_a_dry_run_says_the_same_and_writes_nothing(store: Path):
    (store / "t10_16x24/rgb/c.1.0.0.0.0").unlink()
    flip(store / "versions/000002.json", 0.5)
    flip(store / "parts/t10_24x16-000000.json", 0.5)
    damaged = contents(store)
    would = repair(store, make=never, dry_run=True)
    assert contents(store) == damaged
    did = repair(store, make=make)
    assert (would.mended, would.lost, would.bytes) == (did.mended, (), did.bytes)
    assert len(did.mended) == 3


def test_what_other_releases_made_is_refused_and_nothing_is_written(
    store: Path, monkeypatch: pytest.MonkeyPatch
):
    (store / "t10_16x24/rgb/c.1.0.0.0.0").unlink()
    damaged = contents(store)
    monkeypatch.setattr(metadata, "version", lambda package: "9.9")
    (lost,) = repair(store, make=never).lost
    assert (lost.key, lost.array) == ("t10_16x24/rgb/c.1.0.0.0.0", "rgb")
    assert lost.episodes
    assert "engine_versions" in lost.what
    assert "simgen repair` there, or install those versions" in lost.what
    assert contents(store) == damaged


def test_an_episode_that_is_made_otherwise_is_never_written(store: Path):
    def other(recipe, index):
        made = make(recipe, index)
        made.frames["depth"][0, -1] += 1
        return made

    flip(store / "t10_16x24/depth/c.1.0.0.0.0", 0)
    damaged = contents(store)
    (lost,) = repair(store, make=other).lost
    assert "made again, has other bytes than were published" in lost.what
    assert contents(store) == damaged


def test_a_commit_without_its_copy_left_is_lost_and_the_rest_is_mended(store: Path):
    for key in ("versions/000002.json", "versions/copies/000002.json"):
        flip(store / key, 0.5)
    flip(store / "t10_16x24/rgb/zarr.json", 0.5)
    report = repair(store, make=never)
    assert [one.key for one in report.mended] == ["t10_16x24/rgb/zarr.json"]
    assert {p.key for p in report.lost} == {"versions/000002.json", "versions/copies/000002.json"}
    assert simgen.open(store).catalog.num_rows == 11


def test_what_crashed_its_worker_is_not_tried_again(tmp_path: Path, monkeypatch):
    """Mending a neighbour must not end this process."""
    out = tmp_path / "poison.zarr"
    objects = objects_at(out)
    with writing(RECIPE, out) as todo:
        for part in todo.parts:
            if 4 in part.indices:
                with Attempts(objects, part.name).attempt():
                    pass
                note = out / ".build" / "attempts" / part.name
                note.write_text("attempt\n4\n" * 3)
            run_part(RECIPE, part, out, make=make)
        publish(RECIPE, out)
    whole = contents(out)
    (row,) = [r for r in simgen.open(out).quarantine.to_pylist() if r["index"] == 4]
    assert "crashed the worker 3 times" in row["reasons"]
    for path in out.glob(f"{row['bucket']}/rgb/c.*"):
        flip(path, 0)
    for path in out.glob("parts/*"):
        flip(path, 0.1)

    def poisoned(recipe, index):
        assert index != 4
        return make(recipe, index)

    assert repair(out, make=poisoned).lost == ()
    assert contents(out) == whole
