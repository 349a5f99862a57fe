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
from simgen.store import arrays, catalog, layout, metadata, reader, writer
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

    path: Path
    episodes: int
    objects: int
    bytes: int
    resimulated: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def intact(self) -> bool:
        return not self.problems


def verify(
    path: str | Path,
    *,
    sample: float = 0.0,
    make: Callable[[Recipe, int], Episode] | None = None,
) -> Report:
    """Check every object of a finished dataset against the hashes taken when it was written.

    Args:
        path: The dataset's folder.
        sample: Share of the episodes to simulate again and compare byte for byte; needs the
            engine versions and CPU architecture that made it.
        make: simgen.episode.make_episode, where `sample` is not zero.
    Raises:
        UnreadableError: No finished dataset there.
        IntegrityError: The completion marker is damaged.
        ValueError: It has an older format, or `sample` is not zero and other versions or another
            CPU made the dataset.
    """
    dataset = reader.open(path)  # its tables are for the checks to read
    if (version := dataset.attrs["format_version"]) != layout.FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {version}, and only {layout.FORMAT_VERSION} can be "
            "verified here: do it with the physreel that made it, or build its recipe again"
        )
    path, complete = dataset.path, dataset.complete
    problems = list(_check_published(path, complete))
    damaged = {problem.key for problem in problems}
    keys = [key for key in sorted(complete["objects"]) if key.startswith(f"{layout.PARTS}/")]
    markers = [json.loads((path / key).read_bytes()) for key in keys if key not in damaged]
    for marker in markers:
        problems += _check_part(path, marker, damaged)
    if not damaged & {layout.CATALOG, layout.EVENTS, layout.QUARANTINE, *keys}:
        problems += _check_tables(dataset, markers)
        problems += _check_counts(dataset, markers)
    again: tuple[str, ...] = ()
    if sample > 0 and not problems:
        again = _drawn(dataset, sample)
        problems += _check_again(dataset, again, make)
    sizes = [told["bytes"] for marker in markers for told in marker["objects"].values()]
    episodes = sum(len(marker["episodes"]) for marker in markers)
    return Report(path, episodes, len(sizes), sum(sizes), again, tuple(problems))


def _check_published(path: Path, complete: dict) -> Iterator[Problem]:
    """Catalog, markers and metadata against the completion marker."""
    for key, told in complete["objects"].items():
        if what := _difference(path / key, told):
            yield Problem(key, what)
    listed = {key for key in complete["objects"] if key.startswith(layout.PARTS)}
    for found in sorted((path / layout.PARTS).glob("*.json")):
        if (key := f"{layout.PARTS}/{found.name}") not in listed:
            yield Problem(key, "is no part of the published dataset")
    for found in sorted(path.glob("**/zarr.json")):
        if (key := found.relative_to(path).as_posix()) not in complete["objects"]:
            yield Problem(key, "is no metadata of the published dataset")


def _difference(path: Path, told: dict) -> str:
    """What is wrong with an object; empty if nothing."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return "is missing"
    if len(data) != told["bytes"]:
        return f"has {len(data)} bytes, not {told['bytes']}"
    return "" if writer.digest(data) == told["xxh3"] else "has other bytes than were written"


def _check_part(path: Path, marker: dict, damaged: Collection[str]) -> Iterator[Problem]:
    """A part's objects against its marker; `damaged` are the keys that cannot be relied on."""
    root, group = "zarr.json", f"{marker['bucket']}/zarr.json"
    described = not {root, group} & set(damaged)
    specs = metadata.stored_specs(path / marker["bucket"]) if described else {}
    by_key = {layout.shard_path(marker["bucket"], s, marker["part"]): s for s in specs.values()}
    for key, told in marker["objects"].items():
        if what := _difference(path / key, told):
            array = key.split("/")[1]
            hit = _damaged(path, key, by_key[key], marker) if key in by_key else []
            yield Problem(key, what, array, tuple(hit or _holders(array, marker)))
    held = {name for row in marker["episodes"] for name in json.loads(row["hashes"])}
    for key in sorted(key for key, spec in by_key.items() if spec.name in held):
        if key not in marker["objects"]:
            yield Problem(key, "is not named by its marker", by_key[key].name)


def _holders(array: str, marker: dict) -> list[str]:
    return [r["episode_id"] for r in marker["episodes"] if array in json.loads(r["hashes"])]


def _damaged(path: Path, key: str, spec: layout.ArraySpec, marker: dict) -> list[str]:
    """Episodes whose content in a changed object is not what the catalog's hash says."""
    recipe = json.loads((path / "zarr.json").read_bytes())["attributes"]["recipe"]
    rows = recipe["episodes_per_part"]
    try:
        shard = Shard(path / key, spec, rows)
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
    """What the completion marker says of itself: no other object holds its hash."""
    wanted = {
        "episodes": sum(len(marker["episodes"]) for marker in markers),
        "quarantined": sum(len(marker["quarantined"]) for marker in markers),
        "bytes": sum(told["bytes"] for m in markers for told in m["objects"].values()),
        "recipe_hash": dataset.attrs["recipe_hash"],
    }
    for name, value in wanted.items():
        if (given := dataset.complete[name]) != value:
            yield Problem(layout.COMPLETE, f"says {name} {given}, the parts say {value}")
    missing = {layout.CATALOG, layout.EVENTS, layout.QUARANTINE, "zarr.json"}
    for key in sorted(missing - set(dataset.complete["objects"])):
        yield Problem(layout.COMPLETE, f"does not name {key}")


def _check_tables(dataset: reader.Dataset, markers: list[dict]) -> Iterator[Problem]:
    """The published tables against what the parts say."""
    published = (dataset.catalog, dataset.events(), dataset.quarantine)
    names = (layout.CATALOG, layout.EVENTS, layout.QUARANTINE)
    for name, table, wanted in zip(names, published, catalog.tables(markers), strict=True):
        if not table.equals(wanted):
            yield Problem(name, f"disagrees with the parts{_first_difference(table, wanted)}")


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
                f"{dataset.path} was made with {key} {made}, here it is {here[key]}: simulating "
                "again gives other bytes; do it there, or verify without a sample"
            )
    for name in names:
        row = dataset.row(name)
        specs = layout.array_specs(recipe, row["bucket"])
        stored = json.loads(row["hashes"])
        episode = make(recipe, row["index"])
        if episode.reasons:
            what = f"simulates to a rejected clip ({'; '.join(episode.reasons)})"
            yield Problem(layout.CATALOG, what, ", ".join(stored), (name,))
            continue
        for array, data in arrays.stored_arrays(episode, specs):
            if writer.digest(data) != stored.get(array):
                key = f"{row['bucket']}/{array}"
                yield Problem(key, "simulates to other bytes", array, (name,))
