"""THE CONTRACT: what a dataset's folder holds. docs/format.md says it in words.

A bucket is all episodes of one (frames, height, width): one Zarr group whose arrays have an
`episode` axis first. A part is `rows_per_part` rows of one bucket, and in every array exactly one
shard, so each object has one writer. Everything here follows from the recipe alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from math import ceil, prod

import numpy as np

from simgen.families import Limits, family
from simgen.recipe import Recipe, SceneRecipe, Video

FORMAT_VERSION = 2
CHUNK_FRAMES = 8  # frames of an inner chunk: see docs/format.md for the measurements
LEVEL = 3  # of lz4hc
SHOTS_MAX = 4  # as recipes allow
CATALOG, EVENTS, QUARANTINE = "catalog.parquet", "events.parquet", "quarantine.parquet"
COMPLETE = "complete.json"  # written last: the dataset is whole
PARTS = "parts"
WORKSHOP = ".build"  # lock, attempts, costs, temporary files: not part of the dataset


@dataclass(frozen=True)
class ArraySpec:
    """One stored array; shapes are of one episode, without the leading `episode` axis."""

    name: str
    dtype: np.dtype
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunk: tuple[int, ...]  # of an inner chunk
    units: str
    description: str

    @property
    def is_video(self) -> bool:
        """Stored with time beside the rows: the previous frame's row is then in LZ4's window."""
        return self.dims[:3] == ("time", "height", "width")

    @property
    def grid(self) -> tuple[int, ...]:
        """Inner chunks of an episode along each axis."""
        return tuple(ceil(n / c) for n, c in zip(self.shape, self.chunk, strict=True))

    @property
    def chunks(self) -> int:
        """Inner chunks of an episode."""
        return prod(self.grid)

    @property
    def shuffle(self) -> bool:
        return self.dtype.itemsize > 1

    @property
    def fill(self) -> float | int | bool:
        """What foreign readers see in rows that are not in the catalog."""
        return self.dtype.type(np.nan if self.dtype.kind == "f" else 0)


@dataclass(frozen=True)
class Bucket:
    """One group: its arrays, and the episode index that each row holds."""

    name: str
    rows: tuple[int, ...]
    rows_per_part: int
    arrays: dict[str, ArraySpec]

    @property
    def parts(self) -> int:
        return ceil(len(self.rows) / self.rows_per_part)


def buckets(recipe: Recipe) -> dict[str, Bucket]:
    """Every bucket of the recipe in the order of its first episode; rows are in index order."""
    rows: dict[str, list[int]] = {}
    for index in range(recipe.episodes):
        rows.setdefault(recipe.assign(index).bucket, []).append(index)
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
    specs = [*_video_specs(video, channels), *_state_specs(video, most, recipe.state_every, shots)]
    return {spec.name: spec for spec in specs if prod(spec.shape)}


def shots_of(scene: SceneRecipe) -> int:
    """Most shots that a clip of that scene can have."""
    return SHOTS_MAX if hasattr(family(scene.family), "settings") else scene.shots[1]


def _video_specs(video: Video, channels: set[str]) -> list[ArraySpec]:
    # xarray wants one size for a name within a group, so the last axes are called differently
    last = {"channel": 3, "xyz": 3, "xy": 2, "value": 1}
    table = (
        ("rgb", "u1", "channel", "1", "sRGB colour, 0..255"),
        ("depth", "f2", "value", "m", "distance along the optical axis; inf for sky"),
        ("segmentation", "u1", "value", "1", "body row + 1; 0 for sky"),
        ("normals", "i1", "xyz", "1/127", "camera frame: x right, y up, z back; 0 for sky"),
        ("flow", "f2", "xy", "px", "motion to the next frame, x right, y down"),
        ("backward_flow", "f2", "xy", "px", "motion to the frame before, x right, y down"),
    )
    specs = []
    for name, dtype, axis, units, text in table:
        frame = (video.height, video.width, last[axis])
        shape, chunk = (video.frames, *frame), (min(CHUNK_FRAMES, video.frames), *frame)
        dims = ("time", "height", "width", axis)
        specs.append(ArraySpec(name, np.dtype(dtype), dims, shape, chunk, units, text))
    return [spec for spec in specs if spec.name in channels]


def _state_specs(video: Video, most: Limits, state_every: int, shots: int) -> list[ArraySpec]:
    """Small arrays: one inner chunk an episode. `end_*` is one frame past the clip's last."""
    size = {
        "time": video.frames, "body": most.bodies, "joint": most.joints, "action": most.actions,
        "shot": shots, "xyz": 3, "wxyz": 4, "xy": 2, "pose": 7, "intrinsics": 4,
        "keyframe": video.frames // state_every + 1, "state": _state_width(most),
    }  # fmt: skip
    table = (
        ("position", "f8", "time body xyz", "m", "origin of the body frame, world frame"),
        ("quaternion", "f8", "time body wxyz", "1", "body to world"),
        ("velocity", "f8", "time body xyz", "m/s", "of the body frame's origin, world frame"),
        ("angular_velocity", "f8", "time body xyz", "rad/s", "world frame"),
        ("centre_of_mass", "f8", "time body xyz", "m", "world frame"),
        ("end_position", "f8", "body xyz", "m", "one frame past the last"),
        ("end_quaternion", "f8", "body wxyz", "1", "one frame past the last"),
        ("body_mask", "?", "body", "1", "true where the episode has the body"),
        ("joint_position", "f8", "time joint", "rad or m", "hinge or slide"),
        ("joint_velocity", "f8", "time joint", "rad/s or m/s", "hinge or slide"),
        ("joint_torque", "f8", "time action", "N m", "largest magnitude in the frame, by servo"),
        ("action", "f4", "time action", "rad or 1", "servo target, or share of frame released"),
        ("camera_pose", "f8", "time pose", "m and 1", "position, quaternion, camera to world"),
        ("camera_intrinsics", "f8", "time intrinsics", "px", "fx, fy, cx, cy"),
        ("end_camera_pose", "f8", "shot pose", "m and 1", "one frame past each shot's last"),
        ("end_camera_intrinsics", "f8", "shot intrinsics", "px", "one frame past each shot"),
        ("track", "f4", "time body xy", "px", "centre of mass in the picture; NaN: behind"),
        ("track_depth", "f4", "time body", "m", "of the centre of mass along the optical axis"),
        ("visibility", "f4", "time body", "1", "visible share of the silhouette in the picture"),
        ("area", "i4", "time body", "px", "visible pixels; -1: no such body"),
        ("energy", "f4", "time", "J", "kinetic and potential"),
        ("momentum", "f4", "time xyz", "kg m/s", "of the moving bodies"),
        ("penetration", "f4", "time", "m", "deepest in the frame"),
        ("state", "f8", "keyframe state", "engine", "restorable; at catalog.state_frames"),
    )  # fmt: skip
    specs = []
    for name, dtype, dims, units, text in table:
        names = tuple(dims.split())
        shape = tuple(size[n] for n in names)
        specs.append(ArraySpec(name, np.dtype(dtype), names, shape, shape, units, text))
    return specs


def _state_width(most: Limits) -> int:
    """Columns that hold any engine's restorable state.

    MuJoCo's integration state is the widest: time, then 7 + 6 + 6 + 6 + 6 numbers a free body
    (pose, velocity, warm start, applied forces twice), four a joint, and controls and switches.
    """
    return 8 + 31 * (most.bodies + 1) + 4 * most.joints + 4 * most.actions


def shard_path(bucket: str, spec: ArraySpec, part: int) -> str:
    """Key of a part's shard; the dots keep an array's shards in one folder, synced at once."""
    return f"{bucket}/{spec.name}/c.{part}" + ".0" * len(spec.shape)


def marker_path(bucket: str, part: int) -> str:
    return f"{PARTS}/{bucket}-{part:06d}.json"


def canonical_json(data: dict) -> bytes:
    """Canonical JSON: one dict, one sequence of bytes."""
    return json.dumps(data, sort_keys=True, allow_nan=False, indent=1).encode() + b"\n"
