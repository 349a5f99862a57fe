"""THE CONTRACT: what a dataset's folder holds. docs/format.md says it in words.

A bucket is all episodes of one (frames, height, width): one Zarr group whose arrays have an
`episode` axis first. A part is `rows_per_part` rows of one bucket, and in every array exactly one
shard, so each object has one writer. Everything here follows from the recipe alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil, prod

from simgen.families import Limits, family
from simgen.recipe import Recipe, SceneRecipe
from simgen.store.specs import ArraySpec, state_specs, video_specs

FORMAT_VERSION = 3
SHOTS_MAX = 4  # as recipes allow
TABLES = "tables"
VERSIONS = "versions"  # each of its files commits a version; the first makes the dataset whole
PARTS = "parts"
STATS = "stats"  # of each version, once somebody asked
WORKSHOP = ".build"  # lock, attempts, costs, temporary files: not part of the dataset


@dataclass(frozen=True)
class Bucket:
    """One group: its arrays, and the episode index that each row holds."""

    name: str
    rows: tuple[int | None, ...]  # None: free, for an addition begins its own part, or moved away
    rows_per_part: int
    arrays: dict[str, ArraySpec]

    @property
    def parts(self) -> int:
        return ceil(len(self.rows) / self.rows_per_part)


def buckets(
    recipe: Recipe, growth: tuple[int, ...] = (), moves: Iterable[Mapping] = ()
) -> dict[str, Bucket]:
    """Every bucket of the recipe in the order of its first episode; rows are in index order.

    Args:
        growth: Episodes after the first build and after each addition to it, the last
            recipe.episodes. An addition begins new parts: committed objects are never rewritten.
        moves: What compactions did, in order: `after` so many steps of growth, `moved` are
            the indices that got rows in new parts, `dropped` those that lost theirs. Backfills
            stand among them, with a `layer` (simgen.store.layers) and no rows to move.
    """
    rows: dict[str, list[int | None]] = {}
    size, start = recipe.episodes_per_part, 0

    def append(indices: Iterable[int]) -> None:
        grown: dict[str, list[int | None]] = {}
        for index in indices:
            grown.setdefault(recipe.assign(index).bucket, []).append(index)
        for name, found in grown.items():
            held = rows.setdefault(name, [])
            rows[name] = [*held, *[None] * (-len(held) % size), *found]

    for step, stop in enumerate(growth or (recipe.episodes,), 1):
        append(range(start, stop))
        start = stop
        for move in (move for move in moves if move["after"] == step):
            left = {*move["moved"], *move["dropped"]}
            for name, held in rows.items():
                rows[name] = [None if index in left else index for index in held]
            append(move["moved"])
    return {
        name: Bucket(name, tuple(indices), recipe.episodes_per_part, array_specs(recipe, name))
        for name, indices in rows.items()
    }


def array_specs(recipe: Recipe, bucket: str) -> dict[str, ArraySpec]:
    """Arrays of a bucket, large enough for every episode any of its scenes can make."""
    scenes = [i for i in range(len(recipe.scene)) if recipe.video_of(i).bucket == bucket]
    if not scenes:
        raise ValueError(f"recipe {recipe.name!r} has no bucket {bucket!r}")
    limits = [
        family(recipe.scene[i].family).limits(recipe.parameters_of(i, split))
        for i in scenes
        for split in recipe.splits
    ]
    most = Limits(
        *(max(getattr(x, key) for x in limits) for key in ("bodies", "joints", "actions"))
    )
    spare = any(t.change == "recolour" for i in scenes for t in recipe.scene[i].twins)
    most = replace(most, bodies=most.bodies + spare)  # the double in another colour
    shots = max(shots_of(recipe.scene[i]) for i in scenes)
    video = recipe.video_of(scenes[0])
    channels = {channel for i in scenes for channel in recipe.video_of(i).channels}
    specs = [*video_specs(video, channels), *state_specs(video, most, recipe.state_every, shots)]
    return {spec.name: spec for spec in specs if prod(spec.shape)}


def shots_of(scene: SceneRecipe) -> int:
    """Most shots that a clip of that scene can have."""
    return SHOTS_MAX if hasattr(family(scene.family), "settings") else scene.shots[1]


def shard_path(bucket: str, spec: ArraySpec, part: int) -> str:
    """Key of a part's shard; the dots keep an array's shards in one folder, synced at once."""
    return f"{bucket}/{spec.name}/c.{part}" + ".0" * len(spec.shape)


def marker_path(bucket: str, part: int) -> str:
    return f"{PARTS}/{bucket}-{part:06d}.json"


def part_keys(keys: Iterable[str]) -> dict[tuple[str, int], str]:
    """Each marker's key by its part's bucket and number; backfills give markers other keys.

    >>> part_keys(["parts/small/t8_16x16-000003.json"])
    {('t8_16x16', 3): 'parts/small/t8_16x16-000003.json'}
    """
    found = {}
    for key in keys:
        bucket, _, number = key.rpartition("/")[2].removesuffix(".json").rpartition("-")
        found[bucket, int(number)] = key
    return found


def base_of(group: str) -> str:
    """The bucket whose clips a group shows, itself or in a view of simgen.store.layers."""
    return group.partition("~")[0]


def version_path(number: int) -> str:
    return f"{VERSIONS}/{number:06d}.json"


def table_path(name: str, xxh3: str) -> str:
    """Named by its content: a version's tables are never replaced."""
    return f"{TABLES}/{name}-{xxh3}.parquet"


def copy_path(key: str) -> str:
    """Where the second copy lies of what could not be made again."""
    folder, _, name = key.rpartition("/")
    return f"{folder}/copies/{name}"


def stats_path(number: int) -> str:
    return f"{STATS}/{number:06d}.json"


def frames_of(bucket: str) -> int:
    """Frames of a bucket's clips, by its name."""
    return int(bucket[1:].partition("_")[0])


def canonical_json(data: dict) -> bytes:
    """Canonical JSON: one dict, one sequence of bytes."""
    return json.dumps(data, sort_keys=True, allow_nan=False, indent=1).encode() + b"\n"
