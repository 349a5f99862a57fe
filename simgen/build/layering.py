"""A layer put on one part of a dataset, from the motion that is stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from simgen.episode import Episode, picture
from simgen.motion import SimulationError
from simgen.recipe import Recipe
from simgen.refilm import retold, rng_of, viewed
from simgen.store import arrays, catalog, layout, shard, writer
from simgen.store.layers import Layer, views_of
from simgen.store.layout import canonical_json
from simgen.stored import Clip, clip

Clips = Callable[[int], Clip | None]  # by episode index; None: that one is not stored


def layered(
    recipe: Recipe,
    layer: Layer,
    marker: dict,
    clips: Clips,
    *,
    on: Collection[int],
    alone: Collection[int] = (),
) -> tuple[dict[str, bytes], bytes]:
    """The shards that the layer adds to a part, by key, and the marker that tells them too.

    Args:
        marker: What the part's marker said so far.
        clips: The stored clips, these episodes' and their originals'.
        on: Indices of the episodes that get it.
        alone: Twins among them whose original was not in the dataset.
    """
    work = _Work(recipe, layer, marker, alone)
    rows = [work.row(row, clips) if row["index"] in on else row for row in marker["episodes"]]
    shards = work.shards()
    objects = marker["objects"] | {key: writer.describe(data) for key, data in shards.items()}
    return shards, canonical_json(marker | {"episodes": rows, "objects": objects})


class Again:
    """Clips of episodes that are made again, as those are that were stored."""

    def __init__(self, recipe: Recipe, make: Callable[[Recipe, int], Episode]):
        self.recipe, self._make = recipe, make
        self._clips: dict[int, Clip | None] = {}

    def make(self, recipe: Recipe, index: int) -> Episode:
        """The episode, whose clip is kept."""
        episode = self._make(recipe, index)
        self._clips[index] = None if episode.reasons else self._stored(episode)
        return episode

    def clip(self, index: int) -> Clip | None:
        """The clip, made for it if need be; None: it was quarantined."""
        if index not in self._clips:
            self.make(self.recipe, index)
        return self._clips[index]

    def _stored(self, episode: Episode) -> Clip:
        """By way of what would be stored: numbers that are not kept must not matter."""
        specs = layout.array_specs(self.recipe, self.recipe.assign(episode.index).bucket)
        states = {name: spec for name, spec in specs.items() if not spec.is_video}
        held = dict(arrays.stored_arrays(episode, states))
        row = catalog.catalog_row(episode, self.recipe, row=0, hashes={}, cpu="")
        return clip(self.recipe, row, catalog.event_rows(episode), held.__getitem__)


def has(row: dict, layer: Layer) -> bool:
    """Whether an episode's row tells of the layer, be it that the view was refused."""
    if layer.kind == "channels":
        return set(layer.channels) <= json.loads(row["hashes"]).keys()
    return layer.name in json.loads(row["views" if layer.kind == "view" else "wordings"] or "{}")


def blocks(layer: Layer, marker: dict, lacking: list[dict]) -> bool:
    """Whether an array of the layer is there for others of the part: shards are written once."""
    group = layer.group(marker["bucket"])
    written = {tuple(key.split("/")[:2]) for key in marker["objects"]}
    if layer.kind == "view":
        return any(folder == group for folder, _ in written)
    lacked = {c for row in lacking for c in layer.channels if c not in json.loads(row["hashes"])}
    return any((group, channel) in written for channel in lacked)


