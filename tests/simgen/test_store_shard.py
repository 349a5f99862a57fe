"""Shards: what goes in comes out, through our reader and through zarr-python."""

from __future__ import annotations

import json
from itertools import chain
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import fake_episodes
import numpy as np
import pytest
import tensorstore
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from simgen.families import Limits
from simgen.recipe import Video
from simgen.renderers import CHANNELS
from simgen.store import metadata, shard
from simgen.store.codecs import BLOCK, Codec
from simgen.store.layout import Bucket, array_specs, shard_path
from simgen.store.objects import objects_at
from simgen.store.specs import ArraySpec, state_specs, video_specs

VIDEO = ("time", "height", "width", "channel")
ROWS = 4


@st.composite
def specs(draw: st.DrawFn) -> ArraySpec:
    size = st.integers(1, 9)
    if draw(st.booleans()):
        shape = (draw(st.integers(1, 20)), draw(size), draw(size), draw(st.integers(1, 3)))
        chunk, dims, kinds = (min(8, shape[0]), *shape[1:]), VIDEO, ["u1", "i1", "f2"]
    else:
        shape = tuple(draw(st.lists(size, min_size=1, max_size=3)))
        chunk, dims, kinds = shape, ("time", "body", "xyz")[: len(shape)], ["f8", "f4", "i4", "?"]
    kind = np.dtype(draw(st.sampled_from(kinds)))
    order = draw(st.sampled_from([(), tuple(draw(st.permutations(range(len(shape)))))]))
    codec = Codec(
        draw(st.sampled_from(["lz4", "lz4hc", "zstd"])),
        draw(st.integers(1, 5)),
        draw(st.sampled_from([1, kind.itemsize, 2 * kind.itemsize])),
        draw(st.sampled_from([0, 256, BLOCK])),
    )
    return ArraySpec("a", kind, dims, shape, chunk, "m", "", codec, order)


def random_rows(spec: ArraySpec, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.integers(0, 256, (*spec.shape, spec.dtype.itemsize), np.uint8).view(spec.dtype)[..., 0]
        if spec.dtype.kind != "b"
        else rng.integers(0, 2, spec.shape).astype(bool)
        for _ in range(ROWS - 1)
    ]


def in_zarr(spec: ArraySpec) -> tuple[MemoryStore, zarr.Array]:
    store = MemoryStore()
    group = zarr.create_group(store, path="b")
    metadata._create_array(group, spec, Bucket("b", tuple(range(ROWS - 1)), ROWS, {}))
    return store, zarr.open_array(store, path="b/a")


@settings(max_examples=60, deadline=None)
@given(spec=specs(), seed=st.integers(0, 99), absent=st.sets(st.integers(0, ROWS - 2)))
def test_round_trip(spec: ArraySpec, seed: int, absent: set[int]):
    rows = random_rows(spec, seed)
    chunks = {r: shard.encode_episode(spec, x) for r, x in enumerate(rows) if r not in absent}
    data = shard.assemble(spec, ROWS, chunks)
    store, foreign = in_zarr(spec)
    store._store_dict[shard_path("b", spec, 0)] = default_buffer_prototype().buffer.from_bytes(data)
    with TemporaryDirectory() as folder:
        (Path(folder) / "shard").write_bytes(data)
        ours = shard.Shard(objects_at(folder), "shard", spec, ROWS)
        for r, x in enumerate(rows):
            start, stop = sorted((seed % (len(x) + 1), (seed * 7) % (len(x) + 1)))
            if r in absent:
                with pytest.raises(shard.IntegrityError, match="lacks"):
                    ours.read(r, 0, len(x))
                np.testing.assert_array_equal(foreign[r], np.full(spec.shape, spec.fill))
            else:
                assert ours.read(r, 0, len(x)).tobytes() == x.tobytes()
                assert ours.read(r, start, stop).tobytes() == x[start:stop].tobytes()
                assert np.asarray(foreign[r]).tobytes() == x.tobytes()


