"""Exact optical flow from depth, segmentation and poses: works for every renderer."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from numba import njit

from simgen.cameras import CameraTrack
from simgen.motion import Motion
from simgen.renderers.packing import rotations


def pixel_maps(motion: Motion, cameras: CameraTrack) -> Float64[np.ndarray, "time label 3 4"]:
    """Per frame and label: camera coordinates at t -> homogeneous pixel at t + 1.

    A point fixed to body i moves with it: P(t+1) T_i(t+1) T_i(t)^-1 C(t), where T_i is body to
    world, C camera to world and P the projection. Label 0 is the sky, infinitely far: its
    translation is dropped, so that only the camera's rotation counts.
    """
    body = rotations(motion.quaternion)
    camera = rotations(cameras.quaternion)
    turn = np.einsum("tbij,tbkj->tbik", body[1:], body[:-1])  # world, over one frame
    shift = motion.position[1:] - np.einsum("tbij,tbj->tbi", turn, motion.position[:-1])
    frames, bodies = turn.shape[:2]
    world = np.zeros((frames, bodies + 1, 3, 4))
    world[:, 0, :, :3] = np.eye(3)
    world[:, 1:, :, :3], world[:, 1:, :, 3] = turn, shift
    seen = np.zeros_like(world)
    seen[..., :3] = np.einsum("tbij,tjk->tbik", world[..., :3], camera[:-1])
    moved = np.einsum("tbij,tj->tbi", world[..., :3], cameras.position[:-1]) + world[..., 3]
    seen[:, 1:, :, 3] = (moved - cameras.position[1:, None])[:, 1:]
    return np.einsum("tij,tkj,tbkl->tbil", _projections(cameras)[1:], camera[1:], seen)


def _projections(cameras: CameraTrack) -> Float64[np.ndarray, "time1 3 3"]:
    fx, fy, cx, cy = cameras.intrinsics.T
    matrix = np.zeros((len(fx), 3, 3))
    matrix[:, 0, 0], matrix[:, 0, 2] = fx, -cx
    matrix[:, 1, 1], matrix[:, 1, 2] = -fy, -cy
    matrix[:, 2, 2] = -1.0
    return matrix


def flow_field(
    depth: Float32[np.ndarray, "time height width 1"],
    segmentation: UInt8[np.ndarray, "time height width 1"],
    motion: Motion,
    cameras: CameraTrack,
) -> Float32[np.ndarray, "time height width 2"]:
    """Pixels that each visible point moves until the next frame (x right, y down).

    NaN where the point lies beside or behind the next frame's camera.
    """
    frames, height, width, _ = depth.shape
    fx, fy, cx, cy = cameras.intrinsics[:frames, :, None].transpose(1, 0, 2)
    # from camera coordinates to (column, row, 1) and depth: fold in the pinhole of frame t
    maps = pixel_maps(motion, cameras)[:frames]
    folded = np.empty_like(maps)
    folded[..., 0] = maps[..., 0] / fx[..., None]
    folded[..., 1] = -maps[..., 1] / fy[..., None]
    folded[..., 2] = -maps[..., 2] - folded[..., 0] * cx[..., None] - folded[..., 1] * cy[..., None]
    folded[..., 3] = maps[..., 3]
    flow = np.empty((frames, height, width, 2), np.float32)
    _flow(depth[..., 0], segmentation[..., 0], folded, flow)
    return flow


@njit(cache=True, nogil=True, error_model="numpy")
def _flow(depth, segmentation, maps, flow):
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
                _run(depth[t, row], maps[t, label], row + 0.5, start, end, label == 0, flow[t, row])
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
