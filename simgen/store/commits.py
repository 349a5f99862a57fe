"""The one way to a new version: its tables and metadata are written, then its commit is created.

Build, add, remove, restore, compact, backfill and import differ only in which tables change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from simgen.store import catalog, ledger, versions
from simgen.store.layout import copy_path
from simgen.store.objects import Objects, objects_at
from simgen.store.pending import Pending
from simgen.store.versions import METADATA_SCHEMA, PARTS_SCHEMA, REMOVED_SCHEMA, Version
from simgen.store.writer import describe

SCHEMAS = {
    "catalog": catalog.CATALOG_SCHEMA, "events": catalog.EVENTS_SCHEMA,
    "quarantine": catalog.QUARANTINE_SCHEMA, "removed": REMOVED_SCHEMA, "parts": PARTS_SCHEMA,
    "metadata": METADATA_SCHEMA,
}  # fmt: skip


@contextmanager
def committing(place: str | Path, *, dry_run: bool = False) -> Iterator[tuple[Objects, Version]]:
    """Hold a finished dataset for writing: its storage and its newest version.

    Args:
        dry_run: The storage takes writes and keeps them to itself.
    Raises:
        LockedError: Another process writes there.
        RequestError: Nothing is committed there yet.
        IntegrityError: The newest commit is damaged.
    """
    out = objects_at(place)
    if not versions.numbers(out):
        versions.read(out)  # says so if the commits were lost
        raise versions.RequestError(
            f"{out.url} holds no finished dataset; build it first, or give another folder"
        )
    with ledger.lock(out):
        ledger.clean(out)
        out = Pending(out) if dry_run else out
        versions.mend(out)  # a crash may have come between a commit and its copy
        newest = versions.read(out)
        assert newest is not None
        yield out, newest


def commit(
    out: Objects,
    before: Version | None,
    *,
    change: dict[str, Any],
    tables: Mapping[str, pa.Table],
    metadata: Mapping[str, bytes] | None = None,
    **told: Any,
) -> Version:
    """Commit a version on top of another.

    Args:
        out: Holds the parts' objects and markers already.
        before: The newest version; None: this is the first.
        change: `kind`, and what is to be said of it.
        tables: Those of versions.TABLE_NAMES that are other than before; of a first version
            catalog, events, quarantine and parts.
        metadata: Every zarr.json by key; None: as before.
        told: Fields of Version that are other than before: recipe, growth, moves.
    Raises:
        ConflictError: Another writer committed meanwhile.
    """
    version, files = draft(before, change=change, tables=tables, metadata=metadata, **told)
    write_missing(out, files)
    versions.commit(out, version)
    return version


def draft(
    before: Version | None,
    *,
    change: dict[str, Any],
    tables: Mapping[str, pa.Table],
    metadata: Mapping[str, bytes] | None = None,
    **told: Any,
) -> tuple[Version, dict[str, bytes]]:
    """The version that `commit` would create, and the objects that it names, by key."""
    tables = dict(tables)
    if before is None:
        tables.setdefault("removed", REMOVED_SCHEMA.empty_table())
    if metadata is not None:
        tables["metadata"] = metadata_table(metadata)
    entries, files = versions.describe_tables({k: encode(k, t) for k, t in tables.items()})
    if "removed" in tables and tables["removed"].num_rows:
        key = entries["removed"]["key"]
        files[copy_path(key)] = files[key]
    old: dict[str, Any] = dict(vars(before)) if before else {"tables": {}, "version": 0}
    counted = {
        "episodes": "catalog", "quarantined": "quarantine", "removed": "removed",
    }  # fmt: skip
    old |= {field: tables[name].num_rows for field, name in counted.items() if name in tables}
    if "parts" in tables:
        old["bytes"] = sum(tables["parts"]["stored_bytes"].to_pylist())
    if metadata is not None:
        old["metadata"] = {key: describe(data) for key, data in metadata.items()}
    old |= {
        "version": old["version"] + 1, "change": change, "tables": old["tables"] | entries,
        "libraries": versions.libraries(),
    }  # fmt: skip
    return Version(**old | told), files | dict(metadata or {})


def encode(name: str, table: pa.Table) -> bytes:
    """A table as its object; one table, one sequence of bytes, however it came about."""
    # what was read from Parquet calls a list's items otherwise
    whole = table.cast(SCHEMAS[name]).combine_chunks()
    own = name in ("catalog", "events", "quarantine")
    return catalog.parquet(whole) if own else versions.parquet(whole)


def metadata_table(metadata: Mapping[str, bytes]) -> pa.Table:
    """Every zarr.json once more: other releases of zarr would write other bytes."""
    rows = [{"key": key, "data": metadata[key]} for key in sorted(metadata)]
    return pa.Table.from_pylist(rows, METADATA_SCHEMA)


def parts_table(markers: Iterable[tuple[str, bytes, dict]]) -> pa.Table:
    """The table of these markers: key, bytes and what they say, in order."""
    return pa.Table.from_pylist([part_row(*marker) for marker in markers], PARTS_SCHEMA)


def part_row(key: str, data: bytes, marker: dict) -> dict:
    """A marker's row in the table of parts."""
    return {
        "key": key,
        **describe(data),
        "episodes": len(marker["episodes"]),
        "quarantined": len(marker["quarantined"]),
        "stored_bytes": sum(told["bytes"] for told in marker["objects"].values()),
    }


def removed_ids(out: Objects, version: Version) -> Collection[str]:
    """Episodes that the version does not show though its parts may hold them."""
    return set(versions.table(out, version, "removed")["episode_id"].to_pylist())


def write_missing(out: Objects, files: Mapping[str, bytes]) -> None:
    """Write what is not there with just these bytes; metadata when the rest is there."""
    wrong = {key: data for key, data in files.items() if not holds(out, key, data)}
    for last in (False, True):
        if now := {k: data for k, data in wrong.items() if k.endswith("zarr.json") == last}:
            out.put(now)


def holds(out: Objects, key: str, data: bytes) -> bool:
    try:
        return out.get(key) == data
    except FileNotFoundError:
        return False
