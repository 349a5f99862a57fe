"""Writing so that a kill at any moment leaves the old or the new, never a mixture.

Every object is written whole to a temporary file, synced, and renamed; a part's marker, which
names its objects with their sizes and hashes, follows when they are all on disk.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import xxhash

from simgen.store import ledger
from simgen.store.layout import canonical_json, marker_path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DiskFullError(OSError):
    """There is no room for an object; the message says how many bytes it needs."""


def digest(data) -> str:
    """xxh3 (64 bits, hex) of a contiguous buffer."""
    return xxhash.xxh3_64_hexdigest(data)


def describe(data: bytes) -> dict:
    """What a marker says of an object."""
    return {"bytes": len(data), "xxh3": digest(data)}


def write_objects(out: Path, objects: Mapping[str, bytes]) -> None:
    """Put objects in the dataset: each appears whole or not at all, and all are on disk after.

    Args:
        objects: Key relative to `out` -> bytes, published in the mapping's order.
    Raises:
        DiskFullError: No room; nothing of this call is left but objects already whole.
    """
    folder = ledger.temporary(out)
    folder.mkdir(parents=True, exist_ok=True)
    call = secrets.token_hex(8)  # process ids repeat across machines that share the folder
    waiting: dict[str, Path] = {}
    try:
        for number, (key, data) in enumerate(objects.items()):
            waiting[key] = folder / f"{call}-{number}"
            waiting[key].write_bytes(data)
        _sync(waiting.values())
        for key, path in waiting.items():
            (out / key).parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, out / key)
    except OSError as error:
        for path in waiting.values():
            path.unlink(missing_ok=True)
        if error.errno in _FULL:
            needed = sum(map(len, objects.values()))
            raise DiskFullError(
                error.errno,
                f"no room for the {needed:,} bytes of {len(objects)} objects "
                f"({next(iter(objects))} first); make room and run the same command again: "
                "what is committed is kept",
                str(out),
            ) from error
        raise
    _sync({(out / key).parent for key in objects})


def commit(out: Path, shards: Mapping[str, bytes], marker: dict) -> None:
    """Write a part's shards, then the marker that makes them count."""
    if shards:
        write_objects(out, shards)
    marker = marker | {"objects": {key: describe(data) for key, data in shards.items()}}
    write_objects(out, {marker_path(marker["bucket"], marker["part"]): canonical_json(marker)})


def _sync(paths: Collection[Path]) -> None:
    """Wait until files or folders are on disk; together they share the journal's commits."""
    with ThreadPoolExecutor(min(16, len(paths))) as pool:
        list(pool.map(_sync_one, paths))


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
