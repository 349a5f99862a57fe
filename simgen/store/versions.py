"""Versions of a dataset: what a commit holds, and the one step that makes it count.

A version is one object, `versions/000002.json`, created last and never replaced. It names its
tables by their content, and through the table `parts` every marker and so every byte. Two writers
cannot both create the same number; who comes second has lost nothing and is told.

What nothing else says is kept twice: commits, and the table `removed`. A commit's copy is written
after it and deleted before it, so a copy without its commit is damage and never a leftover.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version as library_version
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from simgen.store import writer
from simgen.store.layout import (
    FORMAT_VERSION,
    VERSIONS,
    copy_path,
    stats_path,
    table_path,
    version_path,
)
from simgen.store.objects import Objects
from simgen.store.shard import IntegrityError
from simgen.store.tables import MEND
from simgen.store.tables import describe as describe_table

TABLE_NAMES = ("catalog", "events", "quarantine", "removed", "parts", "metadata")
LIBRARIES = ("numcodecs", "pyarrow", "zarr")  # on which the stored bytes depend


class ConflictError(RuntimeError):
    """Another writer committed meanwhile; the message says what to do."""


class UnknownVersionError(LookupError):
    """The dataset has no such version; the message names those it has."""


class RequestError(ValueError):
    """What was asked cannot be done to this dataset; the message says what can."""


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
    moves: tuple[dict[str, Any], ...] = ()  # see layout.buckets
    libraries: dict[str, str] = field(default_factory=dict)  # that wrote it
    format_version: int = FORMAT_VERSION

    @property
    def key(self) -> str:
        """Of its object."""
        return version_path(self.version)

    def to_bytes(self) -> bytes:
        """JSON that ends in its own hash: nothing else vouches for it."""
        told = asdict(self) | {"growth": list(self.growth), "moves": list(self.moves)}
        return _json(told | {"xxh3": writer.digest(_json(told))})

    @classmethod
    def of_bytes(cls, data: bytes, place: str) -> Version:
        """Raises IntegrityError unless it is what to_bytes wrote."""
        try:
            told = json.loads(data)
            given = told.pop("xxh3")
            whole = writer.digest(_json(told)) == given
            tuples = {name: tuple(told.get(name, ())) for name in ("growth", "moves")}
            version = cls(**told | tuples) if whole else None
        except (ValueError, KeyError, TypeError, AttributeError):
            version = None
        if version is None:
            raise IntegrityError(f"{place} is damaged; {MEND}")
        return version


def _json(told: dict) -> bytes:
    """In the order given: that of a recipe's splits says which episodes are in which."""
    return json.dumps(told, allow_nan=False, indent=1).encode() + b"\n"


def libraries() -> dict[str, str]:
    """Releases here of what the stored bytes depend on."""
    return {name: library_version(name) for name in LIBRARIES}


def numbers(objects: Objects) -> list[int]:
    """Versions that the dataset has, oldest first."""
    return _listed(objects)[0]


def _listed(objects: Objects) -> tuple[list[int], list[int]]:
    """Numbers of the commits, and of the copies of commits."""
    keys = objects.list(f"{VERSIONS}/")
    found: tuple[list[int], list[int]] = ([], [])
    for key in keys:
        name = key.rpartition("/")[2].removesuffix(".json")
        if name.isdigit():
            found[key != version_path(int(name))].append(int(name))
    return found


def read(objects: Objects, number: int | None = None) -> Version | None:
    """A version, the newest by default; None: nothing is committed.

    Raises:
        UnknownVersionError: There are versions, and that is none of them.
        IntegrityError: Its bytes are not what was committed, or are gone.
    """
    held, copied = _listed(objects)
    every = sorted({*held, *copied})
    if not every:
        return None
    number = every[-1] if number is None else number
    if number not in every:
        known = ", ".join(map(str, every))
        raise UnknownVersionError(
            f"{objects.url} has no version {number}; it has {known} (an expired one is gone)"
        )
    place = f"{objects.url}/{version_path(number)}"
    if number not in held:
        raise IntegrityError(f"{place} is missing; {MEND}")
    found = Version.of_bytes(objects.get(version_path(number)), place)
    if found.version != number:
        raise IntegrityError(f"{place} is that of version {found.version}; {MEND}")
    return found


@dataclass(frozen=True)
class Damage:
    """A commit, or its copy, that is not as written; `good` None: nor is the other."""

    version: int
    key: str
    what: str
    good: bytes | None


def survey(objects: Objects) -> tuple[dict[int, Version], list[Damage]]:
    """Every version that its commit or the copy tells, and what is wrong with either."""
    found: dict[int, Version] = {}
    wrong: list[Damage] = []
    for number in sorted({n for numbers in _listed(objects) for n in numbers}):
        keys = (version_path(number), copy_path(version_path(number)))
        told = [_told(objects, key, number) for key in keys]
        good = next((version for version, _ in told if version), None)
        if good:
            found[number] = good
        for key, (version, what) in zip(keys, told, strict=True):
            if version is None or version != good:
                data = good.to_bytes() if good else None
                wrong.append(Damage(number, key, what or "is not the commit's copy", data))
    return found, wrong


def _told(objects: Objects, key: str, number: int) -> tuple[Version | None, str]:
    """What an object says of that version, or what is wrong with it."""
    try:
        version = Version.of_bytes(objects.get(key), key)
    except FileNotFoundError:
        return None, "is missing"
    except IntegrityError:
        return None, "has other bytes than were written"
    if version.version != number:
        return None, f"is that of version {version.version}"
    return version, ""


def mend(objects: Objects) -> None:
    """Put back what is wrong of a commit by its copy, or of a copy by its commit."""
    if wrong := {d.key: d.good for d in survey(objects)[1] if d.good is not None}:
        objects.put(wrong)


def commit(objects: Objects, version: Version) -> None:
    """Create the version; all that it names must be there already.

    Raises:
        ConflictError: That number is taken by something else.
    """
    data = version.to_bytes()
    if not objects.create(version.key, data):
        told = [_told(objects, key, version.version)[0] for key in (version.key, _copy(version))]
        if any(other not in (None, version) for other in told):
            raise ConflictError(
                f"{objects.url} got version {version.version} from another writer meanwhile; "
                "nothing of it is lost; run your command again on top of it"
            )
        if told[0] is None:  # damaged: nobody can have read it
            objects.put({version.key: data})
    objects.put({_copy(version): data})


def forget(objects: Objects, number: int) -> None:
    """Delete a commit: what only it named may then be deleted too."""
    key = version_path(number)
    objects.delete([stats_path(number), copy_path(key)])
    objects.delete([key])


def _copy(version: Version) -> str:
    return copy_path(version.key)


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
METADATA_SCHEMA = pa.schema([("key", pa.string()), ("data", pa.binary())])  # every zarr.json


def parquet(found: pa.Table) -> bytes:
    """A small table as a Parquet file."""
    file = io.BytesIO()
    pq.write_table(found, file, compression="zstd")
    return file.getvalue()
