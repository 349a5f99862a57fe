"""Imported clips as parts and a version of a dataset, in the store's own contract.

What simulation knows and footage does not is absent: no truth arrays, null or empty columns,
family "imported", engine "none", and no recipe in the attributes but `source`.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path

from simgen import __version__
from simgen.captions.vocabulary import tokens
from simgen.exchange import ExchangeError
from simgen.imports import episodes
from simgen.imports.sources import DamagedError
from simgen.imports.windows import Choice, Losses, Window, identity
from simgen.store import catalog, commits, layout, ledger, shard, versions, writer
from simgen.store.layout import Bucket
from simgen.store.metadata import described
from simgen.store.objects import Objects, objects_at
from simgen.store.reader import root_attributes

PART_BYTES, PART_ROWS = 256 << 20, 64  # raw rgb of a part at most
Progress = Callable[[object, int, int], None]


@dataclass(frozen=True)
class Report:
    """What an import did. `parts_made` 0: everything was there already."""

    out: str
    episodes: int
    quarantined: int
    frames: int
    splits: dict[str, int]
    buckets: dict[str, int]
    parts: int
    parts_made: int
    losses: Losses


def write(
    windows: Sequence[Window],
    losses: Losses,
    out: str | Path,
    *,
    name: str,
    format: str,
    choice: Choice,
    licence: str = "unknown",
    progress: Progress | None = None,
) -> Report:
    """Make a dataset of the windows, or what an interrupted call left of it.

    Args:
        name: What the source is called.
    Raises:
        ExchangeError: There is something else at `out`.
        LockedError: Another process writes there.
        DiskFullError: No room; what is committed is kept.
    """
    objects, plan = objects_at(out), _Plan(windows)
    attributes = {
        "format": "physreel",
        "format_version": layout.FORMAT_VERSION,
        "recipe": None,
        "recipe_hash": "",
        "content_hash": identity(windows),
        "source": {
            "name": name, "format": format, "choice": asdict(choice), "losses": asdict(losses),
        },
        "episodes_per_part": plan.rows_per_part,
        "growth": [len(windows)],
        "simgen_version": __version__,
        "engine_versions": {},
        "cpu": platform.machine(),
        "licence": licence,
        "vocabulary": sorted({t for w in windows for t in tokens(w.source.caption)}),
    }  # fmt: skip
    begun = _check_place(objects, attributes)
    with ledger.lock(objects):
        ledger.clean(objects)
        files = described(attributes, plan.buckets)
        if not begun:
            ledger.claim(objects, "import", {"content_hash": attributes["content_hash"]})
            commits.write_missing(objects, files)
        made, markers = 0, []
        for number, part in enumerate(plan.parts, 1):
            marker = _marker(objects, part, attributes["content_hash"])
            if marker is None:
                marker = _run_part(objects, part, plan, attributes)
                made += 1
            markers.append(marker)
            if progress:
                progress(part, number, len(plan.parts))
        if not versions.numbers(objects):
            _commit(objects, markers, plan, files)
    rejected = sum(len(marker["quarantined"]) for marker in markers)
    kept = [row for marker in markers for row in marker["episodes"]]
    return Report(
        out=objects.url,
        episodes=len(kept),
        quarantined=rejected,
        frames=sum(layout.frames_of(row["bucket"]) for row in kept),
        splits=_counted(row["split"] for row in kept),
        buckets=_counted(row["bucket"] for row in kept),
        parts=len(plan.parts),
        parts_made=made,
        losses=losses,
    )


def _counted(names: Iterator[str]) -> dict[str, int]:
    listed = list(names)
    return {name: listed.count(name) for name in dict.fromkeys(listed)}


def _check_place(out: Objects, attributes: dict) -> bool:
    """Whether this same import was begun there.

    Raises:
        ExchangeError: Anything else is there.
    """
    if out.size("zarr.json") is None:
        if strange := [key for key in out.list() if not key.startswith(layout.WORKSHOP)]:
            first = strange[0].split("/")[0]
            known = any(key.endswith("zarr.json") for key in strange)  # a crash before the root's
            if not known:
                raise ExchangeError(f"{out.url} is not empty (it has {first!r}); give a new folder")
        return False
    held = root_attributes(out)
    for key in ("content_hash", "simgen_version", "episodes_per_part"):
        if held.get(key) != attributes[key]:
            raise ExchangeError(
                f"{out.url} holds another dataset ({key} {held.get(key)}, this one's is "
                f"{attributes[key]}); give another folder, or delete that one"
            )
    return True


@dataclass(frozen=True)
class _Part:
    """A run of rows of one bucket. `windows` are (episode index, window)."""

    bucket: str
    number: int
    first_row: int
    windows: tuple[tuple[int, Window], ...]


class _Plan:
    """Buckets and parts of the windows, in order."""

    def __init__(self, windows: Sequence[Window]):
        rows: dict[str, list[int]] = {}
        for index, window in enumerate(windows):
            rows.setdefault(window.bucket, []).append(index)
        specs = {name: episodes.specs([windows[i] for i in held]) for name, held in rows.items()}
        largest = max(prod(found["rgb"].shape) for found in specs.values())
        self.rows_per_part = max(1, min(PART_ROWS, PART_BYTES // largest))
        self.buckets = {
            name: Bucket(name, tuple(held), self.rows_per_part, specs[name])
            for name, held in rows.items()
        }
        self.parts = [
            _Part(name, start // self.rows_per_part, start, tuple(
                (i, windows[i]) for i in held[start : start + self.rows_per_part]
            ))
            for name, held in rows.items()
            for start in range(0, len(held), self.rows_per_part)
        ]  # fmt: skip


def _marker(out: Objects, part: _Part, content_hash: str) -> dict | None:
    """The part's marker, if the part is whole."""
    try:
        marker = json.loads(out.get(layout.marker_path(part.bucket, part.number)))
        whole = marker["content_hash"] == content_hash and all(
            out.size(key) == told["bytes"] for key, told in marker["objects"].items()
        )
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return marker if whole else None


