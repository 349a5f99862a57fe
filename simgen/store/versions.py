"""Versions of a dataset: what a commit holds, and the one step that makes it count.

A version is one object, `versions/000002.json`, created last and never replaced. It names its
tables by their content, and through the table `parts` every marker and so every byte. Two writers
cannot both create the same number; who comes second has lost nothing and is told.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from simgen.store import writer
from simgen.store.layout import FORMAT_VERSION, VERSIONS, canonical_json, table_path, version_path
from simgen.store.objects import Objects
from simgen.store.shard import IntegrityError
from simgen.store.tables import MEND
from simgen.store.tables import describe as describe_table

TABLE_NAMES = ("catalog", "events", "quarantine", "removed", "parts")


class ConflictError(RuntimeError):
    """Another writer committed meanwhile; the message says what to do."""


class UnknownVersionError(LookupError):
    """The dataset has no such version; the message names those it has."""


@dataclass(frozen=True)
class Version:
    """One state of a dataset. `tables` and `metadata` say of each object its bytes and xxh3; tables
    also of their footers, by which they are read in pieces."""

    version: int
    change: dict[str, Any]  # kind: build, add, remove, ...; and what is to be said of it
    recipe: dict[str, Any] | None
    growth: tuple[int, ...]  # see layout.buckets
    episodes: int
    quarantined: int
    removed: int
    bytes: int  # of its parts' objects
    tables: dict[str, dict[str, Any]]  # name -> key, bytes, xxh3, footer_bytes, footer_xxh3
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)  # key -> bytes, xxh3
    format_version: int = FORMAT_VERSION

    def to_bytes(self) -> bytes:
        """Canonical JSON that ends in its own hash: nothing else vouches for it."""
        told = asdict(self) | {"growth": list(self.growth)}
        return canonical_json(told | {"xxh3": writer.digest(canonical_json(told))})

    @classmethod
    def of_bytes(cls, data: bytes, place: str) -> Version:
        """Raises IntegrityError unless it is what to_bytes wrote."""
        try:
            told = json.loads(data)
            given = told.pop("xxh3")
            whole = writer.digest(canonical_json(told)) == given
            version = cls(**told | {"growth": tuple(told["growth"])}) if whole else None
        except (ValueError, KeyError, TypeError, AttributeError):
            version = None
        if version is None:
            raise IntegrityError(f"{place} is damaged; {MEND}")
        return version


def numbers(objects: Objects) -> list[int]:
    """Versions that the dataset has, oldest first."""
    keys = [key.removeprefix(f"{VERSIONS}/") for key in objects.list(f"{VERSIONS}/")]
    return sorted(int(key[:-5]) for key in keys if key.endswith(".json") and key[:-5].isdigit())


def read(objects: Objects, number: int | None = None) -> Version | None:
    """A version, the newest by default; None: nothing is committed.

    Raises:
        UnknownVersionError: There are versions, and that is none of them.
        IntegrityError: Its bytes are not what was committed.
    """
    held = numbers(objects)
    if not held:
        return None
    number = held[-1] if number is None else number
    if number not in held:
        known = ", ".join(map(str, held))
        raise UnknownVersionError(
            f"{objects.url} has no version {number}; it has {known} (an expired one is gone)"
        )
    key = version_path(number)
    return Version.of_bytes(objects.get(key), f"{objects.url}/{key}")


def commit(objects: Objects, version: Version) -> None:
    """Create the version; all that it names must be there already.

    Raises:
        ConflictError: That number is taken by something else.
    """
    key, data = version_path(version.version), version.to_bytes()
    if objects.create(key, data) or (held := objects.get(key)) == data:
        return
    try:
        Version.of_bytes(held, key)
    except IntegrityError:  # nobody can have read it: mended
        objects.put({key: data})
        return
    raise ConflictError(
        f"{objects.url} got version {version.version} from another writer meanwhile; "
        "nothing of it is lost; run your command again on top of it"
    )


def describe_tables(tables: Mapping[str, bytes]) -> tuple[dict[str, dict], dict[str, bytes]]:
    """Each table's entry in a version, and its object by key."""
    entries, objects = {}, {}
    for name, data in tables.items():
        told = describe_table(data)
        key = table_path(name, told["xxh3"])
        entries[name] = {"key": key, **told}
        objects[key] = data
    return entries, objects


def table(objects: Objects, version: Version, name: str) -> pa.Table:
    """One of TABLE_NAMES, whole.

    Raises:
        IntegrityError: It is missing, or not what was published.
    """
    told = version.tables[name]
    try:
        data = objects.get(told["key"])
    except FileNotFoundError:
        data = b""
    if writer.describe(data) != {"bytes": told["bytes"], "xxh3": told["xxh3"]}:
        raise IntegrityError(
            f"{told['key']} of {objects.url} is not the one that was published; {MEND}"
        )
    # Arrow's thread pool, once started, can abort a short process at its exit (26.0)
    return pq.read_table(pa.BufferReader(data), use_threads=False)


PARTS_SCHEMA = pa.schema(
    [
        ("key", pa.string()),  # of the marker
        ("bytes", pa.int64()),
        ("xxh3", pa.string()),
        ("episodes", pa.int64()),
        ("quarantined", pa.int64()),
        ("stored_bytes", pa.int64()),  # of the part's objects
    ]
)
REMOVED_SCHEMA = pa.schema(
    [
        ("episode_id", pa.string()),
        ("index", pa.int64()),
        ("reason", pa.string()),
        ("version", pa.int64()),  # the first without it
    ]
)


def parquet(found: pa.Table) -> bytes:
    """A small table as a Parquet file."""
    file = io.BytesIO()
    pq.write_table(found, file, compression="zstd")
    return file.getvalue()
