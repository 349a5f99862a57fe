"""Whether a dataset still is what was written, down to the episode and array that is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
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
    """
    path = Path(path).absolute()
    complete = _complete(path)
    problems = list(_check_published(path, complete))
    markers, sizes = [], []
    for key in sorted(complete["objects"]):
        if key.startswith(f"{layout.PARTS}/") and not any(p.key == key for p in problems):
            markers.append(json.loads((path / key).read_bytes()))
    for marker in markers:
        problems += _check_part(path, marker)
        sizes += [told["bytes"] for told in marker["objects"].values()]
    if not any(p.key in (layout.CATALOG, layout.EVENTS, layout.QUARANTINE) for p in problems):
        problems += _check_tables(path, markers)
    again: tuple[str, ...] = ()
    if sample > 0 and not problems:
        again = _drawn(path, sample)
        problems += _check_again(path, again, make)
    return Report(path, complete["episodes"], len(sizes), sum(sizes), again, tuple(problems))


def _complete(path: Path) -> dict:
    """The completion marker. A catalog that cannot be opened is for the checks to report."""
    try:
        return reader.open(path).complete
    except (ValueError, KeyError):
        raise IntegrityError(
            f"{path / layout.COMPLETE} is damaged; build again to publish"
        ) from None


def _check_published(path: Path, complete: dict) -> Iterator[Problem]:
    """Catalog, markers and metadata against the completion marker."""
    for key, told in complete["objects"].items():
        if what := _difference(path / key, told):
            yield Problem(key, what)
    listed = {key for key in complete["objects"] if key.startswith(layout.PARTS)}
    for found in sorted((path / layout.PARTS).glob("*.json")):
        if (key := f"{layout.PARTS}/{found.name}") not in listed:
            yield Problem(key, "is no part of the published dataset")


def _difference(path: Path, told: dict) -> str:
    """What is wrong with an object; empty if nothing."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return "is missing"
    if len(data) != told["bytes"]:
        return f"has {len(data)} bytes, not {told['bytes']}"
    return "" if writer.digest(data) == told["xxh3"] else "has other bytes than were written"


def _check_part(path: Path, marker: dict) -> Iterator[Problem]:
    specs = metadata.stored_specs(path / marker["bucket"])
    by_key = {layout.shard_path(marker["bucket"], s, marker["part"]): s for s in specs.values()}
    for key, told in marker["objects"].items():
        if what := _difference(path / key, told):
            spec = by_key[key]
            hit = _damaged(path, key, spec, marker) or _holders(spec.name, marker)
            yield Problem(key, what, spec.name, tuple(hit))
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


def _check_tables(path: Path, markers: list[dict]) -> Iterator[Problem]:
    """The published tables against what the parts say."""
    dataset = reader.open(path)
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


def _drawn(path: Path, sample: float) -> tuple[str, ...]:
    """Evenly spread episodes, the same on every call."""
    names = reader.open(path).catalog.column("episode_id").to_pylist()
    count = min(len(names), ceil(sample * len(names)))
    return tuple(names[i * len(names) // count] for i in range(count))


def _check_again(
    path: Path, names: tuple[str, ...], make: Callable[[Recipe, int], Episode] | None
) -> Iterator[Problem]:
    dataset = reader.open(path)
    recipe = Recipe.model_validate_json(json.dumps(dataset.attrs["recipe"]))
    for name in names:
        row = dataset.row(name)
        specs = layout.array_specs(recipe, row["bucket"])
        stored = json.loads(row["hashes"])
        episode = make(recipe, row["index"])
        for array, data in arrays.stored_arrays(episode, specs):
            if writer.digest(data) != stored.get(array):
                key = f"{row['bucket']}/{array}"
                yield Problem(key, "simulates to other bytes", array, (name,))
