"""Build a dataset: plan -> parts -> publish. Plain functions that any executor can run.

What is done is known from the dataset's own markers, so the same command again does what is left:
nothing when all is done, a torn part anew. A part depends on (recipe, its indices) alone, so any
worker may make any part in any order, and the bytes are the same.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pyarrow as pa

from simgen.build import workers
from simgen.build.part import CRASHED, Make, PartReport, run_part
from simgen.build.planning import (
    BuildError,
    Part,
    Plan,
    UnfinishedError,
    groups,
    plan,
    report_os_errors,
)
from simgen.build.workers import interruptible
from simgen.recipe import Recipe
from simgen.store import catalog, ledger, versions
from simgen.store.layout import marker_path, version_path
from simgen.store.ledger import LockedError
from simgen.store.metadata import metadata
from simgen.store.objects import DiskFullError, Objects, objects_at
from simgen.store.versions import REMOVED_SCHEMA, ConflictError, Version
from simgen.store.writer import describe

__all__ = [
    "BuildError", "ConflictError", "DiskFullError", "LockedError", "Part", "PartReport", "Plan",
    "Report", "UnfinishedError", "build", "groups", "plan", "publish", "run_group", "run_part",
    "writing",
]  # fmt: skip


@dataclass(frozen=True)
class Report:
    """What a build did. `parts_run` 0: everything was there already."""

    out: str  # folder or URL
    version: int
    parts: int
    parts_run: int
    episodes: int
    quarantined: int
    bytes: int
    seconds: float
    costs_s: dict[str, float]


Progress = Callable[[PartReport, int, int], None]  # the part, parts done, parts in all


def build(
    recipe: Recipe,
    out: str | Path,
    *,
    workers: int = 2,
    progress: Progress | None = None,
    scheduler: str | None = None,
    retry_quarantined: bool = False,
    add: bool = False,
    make: Make | None = None,
) -> Report:
    """Make what the dataset lacks and publish it.

    Args:
        recipe: What to build.
        out: The dataset's folder or URL; made if absent, continued if it holds this recipe.
        workers: Processes on this machine; 0 or 1 works in this process.
        progress: Called after each part.
        scheduler: Address of a running Dask scheduler to use instead.
        retry_quarantined: Try episodes again that crashed their workers.
        add: A finished dataset with fewer episodes gets the rest, as a new version.
        make: Stands in for simgen.episode.make_episode; importable by the workers.
    Raises:
        BuildError: The folder cannot take this recipe, or the disk cannot hold the plan.
        LockedError: Another process builds there.
        DiskFullError: The disk filled up; what is committed is kept.
        KeyboardInterrupt: Interrupted; the parts in hand were finished first. The second Ctrl-C
            drops them.
    """
    began = time.perf_counter()
    holding = writing(recipe, out, retry_quarantined=retry_quarantined, add=add)
    with holding as todo, interruptible() as stop:
        done = len(todo.parts) - len(todo.todo)
        for number, report in enumerate(_run(todo, workers, scheduler, make, stop), done + 1):
            if progress:
                progress(report, number, len(todo.parts))
        if stop.is_set():
            raise KeyboardInterrupt
        summary = publish(recipe, out, add=add)
    return Report(
        out=todo.out,
        parts=len(todo.parts),
        parts_run=len(todo.todo),
        seconds=time.perf_counter() - began,
        costs_s=dict(ledger.costs(objects_at(todo.out))),
        **summary,
    )


def _run(
    todo: Plan, count: int, scheduler: str | None, make: Make | None, stop: Event
) -> Iterator[PartReport]:
    """Make the parts here or on Dask, one report each, until `stop` is set."""
    if not todo.todo:
        return
    if scheduler is None and (count <= 1 or len(todo.todo) == 1):
        for part in todo.todo:
            if stop.is_set():
                return
            yield run_part(todo.recipe, part, todo.out, make=make)
        return
    with workers.client(min(count, len(todo.todo)), scheduler) as client:
        yield from workers.run(
            client, run_part, todo.todo, recipe=todo.recipe, out=todo.out, stop=stop, make=make,
            watchdog=True,
        )  # fmt: skip


@contextmanager
def writing(
    recipe: Recipe, out: str | Path, *, retry_quarantined: bool = False, add: bool = False
) -> Iterator[Plan]:
    """Hold a dataset for writing, its metadata in place: the plan of what is left to do.

    Raises:
        BuildError: As plan(); or the folder cannot be written.
        LockedError: Another process builds there.
    """
    plan(recipe, out, add=add)  # refuse before anything is touched
    objects = objects_at(out)
    with report_os_errors(objects.url):
        holding = ledger.lock(objects)
        holding.__enter__()
    try:
        with report_os_errors(objects.url):
            ledger.clean(objects)
            if retry_quarantined:
                _forget_crashes(plan(recipe, out, add=add), objects)
            planned = plan(recipe, out, add=add)
            if not planned.complete:
                _write_metadata(planned, objects)
        yield planned
    finally:
        holding.__exit__(*sys.exc_info())


def _write_metadata(planned: Plan, out: Objects) -> None:
    """What the arrays will look like; the root's attributes last, for they make it a dataset.

    An addition only makes arrays longer: older versions read the same before, amid and after.
    """
    wanted = metadata(planned.recipe, planned.growth)
    if wrong := {key: data for key, data in wanted.items() if not _holds(out, key, data)}:
        out.put(wrong)


def run_group(
    recipe: Recipe, parts: Iterable[Part], out: str | Path, *, make: Make | None = None
) -> list[PartReport]:
    """run_part over a group, for executors whose tasks cost more than a part."""
    return [run_part(recipe, part, out, make=make, watchdog=True) for part in parts]


def publish(recipe: Recipe, out: str | Path, *, add: bool = False) -> dict[str, int]:
    """Merge the markers into the tables and commit them as the first version, or the next.

    What is published already is compared byte for byte, and mended where it differs.

    Returns:
        version, episodes, quarantined and bytes of the dataset.
    Raises:
        UnfinishedError: Parts are missing or torn.
        ConflictError: Another writer committed meanwhile.
    """
    left = plan(recipe, out, add=add)
    left.require_finished()
    objects = objects_at(left.out)
    version, files = _next_version(left, objects)
    # Written anew from what they are made of, so damage is mended here and never vouched for
    if wrong := {key: data for key, data in files.items() if not _holds(objects, key, data)}:
        objects.put(wrong)
    if left.version != version:
        versions.commit(objects, version)
    counts = ("version", "episodes", "quarantined", "bytes")
    return {name: getattr(version, name) for name in counts}


def _next_version(left: Plan, out: Objects) -> tuple[Version, dict[str, bytes]]:
    """The version that these parts make, and the tables and metadata that it names, by key."""
    markers = list(left.markers.values())
    before = left.version
    removed = versions.table(out, before, "removed") if before else REMOVED_SCHEMA.empty_table()
    tables = catalog.tables(markers, without=removed["episode_id"].to_pylist())
    parts = [_part_row(part, left.markers[part], out) for part in left.parts]
    entries, files = versions.describe_tables(
        {name: catalog.parquet(table) for name, table in tables.items()}
        | {
            "removed": versions.parquet(removed),
            "parts": versions.parquet(pa.Table.from_pylist(parts, versions.PARTS_SCHEMA)),
        }
    )
    described = metadata(left.recipe, left.growth)
    grown = before is not None and before.growth != left.growth
    added = {"kind": "add", "episodes": left.growth[-1] - left.growth[-2]} if grown else None
    version = Version(
        version=before.version + grown if before else 1,
        change=added or (before.change if before else {"kind": "build"}),
        recipe=left.recipe.model_dump(mode="json"),
        growth=left.growth,
        episodes=tables["catalog"].num_rows,
        quarantined=tables["quarantine"].num_rows,
        removed=removed.num_rows,
        bytes=sum(row["stored_bytes"] for row in parts),
        tables=entries,
        metadata={key: describe(data) for key, data in described.items()},
    )
    return version, described | files


def _part_row(part: Part, marker: dict, out: Objects) -> dict:
    """The part's row of the version's table of parts."""
    key = marker_path(part.bucket, part.number)
    return {
        "key": key,
        **describe(out.get(key)),
        "episodes": len(marker["episodes"]),
        "quarantined": len(marker["quarantined"]),
        "stored_bytes": sum(told["bytes"] for told in marker["objects"].values()),
    }


def _holds(out: Objects, key: str, data: bytes) -> bool:
    try:
        return out.get(key) == data
    except FileNotFoundError:
        return False


def _forget_crashes(done: Plan, out: Objects) -> None:
    """Uncommit the parts whose episodes were given up for crashing.

    Raises:
        BuildError: More than one version names them.
    """
    crashed = [
        part
        for part, marker in done.markers.items()
        if any(r.startswith(CRASHED) for row in marker["quarantined"] for r in row["reasons"])
    ]
    if not crashed:
        return
    if done.version:
        if len(versions.numbers(out)) > 1:
            raise BuildError(
                f"{out.url} has several versions that say which episodes crashed; "
                "`simgen expire` all but one first, or build into another folder"
            )
        out.delete([version_path(done.version.version)])
    for part in crashed:
        out.delete([marker_path(part.bucket, part.number)])
        ledger.Attempts(out, part.name).forget()