def layouts() -> dict[str, ArraySpec]:
    """Every array that a dataset can have, ten frames of 16 x 20."""
    video = Video(frames=10, height=16, width=20, channels=CHANNELS)
    most = Limits(bodies=3, joints=2, actions=2)
    return {spec.name: spec for spec in (*video_specs(video, set(CHANNELS)),
                                         *state_specs(video, most, 5, 2))}  # fmt: skip


@pytest.mark.parametrize("spec", layouts().values(), ids=layouts())
def test_inner_chunks_are_those_of_zarr_python_and_tensorstore_reads_them(spec, tmp_path: Path):
    rows = random_rows(spec, 0)
    group = zarr.create_group(tmp_path, path="b")
    metadata._create_array(group, spec, Bucket("b", tuple(range(ROWS - 1)), ROWS, {}))
    with zarr.config.set({"array.write_empty_chunks": True}):
        group[spec.name][:] = np.stack(rows)
    written = (tmp_path / shard_path("b", spec, 0)).read_bytes()
    chunks = {number: shard.encode_episode(spec, row) for number, row in enumerate(rows)}
    for chunk in chain(*chunks.values()):
        assert chunk in written
    ours = shard.assemble(spec, ROWS, chunks)
    assert shard.assemble(spec, ROWS, dict(reversed(chunks.items()))) == ours
    (tmp_path / shard_path("b", spec, 0)).write_bytes(ours)
    place = {"driver": "file", "path": f"{tmp_path}/b/{spec.name}/"}
    theirs = tensorstore.open({"driver": "zarr3", "kvstore": place}, read=True).result()
    assert np.asarray(theirs.read().result()).tobytes() == np.stack(rows).tobytes()


def test_a_dataset_tells_how_its_arrays_are_stored():
    recipe = fake_episodes.recipe()
    files = metadata.metadata(recipe)
    assert files["zarr.json"]
    for bucket in ("t10_16x24", "t10_24x16"):
        told = {"get": lambda key: files[key]}
        specs = metadata.stored_specs(SimpleNamespace(**told), bucket)
        assert specs == array_specs(recipe, bucket)
    group = json.loads(files["t10_16x24/zarr.json"])["consolidated_metadata"]["metadata"]
    assert group["flow"]["attributes"]["error_bound"] == {"absolute": 2**-7, "relative": 2**-11}
    assert group["rgb"]["attributes"]["error_bound"] == {"absolute": 0.0, "relative": 0.0}


def test_chunks_of_a_window_lie_together():
    spec = ArraySpec("a", np.dtype("u1"), VIDEO, (20, 6, 4, 3), (8, 6, 4, 3), "1", "")
    chunks = shard.encode_episode(spec, random_rows(spec, 1)[0])
    assert len(chunks) == ceil(20 / 8)
    assert shard.assemble(spec, ROWS, {2: chunks}).startswith(b"".join(chunks))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "truncated"),
        (lambda data: data[:10], "truncated"),
        (lambda data: b"", "truncated"),
        (lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:], "checksum"),
        (lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], "index is damaged"),
    ],
)
def test_damage_is_an_error_never_data(tmp_path: Path, damage, message: str):
    spec = ArraySpec("a", np.dtype("u1"), VIDEO, (8, 6, 4, 3), (8, 6, 4, 3), "1", "")
    row = random_rows(spec, 2)[0]
    path = tmp_path / "shard"
    path.write_bytes(damage(shard.assemble(spec, ROWS, {0: shard.encode_episode(spec, row)})))
    with pytest.raises(shard.IntegrityError, match=message):
        shard.Shard(objects_at(tmp_path), "shard", spec, ROWS).read(0, 0, 8)


def test_wrong_shape_is_refused_with_both():
    spec = ArraySpec("a", np.dtype("f8"), ("time",), (4,), (4,), "m", "")
    with pytest.raises(ValueError, match=r"float64\[5\]; the layout says float64\[4\]"):
        shard.encode_episode(spec, np.zeros(5))
