"""One part of a dataset: its episodes made, encoded and committed."""

from __future__ import annotations

import faulthandler
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from simgen import episode as episodes
from simgen.build.planning import Part
from simgen.motion import SimulationError
from simgen.recipe import Recipe
from simgen.store import arrays, catalog, ledger, shard, writer
from simgen.store.layout import FORMAT_VERSION, array_specs, shard_path
from simgen.store.metadata import provenance
from simgen.store.objects import Objects, objects_at

EPISODE_TIMEOUT_S = 900.0  # native code that hangs longer than this ends its process
CRASHED = "crashed the worker"
Make = Callable[[Recipe, int], episodes.Episode]


@dataclass(frozen=True)
class PartReport:
    """What came of one part; `costs_s` are CPU seconds by stage."""

    part: Part
    episodes: int
    quarantined: int
    bytes: int
    costs_s: dict[str, float] = field(default_factory=dict)


def run_part(
    recipe: Recipe,
    part: Part,
    out: str | Path,
    *,
    make: Make | None = None,
    watchdog: bool = False,
) -> PartReport:
    """Make one part and commit it: all of its objects, then its marker.

    Episodes that quality control or the engine rejects leave their rows absent. One that was in
    hand in three attempts that died is not tried again.

    Args:
        out: The dataset's folder or URL, made by `writing`.
        make: Stands in for simgen.episode.make_episode.
        watchdog: End this process when an episode hangs for EPISODE_TIMEOUT_S. For workers.
    Raises:
        DiskFullError: No room; the part is not committed.
        RuntimeError: The part killed its process three times while it was being stored.
    """
    out = objects_at(out)
    attempts = ledger.attempts_of(out, part.name)
    deaths = attempts.deaths()
    if deaths[ledger.STORING] >= ledger.ATTEMPTS:
        raise RuntimeError(
            f"part {part.name} of {out.url} killed its process {ledger.ATTEMPTS} times in storing; "
            f"give it more memory, delete {attempts.place} and run the same command again"
        )
    work = _Work(recipe, part)
    with attempts.attempt():
        for row, index in zip(part.rows, part.indices, strict=True):
            if deaths[str(index)] >= ledger.ATTEMPTS:
                work.reject(index, [f"{CRASHED} {deaths[str(index)]} times"])
                continue
            attempts.enter(str(index))
            with _limited(EPISODE_TIMEOUT_S if watchdog else None):
                work.add(row, index, make or episodes.make_episode)
        attempts.enter(ledger.STORING)
        size = work.commit(out)
    ledger.record_costs(out, part.name, dict(work.costs_s))
    return PartReport(part, len(work.episodes), len(work.quarantined), size, dict(work.costs_s))


def make_part(
    recipe: Recipe,
    part: Part,
    *,
    make: Make | None = None,
    crashed: Mapping[int, Sequence[str]] | None = None,
) -> tuple[dict[str, bytes], bytes]:
    """What run_part would write, shards by key and the marker; nothing is written.

    Args:
        crashed: Episodes not to try again, and what was said of them.
    """
    work = _Work(recipe, part)
    for row, index in zip(part.rows, part.indices, strict=True):
        if crashed and index in crashed:
            work.reject(index, crashed[index])
        else:
            work.add(row, index, make or episodes.make_episode)
    shards, marker = work.contents()
    return shards, writer.sealed(marker, shards)


@contextmanager
def _limited(seconds: float | None) -> Iterator[None]:
    """End the process, its stacks on stderr, if what is inside takes longer; None: no limit."""
    if seconds is None:
        yield
        return
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:  # an error must not leave the limit to whatever this process does next
        faulthandler.cancel_dump_traceback_later()


class _Work:
    """A part in the making: encoded chunks and catalog rows so far."""

    def __init__(self, recipe: Recipe, part: Part):
        self.recipe, self.part = recipe, part
        self.specs = array_specs(recipe, part.bucket)
        self.cpu = provenance(recipe)["cpu"]
        self.chunks: dict[str, dict[int, list[bytes]]] = {name: {} for name in self.specs}
        self.episodes: list[dict] = []
        self.events: list[dict] = []
        self.quarantined: list[dict] = []
        self.costs_s: Counter[str] = Counter()

    def reject(self, index: int, reasons: Sequence[str]) -> None:
        """Leave the episode's row absent and list why."""
        self.quarantined.append(catalog.quarantine_row(self.recipe, index, reasons))

    def add(self, row: int, index: int, make: Make) -> None:
        """Make an episode and encode it at once: only compressed bytes stay in memory."""
        began = time.process_time()
        try:
            episode = make(self.recipe, index)
        except SimulationError as error:
            self.reject(index, [str(error)])
            return
        made = time.process_time()
        self.costs_s.update(episode.costs_s)
        self.costs_s["rest"] += made - began - sum(episode.costs_s.values())
        if episode.reasons:
            self.reject(index, episode.reasons)
            return
        hashes = {}
        for name, array in arrays.stored_arrays(episode, self.specs):
            hashes[name] = writer.digest(array)
            self.chunks[name][row - self.part.rows[0]] = shard.encode_episode(
                self.specs[name], array
            )
        self.costs_s["compress"] += time.process_time() - made
        self.episodes.append(
            catalog.catalog_row(episode, self.recipe, row=row, hashes=hashes, cpu=self.cpu)
        )
        self.events += catalog.event_rows(episode)

    def commit(self, out: Objects) -> int:
        """Write the shards, then the marker; returns the shards' bytes."""
        began = time.process_time()
        shards, marker = self.contents()
        writer.commit(out, shards, marker)
        self.costs_s["store"] += time.process_time() - began
        return sum(map(len, shards.values()))

    def contents(self) -> tuple[dict[str, bytes], dict]:
        """The part's shards by key, and its marker without what it says of them."""
        shards = {
            shard_path(self.part.bucket, spec, self.part.number): shard.assemble(
                spec, self.recipe.episodes_per_part, self.chunks[name]
            )
            for name, spec in self.specs.items()
            if self.chunks[name]
        }
        marker = {
            "format_version": FORMAT_VERSION,
            "content_hash": self.recipe.content_hash,
            "bucket": self.part.bucket,
            "part": self.part.number,
            "episodes": self.episodes,
            "events": self.events,
            "quarantined": self.quarantined,
        }
        return shards, marker
