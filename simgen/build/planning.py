"""The plan of a build: which parts a recipe has, which of them the folder already holds."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

from simgen.recipe import Recipe
from simgen.store import layout, versions
from simgen.store.layout import Bucket
from simgen.store.metadata import provenance
from simgen.store.objects import LocalObjects, Objects, objects_at
from simgen.store.shard import IntegrityError
from simgen.store.versions import Version

# Stored bytes an element and CPU time, by builds of 64 clips; a camera that moves leaves
# nothing as it was. What is committed corrects the bytes.
_STILL = {"rgb": 0.06, "depth": 0.09, "segmentation": 0.02, "normals": 0.05, "flow": 0.08}
_MOVING = {"rgb": 0.2, "depth": 0.4, "segmentation": 0.06, "normals": 0.2, "flow": 0.9}
_SECONDS_A_PIXEL = 2.5e-7  # all channels
_SECONDS_A_FRAME = 0.005  # physics
_SECONDS_AN_EPISODE = 0.05


class BuildError(ValueError):
    """The folder and the recipe do not go together; the message says what to do."""


class UnfinishedError(RuntimeError):
    """Parts of the dataset are missing."""


@dataclass(frozen=True)
class Part:
    """A run of rows of one bucket: one shard of each of its arrays."""

    bucket: str
    number: int
    rows: range
    indices: tuple[int, ...]  # the episode of each row
    seconds: float  # CPU time it may take

    @property
    def name(self) -> str:
        return f"{self.bucket}-{self.number:06d}"


@dataclass(frozen=True)
class Plan:
    """All parts of a recipe, and the markers of those that `out` holds whole."""

    recipe: Recipe
    out: str  # folder or URL
    growth: tuple[int, ...]  # see layout.buckets, as moves
    moves: tuple[dict, ...]
    parts: tuple[Part, ...]
    markers: dict[Part, dict]
    keys: dict[Part, str]  # of each part's marker, there or not
    version: Version | None  # the newest that is committed
    bytes: int  # of the whole dataset, estimated
    free_bytes: int | None  # None: storage without a limit that we know

    @property
    def complete(self) -> bool:
        """Published, with all of these episodes."""
        return self.version is not None and self.version.growth == self.growth

    @cached_property
    def todo(self) -> tuple[Part, ...]:
        """Parts to run, in order."""
        return tuple(part for part in self.parts if part not in self.markers)

    @property
    def step(self) -> str:
        """First build or which addition it is, and of which arrangement of the parts."""
        return f"{len(self.growth):06d}-{len(self.moves):06d}"

    @property
    def work(self) -> dict[str, Any]:
        """All that decides what is written in that step."""
        told = provenance(self.recipe, self.growth)
        names = ("growth", "content_hash", "episodes_per_part", "cpu", "format_version",
                 "simgen_version", "engine_versions")  # fmt: skip
        return {name: told[name] for name in names}

    @property
    def bytes_needed(self) -> int:
        """Of the parts to run, estimated."""
        stored = sum(o["bytes"] for m in self.markers.values() for o in m["objects"].values())
        return max(self.bytes - stored, 0) if self.todo else 0

    def require_finished(self) -> None:
        """Raise UnfinishedError unless every part is committed."""
        if self.todo:
            raise UnfinishedError(
                f"{self.out} lacks {len(self.todo)} of {len(self.parts)} parts, first "
                f"{self.todo[0].name}; run the same build again to make them"
            )


def plan(recipe: Recipe, out: str | Path, *, add: bool = False) -> Plan:
    """What building the recipe into that folder would do; touches nothing.

    Args:
        add: The dataset may have fewer episodes of this recipe: make the rest.
    Raises:
        BuildError: The folder holds something else, another recipe or versions, or the disk has
            less room than the plan needs.
    """
    objects = objects_at(out)
    with report_os_errors(objects.url):
        attrs = _check_folder(recipe, objects)
        version = _newest(objects) if attrs else None
        growth = _growth(recipe, objects, attrs, version, add=add)
        recipe = recipe.model_copy(update={"episodes": growth[-1]})
        moves = version.moves if version else ()
        buckets = layout.buckets(recipe, growth, moves)
        parts = parts_of(buckets)
        sizes = objects.list() if attrs else {}
        keys = _marker_keys(objects, version, parts)
        markers = {p: m for p in parts if (m := _marker(recipe, objects, p, keys[p], sizes))}
        result = Plan(
            recipe=recipe,
            out=objects.url,
            growth=growth,
            moves=moves,
            parts=parts,
            markers=markers,
            keys=keys,
            version=version,
            bytes=_estimate(recipe, buckets, markers),
            free_bytes=_free_bytes(objects),
        )
    if result.free_bytes is not None and result.bytes_needed > result.free_bytes:
        raise BuildError(
            f"{result.out}: the dataset needs about {result.bytes_needed:,} bytes more and the "
            f"disk has {result.free_bytes:,} free; make room, or build fewer episodes or smaller "
            "frames"
        )
    return result


def groups(parts: Sequence[Part], seconds: float = 60.0) -> list[tuple[Part, ...]]:
    """The parts in runs of about that much work, for executors with costly tasks."""
    result: list[list[Part]] = []
    filled = seconds
    for part in parts:
        if filled >= seconds:
            result.append([])
            filled = 0.0
        result[-1].append(part)
        filled += part.seconds
    return [tuple(group) for group in result]


@contextmanager
def report_os_errors(out: str) -> Iterator[None]:
    """Say what is wrong with the output folder instead of a bare OSError."""
    try:
        yield
    except (PermissionError, NotADirectoryError, FileExistsError, FileNotFoundError) as error:
        raise BuildError(
            f"{out} cannot be used: {error.strerror} ({error.filename}); give a folder that can "
            "be written"
        ) from error
    except OSError as error:
        if type(error) is OSError and error.strerror:
            raise BuildError(f"{out} cannot be used: {error.strerror}") from error
        raise


def _check_folder(recipe: Recipe, out: Objects) -> dict | None:
    """Root attributes of the dataset there, which is of this recipe; None: there is nothing yet.

    Raises:
        BuildError: It holds anything else.
    """
    try:
        data = out.get("zarr.json")
    except FileNotFoundError:
        if strangers := [key for key in out.list() if not _ours(key)]:
            raise BuildError(
                f"{out.url} is not a physreel dataset and not empty (it has {strangers[0]!r}); "
                "give another folder"
            ) from None
        return None
    try:
        found = json.loads(data)["attributes"]
    except (ValueError, KeyError):
        raise BuildError(f"{out.url}/zarr.json is damaged; {versions.MEND}") from None
    wanted = provenance(recipe)
    if found.get("format") != "physreel":
        raise BuildError(f"{out.url} is a Zarr group that physreel did not make; give another")
    for key in ("format_version", "simgen_version", "engine_versions", "cpu"):
        if found.get(key) != wanted[key]:
            raise BuildError(
                f"{out.url} was begun with {key} {found.get(key)}, here it is {wanted[key]}: one "
                "dataset must not mix them; finish it there, or build into another folder"
            )
    for key in ("content_hash", "episodes_per_part"):
        if found.get(key) != wanted[key]:
            raise BuildError(
                f"{out.url} holds another recipe ({key} {str(found.get(key))[:8]}, this one has "
                f"{str(wanted[key])[:8]}); build into another folder, or delete that one"
            )
    return found


def _ours(key: str) -> bool:
    """Whether it may be left without the root: by a crash, or a deletion amid a build."""
    first, *more = key.split("/")
    part = first == layout.PARTS and re.fullmatch(r"t\d+_\d+x\d+-\d{6}\.json", more[-1])
    return first == layout.WORKSHOP or bool(part) or (first.startswith("t") and len(more) > 0)


def _newest(out: Objects) -> Version | None:
    """The newest version, by its copy if need be; a lost first one the parts make again."""
    try:
        return versions.read(out)
    except IntegrityError:
        found, wrong = versions.survey(out)
        newest, lost = max(found, default=0), {d.version for d in wrong if d.good is None}
        if newest > max(lost, default=0):
            return found[newest]
        if lost != {1}:
            raise
        return None


def _growth(
    recipe: Recipe, out: Objects, attrs: dict | None, version: Version | None, *, add: bool
) -> tuple[int, ...]:
    """Episodes after the first build and each addition, as the dataset has them or shall have.

    Raises:
        BuildError: It has another number of episodes, and that was not asked to change.
    """
    if attrs is None:
        return (recipe.episodes,)
    held = version.growth if version else tuple(attrs["growth"])
    if recipe.episodes <= held[-1] and version:
        return held
    if recipe.episodes == held[-1]:
        return held
    if version is None:
        raise BuildError(
            f"{out.url} is unfinished with {held[-1]} episodes and this recipe has "
            f"{recipe.episodes}; finish it with --episodes {held[-1]} first, or build elsewhere"
        )
    if not add:
        raise BuildError(
            f"{out.url} holds {held[-1]} episodes of this recipe, this asks for "
            f"{recipe.episodes}; `simgen add {out.url} {recipe.episodes}` adds the rest as a new "
            "version"
        )
    return (*held, recipe.episodes)


def parts_of(buckets: Mapping[str, Bucket]) -> tuple[Part, ...]:
    """Every part of these buckets that holds a row."""
    return tuple(part for bucket in buckets.values() for part in _parts(bucket))


def _parts(bucket: Bucket) -> Iterator[Part]:
    video = next(spec for spec in bucket.arrays.values() if spec.is_video)
    seconds = _SECONDS_AN_EPISODE + _SECONDS_A_FRAME * video.shape[0]
    seconds += _SECONDS_A_PIXEL * prod(video.shape[:3])
    for number in range(bucket.parts):
        start = number * bucket.rows_per_part
        held = bucket.rows[start : start + bucket.rows_per_part]
        indices = tuple(index for index in held if index is not None)
        rows = range(start, start + len(indices))
        if indices:
            yield Part(bucket.name, number, rows, indices, seconds * len(indices))


def _marker_keys(out: Objects, version: Version | None, parts: Sequence[Part]) -> dict[Part, str]:
    """Key of each part's marker: backfills gave those that the version names other ones."""
    told: dict[tuple[str, int], str] = {}
    if version and any("layer" in move for move in version.moves):
        told = layout.part_keys(versions.table(out, version, "parts")["key"].to_pylist())
    return {
        part: told.get((part.bucket, part.number), layout.marker_path(part.bucket, part.number))
        for part in parts
    }


