"""Layers: what a backfill adds to a dataset, and where it lies.

A channel layer's arrays join their bucket's group. A view has a group of its own,
`<bucket>~<view>`, whose rows are the bucket's; what it holds of an episode the catalog's column
`views` says. A part's new shards and rows are told by a new marker that takes the old one's place
in the version; the old one stays for the versions before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import ValidationError

from simgen.families import Limits
from simgen.recipe import CameraRecipe, Recipe, Video
from simgen.renderers import CHANNELS
from simgen.store.layout import PARTS, Bucket, array_specs
from simgen.store.specs import ArraySpec, state_specs, video_specs
from simgen.store.versions import RequestError

KINDS = ("channels", "view", "captions")
NAME = r"[a-z0-9_]{1,32}"
VIEW_ARRAYS = (
    "camera_pose", "camera_intrinsics", "end_camera_pose", "end_camera_intrinsics", "track",
    "track_depth", "visibility", "area",
)  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """What one backfill adds. `height` 0: as the clips have it; `camera` None: their own."""

    name: str
    kind: str  # one of KINDS
    channels: tuple[str, ...] = ()  # of a view, empty: those of the clips
    height: int = 0
    width: int = 0
    camera: dict[str, Any] | None = None  # a CameraRecipe
    seed: int = 0  # of a wording

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> Layer:
        return cls(**told | {"channels": tuple(told["channels"])})

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"channels": list(self.channels)}

    def group(self, bucket: str) -> str:
        """Where its arrays lie."""
        return f"{bucket}~{self.name}" if self.kind == "view" else bucket

    def video(self, video: Video) -> Video:
        """The clip shape that it draws of clips of that shape."""
        size = {"height": self.height, "width": self.width} if self.height else {}
        return video.model_copy(
            update=size | ({"channels": self.channels} if self.channels else {})
        )

    def specs(self, recipe: Recipe, bucket: str) -> dict[str, ArraySpec]:
        """Its arrays beside those that the recipe gives the bucket."""
        own = array_specs(recipe, bucket)
        if self.kind == "captions":
            return {}
        scenes = (recipe.video_of(i) for i in range(len(recipe.scene)))
        video = self.video(next(video for video in scenes if video.bucket == bucket))
        channels = set(self.channels) or {name for name, spec in own.items() if spec.is_video}
        found = video_specs(video, channels)
        if self.kind == "view":
            bodies, shots = own["track"].shape[1], own["end_camera_pose"].shape[0]
            every = state_specs(video, Limits(bodies, 0, 0), recipe.state_every, shots)
            found += [spec for spec in every if spec.name in VIEW_ARRAYS]
        return {spec.name: spec for spec in found}


def channel_layer(channels: Iterable[str]) -> Layer:
    """More channels of the clips as they are.

    Raises:
        RequestError: No such channel.
    """
    names = tuple(dict.fromkeys(channels))
    _require_channels(names)
    return Layer("-".join(names), "channels", names)


def view_layer(
    name: str,
    *,
    size: tuple[int, int] | None = None,
    camera: Mapping[str, Any] | None = None,
    channels: Iterable[str] = (),
) -> Layer:
    """The clips in another size (height, width) or under another camera, or both.

    Args:
        camera: A table as in a recipe.
        channels: What is drawn; those that the clips have by default.
    Raises:
        RequestError: The message says what is wrong.
    """
    names = tuple(dict.fromkeys(channels))
    _require_channels(names)
    if not re.fullmatch(NAME, name):
        raise RequestError(f"view {name!r}; a name has 1 to 32 of a-z, 0-9 and _")
    if size is None and camera is None:
        raise RequestError(f"view {name!r} without a size or a camera; give one or both")
    height, width = size or (0, 0)
    try:
        if size:
            Video(height=height, width=width)
        told = CameraRecipe.model_validate_json(json.dumps(dict(camera))) if camera else None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise RequestError(f"view {name!r}: {wrong}; see `simgen schema`") from None
    table = told.model_dump(mode="json") if told else None
    return Layer(name, "view", names, height, width, table)


def caption_layer(style: str) -> Layer:
    """Captions told again: `seed=1` is another choice of words for the same facts.

    Raises:
        RequestError: No such style.
    """
    key, _, value = style.partition("=")
    if key != "seed" or not value.isdecimal() or not 0 < int(value) < 2**31:
        raise RequestError(f"captions {style!r}; give seed=N, N from 1 on, for another wording")
    return Layer(f"seed{int(value)}", "captions", seed=int(value))


def _require_channels(names: Iterable[str]) -> None:
    if unknown := [name for name in names if name not in CHANNELS]:
        raise RequestError(f"unknown channel {unknown[0]!r}; known: {', '.join(CHANNELS)}")


def layers_of(moves: Iterable[Mapping[str, Any]]) -> list[Layer]:
    """The layers among a version's moves, oldest first, each name once."""
    told = {move["layer"]["name"]: move["layer"] for move in moves if "layer" in move}
    return [Layer.of_json(layer) for layer in told.values()]


def layered(
    buckets: Mapping[str, Bucket], recipe: Recipe, moves: Iterable[Mapping[str, Any]]
) -> dict[str, Bucket]:
    """The buckets with their layers' arrays, and the groups of views after them."""
    groups, views = dict(buckets), {}
    for layer in layers_of(moves):
        for name, bucket in buckets.items():
            if not (specs := layer.specs(recipe, name)):
                continue
            if layer.kind == "view":
                group = layer.group(name)
                views[group] = replace(bucket, name=group, arrays=specs)
            else:
                groups[name] = replace(groups[name], arrays=groups[name].arrays | specs)
    return groups | views


def marker_key(key: str, layer: str) -> str:
    """Key of the marker that tells what a marker told, and the layer.

    >>> marker_key("parts/small/t8_16x16-000003.json", "normals")
    'parts/small+normals/t8_16x16-000003.json'
    """
    _, *before, name = key.split("/")
    return f"{PARTS}/{'+'.join([*before, layer])}/{name}"


def names_in(key: str) -> list[str]:
    """Names of the layers that a marker tells of, in order."""
    _, *before, _ = key.split("/")
    return before[0].split("+") if before else []


def plain_key(key: str) -> str:
    """Key that the part's first marker had."""
    return f"{PARTS}/{key.rpartition('/')[2]}"


def views_of(row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each view of a catalog row; one that was refused has a `reason` and nothing else."""
    return json.loads(row["views"]) if row.get("views") else {}


def held(row: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """Groups that hold an episode, and there the hash of each of its arrays."""
    yield row["bucket"], json.loads(row["hashes"])
    for view in views_of(row).values():
        if "hashes" in view:
            yield view["bucket"], view["hashes"]
