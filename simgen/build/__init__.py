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
from simgen.store import catalog, ledger, writer
from simgen.store.layout import (
    CATALOG,
    COMPLETE,
    EVENTS,
    FORMAT_VERSION,
    QUARANTINE,
    canonical_json,
    marker_path,
)
from simgen.store.ledger import LockedError
from simgen.store.metadata import metadata
from simgen.store.writer import DiskFullError

__all__ = [
    "BuildError", "DiskFullError", "LockedError", "Part", "PartReport", "Plan", "Report",
    "UnfinishedError", "build", "groups", "plan", "publish", "run_group", "run_part", "writing",
]  # fmt: skip


@dataclass(frozen=True)
class Report:
    """What a build did. `parts_run` 0: everything was there already."""

    out: Path
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
    make: Make | None = None,
) -> Report:
    """Make what the dataset lacks and publish it.

    Args:
        recipe: What to build.
        out: The dataset's folder; made if absent, continued if it holds this recipe.
        workers: Processes on this machine; 0 or 1 works in this process.
        progress: Called after each part.
        scheduler: Address of a running Dask scheduler to use instead.
        retry_quarantined: Try episodes again that crashed their workers.
        make: Stands in for simgen.episode.make_episode; importable by the workers.
    Raises:
        BuildError: The folder cannot take this recipe, or the disk cannot hold the plan.
        LockedError: Another process builds there.
        DiskFullError: The disk filled up; what is committed is kept.
        KeyboardInterrupt: Interrupted; the parts in hand were finished first. The second Ctrl-C
            drops them.
    """
    began = time.perf_counter()
    with writing(recipe, out, retry_quarantined=retry_quarantined) as todo, interruptible() as stop:
        done = len(todo.parts) - len(todo.todo)
        for number, report in enumerate(_run(todo, workers, scheduler, make, stop), done + 1):
            if progress:
                progress(report, number, len(todo.parts))
        if stop.is_set():
            raise KeyboardInterrupt
        summary = publish(recipe, out)
    return Report(
        out=todo.out,
        parts=len(todo.parts),
        parts_run=len(todo.todo),
        seconds=time.perf_counter() - began,
        costs_s=dict(ledger.costs(todo.out)),
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
def writing(recipe: Recipe, out: str | Path, *, retry_quarantined: bool = False) -> Iterator[Plan]:
    """Hold a dataset for writing, its metadata in place: the plan of what is left to do.

    Raises:
        BuildError: As plan(); or the folder cannot be written.
        LockedError: Another process builds there.
    """
    plan(recipe, out)  # refuse before anything is touched
    out = Path(out).absolute()
    with report_os_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        holding = ledger.lock(out)
        holding.__enter__()
    try:
        with report_os_errors(out):
            ledger.clean(out)
            if not (out / "zarr.json").exists():
                writer.write_objects(out, metadata(recipe))
            if retry_quarantined:
                _forget_crashes(plan(recipe, out))
        yield plan(recipe, out)
    finally:
        holding.__exit__(*sys.exc_info())


def run_group(
    recipe: Recipe, parts: Iterable[Part], out: str | Path, *, make: Make | None = None
) -> list[PartReport]:
    """run_part over a group, for executors whose tasks cost more than a part."""
    return [run_part(recipe, part, out, make=make, watchdog=True) for part in parts]


def publish(recipe: Recipe, out: str | Path) -> dict[str, int]:
    """Merge the markers into catalog, events and quarantine, and mark the dataset complete.

    Returns:
        episodes, quarantined and bytes of the dataset.
    Raises:
        UnfinishedError: Parts are missing or torn.
    """
    left = plan(recipe, out)
    left.require_finished()
    keys = [marker_path(part.bucket, part.number) for part in left.parts]
    texts = {key: (left.out / key).read_bytes() for key in sorted(keys)}
    markers = list(left.markers.values())
    files = dict(
        zip(
            (CATALOG, EVENTS, QUARANTINE),
            map(catalog.parquet, catalog.tables(markers)),
            strict=True,
        )
    )
    counts = {
        "episodes": sum(len(m["episodes"]) for m in markers),
        "quarantined": sum(len(m["quarantined"]) for m in markers),
        "bytes": sum(o["bytes"] for m in markers for o in m["objects"].values()),
    }
    files = metadata(recipe) | files
    complete = canonical_json(
        {
            "format_version": FORMAT_VERSION,
            "recipe_hash": recipe.hash,
            **counts,
            "objects": {key: writer.describe(data) for key, data in (files | texts).items()},
        }
    )
    # Written anew from what they are made of, so damage is mended here and never vouched for
    if wrong := {key: data for key, data in files.items() if not _holds(left.out / key, data)}:
        (left.out / COMPLETE).unlink(missing_ok=True)
        writer.write_objects(left.out, wrong)
    if not _holds(left.out / COMPLETE, complete):
        writer.write_objects(left.out, {COMPLETE: complete})
    return counts


def _holds(path: Path, data: bytes) -> bool:
    return path.exists() and path.read_bytes() == data


def _forget_crashes(done: Plan) -> None:
    """Uncommit the parts whose episodes were given up for crashing."""
    for part, marker in done.markers.items():
        reasons = [reason for row in marker["quarantined"] for reason in row["reasons"]]
        if any(reason.startswith(CRASHED) for reason in reasons):
            (done.out / COMPLETE).unlink(missing_ok=True)
            (done.out / marker_path(part.bucket, part.number)).unlink()
            ledger.Attempts(done.out, part.name).forget()
