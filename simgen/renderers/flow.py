"""Exact optical flow from depth, segmentation and poses: works for every renderer."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, UInt8

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
    """Pixels that each visible point moves until the next frame (x right, y down)."""
    frames, height, width, _ = depth.shape
    maps = pixel_maps(motion, cameras)
    flow = np.empty((frames, height, width, 2), np.float32)
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    for t in range(frames):
        fx, fy, cx, cy = cameras.intrinsics[t]
        sky = segmentation[t, ..., 0] == 0
        z = np.where(sky, 1.0, depth[t, ..., 0])
        point = np.stack([(x - cx) / fx * z, -(y - cy) / fy * z, -z, np.ones_like(z)], -1)
        u, v, w = np.moveaxis(
            np.einsum("hwij,hwj->hwi", maps[t][segmentation[t, ..., 0]], point), -1, 0
        )
        flow[t] = np.stack([u / w - x, v / w - y], -1)
    return flow