def extends(layer: Layer, new: dict, old: dict, indices: set[int]) -> bool:
    """Whether a marker is the old one with just this layer on just these episodes."""
    column = {"channels": "hashes", "view": "views", "captions": "wordings"}[layer.kind]
    same, rows = (
        [{name: value for name, value in row.items() if name != column} for row in one["episodes"]]
        for one in (old, new)
    )
    if rows != same or not old["objects"].items() <= new["objects"].items():
        return False
    got = {row["index"] for row in new["episodes"] if has(row, layer)}
    had = {row["index"] for row in old["episodes"] if has(row, layer)}
    shape = [
        (view["height"], view["width"], view["camera"])
        for row in new["episodes"]
        if layer.kind == "view" and "hashes" in (view := views_of(row).get(layer.name, {}))
    ]
    wanted = (layer.height, layer.width, layer.camera)
    asked = all(s[2] == wanted[2] and (not wanted[0] or s[:2] == wanted[:2]) for s in shape)
    return got - had == indices and asked


class _Work:
    """The layer of one part in the making."""

    def __init__(self, recipe: Recipe, layer: Layer, marker: dict, alone: Collection[int]):
        self.recipe, self.layer, self.marker, self.alone = recipe, layer, marker, alone
        self.bucket = marker["bucket"]
        # a part of a bucket whose other scenes have the channel may hold its array already
        self.specs = {
            name: spec
            for name, spec in layer.specs(recipe, self.bucket).items()
            if self._key(spec) not in marker["objects"]
        }
        self.chunks: dict[str, dict[int, list[bytes]]] = {name: {} for name in self.specs}

    def row(self, row: dict, clips: Clips) -> dict:
        """The episode's row with what the layer adds."""
        clip = clips(row["index"])
        assert clip is not None, row["episode_id"]
        if self.layer.kind == "channels":
            told = json.loads(row["hashes"])
            told |= self._encode(row, self._channels(clip, told))
            return row | {"hashes": catalog.plain_json(told)}
        if self.layer.kind == "view":
            return row | {
                "views": catalog.plain_json(
                    views_of(row) | {self.layer.name: self._view(row, clips)}
                )
            }
        rng = rng_of(self.recipe, clip.index, "captions", self.layer.seed)
        told = json.loads(row["wordings"] or "{}")
        wording = vars(retold(clip, rng))
        return row | {"wordings": catalog.plain_json(told | {self.layer.name: wording})}

    def _channels(self, clip: Clip, held: dict) -> dict[str, np.ndarray]:
        video = self.recipe.video_of(self.recipe.assign(clip.index).scene_index)
        names = tuple(name for name in self.specs if name not in held)
        if not names:
            return {}
        frames = picture(clip.scene, clip.motion, clip.shots, video, names)
        return {name: arrays.converted(name, frames[name]) for name in names}

    def _view(self, row: dict, clips: Clips) -> dict[str, Any]:
        """What the catalog says of the view: a reason alone if it was refused."""
        clip = clips(row["index"])
        first = row["index"] - row["index"] % self.recipe.group_size
        original = None if row["index"] in self.alone else clips(first)
        try:
            episode, told = viewed(clip, original or clip, self.recipe, self.layer)
        except SimulationError as error:
            return {"reason": str(error)}
        return told | {
            "bucket": self.layer.group(self.bucket),
            "shots": [catalog.shot_record(shot) for shot in episode.shots],
            "visible_fraction": catalog.visible_fraction(episode),
            "hashes": self._encode(row, dict(arrays.stored_arrays(episode, self.specs))),
        }

    def _encode(self, row: dict, made: dict[str, np.ndarray]) -> dict[str, str]:
        """Keep the arrays' chunks for the shards; their hashes."""
        place = row["row"] % self.recipe.episodes_per_part
        for name, array in made.items():
            self.chunks[name][place] = shard.encode_episode(self.specs[name], array)
        return {name: writer.digest(array) for name, array in made.items()}

    def _key(self, spec: layout.ArraySpec) -> str:
        return layout.shard_path(self.layer.group(self.bucket), spec, self.marker["part"])

    def shards(self) -> dict[str, bytes]:
        """Of the arrays that any episode got."""
        rows = self.recipe.episodes_per_part
        return {
            self._key(spec): shard.assemble(spec, rows, self.chunks[name])
            for name, spec in self.specs.items()
            if self.chunks[name]
        }
