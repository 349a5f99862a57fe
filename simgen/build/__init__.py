"""Build a dataset: plan -> parts -> publish. Plain functions that any executor can run.

What is done is known from the dataset's own markers, so the same command again does what is left:
nothing when all is done, a torn part anew. A part depends on (recipe, its indices) alone, so any
worker may make any part in any order, and the bytes are the same.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

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
from simgen.store import catalog, commits, ledger, mending, versions
from simgen.store.ledger import LockedError
from simgen.store.metadata import metadata
from simgen.store.objects import DiskFullError, Objects, objects_at
from simgen.store.versions import ConflictError, RequestError, Version

__all__ = [
    "BuildError", "ConflictError", "DiskFullError", "LockedError", "Part", "PartReport", "Plan",
    "Report", "UnfinishedError", "add", "build", "groups", "plan", "publish", "run_group",
    "run_part", "writing",
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


def add(place: str | Path, episodes: int | None = None, *, more: int = 0, **options: Any) -> Report:
    """Give a finished dataset more episodes of its own recipe, as a new version.

    Args:
        place: Its folder or URL.
        episodes: How many it shall have; None: `more` than it has.
        options: As of build().
    Raises:
        RequestError: Nothing is committed there, it was imported, or it has more already.
        BuildError, LockedError, DiskFullError, KeyboardInterrupt: As build().
    """
    newest = versions.read(objects_at(place))
    if newest is None or newest.recipe is None:
        why = "holds no finished dataset; build it" if newest is None else "was imported; import it"
        raise RequestError(f"{place} {why} first, into another folder if need be")
    held = newest.growth[-1]
    if (wanted := held + more if episodes is None else episodes) < held:
        raise RequestError(
            f"{place} has {held} episodes already, not fewer than {wanted}; `simgen remove` takes "
            "episodes out"
        )
    recipe = Recipe.model_validate_json(json.dumps(newest.recipe | {"episodes": wanted}))
    return build(recipe, place, add=True, **options)


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
        ConflictError: Others write something else behind that URL.
    """
    plan(recipe, out, add=add)  # refuse before anything is touched
    objects = objects_at(out)
    with report_os_errors(objects.url):
        holding = ledger.lock(objects)
        holding.__enter__()
    try:
        with report_os_errors(objects.url):
            ledger.clean(objects)
            versions.mend(objects)  # a crash may have come between a commit and its copy
            if retry_quarantined:
                _forget_crashes(plan(recipe, out, add=add), objects)
            planned = plan(recipe, out, add=add)
            if not planned.complete:
                ledger.claim(objects, planned.step, planned.work)
                _write_metadata(planned, objects)
        yield planned
    finally:
        holding.__exit__(*sys.exc_info())


def _write_metadata(planned: Plan, out: Objects) -> None:
    """What the arrays will look like; the root's attributes last, for they make it a dataset.

    An addition's arrays are made longer when it is committed: until then nothing has changed.
    """
    if planned.version is None:
        commits.write_missing(out, metadata(planned.recipe, planned.growth))


def run_group(
    recipe: Recipe, parts: Iterable[Part], out: str | Path, *, make: Make | None = None
) -> list[PartReport]:
    """run_part over a group, for executors whose tasks cost more than a part."""
    return [run_part(recipe, part, out, make=make, watchdog=True) for part in parts]


def publish(recipe: Recipe, out: str | Path, *, add: bool = False) -> dict[str, int]:
    """Merge the markers into the tables and commit them as the first version, or the next.

    Of what is published already, tables and metadata that differ from it are made anew.

    Returns:
        version, episodes, quarantined and bytes of the dataset.
    Raises:
        UnfinishedError: Parts are missing or torn.
        ConflictError: Another writer committed meanwhile.
        IntegrityError: What is published is damaged, and more than this can mend.
    """
    left = plan(recipe, out, add=add)
    left.require_finished()
    objects, version = objects_at(left.out), left.version
    if left.complete:
        _mend(objects, left)
    else:
        version = _commit(left, objects)
    counts = ("version", "episodes", "quarantined", "bytes")
    return {name: getattr(version, name) for name in counts}


def _commit(left: Plan, out: Objects) -> Version:
    """The version that these parts make."""
    before, markers = left.version, [left.markers[part] for part in left.parts]
    removed = commits.removed_ids(out, before) if before else ()
    keys = [left.keys[part] for part in left.parts]
    parts = zip(keys, map(out.get, keys), markers, strict=True)
    added = {"kind": "add", "episodes": left.growth[-1] - left.growth[-2]} if before else None
    return commits.commit(
        out,
        before,
        change=added or {"kind": "build"},
        tables=catalog.tables(markers, without=removed) | {"parts": commits.parts_table(parts)},
        metadata=metadata(left.recipe, left.growth, left.moves),
        recipe=left.recipe.model_dump(mode="json"),
        growth=left.growth,
    )


def _mend(out: Objects, done: Plan) -> None:
    """Make tables and metadata anew that are not as published: never vouch for damage."""
    versions.mend(out)
    keys = [done.keys[part] for part in done.parts]
    commits.write_missing(out, mending.metadata(out, done.version))
    commits.write_missing(out, mending.tables(out, done.version, keys))


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
        if any("layer" in move for move in done.moves):
            raise BuildError(
                f"{out.url} has layers that building its parts again would lose; build into "
                "another folder and backfill that"
            )
        versions.forget(out, done.version.version)
    for part in crashed:
        out.delete([done.keys[part]])
        ledger.attempts_of(out, part.name).forget()
