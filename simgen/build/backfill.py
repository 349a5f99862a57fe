"""Backfill: a channel, a view or a wording for a dataset that is finished, from stored motion.

Nothing is simulated and no episode changes its name. A part's new shards are written, then a new
marker beside the old one, and when all parts have theirs a version that names those: interrupted
at any moment, the dataset is what it was, and the same command goes on. Versions from before stay
as they are. Episodes that come later lack the layer until the same command is run again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from simgen.build import workers
from simgen.build.layering import Clips, blocks, extends, has, layered
from simgen.build.workers import interruptible
from simgen.recipe import Recipe
from simgen.store import catalog, commits, ledger, mending, metadata, reader, squeeze
from simgen.store.layers import Layer, layers_of, marker_key, views_of
from simgen.store.objects import Objects, objects_at
from simgen.store.versions import RequestError, Version
from simgen.stored import Clip, stored_clip

CLIPS_KEPT = 32  # motions in memory: twins share their original's


@dataclass(frozen=True)
class Work:
    """A part that gets the layer."""

    key: str  # of its marker so far
    number: int  # version that names it
    indices: tuple[int, ...]  # episodes that lack the layer


@dataclass(frozen=True)
class Done:
    """A part that has it: key of its new marker."""

    part: Work
    key: str


@dataclass(frozen=True)
class Report:
    """What a backfill did, or would do. `parts_run` 0: everything was there already."""

    url: str
    version: int
    layer: str
    episodes: int  # that got it in this version
    refused: tuple[tuple[str, str], ...]  # episodes that the view does not show, and why
    skipped: int  # that cannot get it, for their parts' arrays are written
    parts: int  # that lacked it
    parts_run: int
    bytes: int  # of the whole version
    seconds: float
    dry_run: bool


def backfill(
    place: str | Path,
    layer: Layer,
    *,
    workers: int = 2,
    scheduler: str | None = None,
    progress: Any = None,
    dry_run: bool = False,
) -> Report:
    """Give a finished dataset a layer, as a new version.

    Args:
        place: Its folder or URL.
        layer: What to add.
        workers: Processes on this machine; 0 or 1 works in this process.
        scheduler: Address of a running Dask scheduler to use instead.
        progress: Called after each part with a Done, the parts done and those in all.
        dry_run: Only say how many parts and episodes it would be.
    Raises:
        RequestError: Nothing is committed there, it was imported, or it has another layer of that
            name.
        ForeignError: Another release made the dataset, and samples other scenes.
        ConflictError, LockedError, DiskFullError: As of build().
        KeyboardInterrupt: Interrupted; the parts in hand were finished first.
    """
    began = time.perf_counter()
    with commits.committing(place, dry_run=dry_run) as (out, newest), interruptible() as stop:
        recipe = _checked(out, newest, layer)
        told = list(squeeze.markers(out, newest))
        todo, skipped = _todo(out, newest, layer, told)
        made = {} if dry_run else _finished(out, layer, todo, {key: m for key, _, m in told})
        left = [work for work in todo if work.key not in made]
        version = newest
        if todo and not dry_run:
            ledger.claim(out, f"backfill-{newest.version:06d}", layer.to_json())
            for done in _run(recipe, layer, left, out, workers, scheduler, stop):
                made[done.part.key] = done.key
                if progress:
                    progress(done, len(made), len(todo))
            if stop.is_set():
                raise KeyboardInterrupt
            told = [_read(out, made[one[0]]) if one[0] in made else one for one in told]
            version = _commit(out, newest, recipe, layer, told, sum(len(w.indices) for w in todo))
    return Report(
        url=out.url,
        version=version.version,
        layer=layer.name,
        episodes=sum(len(work.indices) for work in todo),
        refused=tuple(_refused(layer, (marker for _, _, marker in told))),
        skipped=skipped,
        parts=len(todo),
        parts_run=0 if dry_run else len(left),
        bytes=version.bytes,
        seconds=time.perf_counter() - began,
        dry_run=dry_run,
    )


def _checked(out: Objects, newest: Version, layer: Layer) -> Recipe:
    """The dataset's recipe, if the layer can be put on it."""
    if newest.recipe is None:
        raise RequestError(
            f"{out.url} was imported: footage has no motion to draw again; backfill what was built"
        )
    recipe = Recipe.model_validate_json(json.dumps(newest.recipe))
    for other in layers_of(newest.moves):
        if other.name == layer.name and other != layer:
            raise RequestError(
                f"{out.url} has another layer called {layer.name!r} ({json.dumps(other.to_json())})"
                "; give this one another name"
            )
    if other := metadata.made_elsewhere(mending.attributes(out, newest), recipe):
        raise RequestError(
            f"{out.url} was made with {other}: one dataset must not mix them; backfill it there"
        )
    return recipe


