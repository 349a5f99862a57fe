"""The plan of a build: which parts a recipe has, which of them the folder already holds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path

from simgen.recipe import Recipe
from simgen.store import layout
from simgen.store.layout import ArraySpec, Bucket
from simgen.store.metadata import provenance

# Stored bytes an element of a plain scene, rounded up; what is committed corrects it
_DENSITY = {"rgb": 0.5, "depth": 0.6, "segmentation": 0.05, "normals": 0.4, "flow": 1.2}
_SECONDS_A_PIXEL = 2.5e-7  # CPU time of a pixel of a frame, all stages
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
    out: Path
    parts: tuple[Part, ...]
    markers: dict[Part, dict]
    complete: bool  # published as well
    bytes: int  # of the whole dataset, estimated
    free_bytes: int

    @cached_property
    def todo(self) -> tuple[Part, ...]:
        """Parts to run, in order."""
        return tuple(part for part in self.parts if part not in self.markers)

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


def plan(recipe: Recipe, out: str | Path) -> Plan:
    """What building the recipe into that folder would do; touches nothing.

    Raises:
        BuildError: The folder holds something else, another recipe or versions, or the disk has
            less room than the plan needs.
    """
    out = Path(out).absolute()
    with report_os_errors(out):
        begun = _check_folder(recipe, out)
        buckets = layout.buckets(recipe)
        parts = tuple(part for bucket in buckets.values() for part in _parts(bucket))
        markers = {p: m for p in parts if (m := _marker(recipe, out, p))} if begun else {}
        result = Plan(
            recipe=recipe,
            out=out,
            parts=parts,
            markers=markers,
            complete=(out / layout.COMPLETE).exists(),
            bytes=_estimate(buckets, markers),
            free_bytes=shutil.disk_usage(_existing(out)).free,
        )
    if result.bytes_needed > result.free_bytes:
        raise BuildError(
            f"{out}: the dataset needs about {result.bytes_needed:,} bytes more and the disk has "
            f"{result.free_bytes:,} free; make room, or build fewer episodes or smaller frames"
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
def report_os_errors(out: Path) -> Iterator[None]:
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


def _check_folder(recipe: Recipe, out: Path) -> bool:
    """Whether the folder already holds this recipe; BuildError if it holds anything else."""
    root = out / "zarr.json"
    if not root.exists():
        strangers = [p.name for p in out.iterdir() if p.name in (layout.CATALOG, layout.PARTS)
                     or not _ours(p)] if out.exists() else []  # fmt: skip
        if strangers:
            raise BuildError(
                f"{out} is not a physreel dataset and not empty (it has {strangers[0]!r}); "
                "give another folder"
            )
        return False
    try:
        found = json.loads(root.read_text())["attributes"]
    except (ValueError, KeyError):
        raise BuildError(f"{root} is damaged; delete {out} and build it again") from None
    wanted = provenance(recipe)
    if found.get("format") != "physreel":
        raise BuildError(f"{out} is a Zarr group that physreel did not make; give another folder")
    if found.get("recipe_hash") != recipe.hash:
        raise BuildError(
            f"{out} holds another recipe ({found.get('recipe_hash', 'unknown')[:8]}, this one is "
            f"{recipe.hash[:8]}); build into another folder, or delete that one"
        )
    for key in ("format_version", "simgen_version", "engine_versions", "cpu"):
        if found.get(key) != wanted[key]:
            raise BuildError(
                f"{out} was begun with {key} {found.get(key)}, here it is {wanted[key]}: one "
                "dataset must not mix them; finish it there, or build into another folder"
            )
    return True


def _ours(path: Path) -> bool:
    """Whether a crash before the root's metadata may have left it."""
    return path.name == layout.WORKSHOP or (path.name.startswith("t") and path.is_dir())


def _parts(bucket: Bucket) -> Iterator[Part]:
    video = next(spec for spec in bucket.arrays.values() if spec.is_video)
    seconds = _SECONDS_AN_EPISODE + _SECONDS_A_PIXEL * prod(video.shape[:3])
    for number in range(bucket.parts):
        start = number * bucket.rows_per_part
        rows = range(start, min(start + bucket.rows_per_part, len(bucket.rows)))
        indices = bucket.rows[rows.start : rows.stop]
        yield Part(bucket.name, number, rows, indices, seconds * len(indices))


def _marker(recipe: Recipe, out: Path, part: Part) -> dict | None:
    """The part's marker, or None unless it is whole and all its objects have their sizes."""
    try:
        marker = json.loads((out / layout.marker_path(part.bucket, part.number)).read_text())
        rows = [row["index"] for row in [*marker["episodes"], *marker["quarantined"]]]
        if marker["recipe_hash"] != recipe.hash or sorted(rows) != sorted(part.indices):
            return None
        sizes = {key: told["bytes"] for key, told in marker["objects"].items()}
        whole = all((out / key).stat().st_size == size for key, size in sizes.items())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return marker if whole else None


def _estimate(buckets: dict[str, Bucket], markers: dict[Part, dict]) -> int:
    """Bytes of the dataset: by what its committed parts took, else by a plain scene's figures."""
    episodes = sum(len(m["episodes"]) for m in markers.values())
    if episodes:
        stored = sum(o["bytes"] for m in markers.values() for o in m["objects"].values())
        return int(stored / episodes * sum(len(b.rows) for b in buckets.values()))
    return int(sum(len(b.rows) * sum(map(_bytes, b.arrays.values())) for b in buckets.values()))


def _bytes(spec: ArraySpec) -> float:
    return prod(spec.shape) * _DENSITY.get(spec.name, 0.5 * spec.dtype.itemsize)


def _existing(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.exists())
