"""Every stored array: its name, shape, units, codec and bound of error.

The codecs were chosen by measurement: docs/format.md has the tables, benchmarks/size.py and
benchmarks/write.py measure again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

import numpy as np

from simgen.families import Limits
from simgen.recipe import Video
from simgen.store.codecs import LOSSLESS, ZSTD, Bound, Codec

CHUNK_FRAMES = 8  # frames of an inner chunk
FLOW_STEP_PX = 1 / 64  # flow is stored in whole ones


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
    codec: Codec = ZSTD
    order: tuple[int, ...] = ()  # axes as they stand in an inner chunk; empty: as in shape
    bound: Bound = LOSSLESS  # of the error against what was rendered or simulated

    @property
    def is_video(self) -> bool:
        """Pictures, of which inner chunks hold a few frames."""
        return self.dims[:3] == ("time", "height", "width")

    @cached_property
    def axes(self) -> tuple[int, ...]:
        """Where each axis of the shape stands in an inner chunk: undoes `order`."""
        return tuple(np.argsort(self.order or range(len(self.shape))).tolist())

    @property
    def grid(self) -> tuple[int, ...]:
        """Inner chunks of an episode along each axis."""
        return tuple(ceil(n / c) for n, c in zip(self.shape, self.chunk, strict=True))

    @property
    def chunks(self) -> int:
        """Inner chunks of an episode."""
        return prod(self.grid)

    @property
    def fill(self) -> float | int | bool:
        """What foreign readers see in rows that are not in the catalog."""
        return self.dtype.type(np.nan if self.dtype.kind == "f" else 0)


def video_specs(video: Video, channels: set[str]) -> list[ArraySpec]:
    """Pictures, time beside the rows: the previous frame's row is in the compressor's window.

    Training reads rgb and flow, so theirs is the compressor that decompresses fastest; the others
    are a third smaller by zstd, at the same cost of writing.
    """
    # xarray wants one size for a name within a group, so the last axes are called differently
    last = {"channel": 3, "xyz": 3, "xy": 2, "value": 1}
    rgb, pairs = Codec("lz4", 9), Codec("lz4hc", 1, 4)
    depth, unit, flow = Bound(2**-14, 2**-11), Bound(0.5), Bound(FLOW_STEP_PX / 2, 2**-11)
    table = (
        ("rgb", "u1", "channel", "1", "sRGB colour, 0..255", rgb, LOSSLESS),
        ("depth", "f2", "value", "m", "distance along the optical axis; inf for sky",
         ZSTD._replace(group=2), depth),
        ("segmentation", "u1", "value", "1", "body row + 1; 0 for sky", ZSTD, LOSSLESS),
        ("normals", "i1", "xyz", "1/127", "camera frame: x right, y up, z back; 0 for sky",
         ZSTD, unit),
        ("flow", "f2", "xy", "px", "motion to the next frame, x right, y down", pairs, flow),
        ("backward_flow", "f2", "xy", "px", "motion to the frame before, x right, y down",
         pairs, flow),
    )  # fmt: skip
    specs = []
    for name, dtype, axis, units, text, codec, bound in table:
        frame = (video.height, video.width, last[axis])
        shape, chunk = (video.frames, *frame), (min(CHUNK_FRAMES, video.frames), *frame)
        dims, order = ("time", "height", "width", axis), (1, 0, 2, 3)
        kind = np.dtype(dtype)
        specs.append(ArraySpec(name, kind, dims, shape, chunk, units, text, codec, order, bound))
    return [spec for spec in specs if spec.name in channels]


def state_specs(video: Video, most: Limits, state_every: int, shots: int) -> list[ArraySpec]:
    """Small arrays: one inner chunk an episode. `end_*` is one frame past the clip's last.

    Time stands last in the chunk: what follows a number is the same number a frame later.
    """
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
        names, kind = tuple(dims.split()), np.dtype(dtype)
        shape = tuple(size[n] for n in names)
        order = (*range(1, len(shape)), 0) if len(shape) > 1 else ()
        bound = Bound(0.0, 2**-24) if name == "action" else LOSSLESS  # float64 until stored
        codec = ZSTD._replace(group=kind.itemsize)
        specs.append(ArraySpec(name, kind, names, shape, shape, units, text, codec, order, bound))
    return specs


def _state_width(most: Limits) -> int:
    """Columns that hold any engine's restorable state.

    MuJoCo's integration state is the widest: time, then 7 + 6 + 6 + 6 + 6 numbers a free body
    (pose, velocity, warm start, applied forces twice), four a joint, and controls and switches.
    """
    return 8 + 31 * (most.bodies + 1) + 4 * most.joints + 4 * most.actions
