"""Whether a dataset still is what was written, down to the episode and array that is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import pyarrow as pa

from simgen.episode import Episode
from simgen.recipe import Recipe
from simgen.store import arrays, catalog, layout, metadata, reader, versions, writer
from simgen.store.objects import Objects
from simgen.store.shard import IntegrityError, Shard


@dataclass(frozen=True)
class Problem:
    """Something that is not as written. `episodes` empty: it concerns the whole dataset."""

    key: str  # object, relative to the dataset
    what: str
    array: str = ""
    episodes: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.episodes:
            return f"{self.key}: {self.what}"
        return f"{self.key}: {self.what}: array {self.array}, episode {', '.join(self.episodes)}"


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
) -> Report:
    """Check every object of a version against the hashes taken when it was written.

    Args:
        place: The dataset's folder or URL.
        version: Its number; None: the newest.
        sample: Share of the episodes to simulate again and compare byte for byte; needs the
            engine versions and CPU architecture that made it.
        make: simgen.episode.make_episode, where `sample` is not zero.
    Raises:
        UnreadableError: No finished dataset of this format there.
        IntegrityError: The version's commit is damaged.
        ValueError: `sample` is not zero and other versions or another CPU made the dataset.
    """
    dataset = reader.open(place, version=version)  # its tables are for the checks to read
    out, told = dataset.objects, dataset.version
    problems = list(_check_published(dataset))
    damaged = {problem.key for problem in problems}
    markers = []
    if told.tables["parts"]["key"] not in damaged:
        parts = versions.table(out, told, "parts").to_pylist()
        for row in parts:
            if what := _difference(out, row["key"], row):
                problems.append(Problem(row["key"], what))
            else:
                markers.append(json.loads(out.get(row["key"])))
        if len(markers) == len(parts):
            problems += _check_tables(dataset, markers, damaged)
            problems += _check_counts(dataset, markers)
    for marker in markers:
        problems += _check_part(out, dataset.attrs, marker, damaged)
    again: tuple[str, ...] = ()
    if sample > 0 and not problems:
        again = _drawn(dataset, sample)
        problems += _check_again(dataset, again, make)
    sizes = [described["bytes"] for m in markers for described in m["objects"].values()]
    return Report(
        dataset.url, told.version, told.episodes, len(sizes), sum(sizes), again, tuple(problems)
    )


def _check_published(dataset: reader.Dataset) -> Iterator[Problem]:
    """Tables and, of the newest version, metadata against what the version names."""
    out, told = dataset.objects, dataset.version
    for entry in told.tables.values():
        if what := _difference(out, entry["key"], entry):
            yield Problem(entry["key"], what)
    if told.version != versions.numbers(out)[-1]:
        return  # additions since have made arrays longer
    for key, entry in told.metadata.items():
        if what := _difference(out, key, entry):
            yield Problem(key, what)
    for key in out.list():
        if key.endswith("zarr.json") and key not in told.metadata:
            yield Problem(key, "is no metadata of the published dataset")


def _difference(out: Objects, key: str, told: dict) -> str:
    """What is wrong with an object; empty if nothing."""
    try:
        data = out.get(key)
    except FileNotFoundError:
        return "is missing"
    if len(data) != told["bytes"]:
        return f"has {len(data)} bytes, not {told['bytes']}"
    return "" if writer.digest(data) == told["xxh3"] else "has other bytes than were written"


def _check_part(
    out: Objects, attrs: dict, marker: dict, damaged: Collection[str]
) -> Iterator[Problem]:
    """A part's objects against its marker; `damaged` are the keys that cannot be relied on."""
    root, group = "zarr.json", f"{marker['bucket']}/zarr.json"
    described = not {root, group} & set(damaged)
    specs = metadata.stored_specs(out, marker["bucket"]) if described else {}
    by_key = {layout.shard_path(marker["bucket"], s, marker["part"]): s for s in specs.values()}
    for key, told in marker["objects"].items():
        if what := _difference(out, key, told):
            array, rows = key.split("/")[1], attrs["episodes_per_part"]
            hit = _damaged(out, key, by_key[key], marker, rows) if key in by_key else []
            yield Problem(key, what, array, tuple(hit or _holders(array, marker)))
    held = {name for row in marker["episodes"] for name in json.loads(row["hashes"])}
    for key in sorted(key for key, spec in by_key.items() if spec.name in held):
        if key not in marker["objects"]:
            yield Problem(key, "is not named by its marker", by_key[key].name)