def _marker(
    recipe: Recipe, out: Objects, part: Part, key: str, sizes: Mapping[str, int]
) -> dict | None:
    """The part's marker, or None unless it is whole and all its objects have their sizes."""
    if key not in sizes:
        return None
    try:
        marker = json.loads(out.get(key))
        rows = [row["index"] for row in [*marker["episodes"], *marker["quarantined"]]]
        if marker["content_hash"] != recipe.content_hash or sorted(rows) != sorted(part.indices):
            return None
        whole = all(sizes.get(k) == told["bytes"] for k, told in marker["objects"].items())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return marker if whole else None


def _estimate(recipe: Recipe, buckets: dict[str, Bucket], markers: dict[Part, dict]) -> int:
    """Bytes of the dataset: by what its committed parts took, else by figures of others."""
    rows = {name: sum(row is not None for row in b.rows) for name, b in buckets.items()}
    if episodes := sum(len(m["episodes"]) for m in markers.values()):
        stored = sum(o["bytes"] for m in markers.values() for o in m["objects"].values())
        return int(stored / episodes * sum(rows.values()))
    still = all(c.kind == "static" for scene in recipe.scene for c in scene.cameras)
    density = _STILL if still else _MOVING
    density = density | {"backward_flow": density["flow"]}
    return int(
        sum(
            rows[name] * prod(spec.shape) * density.get(spec.name, 0.5 * spec.dtype.itemsize)
            for name, bucket in buckets.items()
            for spec in bucket.arrays.values()
        )
    )


def _free_bytes(out: Objects) -> int | None:
    if not isinstance(out, LocalObjects):
        return None
    existing = next(path for path in (out.path, *out.path.parents) if path.exists())
    return shutil.disk_usage(existing).free
