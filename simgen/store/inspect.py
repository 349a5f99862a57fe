"""What is in a dataset, for people and for --json."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from simgen.store import history, layout, ledger, reader, versions
from simgen.store.objects import Objects, objects_at
from simgen.store.shard import IntegrityError
from simgen.store.tables import open_table

COUNTED = {
    "catalog": ("family", "engine", "split", "bucket", "outcome"),
    "events": ("kind",),
    "quarantine": ("reasons",),
}


def inspect(place: str | Path) -> dict:
    """Counts, sizes, provenance and state of a dataset, finished or not, as plain JSON values.

    Raises:
        UnreadableError: There is no dataset of ours.
        IntegrityError: A marker, a table or a commit is damaged or missing.
    """
    out = objects_at(place)
    attrs = reader.root_attributes(out)
    newest = versions.read(out)
    tables = {name: _rows(out, newest, name) for name in (versions.TABLE_NAMES if newest else ())}
    # Older versions and unfinished work leave markers that the newest does not name
    keys = [row["key"] for row in tables["parts"]] if newest else out.list(f"{layout.PARTS}/")
    markers = [_marker(out, key) for key in keys]
    rows, events, rejected = (
        tables[name] if newest else [row for marker in markers for row in marker[field]]
        for name, field in (
            ("catalog", "episodes"), ("events", "events"), ("quarantine", "quarantined"),
        )
    )  # fmt: skip
    asked = newest.growth[-1] if newest else attrs["growth"][-1]
    removed = newest.removed if newest else 0
    return {
        "path": out.url,
        "name": (attrs["recipe"] or attrs["source"])["name"],
        "complete": newest is not None,
        "versions": history.history(out.url),
        "episodes_asked": asked,
        "episodes": newest.episodes if newest else len(rows),
        "quarantined": len(rejected),
        "removed": removed,
        "missing": asked - len(rows) - len(rejected) - removed,
        "parts": len(markers),
        "by": {
            key: dict(sorted(Counter(row[key] for row in rows).items()))
            for key in COUNTED["catalog"]
        },
        "events": dict(sorted(Counter(event["kind"] for event in events).items())),
        "quarantine_reasons": dict(Counter(r for row in rejected for r in row["reasons"])),
        "frames": sum(layout.frames_of(row["bucket"]) for row in rows),
        "bytes": _bytes(markers),
        "cpu_seconds": {k: round(v, 3) for k, v in sorted(ledger.costs(out).items())},
        "provenance": {key: value for key, value in attrs.items() if key != "recipe"},
        "tables": {name: len(rows) for name, rows in tables.items()},
    }


def _rows(out: Objects, version: versions.Version, name: str) -> list[dict]:
    """What is counted of a version's table; of a large one only the columns that it takes."""
    if name not in COUNTED:
        return versions.table(out, version, name).to_pylist()
    pieces = open_table(out, version.tables[name]).scan(COUNTED[name])
    return [row for piece in pieces for row in piece.to_pylist()]


def _marker(out: Objects, key: str) -> dict:
    try:
        return json.loads(out.get(key))
    except ValueError:
        raise IntegrityError(f"{out.url}/{key} is damaged; {versions.MEND}") from None


def summary(facts: dict) -> str:
    """The same as lines of text."""
    state = "complete" if facts["complete"] else (
        f"unfinished: {facts['missing']} episodes missing; run the same build again"
        if facts["missing"] else "not published yet; run the same build again"
    )  # fmt: skip
    lines = [
        f"{facts['name']}  {facts['path']}",
        f"  {state}",
        f"  episodes     {facts['episodes']} of {facts['episodes_asked']}, "
        f"{facts['quarantined']} quarantined, {facts['removed']} removed, "
        f"{facts['frames']} frames, {facts['parts']} parts",
    ]
    for key, counts in facts["by"].items():
        lines.append(f"  {key:<12} {_listed(counts)}")
    lines.append(f"  {'events':<12} {_listed(facts['events'])}")
    for reason, count in facts["quarantine_reasons"].items():
        lines.append(f"  quarantined  {count}: {reason}")
    total, frames = sum(facts["bytes"].values()), max(facts["frames"], 1)
    lines.append(f"  bytes        {total:,} ({total / frames:,.0f} a frame)")
    for name, size in sorted(facts["bytes"].items(), key=lambda item: -item[1]):
        lines.append(f"    {name:<22} {size:>14,}  {size / frames:>9,.1f} a frame")
    if facts["cpu_seconds"]:
        costs = ", ".join(f"{name} {value:.1f}" for name, value in facts["cpu_seconds"].items())
        lines.append(f"  CPU seconds  {costs}")
    origin = facts["provenance"]
    engines = ", ".join(f"{name} {v}" for name, v in origin["engine_versions"].items())
    lines.append(
        f"  made by      simgen {origin['simgen_version']}, {engines}, {origin['cpu']}; "
        f"format {origin['format_version']}, recipe {origin['recipe_hash'][:8]}, "
        f"{origin['licence']}"
    )
    return "\n".join(lines)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name or '-'} {count}" for name, count in counts.items()) or "none"


def _bytes(markers: list[dict]) -> dict[str, int]:
    """Stored bytes by array, all buckets together."""
    total: Counter[str] = Counter()
    for marker in markers:
        for key, told in marker["objects"].items():
            total[key.split("/")[1]] += told["bytes"]
    return dict(total)