def _holders(array: str, marker: dict) -> list[str]:
    return [r["episode_id"] for r in marker["episodes"] if array in json.loads(r["hashes"])]


def _damaged(out: Objects, key: str, spec: layout.ArraySpec, marker: dict, rows: int) -> list[str]:
    """Episodes whose content in a changed object is not what the catalog's hash says."""
    try:
        shard = Shard(out, key, spec, rows)
    except IntegrityError:
        return _holders(spec.name, marker)
    damaged = []
    for row in marker["episodes"]:
        if (wanted := json.loads(row["hashes"]).get(spec.name)) is None:
            continue
        try:
            data = shard.read(row["row"] % rows, 0, spec.shape[0])
        except (IntegrityError, RuntimeError, ValueError):
            damaged.append(row["episode_id"])
            continue
        if writer.digest(data) != wanted:
            damaged.append(row["episode_id"])
    return damaged


def _check_counts(dataset: reader.Dataset, markers: list[dict]) -> Iterator[Problem]:
    """What the version says of itself against its parts."""
    told, removed = dataset.version, dataset.version.removed
    wanted = {
        "episodes": sum(len(marker["episodes"]) for marker in markers) - removed,
        "quarantined": sum(len(marker["quarantined"]) for marker in markers),
        "bytes": sum(entry["bytes"] for m in markers for entry in m["objects"].values()),
    }
    for name, value in wanted.items():
        if (given := getattr(told, name)) != value:
            key = layout.version_path(told.version)
            yield Problem(key, f"says {name} {given}, the parts say {value}")


def _check_tables(
    dataset: reader.Dataset, markers: list[dict], damaged: Collection[str]
) -> Iterator[Problem]:
    """The published tables against what the parts say."""
    entries = dataset.version.tables
    if damaged & {entry["key"] for entry in entries.values()}:
        return
    gone = dataset.removed["episode_id"].to_pylist()
    for name, wanted in catalog.tables(markers, without=gone).items():
        table = versions.table(dataset.objects, dataset.version, name)
        if not table.equals(wanted):
            key = entries[name]["key"]
            yield Problem(key, f"disagrees with the parts{_first_difference(table, wanted)}")


def _first_difference(table: pa.Table, wanted: pa.Table) -> str:
    if table.num_rows != wanted.num_rows:
        return f": {table.num_rows} rows, not {wanted.num_rows}"
    pairs = zip(table.to_pylist(), wanted.to_pylist(), strict=True)
    row = next((b for a, b in pairs if a != b), None)
    return f", first at episode {row['episode_id']}" if row else ""


def _drawn(dataset: reader.Dataset, sample: float) -> tuple[str, ...]:
    """Evenly spread episodes, the same on every call."""
    names = dataset.catalog.column("episode_id").to_pylist()
    count = min(len(names), ceil(sample * len(names)))
    return tuple(names[i * len(names) // count] for i in range(count))


def _check_again(
    dataset: reader.Dataset, names: tuple[str, ...], make: Callable[[Recipe, int], Episode] | None
) -> Iterator[Problem]:
    recipe = Recipe.model_validate_json(json.dumps(dataset.attrs["recipe"]))
    here = metadata.provenance(recipe)
    for key in ("simgen_version", "engine_versions", "cpu"):
        if (made := dataset.attrs[key]) != here[key]:
            raise ValueError(
                f"{dataset.url} was made with {key} {made}, here it is {here[key]}: simulating "
                "again gives other bytes; do it there, or verify without a sample"
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
