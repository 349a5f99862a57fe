"""The zarr.json files: provenance in the root, groups and pre-sized arrays below it."""

from __future__ import annotations

import json
import platform
import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata as installed

import numpy as np

from simgen import __version__
from simgen.captions.vocabulary import vocabulary
from simgen.recipe import Recipe
from simgen.store.codecs import Bound, Codec
from simgen.store.layers import layered
from simgen.store.layout import FORMAT_VERSION, ArraySpec, Bucket, buckets, canonical_json
from simgen.store.objects import Objects

version = cache(installed.version)
_made: dict[bytes, dict[str, bytes]] = {}  # making the files takes zarr most of a second


def provenance(recipe: Recipe, growth: tuple[int, ...] = ()) -> dict:
    """Root attributes: everything that the bytes of the dataset depend on."""
    return {
        "format": "physreel",
        "format_version": FORMAT_VERSION,
        "recipe": recipe.model_dump(mode="json"),
        "recipe_hash": recipe.hash,
        "content_hash": recipe.content_hash,
        "episodes_per_part": recipe.episodes_per_part,
        "growth": list(growth or (recipe.episodes,)),
        "simgen_version": __version__,
        "engine_versions": {name: _version(name) for name in ("mujoco", "pybullet")},
        "cpu": platform.machine(),
        "licence": recipe.licence,
    }


def made_elsewhere(attrs: Mapping, recipe: Recipe) -> str:
    """What of those root attributes differs here, so that simulating gives other bytes; or ""."""
    here = provenance(recipe)
    return "; ".join(
        f"{key} {attrs[key]}, here it is {here[key]}"
        for key in ("simgen_version", "engine_versions", "cpu")
        if attrs[key] != here[key]
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except installed.PackageNotFoundError:
        return "not installed"


def metadata(
    recipe: Recipe, growth: tuple[int, ...] = (), moves: Iterable[Mapping] = ()
) -> dict[str, bytes]:
    """Every zarr.json of the dataset by key, the root's last; same recipe, same bytes.

    `growth` and `moves` are as in layout.buckets.
    """
    attributes, moves = provenance(recipe, growth), list(moves)
    key = canonical_json({"attributes": attributes, "moves": moves})
    if key not in _made:
        if len(_made) == 8:
            _made.clear()
        attributes["vocabulary"] = list(vocabulary(recipe))
        every = layered(buckets(recipe, growth, moves), recipe, moves)
        _made[key] = described(attributes, every)
    return dict(_made[key])


def described(attributes: dict, every: Mapping[str, Bucket]) -> dict[str, bytes]:
    """Every zarr.json of a dataset with these root attributes, the root's last."""
    import zarr
    from zarr.storage import MemoryStore

    store = MemoryStore()
    root = zarr.create_group(store, attributes=attributes)
    for bucket in every.values():
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
        filters=[TransposeCodec(order=(0, *(n + 1 for n in spec.order)))] if spec.order else [],
        compressors=[
            BloscCodec(
                typesize=spec.codec.group,
                cname=spec.codec.name,
                clevel=spec.codec.level,
                shuffle="shuffle" if spec.codec.shuffle else "noshuffle",
                blocksize=spec.codec.block,
            ),
            Crc32cCodec(),
        ],
        chunk_key_encoding={"name": "default", "separator": "."},
        fill_value=spec.fill,
        dimension_names=("episode", *spec.dims),
        attributes={
            "units": spec.units,
            "description": spec.description,
            "error_bound": spec.bound._asdict(),
        },
    )


def lengths(objects: Objects) -> dict[str, int]:
    """Rows of each stored bucket's arrays."""
    found = json.loads(objects.get("zarr.json"))["consolidated_metadata"]["metadata"]
    return {
        key.split("/")[0]: told["shape"][0]
        for key, told in found.items()
        if told["node_type"] == "array"
    }


def lengthened(files: Mapping[str, bytes], rows: Mapping[str, int]) -> dict[str, bytes]:
    """Every zarr.json, the arrays of each bucket with that many rows: where no recipe tells."""
    changed = {}
    for key, data in files.items():
        told, inside = json.loads(data), key.removesuffix("zarr.json")
        found = (told.get("consolidated_metadata") or {}).get("metadata", {})
        for name, one in {inside: told, **{inside + n: one for n, one in found.items()}}.items():
            if one["node_type"] == "array":
                one["shape"][0] = rows[name.split("/")[0]]
        changed[key] = json.dumps(told, indent=2).encode()
    return changed


def stored_specs(objects: Objects, bucket: str) -> dict[str, ArraySpec]:
    """Arrays of a stored bucket, from its own metadata: reading needs no recipe and no family."""
    found = json.loads(objects.get(f"{bucket}/zarr.json"))
    arrays = found["consolidated_metadata"]["metadata"]
    return {name: _stored_spec(name, told) for name, told in arrays.items()}


def _stored_spec(name: str, told: dict) -> ArraySpec:
    """Of an array as its zarr.json describes it."""
    sharding, attributes = told["codecs"][0]["configuration"], told["attributes"]
    inner = {codec["name"]: codec.get("configuration", {}) for codec in sharding["codecs"]}
    blosc, order = inner["blosc"], inner.get("transpose", {}).get("order", [0])
    return ArraySpec(
        name,
        np.dtype(told["data_type"]),
        tuple(told["dimension_names"][1:]),
        tuple(told["shape"][1:]),
        tuple(sharding["chunk_shape"][1:]),
        attributes["units"],
        attributes["description"],
        Codec(blosc["cname"], blosc["clevel"], blosc["typesize"], blosc["blocksize"]),
        tuple(axis - 1 for axis in order[1:]),
        Bound(**attributes["error_bound"]),
    )
