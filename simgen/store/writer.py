"""Writing so that a kill at any moment leaves the old or the new, never a mixture.

A part's marker, which names its objects with their sizes and hashes, follows when they are all
there; a version (simgen.store.versions) follows when all markers and tables are.
"""

from __future__ import annotations

from collections.abc import Mapping

import xxhash

from simgen.store.layout import canonical_json, marker_path
from simgen.store.objects import Objects


def digest(data) -> str:
    """xxh3 (64 bits, hex) of a contiguous buffer."""
    return xxhash.xxh3_64_hexdigest(data)


def describe(data: bytes) -> dict:
    """What a marker says of an object."""
    return {"bytes": len(data), "xxh3": digest(data)}


def commit(out: Objects, shards: Mapping[str, bytes], marker: dict) -> None:
    """Write a part's shards, then the marker that makes them count."""
    if shards:
        out.put(shards)
    marker = marker | {"objects": {key: describe(data) for key, data in shards.items()}}
    out.put({marker_path(marker["bucket"], marker["part"]): canonical_json(marker)})