def _todo(
    out: Objects, newest: Version, layer: Layer, told: list[tuple[str, bytes, dict]]
) -> tuple[list[Work], int]:
    """Parts with episodes that lack the layer; and how many lack it that cannot get it."""
    gone, todo, skipped = set(commits.removed_ids(out, newest)), [], 0
    for key, _, marker in told:
        living = [row for row in marker["episodes"] if row["episode_id"] not in gone]
        lacking = [row for row in living if not has(row, layer)]
        blocked = bool(lacking) and blocks(layer, marker, lacking)
        skipped += len(lacking) if blocked else 0
        if lacking and not blocked:
            todo.append(Work(key, newest.version, tuple(row["index"] for row in lacking)))
    return todo, skipped


def _run(
    recipe: Recipe, layer: Layer, left: Sequence[Work], out: Objects, count: int,
    scheduler: str | None, stop: Any,
) -> Iterator[Done]:  # fmt: skip
    if not left:
        return
    if scheduler is None and (count <= 1 or len(left) == 1):
        for work in left:
            if stop.is_set():
                return
            yield run_part(recipe, work, out.url, layer=layer)
        return
    with workers.client(min(count, len(left)), scheduler) as client:
        yield from workers.run(
            client, run_part, left, recipe=recipe, out=out.url, stop=stop, layer=layer
        )


def run_part(recipe: Recipe, work: Work, out: str, *, layer: Layer) -> Done:
    """Put the layer on one part: its shards, then its new marker."""
    objects = objects_at(out)
    marker = json.loads(objects.get(work.key))
    shards, data = layered(recipe, layer, marker, _clips(out, work.number), on=set(work.indices))
    if shards:
        objects.put(shards)
    key = marker_key(work.key, layer.name)
    objects.put({key: data})
    return Done(work, key)


@lru_cache(maxsize=2)
def _clips(out: str, number: int) -> Clips:
    dataset = reader.open(out, version=number)
    recipe = Recipe.model_validate_json(json.dumps(dataset.attrs["recipe"]))

    @lru_cache(maxsize=CLIPS_KEPT)
    def clips(index: int) -> Clip | None:
        try:
            return stored_clip(dataset, recipe.episode_id(index))
        except KeyError:  # quarantined or removed
            return None

    return clips


def _finished(
    out: Objects, layer: Layer, todo: Sequence[Work], markers: dict[str, dict]
) -> dict[str, str]:
    """New markers of parts that an interrupted backfill left whole, by the old one's key."""
    found = {}
    for work in todo:
        key = marker_key(work.key, layer.name)
        try:
            new = json.loads(out.get(key))
            whole = all(out.size(name) == told["bytes"] for name, told in new["objects"].items())
        except (FileNotFoundError, ValueError, KeyError):
            continue
        if whole and extends(layer, new, markers[work.key], set(work.indices)):
            found[work.key] = key
    return found


def _read(out: Objects, key: str) -> tuple[str, bytes, dict]:
    data = out.get(key)
    return key, data, json.loads(data)


def _commit(
    out: Objects, newest: Version, recipe: Recipe, layer: Layer,
    every: list[tuple[str, bytes, dict]], episodes: int,
) -> Version:  # fmt: skip
    known = layer in layers_of(newest.moves)
    move = {"after": len(newest.growth), "moved": [], "dropped": [], "layer": layer.to_json()}
    moves = newest.moves if known else (*newest.moves, move)
    gone = commits.removed_ids(out, newest)
    return commits.commit(
        out,
        newest,
        change={"kind": "backfill", "layer": layer.name, "episodes": episodes},
        tables=catalog.tables((marker for *_, marker in every), without=gone)
        | {"parts": commits.parts_table(every)},
        metadata=None if known else metadata.metadata(recipe, newest.growth, moves),
        moves=moves,
    )


def _refused(layer: Layer, markers: Iterator[dict]) -> Iterator[tuple[str, str]]:
    for marker in markers if layer.kind == "view" else ():
        for row in marker["episodes"]:
            if reason := views_of(row).get(layer.name, {}).get("reason"):
                yield row["episode_id"], reason
