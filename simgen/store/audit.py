"""A dataset's parts against its hashes, and its tables against its parts."""

from __future__ import annotations

import json
from array import array as packed
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import pyarrow as pa
import xxhash

from simgen.store import catalog, commits, layers, layout, metadata, reader, writer
from simgen.store.mending import difference
from simgen.store.shard import IntegrityError, Shard
from simgen.store.versions import Version

EVERY_ARRAY = "every array"
NAMED = 8  # episodes of one problem that are told by name


@dataclass(frozen=True)
class Problem:
    """Something that is not as written. `episodes` empty: it concerns the whole dataset."""

    key: str  # object, relative to the dataset
    what: str
    array: str = ""
    episodes: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.key}: {self.what}" + (f": array {self.array}" if self.array else "")
        if not self.episodes:
            return text
        more = len(self.episodes) - NAMED
        told = ", ".join(self.episodes[:NAMED])
        return f"{text}, episode {told}" + (f" and {more} more" if more > 0 else "")


@dataclass
class PartCheck:
    """What was found of one part."""

    problems: list[Problem] = field(default_factory=list)
    read: bool = False  # the marker is intact
    objects: int = 0
    bytes: int = 0
    episodes: int = 0
    quarantined: int = 0
    digests: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # see row_digests


class Totals:
    """The parts' sums, and of each row of their tables a hash."""

    def __init__(self) -> None:
        self.unread = self.objects = self.bytes = self.episodes = self.quarantined = 0
        self._digests = {name: (packed("q"), packed("Q")) for name in TABLES}

    def add(self, part: PartCheck) -> None:
        self.unread += not part.read
        self.objects += part.objects
        self.bytes += part.bytes
        self.episodes += part.episodes
        self.quarantined += part.quarantined
        for name, found in part.digests.items():
            indices, values = self._digests[name]
            indices.extend(index for index, _ in found)
            values.extend(value for _, value in found)

    def digests(self, table: str) -> tuple[np.ndarray, np.ndarray]:
        """Episode indices in order, and the hash of each one's rows."""
        indices, values = self._digests[table]
        order = np.argsort(np.frombuffer(indices, np.int64), kind="stable")
        return np.frombuffer(indices, np.int64)[order], np.frombuffer(values, np.uint64)[order]


TABLES = {
    "catalog": catalog.CATALOG_SCHEMA,
    "events": catalog.EVENTS_SCHEMA,
    "quarantine": catalog.QUARANTINE_SCHEMA,
}


def row_digests(table: pa.Table, after: tuple[tuple[int, int], ...] = ()) -> list[tuple[int, int]]:
    """Each episode's index and the hash of its rows, which stand together.

    Args:
        after: The last one of the table that this goes on from.
    """
    found = list(after)
    for row in table.to_pylist():
        text = json.dumps([row[name] for name in table.column_names]).encode()
        before = found.pop()[1] if found and found[-1][0] == row["index"] else 0
        found.append((row["index"], xxhash.xxh3_64_intdigest(text, seed=before)))
    return found


