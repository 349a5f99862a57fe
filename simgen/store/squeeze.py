"""Moving episodes out of parts that also hold removed ones, into new parts with new rows.

Their encoded chunks are copied, so a new part has just the bytes that its recipe would give it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from simgen.recipe import Recipe
from simgen.store import catalog, commits, layout, mending, metadata, shard, versions, writer
from simgen.store.layers import held
from simgen.store.objects import Objects
from simgen.store.shard import IntegrityError
from simgen.store.versions import Version


@dataclass(frozen=True)
class Squeeze:
    """Markers of parts to give up, and the rows of who has to leave them."""

    parts: tuple[dict, ...]
    dropped: tuple[dict, ...]
    moved: tuple[dict, ...]
    quarantined: tuple[dict, ...]  # these keep a free row in a new part, as in any


@dataclass(frozen=True)
class _NewPart:
    bucket: str
    start: int  # its first row
    indices: tuple[int, ...]  # of the episode in each row


def find(out: Objects, newest: Version, staying: Iterable[Version]) -> Squeeze:
    """The newest version's parts with removed episodes that no staying version shows."""
    gone = set(commits.removed_ids(out, newest))
    for version in staying:
        if gone:
            gone -= set(versions.table(out, version, "catalog")["episode_id"].to_pylist())
    parts = [
        marker
        for _, _, marker in (markers(out, newest) if gone else ())
        if any(row["episode_id"] in gone for row in marker["episodes"])
    ]
    rows = [row for marker in parts for row in marker["episodes"]]
    return Squeeze(
        tuple(parts),
        tuple(row for row in rows if row["episode_id"] in gone),
        tuple(row for row in rows if row["episode_id"] not in gone),
        tuple(row for marker in parts for row in marker["quarantined"]),
    )


def commit(out: Objects, before: Version, found: Squeeze) -> tuple[Version, int]:
    """Write the new parts and commit them: the version, and the bytes of their objects."""
    rows_per_part = mending.attributes(out, before)["episodes_per_part"]
    lengths, size = metadata.lengths(out), 0
    new: list[tuple[str, bytes, dict]] = []
    for part in _new_parts(found, lengths, rows_per_part):
        shards, marker = _filled(out, found, part, rows_per_part)
        data = writer.commit(out, shards, marker)
        new.append((layout.marker_path(part.bucket, marker["part"]), data, json.loads(data)))
        lengths[part.bucket] = part.start + len(part.indices)
        size += sum(map(len, shards.values()))
    left = {(marker["bucket"], marker["part"]) for marker in found.parts}
    kept = [one for one in markers(out, before) if (one[2]["bucket"], one[2]["part"]) not in left]
    every = _in_order([*kept, *new])
    move = {
        "after": len(before.growth),
        "moved": sorted(row["index"] for row in (*found.moved, *found.quarantined)),
        "dropped": sorted(row["index"] for row in found.dropped),
    }
    version = commits.commit(
        out,
        before,
        change={"kind": "compact", "episodes": len(found.dropped)},
        tables=catalog.tables((m for *_, m in every), without=commits.removed_ids(out, before))
        | {"parts": commits.parts_table(every)},
        metadata=_metadata(out, before, move, lengths),
        moves=(*before.moves, move),
    )
    return version, size


def markers(out: Objects, version: Version) -> Iterator[tuple[str, bytes, dict]]:
    """Key, bytes and content of each of the version's markers.

    Raises:
        IntegrityError: It is not as published.
    """
    for row in versions.table(out, version, "parts").to_pylist():
        if what := mending.difference(out, row["key"], row):
            raise IntegrityError(f"{row['key']} of {out.url} {what}; {versions.MEND}")
        data = out.get(row["key"])
        yield row["key"], data, json.loads(data)


