"""The dataset opens without our code: zarr, xarray, dask, tensorstore, zarrs, pyarrow."""

from __future__ import annotations

import json
from pathlib import Path

import dask.array
import fake_episodes
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorstore
import xarray
import zarr

import simgen

BUCKET = "t10_16x24"


@pytest.fixture(scope="module")
def row(finished: Path) -> dict:
    """Catalog row of the bucket's first episode."""
    (catalog,) = finished.glob("tables/catalog-*.parquet")
    rows = pq.read_table(catalog).to_pylist()
    return next(row for row in rows if row["bucket"] == BUCKET)


@pytest.fixture(scope="module")
def rgb(row: dict) -> np.ndarray:
    return fake_episodes.make(fake_episodes.recipe(), row["index"]).frames["rgb"]


def test_zarr_lists_groups_and_arrays_with_units(finished: Path, row: dict, rgb: np.ndarray):
    root = zarr.open_group(finished, mode="r")
    assert root.attrs["format"] == "physreel"
    assert root.attrs["recipe"]["name"] == "fake"
    assert sorted(name for name, _ in root.groups()) == [BUCKET, "t10_24x16"]
    arrays = dict(root[BUCKET].arrays())
    assert set(json.loads(row["hashes"])) == set(arrays)
    assert all(array.attrs["units"] for array in arrays.values())
    np.testing.assert_array_equal(arrays["rgb"][row["row"]], rgb)
    np.testing.assert_array_equal(zarr.open_array(finished / BUCKET / "rgb")[row["row"]], rgb)


def test_xarray_names_the_dimensions(finished: Path, row: dict, rgb: np.ndarray):
    dataset = xarray.open_zarr(finished, group=BUCKET)
    assert dataset.rgb.dims == ("episode", "time", "height", "width", "channel")
    assert dataset.position.dims == ("episode", "time", "body", "xyz")
    assert dataset.position.attrs["units"] == "m"
    assert dataset.area.dtype == np.int32
    np.testing.assert_array_equal(dataset.rgb.isel(episode=row["row"]).values, rgb)


def test_dask_reads_by_shards(finished: Path, row: dict, rgb: np.ndarray):
    array = dask.array.from_zarr(str(finished / BUCKET / "rgb"))
    assert array.shape[1:] == rgb.shape
    np.testing.assert_array_equal(array[row["row"]].compute(scheduler="synchronous"), rgb)


def test_parquet_tables(finished: Path):
    told = json.loads((finished / "versions" / "000001.json").read_bytes())["tables"]
    catalog = pq.read_table(finished / told["catalog"]["key"])
    assert catalog.num_rows == 9
    assert catalog.column("index").to_pylist() == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    events = pq.read_table(finished / told["events"]["key"])
    assert set(events.column("episode_id").to_pylist()) == set(
        catalog.column("episode_id").to_pylist()
    )
    (rejected,) = pq.read_table(finished / told["quarantine"]["key"]).to_pylist()
    assert rejected["index"] == fake_episodes.REJECTED
    assert rejected["reasons"] == ["too dark", "too slow"]


def by_zarr(bucket: Path, name: str, row: int) -> np.ndarray:
    return zarr.open_array(bucket / name, mode="r")[row]


def by_zarrs(bucket: Path, name: str, row: int) -> np.ndarray:
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        array = zarr.open_array(bucket / name, mode="r")
        assert type(array.async_array.codec_pipeline).__name__ == "ZarrsCodecPipeline"
        return array[row]


def by_xarray(bucket: Path, name: str, row: int) -> np.ndarray:
    opened = xarray.open_zarr(bucket.parent, group=bucket.name, mask_and_scale=False)
    return opened[name].isel(episode=row).values


def by_dask(bucket: Path, name: str, row: int) -> np.ndarray:
    return dask.array.from_zarr(str(bucket / name))[row].compute(scheduler="synchronous")


def by_tensorstore(bucket: Path, name: str, row: int) -> np.ndarray:
    kvstore = {"driver": "file", "path": f"{bucket / name}/"}
    opened = tensorstore.open({"driver": "zarr3", "kvstore": kvstore}, read=True).result()
    return opened[row].read().result()


@pytest.mark.parametrize("reader", [by_zarr, by_zarrs, by_xarray, by_dask, by_tensorstore])
def test_every_reader_reads_the_same_numbers_as_we_do(finished: Path, row: dict, reader):
    ours = simgen.open(finished)
    names = ours.channels(row["episode_id"])
    assert {"rgb", "depth", "flow", "normals", "position", "body_mask", "area", "state"} <= {*names}
    for name in names:
        theirs = np.asarray(reader(finished / BUCKET, name, row["row"]))
        wanted = ours.read(row["episode_id"], name)
        assert (theirs.dtype, theirs.shape) == (wanted.dtype, wanted.shape)
        assert theirs.tobytes() == wanted.tobytes()


def test_our_reader_agrees_with_zarr_on_every_array(finished: Path):
    ours, foreign = simgen.open(finished), zarr.open_group(finished, mode="r")
    for row in ours.catalog.to_pylist():
        for name in ours.channels(row["episode_id"]):
            theirs = foreign[f"{row['bucket']}/{name}"][row["row"]]
            assert ours.read(row["episode_id"], name).tobytes() == np.asarray(theirs).tobytes()