def _run_part(out: Objects, part: _Part, plan: _Plan, attributes: dict) -> dict:
    specs = plan.buckets[part.bucket].arrays
    chunks: dict[str, dict[int, list[bytes]]] = {name: {} for name in specs}
    rows, rejected = [], []
    for place, (index, window) in enumerate(part.windows):
        try:
            arrays = episodes.arrays(window, specs)
        except DamagedError as error:
            rejected.append(episodes.row(index, window, attributes) | {"reasons": [str(error)]})
            continue
        for name, array in arrays.items():
            chunks[name][place] = shard.encode_episode(specs[name], array)
        hashes = {name: writer.digest(array) for name, array in arrays.items()}
        told = episodes.row(index, window, attributes)
        rows.append(told | {"row": part.first_row + place, "hashes": json.dumps(hashes)})
    shards = {
        layout.shard_path(part.bucket, spec, part.number): shard.assemble(
            spec, plan.rows_per_part, chunks[name]
        )
        for name, spec in specs.items()
        if chunks[name]
    }
    quarantine = catalog.QUARANTINE_SCHEMA.names
    marker = {
        "format_version": layout.FORMAT_VERSION,
        "content_hash": attributes["content_hash"],
        "bucket": part.bucket,
        "part": part.number,
        "episodes": rows,
        "events": [],
        "quarantined": [{name: row[name] for name in quarantine} for row in rejected],
    }
    return json.loads(writer.commit(out, shards, marker))


def _commit(out: Objects, markers: Sequence[dict], plan: _Plan, files: dict[str, bytes]) -> None:
    keys = [layout.marker_path(part.bucket, part.number) for part in plan.parts]
    parts = commits.parts_table(zip(keys, map(out.get, keys), markers, strict=True))
    asked = sum(len(part.windows) for part in plan.parts)
    commits.commit(
        out,
        None,
        change={"kind": "import"},
        tables=catalog.tables(markers) | {"parts": parts},
        metadata=files,
        recipe=None,
        growth=(asked,),
    )
