"""The reader: what an episode is made of comes back; what is not whole is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import fake_episodes
import numpy as np
import pytest

import simgen
from simgen.build import build
from simgen.store.reader import UnreadableError
from simgen.store.shard import IntegrityError
from simgen.store.versions import UnknownVersionError

RECIPE = fake_episodes.recipe()
FIRST = RECIPE.episode_id(0)


def test_an_episode_comes_back(finished: Path):
    dataset = simgen.open(finished)
    for row in dataset.catalog.to_pylist():
        name = row["episode_id"]
        made = fake_episodes.make(RECIPE, row["index"])
        bodies = len(made.scene.bodies)
        np.testing.assert_array_equal(dataset.read(name, "rgb"), made.frames["rgb"])
        depth = made.frames["depth"].astype(np.float16)
        np.testing.assert_array_equal(dataset.read(name, "depth", 3, 9), depth[3:9])
        position = dataset.read(name, "position")
        np.testing.assert_array_equal(position[:, :bodies], made.motion.position[:-1])
        assert np.isnan(position[:, bodies:]).all()
        assert (dataset.read(name, "area")[:, bodies:] == -1).all()
        end = dataset.read(name, "end_position")[:bodies]
        np.testing.assert_array_equal(end, made.motion.position[-1])
        frames, state = dataset.state(name)
        assert frames == [0, 8]
        np.testing.assert_array_equal(state, made.motion.state)
        assert [body["name"] for body in dataset.bodies(name)] == list(made.scene.body_names)
        assert dataset.read(name, "body_mask").sum() == bodies


def test_normals_are_the_unit_vector_times_127(finished: Path):
    dataset = simgen.open(finished)
    name = next(n for n in dataset.catalog["episode_id"].to_pylist()
                if "normals" in dataset.channels(n))  # fmt: skip
    made = fake_episodes.make(RECIPE, dataset.row(name)["index"]).frames["normals"]
    assert np.abs(dataset.read(name, "normals") / 127 - made).max() <= 0.5 / 127 + 1e-6


def test_events_belong_to_their_episode(finished: Path):
    dataset = simgen.open(finished)
    (contact, landing) = dataset.events(FIRST).to_pylist()
    assert (contact["kind"], contact["body_a"], contact["body_b"]) == ("contact", "ball_0", "")
    assert (contact["impulse_ns"], contact["point_z"]) == (1.5, 2.0)
    assert landing["impulse_ns"] is None
    assert {contact["episode_id"], landing["episode_id"]} == {FIRST}
    assert dataset.events().num_rows == 2 * dataset.catalog.num_rows


def test_what_is_not_there_is_refused(finished: Path):
    dataset = simgen.open(finished)
    rejected = RECIPE.episode_id(fake_episodes.REJECTED)
    with pytest.raises(KeyError, match=f"{rejected}.*quarantined"):
        dataset.read(rejected, "rgb")
    with pytest.raises(KeyError, match=r"has no 'sound'; it has .*rgb"):
        dataset.read(FIRST, "sound")
    with pytest.raises(IndexError, match=r"4\.\.11 .* it has 0\.\.10"):
        dataset.read(FIRST, "rgb", 4, 11)


def test_a_channel_that_only_other_scenes_have_is_refused(finished: Path):
    dataset = simgen.open(finished)
    row = next(r for r in dataset.catalog.to_pylist() if r["bucket"] == "t10_24x16")
    with pytest.raises(KeyError, match="has no 'flow'"):
        dataset.read(row["episode_id"], "flow")


def test_missing_and_damaged_objects_name_episode_and_array(dataset: Path):
    row = simgen.open(dataset).row(FIRST)
    path = dataset / row["bucket"] / "rgb" / "c.0.0.0.0.0"
    good = path.read_bytes()
    path.write_bytes(good[:30] + bytes([good[30] ^ 4]) + good[31:])
    with pytest.raises(IntegrityError, match=f"{FIRST}.*'rgb'.*checksum"):
        simgen.open(dataset).read(FIRST, "rgb")
    path.unlink()
    with pytest.raises(IntegrityError, match=f"{FIRST}.*'rgb'.*missing"):
        simgen.open(dataset).read(FIRST, "rgb")


def test_verify_on_read_sees_swapped_objects(dataset: Path):
    """Each has good checksums of its own: only the marker tells."""
    a = dataset / "t10_16x24/rgb/c.0.0.0.0.0"
    b = dataset / "t10_16x24/rgb/c.1.0.0.0.0"
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)
    b.write_bytes(first)
    rows = simgen.open(dataset).catalog.to_pylist()
    name = next(r["episode_id"] for r in rows if (r["bucket"], r["row"]) == ("t10_16x24", 0))
    simgen.open(dataset).read(name, "rgb")
    with pytest.raises(IntegrityError, match=f"{name}.*'rgb'.*not the one that was committed"):
        simgen.open(dataset, verify_on_read=True).read(name, "rgb")


def test_unfinished_and_unknown_folders_are_refused(dataset: Path, tmp_path: Path):
    shutil.rmtree(dataset / "versions")
    with pytest.raises(UnreadableError, match="unfinished; run the same `simgen build` again"):
        simgen.open(dataset)
    with pytest.raises(UnreadableError, match="no dataset"):
        simgen.open(tmp_path / "nothing")
    (tmp_path / "zarr.json").write_text('{"attributes": {}}')
    with pytest.raises(UnreadableError, match="not of a physreel dataset"):
        simgen.open(tmp_path)


@pytest.mark.parametrize(
    ("version", "todo"), [(99, "update physreel"), (2, "build its recipe again")]
)
def test_another_format_is_refused(dataset: Path, version: int, todo: str):
    root = json.loads((dataset / "zarr.json").read_text())
    root["attributes"]["format_version"] = version
    (dataset / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(UnreadableError, match=f"format version {version}; .* {todo}"):
        simgen.open(dataset)


def test_an_unknown_version_is_refused_with_those_there_are(dataset: Path):
    with pytest.raises(UnknownVersionError, match="has no version 7; it has 1 "):
        simgen.open(dataset, version=7)


@pytest.mark.parametrize("name", ["catalog", "events", "quarantine"])
def test_a_flipped_bit_in_a_table_is_refused(dataset: Path, name: str):
    """Parquet itself may read it as other words."""
    (path,) = dataset.glob(f"tables/{name}-*")
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    opened = simgen.open(dataset)
    with pytest.raises(IntegrityError, match=f"{path.name} of .* not the one .*simgen repair`"):
        opened.catalog, opened.events(), opened.quarantine


def test_a_replaced_catalog_is_refused(dataset: Path, tmp_path: Path):
    other = tmp_path / "other.zarr"
    build(fake_episodes.recipe(3), other, workers=1, make=fake_episodes.make)
    (mine,), (theirs,) = (place.glob("tables/catalog-*") for place in (dataset, other))
    mine.write_bytes(theirs.read_bytes())
    with pytest.raises(IntegrityError, match=r"catalog-\w+\.parquet .* not the one that was pub"):
        simgen.open(dataset).read(FIRST, "rgb")
