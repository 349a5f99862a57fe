"""verify: every kind of damage is found, and named by episode and array."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import fake_episodes
import pytest

import simgen
from simgen.cli import app, exit_code
from simgen.store import commits, metadata, versions
from simgen.store.catalog import parquet
from simgen.store.inspect import inspect, summary
from simgen.store.layout import canonical_json
from simgen.store.objects import objects_at
from simgen.store.reader import UnreadableError
from simgen.store.shard import IntegrityError
from simgen.store.tombstones import remove
from simgen.store.verify import verify
from simgen.store.versions import TABLE_NAMES
from simgen.terminal import INTEGRITY, USAGE, run

BUCKET = "t10_16x24"
COPY = "versions/copies/000001.json"


def command(*arguments: str) -> int:
    return run(app, "simgen", list(arguments), exit_code)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def episodes_of(dataset: Path, part: int) -> tuple[str, ...]:
    rows = simgen.open(dataset).catalog.to_pylist()
    return tuple(r["episode_id"] for r in rows if (r["bucket"], r["row"] // 3) == (BUCKET, part))


def test_a_whole_dataset_has_no_problems(finished: Path):
    report = verify(finished, sample=1.0, make=fake_episodes.make)
    assert report.intact
    assert report.problems == ()
    assert (report.episodes, len(report.resimulated)) == (9, 9)


@pytest.mark.parametrize("array", ["rgb", "flow", "position", "state", "body_mask"])
def test_a_flipped_bit_names_its_one_episode(dataset: Path, array: str):
    (path,) = (dataset / BUCKET / array).glob("c.0.*")
    flip(path, 3)
    (problem,) = verify(dataset).problems
    assert problem.array == array
    assert problem.episodes == episodes_of(dataset, 0)[:1]
    assert episodes_of(dataset, 0)[0] in str(problem)
    assert array in str(problem)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "bytes, not"),
        (lambda path: path.write_bytes(b""), "has 0 bytes"),
    ],
)
def test_a_missing_or_truncated_object_names_all_of_its_episodes(dataset: Path, damage, what: str):
    damage(dataset / BUCKET / "depth" / "c.1.0.0.0.0")
    (problem,) = verify(dataset).problems
    assert what in problem.what
    assert (problem.array, problem.episodes) == ("depth", episodes_of(dataset, 1))


def test_swapped_objects_name_both_parts(dataset: Path):
    a, b = (dataset / BUCKET / "rgb" / f"c.{n}.0.0.0.0" for n in (0, 1))
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)
    b.write_bytes(first)
    found = verify(dataset).problems
    assert [p.array for p in found] == ["rgb", "rgb"]
    named = {name for p in found for name in p.episodes}
    assert named == {*episodes_of(dataset, 0), *episodes_of(dataset, 1)}


@pytest.mark.parametrize(
    "pattern",
    [*(f"tables/{name}-*" for name in TABLE_NAMES), f"{BUCKET}/rgb/zarr.json",
     f"parts/{BUCKET}-000000.json"],
)  # fmt: skip
def test_damaged_tables_markers_and_metadata_are_named(dataset: Path, pattern: str):
    (path,) = dataset.glob(pattern)
    flip(path, 40)
    assert [problem.key for problem in verify(dataset).problems] == [
        path.relative_to(dataset).as_posix()
    ]


@pytest.mark.parametrize("key", [f"{BUCKET}/zarr.json", "zarr.json"])
def test_objects_are_checked_where_their_description_is_damaged(dataset: Path, key: str):
    text = (dataset / key).read_text()
    (dataset / key).write_text(text.replace('"shape"', '"shapo"', 1))
    flip(next((dataset / BUCKET / "rgb").glob("c.0.*")), 3)
    group, rgb = sorted(verify(dataset).problems, key=lambda problem: problem.array)
    assert (group.key, group.what) == (key, "has other bytes than were written")
    assert (rgb.array, rgb.episodes) == ("rgb", episodes_of(dataset, 0))


@pytest.mark.parametrize(
    ("old", "new"), [('"episodes": 9', '"episodes": 8'), ('"bytes": ', '"bytos": '), ("{", "")]
)
def test_a_damaged_version_is_found(dataset: Path, old: str, new: str):
    path = dataset / "versions" / "000001.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert [(p.key, p.what) for p in verify(dataset).problems] == [
        ("versions/000001.json", "has other bytes than were written")
    ]
    with pytest.raises(IntegrityError, match=r"versions/000001\.json is damaged; run .*repair"):
        simgen.open(dataset)


def test_a_version_that_disagrees_with_the_parts(dataset: Path):
    """Someone exchanges the catalog and even mends the version and its hash."""
    out = objects_at(dataset)
    version = versions.read(out)
    data = parquet(versions.table(out, version, "catalog").slice(1))
    entries, files = versions.describe_tables({"catalog": data})
    out.put(files)
    forged = replace(version, episodes=8, tables=version.tables | entries)
    out.put({key: forged.to_bytes() for key in ("versions/000001.json", COPY)})
    table, count = sorted(verify(dataset).problems, key=lambda problem: problem.key)
    assert "disagrees with the parts: 8 rows, not 9" in str(table)
    assert "versions/000001.json: says episodes 8, the parts say 9" in str(count)


def test_simulating_again_finds_what_hashes_cannot(dataset: Path):
    def other_physics(recipe, index):
        made = fake_episodes.make(recipe, index)
        made.motion.position[0, 0, 0] += 1e-9
        return made

    problems = verify(dataset, sample=0.3, make=other_physics).problems
    assert {p.array for p in problems} == {"position"}
    assert len({p.episodes for p in problems}) == 3


def test_simulating_again_to_a_rejected_clip_is_a_problem(dataset: Path):
    def reject(recipe, index):
        made = fake_episodes.make(recipe, index)
        return type(made)(**{**vars(made), "reasons": ("too dark",)})

    (problem,) = verify(dataset, sample=0.1, make=reject).problems
    assert "simulates to a rejected clip (too dark)" in str(problem)


def test_simulating_again_elsewhere_is_refused(dataset: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metadata, "version", lambda package: "9.9")
    assert verify(dataset).intact
    with pytest.raises(ValueError, match=r"engine_versions .*9\.9.*verify without a sample"):
        verify(dataset, sample=0.1, make=fake_episodes.make)


def test_an_unfinished_dataset_cannot_be_verified(dataset: Path):
    shutil.rmtree(dataset / "versions")
    with pytest.raises(UnreadableError, match="unfinished"):
        verify(dataset)


def test_inspect_counts(finished: Path):
    facts = inspect(finished)
    assert (facts["complete"], facts["episodes"], facts["quarantined"]) == (True, 9, 1)
    assert sum(facts["by"]["split"].values()) == 9
    assert facts["frames"] == 90
    assert facts["quarantine_reasons"] == {"too dark": 1, "too slow": 1}
    assert facts["bytes"]["rgb"] == sum(path.stat().st_size for path in finished.glob("*/rgb/c.*"))
    assert json.loads(json.dumps(facts)) == facts
    text = summary(facts)
    assert "complete" in text
    assert "1: too dark" in text


def test_inspect_counts_the_newest_version(dataset: Path):
    gone = simgen.open(dataset).catalog["episode_id"][0].as_py()
    remove(dataset, [gone], reason="asked to")
    facts = inspect(dataset)
    assert (facts["episodes"], facts["removed"], facts["missing"]) == (8, 1, 0)
    assert sum(facts["by"]["split"].values()) == 8
    assert facts["frames"] == 80
    assert "1 removed" in summary(facts)


def test_inspect_says_what_is_missing(dataset: Path):
    shutil.rmtree(dataset / "versions")
    (dataset / "parts" / f"{BUCKET}-000000.json").unlink()
    facts = inspect(dataset)
    assert (facts["complete"], facts["missing"]) == (False, 3)
    assert "unfinished: 3 episodes missing" in summary(facts)
    with pytest.raises(UnreadableError, match="is no dataset"):
        inspect(dataset / "parts")


@pytest.mark.parametrize("pattern", [f"parts/{BUCKET}-000000.json", "tables/events-*"])
def test_inspect_names_what_is_damaged(dataset: Path, pattern: str):
    (path,) = dataset.glob(pattern)
    path.write_bytes(b"half")
    with pytest.raises(IntegrityError, match=f"{path.name} .*simgen repair`"):
        inspect(dataset)


@pytest.mark.parametrize(
    "key", [f"parts/{BUCKET}-000000.json", f"{BUCKET}/zarr.json", f"{BUCKET}/rgb/c.0.0.0.0.0"]
)
def test_a_checked_loader_refuses_whatever_it_would_read(dataset: Path, key: str):
    name = episodes_of(dataset, 0)[0]
    data = (dataset / key).read_bytes()
    (dataset / key).write_bytes(data[:-3] + b" " + data[-2:])
    with pytest.raises(IntegrityError, match="not the one that was committed"):
        simgen.open(dataset, verify_on_read=True).read(name, "rgb")


def test_an_array_that_the_marker_forgot_is_named_with_its_episodes(dataset: Path):
    """Someone forges the marker and everything that vouches for it."""
    out = objects_at(dataset)
    version, key = versions.read(out), f"parts/{BUCKET}-000000.json"
    marker = json.loads(out.get(key))
    del marker["objects"][f"{BUCKET}/rgb/c.0.0.0.0.0"]
    out.put({key: canonical_json(marker)})
    rows = versions.table(out, version, "parts").to_pylist()
    found = [(row["key"], out.get(row["key"]), json.loads(out.get(row["key"]))) for row in rows]
    commits.commit(
        out, version, change={"kind": "forged"}, tables={"parts": commits.parts_table(found)}
    )
    (problem,) = verify(dataset).problems
    assert (problem.what, problem.array) == ("is not named by its marker", "rgb")
    assert problem.episodes == episodes_of(dataset, 0)


def test_the_command_says_what_is_wrong_and_repair_what_it_wrote(dataset: Path, capsys):
    shard = dataset / BUCKET / "rgb" / "c.0.0.0.0.0"
    whole, key = shard.read_bytes(), dataset / "versions" / "000001.json"
    commit = key.read_bytes()
    key.unlink()
    assert command("verify", str(dataset)) == INTEGRITY
    assert "versions/000001.json: is missing" in capsys.readouterr().out
    assert command("repair", str(dataset), "--json") == 0
    assert json.loads(capsys.readouterr().out)["mended"][0]["how"] == "from its copy"
    assert (key.read_bytes(), shard.read_bytes()) == (commit, whole)
    assert command("verify", str(dataset), "--version", "1") == 0
    assert command("verify", str(dataset), "--version", "9") == USAGE
