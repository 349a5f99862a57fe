"""Exact optical flow from depth, segmentation and poses: works for every renderer."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8
from numba import njit

from simgen.cameras import CameraTrack
from simgen.motion import Motion
from simgen.renderers.packing import rotations


class Poses(NamedTuple):
    """Where bodies and camera stand, a row a picture."""

    position: Float64[np.ndarray, "time body 3"]
    rotation: Float64[np.ndarray, "time body 3 3"]  # body to world
    eye: Float64[np.ndarray, "time 3"]
    camera: Float64[np.ndarray, "time 3 3"]  # camera to world
    intrinsics: Float64[np.ndarray, "time 4"]

    def rows(self, first: int, last: int | None) -> Poses:
        return Poses(*(part[first:last] for part in self))


def poses(motion: Motion, cameras: CameraTrack) -> Poses:
    """Of every row of a motion and its camera."""
    return Poses(
        motion.position, rotations(motion.quaternion),
        cameras.position, rotations(cameras.quaternion), cameras.intrinsics,
    )  # fmt: skip


def poses_before(
    motion: Motion, frame_s: float
) -> tuple[Float64[np.ndarray, "body 3"], Float64[np.ndarray, "body 4"]]:
    """Position (m) and quaternion of every body one frame before row 0.

    Where the motion does not know them, the bodies are moved back by their velocities at row 0:
    x - v dt, and a turn by -omega dt about the world's axes.
    """
    if motion.before is not None:
        return motion.before
    turn = -0.5 * frame_s * motion.angular_velocity[0]  # half the angle, along the axis
    half = np.linalg.norm(turn, axis=-1, keepdims=True)
    w, v = np.cos(half), turn * np.sinc(half / np.pi)
    q0, q = motion.quaternion[0, :, :1], motion.quaternion[0, :, 1:]
    scalar = w * q0 - (v * q).sum(-1, keepdims=True)
    quaternion = np.concatenate([scalar, w * q + q0 * v + np.cross(v, q)], -1)
    return motion.position[0] - frame_s * motion.velocity[0], quaternion


def flows(
    channels: Collection[str],
    depth: Float32[np.ndarray, "time height width 1"],
    segmentation: UInt8[np.ndarray, "time height width 1"],
    motion: Motion,
    cameras: CameraTrack,
    *,
    frame_s: float,
) -> dict[str, Float32[np.ndarray, "time height width 2"]]:
    """Those of "flow" and "backward_flow" that are among the channels, px (x right, y down).

    "flow" leads to where the visible point is in the next picture, "backward_flow" to where it was
    in the one before. The camera before row 0 stands as in row 0. NaN where the point lies beside
    or behind the other picture's camera.
    """
    out = {}
    if not {"flow", "backward_flow"} & set(channels):
        return out
    every = poses(motion, cameras)
    here = every.rows(0, -1)
    if "flow" in channels:
        out["flow"] = flow_field(depth, segmentation, here, every.rows(1, None))
    if "backward_flow" in channels:
        position, quaternion = poses_before(motion, frame_s)
        first = Poses(position, rotations(quaternion), *(part[0] for part in every[2:]))
        earlier = Poses(*(
            np.concatenate([a[None], b[:-2]]) for a, b in zip(first, every, strict=True)
        ))  # fmt: skip
        out["backward_flow"] = flow_field(depth, segmentation, here, earlier)
    return out


def pixel_maps(here: Poses, there: Poses) -> Float64[np.ndarray, "time label 3 4"]:
    """Per row and label: camera coordinates here -> homogeneous pixel there.

    A point fixed to body i moves with it: P' T_i' T_i^-1 C, where T_i is body to world, C camera
    to world, P the projection and ' means there. Label 0 is the sky, infinitely far: its
    translation is dropped, so that only the camera's rotation counts.
    """
    turn = there.rotation @ here.rotation.transpose(0, 1, 3, 2)  # world
    shift = there.position - (turn @ here.position[..., None])[..., 0]
    frames, bodies = turn.shape[:2]
    world = np.zeros((frames, bodies + 1, 3, 4))
    world[:, 0, :, :3] = np.eye(3)
    world[:, 1:, :, :3], world[:, 1:, :, 3] = turn, shift
    seen = np.zeros_like(world)
    seen[..., :3] = world[..., :3] @ here.camera[:, None]
    moved = (world[..., :3] @ here.eye[:, None, :, None])[..., 0] + world[..., 3]
    seen[:, 1:, :, 3] = (moved - there.eye[:, None])[:, 1:]
    lens = _projections(there.intrinsics) @ there.camera.transpose(0, 2, 1)
    return lens[:, None] @ seen


def _projections(intrinsics: Float64[np.ndarray, "time 4"]) -> Float64[np.ndarray, "time 3 3"]:
    fx, fy, cx, cy = intrinsics.T
    matrix = np.zeros((len(fx), 3, 3))
    matrix[:, 0, 0], matrix[:, 0, 2] = fx, -cx
    matrix[:, 1, 1], matrix[:, 1, 2] = -fy, -cy
    matrix[:, 2, 2] = -1.0
    return matrix


def flow_field(
    depth: Float32[np.ndarray, "time height width 1"],
    segmentation: UInt8[np.ndarray, "time height width 1"],
    here: Poses,
    there: Poses,
) -> Float32[np.ndarray, "time height width 2"]:
    """Pixels from where each visible point is to where it is there (x right, y down)."""
    frames, height, width, _ = depth.shape
    fx, fy, cx, cy = here.intrinsics[:, :, None].transpose(1, 0, 2)
    # from camera coordinates to (column, row, 1) and depth: fold in the pinhole of this row
    maps = pixel_maps(here, there)
    folded = np.empty_like(maps)
    folded[..., 0] = maps[..., 0] / fx[..., None]
    folded[..., 1] = -maps[..., 1] / fy[..., None]
    folded[..., 2] = -maps[..., 2] - folded[..., 0] * cx[..., None] - folded[..., 1] * cy[..., None]
    folded[..., 3] = maps[..., 3]
    flow = np.empty((frames, height, width, 2), np.float32)
    _flow(depth[..., 0], segmentation[..., 0], folded, _at_rest(here, there), flow)
    return flow


def _at_rest(here: Poses, there: Poses) -> Bool[np.ndarray, "time label"]:
    """Labels that do not move in the picture, nor does the camera: their flow is exactly 0."""
    pairs = [(a == b).reshape(len(a), -1).all(-1)
             for a, b in zip(here[2:], there[2:], strict=True)]  # fmt: skip
    camera = np.logical_and.reduce(pairs)[:, None]
    body = (here.position == there.position).all(-1) & (here.rotation == there.rotation).all((2, 3))
    return np.concatenate([camera, camera & body], 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _flow(depth, segmentation, maps, at_rest, flow):
    """Runs of one label share a matrix, which makes the inner loop a plain SIMD one."""
    frames, height, width = depth.shape
    for t in range(frames):
        for row in range(height):
            start = 0
            while start < width:
                label = segmentation[t, row, start]
                end = start + 1
                while end < width and segmentation[t, row, end] == label:
                    end += 1
                if at_rest[t, label]:
                    flow[t, row, start:end] = 0.0
                else:
                    sky = label == 0
                    _run(depth[t, row], maps[t, label], row + 0.5, start, end, sky, flow[t, row])
                start = end


@njit(cache=True, nogil=True, error_model="numpy")
def _run(depth, matrix, y, start, end, sky, flow):
    u0 = matrix[0, 1] * y + matrix[0, 2]
    v0 = matrix[1, 1] * y + matrix[1, 2]
    w0 = matrix[2, 1] * y + matrix[2, 2]
    ux, uz, vx, vz = matrix[0, 0], matrix[0, 3], matrix[1, 0], matrix[1, 3]
    wx, wz = matrix[2, 0], matrix[2, 3]
    for column in range(start, end):
        x = column + 0.5
        nearness = 0.0 if sky else 1.0 / depth[column]
        w = wx * x + w0 + wz * nearness
        w = w if w > 0.0 else np.nan
        scale = 1.0 / w
        flow[column, 0] = (ux * x + u0 + uz * nearness) * scale - x
        flow[column, 1] = (vx * x + v0 + vz * nearness) * scale - y
