"""Computing a version's statistics by Dask: a part a task, put together in one order.

The tree of sums follows the version's table of parts and nothing else, so the stored bytes do not
depend on how many workers there are or who is first.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from simgen.store import commits, layout, moments, reader, stats, versions
from simgen.store.mending import difference
from simgen.store.moments import Moments
from simgen.store.shard import IntegrityError
from simgen.store.specs import ArraySpec

COUNTED = ("family", "engine", "split", "bucket", "outcome")
TOGETHER = 16  # partial results that one task puts together


@dataclass
class Tally:
    """Of some parts: moments by array, its specification, and counts of the episodes."""

    moments: dict[str, Moments] = field(default_factory=dict)
    specs: dict[str, ArraySpec] = field(default_factory=dict)
    counts: dict[str, Counter] = field(default_factory=dict)
    episodes: int = 0
    frames: int = 0


def compute(
    place: str | Path,
    *,
    version: int | None = None,
    workers: int = 2,
    scheduler: str | None = None,
) -> dict:
    """The version's statistics: stored ones, or computed and stored.

    Args:
        workers: Threads here; decompression and sums leave Python's lock.
        scheduler: Address of a running Dask scheduler to use instead.
    Raises:
        UnreadableError, UnknownVersionError: As simgen.open.
        IntegrityError: Something is damaged; the message names it.
    """
    dataset = reader.open(place, version=version)
    out, told = dataset.objects, dataset.version
    if (found := stats.stored(out, told)) is None:
        total = _computed(dataset, workers, scheduler)
        data = stats.encode(told, _document(told, total))
        out.put({layout.stats_path(told.version): data})
        found = stats.stored(out, told)
    return found


def measured(dataset: reader.Dataset, workers: int = 1) -> bytes:
    """The object that the version's statistics should be, computed anew."""
    return stats.encode(
        dataset.version, _document(dataset.version, _computed(dataset, workers, None))
    )


def _computed(dataset: reader.Dataset, workers: int, scheduler: str | None) -> Tally:
    import dask

    rows = versions.table(dataset.objects, dataset.version, "parts").to_pylist()
    task = dask.delayed(part_tally, pure=False)
    level = [task(dataset.url, dataset.version, row) for row in rows] or [Tally()]
    together = dask.delayed(merged, pure=False)
    while len(level) > 1:
        level = [together(level[i : i + TOGETHER]) for i in range(0, len(level), TOGETHER)]
    if scheduler is not None:
        from distributed import Client

        with Client(scheduler, set_as_default=False) as client:
            return client.compute(level[0]).result()
    how = {"scheduler": "threads", "num_workers": workers} if workers > 1 else {"scheduler": "sync"}
    return dask.compute(level[0], **how)[0]


@lru_cache(maxsize=4)
def _opened(url: str, commit: bytes) -> tuple[reader.Dataset, frozenset[str]]:
    """A worker's dataset, and the episodes that are removed from it."""
    version = versions.Version.of_bytes(commit, url)
    dataset = reader.open(url, version=version.version)
    return dataset, frozenset(commits.removed_ids(dataset.objects, version))


def part_tally(url: str, version: versions.Version, told: dict) -> Tally:
    """Of one part, by its row in the version's table of parts.

    Raises:
        IntegrityError: Its marker or an object is damaged.
    """
    dataset, gone = _opened(url, version.to_bytes())
    if what := difference(dataset.objects, told["key"], told):
        raise IntegrityError(f"{told['key']} of {url} {what}; run `simgen repair {url}`")
    marker = json.loads(dataset.objects.get(told["key"]))
    rows = [row for row in marker["episodes"] if row["episode_id"] not in gone]
    kept = {row["episode_id"] for row in rows}
    specs = dataset.specs(marker["bucket"])
    tally = Tally(episodes=len(rows), frames=len(rows) * layout.frames_of(marker["bucket"]))
    tally.counts = {key: Counter(row[key] for row in rows) for key in COUNTED}
    tally.counts["events"] = Counter(
        event["kind"] for event in marker["events"] if event["episode_id"] in kept
    )
    for name, spec in specs.items():
        found = [
            moments.measure(moments.values(dataset.read(row["episode_id"], name), spec, row))
            for row in rows
            if name in json.loads(row["hashes"])
        ]
        if found:
            tally.moments[name], tally.specs[name] = moments.merge(found, spec.dtype), spec
    return tally


def merged(found: Sequence[Tally]) -> Tally:
    """All of them, in that order."""
    total = Tally(episodes=sum(t.episodes for t in found), frames=sum(t.frames for t in found))
    for tally in found:
        total.specs |= {name: s for name, s in tally.specs.items() if name not in total.specs}
        for key, counts in tally.counts.items():
            total.counts[key] = total.counts.get(key, Counter()) + counts
    for name, spec in total.specs.items():
        parts = [tally.moments[name] for tally in found if name in tally.moments]
        total.moments[name] = moments.merge(parts, spec.dtype)
    return total


def _document(version: versions.Version, total: Tally) -> dict:
    channels = {}
    for name, found in total.moments.items():
        spec = total.specs[name]
        channels[name] = {"units": spec.units, "dtype": str(spec.dtype)} | moments.summary(found)
        if name == "rgb":
            channels[name]["histogram"] = np.asarray(found.histogram).tolist()
    return {
        "version": version.version,
        "episodes": total.episodes,
        "frames": total.frames,
        "counts": {key: dict(sorted(counts.items())) for key, counts in total.counts.items()},
        "channels": channels,
    }


def summary(told: dict) -> str:
    """The statistics as lines of text."""
    lines = [f"version {told['version']}: {told['episodes']} episodes, {told['frames']} frames"]
    for key, counts in told["counts"].items():
        listed = ", ".join(f"{name or '-'} {count}" for name, count in counts.items())
        lines.append(f"  {key:<8} {listed or 'none'}")
    head = ("array", "", "min", "max", "mean", "std", "not finite", "units")
    lines.append("  {:<22}{:>3}{:>12}{:>12}{:>12}{:>12}{:>12}  {}".format(*head))
    for name, one in sorted(told["channels"].items()):
        for part in range(len(one["mean"])):
            numbers = [_number(one[key][part]) for key in ("min", "max", "mean", "std")]
            lines.append(
                f"  {name if part == 0 else '':<22}{part:>3}"
                + "".join(f"{number:>12}" for number in numbers)
                + f"{one['non_finite'][part]:>12.2%}  {one['units'] if part == 0 else ''}"
            )
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"
