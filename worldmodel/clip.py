"""Clip: one piece of an episode as the judge sees it: frames, objects, and their true places."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

# Below this share of its silhouette an object is not asked for: what is left of it says too
# little about where it is. Stated in docs/verdict.md, the same for every row of a table.
SCORED_VISIBILITY = 0.5
SCORED_AREA_PX = 4
CONDITIONS = ("action", "camera_pose", "camera_intrinsics")


class ClipError(ValueError):
    """An episode that cannot give the clip asked for."""


@dataclass(frozen=True)
class ClipObject:
    """A moving thing that people would count; `colour` is what the probe tells it by."""

    name: str
    colour: str  # several joined by + for an object of many parts


@dataclass(frozen=True)
class Clip:
    """Context and true future of one window. Pixel centres lie at +0.5, x right, y down."""

    episode_id: str
    family: str
    start: int  # first frame of the window in its episode
    context: int  # frames that a predictor is given; the rest is the horizon
    frame_rate_hz: float
    rgb: UInt8[np.ndarray, "time height width 3"]
    label: UInt8[np.ndarray, "time height width"]  # i + 1: objects[i]; 0: everything else
    objects: tuple[ClipObject, ...]
    centre: Float64[np.ndarray, "time object 2"]  # centre of mass in the picture, px
    depth_m: Float64[np.ndarray, "time object"]  # of the centre of mass, along the optical axis
    visibility: Float64[np.ndarray, "time object"]  # visible / whole silhouette in the picture
    focal_px: Float64[np.ndarray, " time"]
    caption: str = ""
    conditions: dict[str, np.ndarray] = field(default_factory=dict)  # action, camera_pose, ...

    @property
    def horizon(self) -> int:
        return len(self.rgb) - self.context

    @property
    def width(self) -> int:
        return self.rgb.shape[2]

    @cached_property
    def area_px(self) -> Int64[np.ndarray, "time object"]:
        """Visible pixels of each object."""
        return np.stack(
            [(self.label == i).sum(axis=(1, 2)) for i in range(1 + len(self.objects))], axis=1
        )[:, 1:]

    @cached_property
    def whole(self) -> Bool[np.ndarray, "time object"]:
        """True where all of an object is seen: nothing before it, the picture's edge untouched."""
        edge = np.concatenate(
            [self.label[:, [0, -1], :].reshape(len(self.label), -1),
             self.label[:, :, [0, -1]].reshape(len(self.label), -1)], axis=1,
        )  # fmt: skip
        touching = (edge[..., None] == 1 + np.arange(len(self.objects))).any(axis=1)
        return (self.area_px >= SCORED_AREA_PX) & (self.visibility > 0.98) & ~touching

    @cached_property
    def scored(self) -> Bool[np.ndarray, "time object"]:
        """True where an object is seen well enough that a prediction must show it."""
        inside = (self.centre >= 0).all(-1) & (self.centre < self.rgb.shape[2:0:-1]).all(-1)
        seen = np.nan_to_num(self.visibility, nan=0.0) >= SCORED_VISIBILITY
        return seen & inside & (self.area_px >= SCORED_AREA_PX)

    @property
    def metres_per_px(self) -> Float64[np.ndarray, "time object"]:
        """Transverse size of a pixel at each object's true depth: depth / focal length."""
        return self.depth_m / self.focal_px[:, None]

    def only(self, colours: Collection[str]) -> Clip:
        """The same clip with the objects of the given colours alone."""
        keep = [i for i, thing in enumerate(self.objects) if thing.colour in colours]
        relabel = np.zeros(len(self.objects) + 1, np.uint8)
        relabel[[i + 1 for i in keep]] = np.arange(1, len(keep) + 1)
        return replace(
            self,
            label=relabel[self.label],
            objects=tuple(self.objects[i] for i in keep),
            centre=self.centre[:, keep],
            depth_m=self.depth_m[:, keep],
            visibility=self.visibility[:, keep],
        )


def objects_of(bodies: list[dict]) -> dict[ClipObject, list[int]]:
    """Each moving, visible object of a catalog row's `bodies` with its body rows."""
    members: dict[str, list[int]] = {}
    for row, body in enumerate(bodies):
        if body["visible"] and not body["static"]:
            members.setdefault(body["object"] or body["name"], []).append(row)
    return {
        ClipObject(name, "+".join(sorted({bodies[r]["colour"] for r in rows}))): rows
        for name, rows in members.items()
    }


def read_clip(dataset, episode: dict, *, start: int = 0, context: int, horizon: int) -> Clip:
    """One window of an episode.

    Args:
        dataset: An open store (`simgen.open`).
        episode: The episode's catalog row as a dict.
        start: First frame.
        context: Frames given to a predictor.
        horizon: Frames that follow.
    Raises:
        ClipError: The window does not fit the episode, or a channel was not stored.
    """
    stop = start + context + horizon
    ident = episode["episode_id"]
    stored = json.loads(episode["hashes"])
    if missing := {"rgb", "segmentation"} - set(stored):
        raise ClipError(
            f"episode {ident} lacks {', '.join(sorted(missing))}, which the verdict reads; build "
            "the dataset with rgb and segmentation among channels in [video]"
        )

    def read(channel: str) -> np.ndarray:
        return dataset.read(ident, channel, start, stop)

    try:
        rgb = read("rgb")
    except IndexError as error:
        raise ClipError(
            f"a window from frame {start} of {context} given and {horizon} predicted frames does "
            f"not fit the episode ({error}); ask for a shorter horizon"
        ) from None
    bodies = json.loads(episode["bodies"])
    groups = objects_of(bodies)
    mass = np.array([max(body["mass_kg"] or 0.0, 1e-9) for body in bodies])
    relabel = np.zeros(256, np.uint8)
    for number, rows in enumerate(groups.values(), start=1):
        relabel[np.array(rows) + 1] = number
    centre, depth, visibility = _of_objects(
        list(groups.values()), mass, read("track"), read("track_depth"), read("visibility"),
        read("area"),
    )  # fmt: skip
    label = relabel[read("segmentation")[..., 0]]
    return Clip(
        episode_id=ident, family=episode["family"], start=start, context=context,
        frame_rate_hz=episode["frame_rate_hz"], rgb=rgb, label=label,
        objects=tuple(groups), centre=centre, depth_m=depth, visibility=visibility,
        focal_px=read("camera_intrinsics")[:, 0].astype(np.float64),
        caption=episode["caption_dense"],
        conditions={name: read(name) for name in CONDITIONS if name in stored},
    )  # fmt: skip


def _of_objects(groups, mass, track, depth, visibility, area):
    """Bodies' measures joined to objects'.

    The projection of a mass-weighted mean is the mean of projections weighted by mass * depth.
    """
    frames = len(track)
    centres, depths = np.empty((frames, len(groups), 2)), np.empty((frames, len(groups)))
    shares = np.empty((frames, len(groups)))
    for i, rows in enumerate(groups):
        d = depth[:, rows].astype(np.float64)
        weight = mass[rows] * d
        with np.errstate(invalid="ignore", divide="ignore"):
            centres[:, i] = (track[:, rows] * weight[..., None]).sum(1) / weight.sum(1)[:, None]
            depths[:, i] = weight.sum(1) / mass[rows].sum()
            whole = area[:, rows] / visibility[:, rows].astype(np.float64)
            shares[:, i] = area[:, rows].sum(1) / np.nansum(whole, axis=1)
    return centres, depths, shares