class Auditor:
    """Checks parts of one version. Safe in threads."""

    def __init__(self, dataset: reader.Dataset, damaged: Collection[str]):
        """`damaged` are the keys that cannot be relied on."""
        self.dataset, self.damaged = dataset, damaged
        self.out, self.rows = dataset.objects, dataset.attrs["episodes_per_part"]
        removed = dataset.version.tables["removed"]["key"]
        self.gone = set() if removed in damaged else commits.removed_ids(self.out, dataset.version)
        self.specs = lru_cache(self._specs)

    def part(self, told: dict) -> PartCheck:
        """A part by its row in the version's table of parts."""
        found = PartCheck()
        if what := difference(self.out, told["key"], told):
            episodes = tuple(self._in_part.get(layers.plain_key(told["key"]), ()))
            found.problems.append(Problem(told["key"], what, EVERY_ARRAY, episodes))
            return found
        marker = json.loads(self.out.get(told["key"]))
        found.read = True
        found.problems += self._objects(marker)
        found.objects = len(marker["objects"])
        found.bytes = sum(entry["bytes"] for entry in marker["objects"].values())
        found.quarantined = len(marker["quarantined"])
        found.episodes = sum(row["episode_id"] not in self.gone for row in marker["episodes"])
        tables = catalog.tables([marker], without=self.gone)
        found.digests = {name: row_digests(table) for name, table in tables.items()}
        return found

    def _objects(self, marker: dict) -> Iterator[Problem]:
        """A part's objects against its marker."""
        groups = dict.fromkeys(g for row in marker["episodes"] for g, _ in layers.held(row))
        by_key = {
            layout.shard_path(group, spec, marker["part"]): spec
            for group in groups
            for spec in self.specs(group).values()
        }
        for key, told in marker["objects"].items():
            if what := difference(self.out, key, told):
                array = key.split("/")[1]
                hit = self._hit(key, by_key[key], marker) if key in by_key else []
                group = key.split("/")[0]
                yield Problem(key, what, array, tuple(hit or holders(array, marker, group)))
        held = {
            (group, name)
            for row in marker["episodes"]
            for group, hashes in layers.held(row)
            for name in hashes
        }
        for group, name in sorted(held - {tuple(key.split("/")[:2]) for key in marker["objects"]}):
            key, episodes = f"{group}/{name}", holders(name, marker, group)
            yield Problem(key, "is not named by its marker", name, tuple(episodes))

    def _hit(self, key: str, spec: layout.ArraySpec, marker: dict) -> list[str]:
        """Episodes whose content in a changed object is not what the catalog's hash says."""
        try:
            shard = Shard(self.out, key, spec, self.rows)
        except IntegrityError:
            return holders(spec.name, marker, key.split("/")[0])
        hit, group = [], key.split("/")[0]
        for row in marker["episodes"]:
            if (wanted := dict(layers.held(row)).get(group, {}).get(spec.name)) is None:
                continue
            try:
                data = shard.read(row["row"] % self.rows, 0, spec.shape[0])
            except (IntegrityError, RuntimeError, ValueError):
                hit.append(row["episode_id"])
                continue
            if writer.digest(data) != wanted:
                hit.append(row["episode_id"])
        return hit

    def _specs(self, bucket: str) -> dict[str, layout.ArraySpec]:
        """The bucket's arrays; none where their description is damaged."""
        if {"zarr.json", f"{bucket}/zarr.json"} & set(self.damaged):
            return {}
        return metadata.stored_specs(self.out, bucket)

    @cached_property
    def _in_part(self) -> dict[str, list[str]]:
        """Episodes by the key of their part's first marker, as the catalog has them."""
        found: dict[str, list[str]] = {}
        if self.dataset.version.tables["catalog"]["key"] in self.damaged:
            return found
        for rows in self.dataset.table("catalog").scan(("episode_id", "bucket", "row")):
            for row in rows.to_pylist():
                key = layout.marker_path(row["bucket"], row["row"] // self.rows)
                found.setdefault(key, []).append(row["episode_id"])
        return found


def holders(array: str, marker: dict, group: str = "") -> list[str]:
    """Episodes of a part that have that array, in the part's bucket or another group."""
    group = group or marker["bucket"]
    return [
        row["episode_id"]
        for row in marker["episodes"]
        if array in dict(layers.held(row)).get(group, {})
    ]


def check_counts(told: Version, totals: Totals, removed: int) -> Iterator[Problem]:
    """What the version says of itself against its parts."""
    wanted = {
        "episodes": totals.episodes, "quarantined": totals.quarantined, "bytes": totals.bytes,
        "removed": removed,
    }  # fmt: skip
    for name, value in wanted.items():
        if (given := getattr(told, name)) != value:
            yield Problem(told.key, f"says {name} {given}, the parts say {value}")


def check_tables(
    dataset: reader.Dataset, totals: Totals, damaged: Collection[str]
) -> Iterator[Problem]:
    """The published tables against what the parts say, a row group at a time."""
    entries = dataset.version.tables
    if damaged & {entry["key"] for entry in entries.values()}:
        return
    for name, schema in TABLES.items():
        indices, values = totals.digests(name)
        if what := _difference(dataset, name, schema, indices, values):
            yield Problem(entries[name]["key"], f"disagrees with the parts{what}")


def _difference(
    dataset: reader.Dataset, name: str, schema: pa.Schema, indices: np.ndarray, values: np.ndarray
) -> str:
    """How a table differs from the parts' rows, of which these are the hashes; empty if not."""
    table, done = dataset.table(name), 0
    if name != "events" and table.rows != len(indices):
        return f": {table.rows} rows, not {len(indices)}"
    last: tuple[tuple[int, int], ...] = ()  # its rows may go on in the next group
    for rows in table.scan(table.columns):
        *ready, one = row_digests(rows.cast(schema), last)
        last = (one,)
        if what := _compare(ready, indices[done:], values[done:]):
            return what
        done += len(ready)
    if what := _compare(last, indices[done:], values[done:]):
        return what
    done += len(last)
    return "" if done == len(indices) else f": events of {done} episodes, not {len(indices)}"


def _compare(found: Sequence[tuple[int, int]], indices: np.ndarray, values: np.ndarray) -> str:
    for number, (index, value) in enumerate(found):
        if number >= len(indices):
            return f": episode {index} is in no part"
        if (index, value) != (indices[number], values[number]):
            return f", first at episode {min(index, int(indices[number]))}"
    return ""
