"""Channels that a back end does not draw, derived from depth, segmentation and poses."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from simgen.cameras import CameraTrack
from simgen.motion import Motion
from simgen.renderers.packing import KINDS, GeomTable, pack, rotations, world_frames
from simgen.scene import Scene


def encode_srgb(linear: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """sRGB 0..1 of linear light 0..1 (IEC 61966-2-1)."""
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def normals_from(
    scene: Scene,
    motion: Motion,
    cameras: CameraTrack,
    depth: Float32[np.ndarray, "time height width 1"],
    segmentation: UInt8[np.ndarray, "time height width 1"],
) -> Float32[np.ndarray, "time height width 3"]:
    """Unit normals in the camera's frame at each visible point, 0 for sky.

    A point takes the normal of the geom of its body that it lies nearest to.
    """
    frames, height, width, _ = depth.shape
    table = pack(scene)
    rotation, centre = world_frames(table, motion)
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    out = np.zeros((frames, height, width, 3), np.float32)
    for t in range(frames):
        fx, fy, cx, cy = cameras.intrinsics[t]
        camera = rotations(cameras.quaternion[t])
        label = segmentation[t, ..., 0]
        ray = np.stack([(x - cx) / fx, -(y - cy) / fy, -np.ones_like(x)], -1)
        for body in np.unique(label[label > 0]):
            mine = label == body
            point = ray[mine] * depth[t][mine] @ camera.T + cameras.position[t]
            rows = np.flatnonzero(table.body == body - 1)
            pairs = [_surface(table, g, (point - centre[t, g]) @ rotation[t, g]) for g in rows]
            nearest = np.argmin([np.abs(gap) for gap, _ in pairs], axis=0)
            world = np.stack([n @ rotation[t, g].T for g, (_, n) in zip(rows, pairs, strict=True)])
            out[t][mine] = world[nearest, np.arange(len(point))] @ camera
    return out


def _surface(
    table: GeomTable, g: int, p: Float64[np.ndarray, "n 3"]
) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, "n 3"]]:
    """Distance in metres from a geom's surface (about, for ellipsoids) and the normal there."""
    kind, size = KINDS[table.kind[g]], table.size[g]
    if kind == "plane":
        return p[:, 2], np.broadcast_to([0.0, 0.0, 1.0], p.shape)
    if kind == "box":
        gap = np.abs(p) - size
        axis = np.argmax(gap, axis=-1)
        return gap.max(-1), np.eye(3)[axis] * np.sign(p)
    if kind == "cylinder":
        round_ = np.hypot(p[:, 0], p[:, 1])
        side, cap = round_ - size[0], np.abs(p[:, 2]) - size[2]
        flat = np.stack([0 * cap, 0 * cap, np.sign(p[:, 2])], -1)
        normal = p * [1, 1, 0] / np.maximum(round_, 1e-12)[:, None]
        return np.maximum(side, cap), np.where((cap > side)[:, None], flat, normal)
    if kind == "capsule":
        half = size[2] - size[0]
        p = p - np.clip(p[:, 2:], -half, half) * [0.0, 0.0, 1.0]
        size = np.full(3, size[0])
    unit = p / size
    length = np.maximum(np.linalg.norm(unit, axis=-1), 1e-12)
    normal = unit / size
    slope = np.maximum(np.linalg.norm(normal, axis=-1), 1e-12)
    return (length - 1) * length / slope, normal / slope[:, None]
