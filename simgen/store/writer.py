"""Writing so that a kill at any moment leaves the old or the new, never a mixture.

A part's marker, which names its objects with their sizes and hashes, follows when they are all
there; a version (simgen.store.versions) follows when all markers and tables are.
"""

from __future__ import annotations

from collections.abc import Mapping

import xxhash

from simgen.store.layout import canonical_json, marker_path
from simgen.store.objects import Objects


class GoneError(RuntimeError):
    """The dataset is no longer there; the message says what to do."""


def digest(data) -> str:
    """xxh3 (64 bits, hex) of a contiguous buffer."""
    return xxhash.xxh3_64_hexdigest(data)


def describe(data: bytes) -> dict:
    """What a marker says of an object."""
    return {"bytes": len(data), "xxh3": digest(data)}


def commit(out: Objects, shards: Mapping[str, bytes], marker: dict) -> bytes:
    """Write a part's shards, then the marker that makes them count, which is returned.

    Raises:
        GoneError: The dataset was deleted meanwhile.
    """
    if out.size("zarr.json") is None:
        raise GoneError(
            f"{out.url} was deleted while it was being built (zarr.json is gone); "
            "run the same command again to build it anew"
        )
    if shards:
        out.put(shards)
    data = sealed(marker, shards)
    out.put({marker_path(marker["bucket"], marker["part"]): data})
    return data


def sealed(marker: dict, shards: Mapping[str, bytes]) -> bytes:
    """The marker's bytes, with what it says of its objects."""
    objects = {key: describe(data) for key, data in shards.items()}
    return canonical_json(marker | {"objects": objects})
