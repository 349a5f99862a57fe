"""Queries on the catalog and its events, and tables that are read in checked pieces."""

from __future__ import annotations

from pathlib import Path

import fake_episodes
import numpy as np
import pyarrow as pa
import pytest

import simgen
from simgen.store import catalog, tables
from simgen.store.objects import LocalObjects
from simgen.store.query import QueryError
from simgen.store.reader import Dataset
from simgen.store.shard import IntegrityError

RECIPE = fake_episodes.recipe()


@pytest.fixture(scope="module")
def opened(finished: Path) -> Dataset:
    return simgen.open(finished)


def ids(opened: Dataset, **query) -> list[str]:
    return opened.find(**query).episode_ids


def test_columns_select_by_value_or_values(opened: Dataset):
    rows = opened.catalog.to_pylist()
    for name, values in (("bucket", ["t10_16x24"]), ("split", ["train", "val"]), ("index", [3, 7])):
        wanted = [row["episode_id"] for row in rows if row[name] in values]
        assert ids(opened, **{name: values}) == wanted
    assert ids(opened, index=3) == [RECIPE.episode_id(3)]
    assert ids(opened) == [row["episode_id"] for row in rows]
    assert ids(opened, split="train", bucket="nowhere") == []


def test_a_selection_knows_where_its_episodes_are(opened: Dataset):
    selection = opened.find()
    for place, row in enumerate(opened.catalog.to_pylist()):
        assert selection.name(place) == row["episode_id"]
        assert selection.buckets[selection.code[place]] == row["bucket"]
        assert selection.row[place] == row["row"]


def test_words_are_whole_and_may_be_phrases(opened: Dataset):
    assert ids(opened, words="BALL 3") == [RECIPE.episode_id(3)]
    assert ids(opened, words=["moves", "8"]) == [RECIPE.episode_id(8)]
    assert ids(opened, words="mov") == []  # is a part of a word


def test_channels_that_an_episode_must_have(opened: Dataset):
    having = [n for n in opened.catalog["episode_id"].to_pylist() if "flow" in opened.channels(n)]
    assert 0 < len(having) < opened.catalog.num_rows
    assert ids(opened, channels=["rgb", "flow"]) == having


def test_events_select_episodes_and_tell_the_moment(opened: Dataset):
    found = opened.find(event="landing", split=["train", "test"])
    assert len(found) == len(found.moment) > 0
    rate = opened.catalog["frame_rate_hz"][0].as_py()
    np.testing.assert_allclose(found.moment, 0.3 * rate)
    np.testing.assert_array_equal(found.moment_of, np.arange(len(found)))
    assert len(opened.find(event="contact", bodies="ball")) == opened.catalog.num_rows
    assert len(opened.find(event="contact", bodies="ball_0")) == opened.catalog.num_rows
    assert len(opened.find(event="contact", bodies="ball_1")) == 0
    assert len(opened.find(event="contact", bodies=["ball", "floor"])) == 0
    assert len(opened.find(event="contact", bodies=["", "ball"])) == opened.catalog.num_rows


def test_what_cannot_be_asked_is_refused(opened: Dataset):
    with pytest.raises(QueryError, match=r"no column 'famly'; ask by .*family.*, words"):
        opened.find(famly="towers")
    with pytest.raises(QueryError, match="row='x': the column is of type int64"):
        opened.find(row="x")
    with pytest.raises(QueryError, match="no event 'crash'; the dataset has contact, landing"):
        opened.find(event="crash")
    with pytest.raises(QueryError, match="name it: event='contact'"):
        opened.find(bodies="ball_0")


def numbered(rows: int, stride: int = 3) -> pa.Table:
    index = np.arange(rows) * stride
    return pa.table(
        {
            "index": index,
            "episode_id": [f"ab-{i:06d}" for i in index],
            "split": ["train" if i % 2 else "test" for i in index],
            "words": ["red ball " * (i % 5) for i in index],
            "share": [None if i % 7 == 0 else i / 7 for i in index],
        }
    )


@pytest.mark.parametrize("whole_bytes", [0, 1 << 30], ids=["in pieces", "whole"])
def test_tables_are_read_alike_in_pieces_and_whole(tmp_path: Path, monkeypatch, whole_bytes: int):
    monkeypatch.setattr(tables, "WHOLE_BYTES", whole_bytes)
    monkeypatch.setattr(catalog, "ROW_GROUP", 16)
    wanted = numbered(100)
    table = published(tmp_path, catalog.parquet(wanted))
    assert (table.rows, table.groups) == (100, 7)
    names = ["episode_id", "share"]
    assert pa.concat_tables(table.scan(names)).equals(wanted.select(names))
    for place in (0, 15, 16, 57, 99):
        assert table.where(place * 3).to_pylist() == wanted.slice(place, 1).to_pylist()
    for absent in (-1, 1, 50, 298, 10**9):
        assert table.where(absent).num_rows == 0


def test_rows_of_one_episode_that_cross_row_groups_are_found(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(catalog, "ROW_GROUP", 16)
    events = pa.table({"index": np.repeat([1, 2, 5], 20), "value": np.arange(60)})
    table = published(tmp_path, catalog.parquet(events))
    assert table.where(2)["value"].to_pylist() == list(range(20, 40))


def test_every_flipped_bit_of_a_table_in_pieces_is_refused_or_changes_nothing(
    tmp_path: Path, monkeypatch
):
    """Pages have checksums, and the footer the version's; what is left are bytes nobody reads."""
    monkeypatch.setattr(tables, "WHOLE_BYTES", 0)
    monkeypatch.setattr(catalog, "ROW_GROUP", 16)
    wanted = numbered(20)
    data = catalog.parquet(wanted)
    told = {"key": "t", **tables.describe(data)}
    objects, refused = LocalObjects(tmp_path), 0
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        (tmp_path / "t").write_bytes(damaged)
        try:
            table = tables.open_table(objects, told)
            found = pa.concat_tables(table.read(group) for group in range(table.groups))
        except IntegrityError:
            refused += 1
        else:
            assert found.to_pylist() == wanted.to_pylist()
    assert refused > len(data) * 0.7


def published(folder: Path, data: bytes) -> tables.Table:
    (folder / "t").write_bytes(data)
    return tables.open_table(LocalObjects(folder), {"key": "t", **tables.describe(data)})
