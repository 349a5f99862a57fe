"""Whether a dataset still is what was written, down to the episode and array that is not.

A version's commit vouches for its tables, the table `parts` for the markers, and they for every
object. Parts are checked side by side and forgotten: a million episodes need 16 bytes each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from simgen.episode import Episode
from simgen.recipe import Recipe
from simgen.store import arrays, audit, layout, mending, metadata, reader, stats, versions, writer
from simgen.store.audit import PartCheck, Problem
from simgen.store.objects import Objects, objects_at
from simgen.store.shard import IntegrityError
from simgen.store.versions import Version

THREADS = 4
Step = Callable[[int, int], None]  # parts done, parts in all


@dataclass(frozen=True)
class Report:
    """`problems` empty: the dataset is whole."""

    url: str
    version: int
    episodes: int
    objects: int
    bytes: int
    resimulated: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def intact(self) -> bool:
        return not self.problems


def verify(
    place: str | Path,
    *,
    version: int | None = None,
    sample: float = 0.0,
    make: Callable[[Recipe, int], Episode] | None = None,
    threads: int = THREADS,
    progress: Step | None = None,
) -> Report:
    """Check every object of a version against the hashes taken when it was written.

    Args:
        place: The dataset's folder or URL.
        version: Its number; None: the newest.
        sample: Share of the episodes to simulate again and compare byte for byte; needs the
            engine versions and CPU architecture that made it.
        make: simgen.episode.make_episode, where `sample` is not zero.
        threads: That read and hash objects.
        progress: Called after each part.
    Raises:
        UnreadableError: No finished dataset of this format there.
        UnknownVersionError: No such version.
        IntegrityError: The version's commit is damaged, and so is its copy.
        ValueError: `sample` is not zero and other versions or another CPU made the dataset.
    """
    out = objects_at(place)
    found, wrong = versions.survey(out)
    told, newest = _chosen(out, found, version), found[max(found)] if found else None
    problems = [Problem(damage.key, damage.what) for damage in wrong]
    problems += _check_published(out, told)
    problems += _check_metadata(out, newest, found)
    damaged = {problem.key for problem in problems}
    dataset = reader.Dataset(out, mending.attributes(out, newest), told)
    totals = audit.Totals()
    if told.tables["parts"]["key"] not in damaged:
        rows = versions.table(out, told, "parts").to_pylist()
        check = audit.Auditor(dataset, damaged)
        for number, part in enumerate(_each(check.part, rows, threads), 1):
            problems += part.problems
            totals.add(part)
            if progress:
                progress(number, len(rows))
        if not totals.unread and told.tables["removed"]["key"] not in damaged:
            problems += audit.check_tables(dataset, totals, damaged)
            problems += audit.check_counts(told, totals, len(check.gone))
    again: tuple[str, ...] = ()
    if sample > 0 and not problems:
        again = _drawn(dataset, sample)
        problems += _check_again(dataset, again, make)
    return Report(
        dataset.url, told.version, told.episodes, totals.objects, totals.bytes, again,
        tuple(problems),
    )  # fmt: skip


def _chosen(out: Objects, found: dict[int, Version], number: int | None) -> Version:
    """The version to check, by its commit or the copy."""
    if number is None and found:
        number = max(found)
    if number in found:
        return found[number]
    versions.read(out, number)  # says what is damaged or unknown
    reader.root_attributes(out)
    raise reader.UnreadableError(
        f"{out.url} is unfinished; run the same `simgen build` again to finish it"
    )


def _each(check: Callable[[dict], PartCheck], rows: list[dict], threads: int) -> Iterator:
    """The checks in order, a few ahead of what was asked for."""
    with ThreadPoolExecutor(threads) as pool:
        flying = []
        for row in rows:
            flying.append(pool.submit(check, row))
            if len(flying) > 2 * threads:
                yield flying.pop(0).result()
        for future in flying:
            yield future.result()


def _check_published(out: Objects, told: Version) -> Iterator[Problem]:
    """Tables and statistics of the version."""
    entries = [(entry["key"], entry) for entry in told.tables.values()]
    if told.removed:
        entries.append((layout.copy_path(told.tables["removed"]["key"]), told.tables["removed"]))
    for key, entry in entries:
        if what := mending.difference(out, key, entry):
            yield Problem(key, what)
    try:
        stats.stored(out, told)
    except IntegrityError:
        yield Problem(layout.stats_path(told.version), "has other bytes than were written")


def _check_metadata(out: Objects, newest: Version, found: dict[int, Version]) -> Iterator[Problem]:
    """Metadata, which is the newest version's, or already that of a commit that did not come."""
    wrong = {
        key: what
        for key, entry in newest.metadata.items()
        if (what := mending.difference(out, key, entry))
    }
    for key in out.list():
        if key.endswith("zarr.json") and key not in newest.metadata:
            wrong[key] = "is no metadata of the published dataset"
    for key, what in wrong.items():
        missing = out.size(key) is None
        if missing or not mending.is_ahead(out, key, found.values()):
            yield Problem(key, what, array=key.split("/")[1] if key.count("/") == 2 else "")


def _drawn(dataset: reader.Dataset, sample: float) -> tuple[str, ...]:
    """Evenly spread episodes, the same on every call."""
    names = dataset.catalog.column("episode_id").to_pylist()
    count = min(len(names), ceil(sample * len(names)))
    return tuple(names[i * len(names) // count] for i in range(count))


def _check_again(
    dataset: reader.Dataset, names: tuple[str, ...], make: Callable[[Recipe, int], Episode] | None
) -> Iterator[Problem]:
    if dataset.attrs["recipe"] is None:
        raise ValueError(
            f"{dataset.url} was imported and has no recipe to simulate again; verify without a "
            "sample"
        )
    recipe = Recipe.model_validate_json(json.dumps(dataset.attrs["recipe"]))
    if other := metadata.made_elsewhere(dataset.attrs, recipe):
        raise ValueError(
            f"{dataset.url} was made with {other}: simulating again gives other bytes; do it "
            "there, or verify without a sample"
        )
    for name in names:
        row = dataset.row(name)
        specs = layout.array_specs(recipe, row["bucket"])
        stored = json.loads(row["hashes"])
        episode = make(recipe, row["index"])
        if episode.reasons:
            what = f"simulates to a rejected clip ({'; '.join(episode.reasons)})"
            yield Problem(
                dataset.version.tables["catalog"]["key"], what, ", ".join(stored), (name,)
            )
            continue
        for array, data in arrays.stored_arrays(episode, specs):
            if writer.digest(data) != stored.get(array):
                key = f"{row['bucket']}/{array}"
                yield Problem(key, "simulates to other bytes", array, (name,))
