"""Tables and metadata made again from what else the dataset holds, and compared with its commit."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from simgen.recipe import Recipe
from simgen.store import catalog, commits, layout, versions, writer
from simgen.store import metadata as zarr_metadata
from simgen.store.objects import Objects
from simgen.store.shard import IntegrityError
from simgen.store.versions import REMOVED_SCHEMA, Version

MERGED = ("catalog", "events", "quarantine")


def difference(out: Objects, key: str, told: dict) -> str:
    """What is wrong with an object that has those bytes and xxh3; empty if nothing."""
    try:
        data = out.get(key)
    except FileNotFoundError:
        return "is missing"
    if len(data) != told["bytes"]:
        return f"has {len(data)} bytes, not {told['bytes']}"
    return "" if writer.digest(data) == told["xxh3"] else "has other bytes than were written"


def tables(
    out: Objects,
    version: Version,
    markers: Sequence[str],
    *,
    only: Collection[str] = versions.TABLE_NAMES,
) -> dict[str, bytes]:
    """Objects of the version's tables that are not as published, made again.

    Args:
        markers: Keys of the version's markers in order; they must be intact.
        only: Names of the tables.
    Raises:
        IntegrityError: What was made is not what was published; the message says why.
    """
    told = {name: entry for name, entry in version.tables.items() if name in only}
    wrong = [name for name, entry in told.items() if difference(out, entry["key"], entry)]
    files = {}
    for name, table in _remade(out, version, markers, wrong).items():
        data = commits.encode(name, table)
        require_same(version, told[name]["key"], data, told[name])
        files[told[name]["key"]] = data
    return files | (removed_copy(out, version, files) if "removed" in only else {})


def _remade(
    out: Objects, version: Version, markers: Sequence[str], names: Collection[str]
) -> dict[str, pa.Table]:
    """Those tables, from what they were made of."""
    made: dict[str, pa.Table] = {}
    if "removed" in names:
        made["removed"] = removed(out, version)
    if set(MERGED) & set(names):
        gone = made["removed"] if made else versions.table(out, version, "removed")
        read = (marker for _, _, marker in _stored(out, markers))
        made |= catalog.tables(read, without=gone["episode_id"].to_pylist())
    if "parts" in names:
        made["parts"] = commits.parts_table(_stored(out, markers))
    if "metadata" in names:
        made["metadata"] = commits.metadata_table(_described(out, version))
    return {name: made[name] for name in names}


def removed(out: Objects, version: Version) -> pa.Table:
    """The table of removed episodes, from its copy.

    Raises:
        IntegrityError: The copy is damaged too.
    """
    told = version.tables["removed"]
    if not version.removed:
        return REMOVED_SCHEMA.empty_table()
    if what := difference(out, layout.copy_path(told["key"]), told):
        raise IntegrityError(
            f"{told['key']} of {out.url} and its copy, which {what}, are both damaged; "
            "nothing else says what was removed"
        )
    copied = {"removed": told | {"key": layout.copy_path(told["key"])}}
    return versions.table(out, replace(version, tables=copied), "removed")


def removed_copy(out: Objects, version: Version, files: dict[str, bytes]) -> dict[str, bytes]:
    """The second copy of the table of removed episodes, unless it is there."""
    told = version.tables["removed"]
    copy = layout.copy_path(told["key"])
    if not version.removed or not difference(out, copy, told):
        return {}
    return {copy: files.get(told["key"]) or out.get(told["key"])}


def metadata(out: Objects, version: Version, *, leave: Collection[str] = ()) -> dict[str, bytes]:
    """Objects of the newest version's metadata that are not as published, made again.

    Args:
        leave: Keys to leave as they are.
    Raises:
        IntegrityError: As tables().
    """
    wrong = [
        key
        for key, told in version.metadata.items()
        if key not in leave and difference(out, key, told)
    ]
    if not wrong:
        return {}
    entry = version.tables["metadata"]
    if not difference(out, entry["key"], entry):
        rows = versions.table(out, version, "metadata").to_pylist()
        return {row["key"]: row["data"] for row in rows if row["key"] in wrong}
    made = _made(version, out)
    for key in wrong:
        require_same(version, key, made[key], version.metadata[key])
    return {key: made[key] for key in wrong}


def require_same(version: Version, key: str, data: bytes, told: dict) -> None:
    """Raise IntegrityError unless the bytes are those that were published."""
    if writer.describe(data) == {"bytes": told["bytes"], "xxh3": told["xxh3"]}:
        return
    here = versions.libraries()
    other = [f"{k} {v}" for k, v in version.libraries.items() if here.get(k) != v]
    why = f"it was written with {', '.join(other)}: install that" if other else "no reason known"
    raise IntegrityError(f"{key}, made again, has other bytes than were published ({why})")


def is_ahead(out: Objects, key: str, found: Iterable[Version]) -> bool:
    """Whether a zarr.json is that of a commit which did not come: its table is there already.

    Readers of what is committed do not notice: arrays have only become longer.
    """
    named = {version.tables["metadata"]["key"] for version in found}
    for table in out.list(layout.table_path("metadata", "").removesuffix(".parquet")):
        data = out.get(table)
        if table not in named and table == layout.table_path("metadata", writer.digest(data)):
            rows = pq.read_table(pa.BufferReader(data), use_threads=False).to_pylist()
            if any(row["key"] == key and row["data"] == out.get(key) for row in rows):
                return True
    return False


def _stored(out: Objects, markers: Iterable[str]) -> Iterator[tuple[str, bytes, dict]]:
    for key in markers:
        try:
            data = out.get(key)
            marker = json.loads(data)
        except (FileNotFoundError, ValueError):
            raise IntegrityError(f"{key} of {out.url} is damaged too") from None
        yield key, data, marker


def _described(out: Objects, version: Version) -> dict[str, bytes]:
    """Every zarr.json as that version has it: as stored, or from its recipe."""
    if not any(difference(out, key, told) for key, told in version.metadata.items()):
        return {key: out.get(key) for key in version.metadata}
    return _made(version, out)


def _made(version: Version, out: Objects) -> dict[str, bytes]:
    if version.recipe is None:
        raise IntegrityError(
            f"metadata of {out.url} and the table that repeats it are both damaged, and an "
            "imported dataset has no recipe to make them from; import it again"
        )
    recipe = Recipe.model_validate_json(json.dumps(version.recipe))
    return zarr_metadata.metadata(recipe, version.growth, version.moves)


def attributes(out: Objects, version: Version) -> dict:
    """Root attributes as that version has them, wherever they are still told.

    Raises:
        IntegrityError: Nowhere.
    """
    told = version.metadata["zarr.json"]
    if not difference(out, "zarr.json", told):
        return json.loads(out.get("zarr.json"))["attributes"]
    entry = version.tables["metadata"]
    if not difference(out, entry["key"], entry):
        rows = versions.table(out, version, "metadata").to_pylist()
        found = {row["key"]: row["data"] for row in rows}
    else:
        found = _made(version, out)
    return json.loads(found["zarr.json"])["attributes"]
