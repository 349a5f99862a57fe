"""The zarr.json files: provenance in the root, groups and pre-sized arrays below it."""

from __future__ import annotations

import json
import platform
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from simgen import __version__
from simgen.captions.vocabulary import vocabulary
from simgen.recipe import Recipe
from simgen.store.layout import FORMAT_VERSION, LEVEL, ArraySpec, Bucket, buckets


def provenance(recipe: Recipe) -> dict:
    """Root attributes: everything that the bytes of the dataset depend on."""
    return {
        "format": "physreel",
        "format_version": FORMAT_VERSION,
        "recipe": recipe.model_dump(mode="json"),
        "recipe_hash": recipe.hash,
        "simgen_version": __version__,
        "engine_versions": {name: _version(name) for name in ("mujoco", "pybullet")},
        "cpu": platform.machine(),
        "licence": recipe.licence,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def metadata(recipe: Recipe) -> dict[str, bytes]:
    """Every zarr.json of the dataset by key, the root's last; same recipe, same bytes."""
    import zarr
    from zarr.storage import MemoryStore

    store = MemoryStore()
    words = {"vocabulary": list(vocabulary(recipe))}
    root = zarr.create_group(store, attributes=provenance(recipe) | words)
    for bucket in (every := buckets(recipe)).values():
        group = root.create_group(bucket.name, attributes={"dims": "episode first"})
        for spec in bucket.arrays.values():
            _create_array(group, spec, bucket)
    with warnings.catch_warnings():
        # Consolidated metadata spares foreign readers a listing that meets our Parquet files.
        warnings.filterwarnings("ignore", message="Consolidated metadata", category=UserWarning)
        for bucket in every:
            zarr.consolidate_metadata(store, path=bucket)
        zarr.consolidate_metadata(store)
    files = {key: value.to_bytes() for key, value in store._store_dict.items()}
    return {key: files[key] for key in sorted(files, key=lambda key: (-key.count("/"), key))}


def _create_array(group, spec: ArraySpec, bucket: Bucket) -> None:
    from zarr.codecs import BloscCodec, Crc32cCodec, TransposeCodec

    shard = tuple(c * g for c, g in zip(spec.chunk, spec.grid, strict=True))
    group.create_array(
        spec.name,
        shape=(len(bucket.rows), *spec.shape),
        dtype=spec.dtype,
        chunks=(1, *spec.chunk),
        shards=(bucket.rows_per_part, *shard),
        filters=[TransposeCodec(order=(0, 2, 1, 3, 4))] if spec.is_video else [],
        compressors=[
            BloscCodec(
                typesize=spec.dtype.itemsize,
                cname="lz4hc",
                clevel=LEVEL,
                shuffle="shuffle" if spec.shuffle else "noshuffle",
            ),
            Crc32cCodec(),
        ],
        chunk_key_encoding={"name": "default", "separator": "."},
        fill_value=spec.fill,
        dimension_names=("episode", *spec.dims),
        attributes={"units": spec.units, "description": spec.description},
    )


def stored_specs(group: Path) -> dict[str, ArraySpec]:
    """Arrays of a stored bucket, from its own metadata: reading needs no recipe and no family."""
    found = json.loads((group / "zarr.json").read_bytes())
    specs = {}
    for name, told in found["consolidated_metadata"]["metadata"].items():
        inner = told["codecs"][0]["configuration"]["chunk_shape"]
        specs[name] = ArraySpec(
            name,
            np.dtype(told["data_type"]),
            tuple(told["dimension_names"][1:]),
            tuple(told["shape"][1:]),
            tuple(inner[1:]),
            told["attributes"]["units"],
            told["attributes"]["description"],
        )
    return specs