def _new_parts(found: Squeeze, lengths: dict[str, int], rows_per_part: int) -> Iterator[_NewPart]:
    """New parts after all that the arrays hold, as layout.buckets has them."""
    by_bucket: dict[str, list[int]] = {}
    for row in sorted((*found.moved, *found.quarantined), key=lambda row: row["index"]):
        by_bucket.setdefault(row["bucket"], []).append(row["index"])
    for bucket, indices in by_bucket.items():
        start = -(-lengths[bucket] // rows_per_part) * rows_per_part
        for at in range(0, len(indices), rows_per_part):
            yield _NewPart(bucket, start + at, tuple(indices[at : at + rows_per_part]))


def _filled(
    out: Objects, found: Squeeze, part: _NewPart, rows_per_part: int
) -> tuple[dict[str, bytes], dict]:
    """A new part's shards and its marker."""
    place = {index: number for number, index in enumerate(part.indices)}
    rows = sorted((r for r in found.moved if r["index"] in place), key=lambda r: r["index"])
    sources = {marker["part"]: marker for marker in found.parts if marker["bucket"] == part.bucket}
    number, shards = part.start // rows_per_part, {}
    for group, spec in _arrays(out, part.bucket, rows):
        chunks = {}
        for row in rows:
            if spec.name in dict(held(row)).get(group, ()):
                source, old_row = divmod(row["row"], rows_per_part)
                key = layout.shard_path(group, spec, source)
                told = sources[source]["objects"][key]
                old = (key, told, old_row, rows_per_part)
                chunks[place[row["index"]]] = _chunks(out, spec, *old)
        if chunks:
            data = shard.assemble(spec, rows_per_part, chunks)
            shards[layout.shard_path(group, spec, number)] = data
    events = [event for marker in sources.values() for event in marker["events"]]
    marker = {
        **{name: found.parts[0][name] for name in ("format_version", "content_hash")},
        "bucket": part.bucket,
        "part": number,
        "episodes": [row | {"row": part.start + place[row["index"]]} for row in rows],
        "events": [e for row in rows for e in events if e["episode_id"] == row["episode_id"]],
        "quarantined": sorted(
            (row for row in found.quarantined if row["index"] in place),
            key=lambda row: row["index"],
        ),
    }
    return shards, marker


def _arrays(
    out: Objects, bucket: str, rows: Iterable[dict]
) -> Iterator[tuple[str, layout.ArraySpec]]:
    """Arrays of the groups that hold those episodes, the bucket's own first."""
    groups = dict.fromkeys(group for row in rows for group, _ in held(row))
    for group in dict.fromkeys([bucket, *groups]):
        for spec in metadata.stored_specs(out, group).values():
            yield group, spec


def _chunks(
    out: Objects, spec: layout.ArraySpec, key: str, told: dict, row: int, rows_per_part: int
) -> list[bytes]:
    """An episode's encoded chunks, from an object that is as committed."""
    if what := mending.difference(out, key, told):
        raise IntegrityError(f"{key} of {out.url} {what}; run `simgen repair {out.url}` first")
    data = out.get(key)
    index = shard.Shard(out, key, spec, rows_per_part).index[row].tolist()
    return [data[offset : offset + length] for offset, length in index]


def _metadata(
    out: Objects, before: Version, move: dict, lengths: dict[str, int]
) -> dict[str, bytes]:
    """Every zarr.json, of arrays as long as they have become."""
    if before.recipe is not None:
        recipe = Recipe.model_validate_json(json.dumps(before.recipe))
        return metadata.metadata(recipe, before.growth, (*before.moves, move))
    return metadata.lengthened({key: out.get(key) for key in before.metadata}, lengths)


def _in_order(every: list[tuple[str, bytes, dict]]) -> list[tuple[str, bytes, dict]]:
    """As a build lists them: buckets as they come, parts by number."""
    buckets = list(dict.fromkeys(marker["bucket"] for *_, marker in every))
    return sorted(every, key=lambda one: (buckets.index(one[2]["bucket"]), one[2]["part"]))
