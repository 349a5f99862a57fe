"""The default renderer: analytic ray casting of the scene's primitives on the CPU, no GL."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int32

from simgen.cameras import CameraTrack
from simgen.motion import Motion
from simgen.renderers.flow import flow_field
from simgen.renderers.packing import KINDS, GeomTable, pack, rotations, world_frames
from simgen.scene import Scene

CHANNELS = ("rgb", "depth", "segmentation", "normals", "flow")
NEAR_M, FAR_M = 0.01, 1000.0
FOG_M = 60.0  # half of a surface's colour is the horizon's at this distance
TONE_AXIS = np.array([0.6, 0.48, 0.64])  # oblique, so that spin about x, y or z all shows


def render(scene, motion, cameras, *, height, width, channels=CHANNELS):
    """The asked channels; see simgen.renderers.render."""
    table = pack(scene)
    rotation, centre = world_frames(table, motion)
    camera = rotations(cameras.quaternion)
    out = {
        "rgb": np.zeros((scene.frames, height, width, 3), np.uint8),
        "depth": np.zeros((scene.frames, height, width, 1), np.float32),
        "segmentation": np.zeros((scene.frames, height, width, 1), np.uint8),
        "normals": np.zeros((scene.frames, height, width, 3), np.float32),
    }
    for t in range(scene.frames):
        _frame(
            {k: v[t] for k, v in out.items()},
            scene,
            table,
            rotation[t],
            centre[t],
            camera[t],
            cameras.position[t],
            cameras.intrinsics[t],
        )
    if "flow" in channels:
        out["flow"] = flow_field(out["depth"], out["segmentation"], motion, cameras)
    return {name: out[name] for name in channels}


def _frame(out, scene, table, rotation, centre, camera, eye, intrinsics):
    height, width = out["depth"].shape[:2]
    fx, fy, cx, cy = intrinsics
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    ray = np.stack([(x - cx) / fx, -(y - cy) / fy, -np.ones_like(x)], -1) @ camera.T
    best = np.full(x.shape, FAR_M)
    owner = np.full(x.shape, -1)
    normal = np.zeros((*x.shape, 3))
    albedo = np.zeros((*x.shape, 3))
    for g in range(len(table)):
        frame = rotation[g]
        o, d = (eye - centre[g]) @ frame, ray @ frame
        near, _, n = hit(KINDS[table.kind[g]], table.size[g], o, d)
        closer = (near > NEAR_M) & (near < best)
        best = np.where(closer, near, best)
        owner = np.where(closer, g, owner)
        normal[closer] = (n @ frame.T)[closer]
        local = o + np.where(closer, near, 1.0)[..., None] * d
        albedo[closer] = _albedo(table, g, local, best / fx)[closer]
    solid = owner >= 0
    point = eye + np.where(solid, best, 1.0)[..., None] * ray
    light = -np.asarray(scene.light.direction) / np.linalg.norm(scene.light.direction)
    lit = np.maximum(normal @ light, 0.0)
    for g in range(len(table)):
        if KINDS[table.kind[g]] == "plane":
            continue
        o, d = (point - centre[g]) @ rotation[g], light @ rotation[g]
        near, far, _ = hit(KINDS[table.kind[g]], table.size[g], o, np.broadcast_to(d, o.shape))
        lit[(far > 1e-4) & np.isfinite(near) & (owner != g)] = 0.0
    shade = scene.light.ambient * (0.8 + 0.2 * normal[..., 2]) + scene.light.intensity * lit
    horizon, zenith = np.asarray(scene.sky.horizon), np.asarray(scene.sky.zenith)
    up = np.maximum(ray[..., 2] / np.linalg.norm(ray, axis=-1), 0.0)[..., None]
    sky = horizon + (zenith - horizon) * up * (2 - up)
    fog = (best**2 / (best**2 + FOG_M**2))[..., None]
    linear = np.where(solid[..., None], albedo * shade[..., None] * (1 - fog) + horizon * fog, sky)
    linear = np.clip(linear, 0.0, 1.0)
    srgb = np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    out["rgb"][:] = np.floor(srgb * 255 + 0.5)
    out["depth"][..., 0] = np.where(solid, best, np.inf)
    out["segmentation"][..., 0] = np.where(solid, table.body[owner] + 1, 0)
    out["normals"][:] = normal @ camera


def hit(kind, size, o, d):
    """Entry and exit along o + t d and the entry's normal, in the geom's frame; inf: a miss."""
    with np.errstate(all="ignore"):
        if kind == "plane":
            t = np.broadcast_to(-o[..., 2] / d[..., 2], d.shape[:-1])
            t = np.where((t > 0) & (d[..., 2] < 0), t, np.inf)
            return t, t, np.broadcast_to([0.0, 0.0, 1.0], d.shape)
        if kind in ("sphere", "ellipsoid"):
            near, far = _quadric(o / size, d / size, 1.0)
            n = (o + near[..., None] * d) / size**2
        elif kind == "box":
            a, b = (-size - o) / d, (size - o) / d
            low, high = np.minimum(a, b), np.maximum(a, b)
            near, far = low.max(-1), high.min(-1)
            n = -np.sign(d) * (low == near[..., None])
        elif kind == "cylinder":
            side, side_far = _quadric(o[..., :2] + 0 * d[..., :2], d[..., :2], size[0])
            a, b = (-size[2] - o[..., 2]) / d[..., 2], (size[2] - o[..., 2]) / d[..., 2]
            near = np.maximum(side, np.minimum(a, b))
            far = np.minimum(side_far, np.maximum(a, b))
            p = o + near[..., None] * d
            flat = np.stack([0 * near, 0 * near, -np.sign(d[..., 2])], -1)
            n = np.where((near > side)[..., None], flat, p * [1, 1, 0])
        else:
            half = size[2] - size[0]
            side, side_far = _quadric(o[..., :2] + 0 * d[..., :2], d[..., :2], size[0])
            zn = np.clip(o[..., 2] + side * d[..., 2], -half, half)
            zf = np.clip(o[..., 2] + side_far * d[..., 2], -half, half)
            up = np.array([0.0, 0.0, 1.0])
            near, _ = _quadric(o - np.where(np.isnan(zn), 0, zn)[..., None] * up, d, size[0])
            _, far = _quadric(o - np.where(np.isnan(zf), 0, zf)[..., None] * up, d, size[0])
            inside = np.abs(o[..., 2] + side * d[..., 2]) < half
            near = np.where(inside, side, near)
            inside = np.abs(o[..., 2] + side_far * d[..., 2]) < half
            far = np.where(inside, side_far, far)
            p = o + near[..., None] * d
            n = p - np.clip(p[..., 2], -half, half)[..., None] * up
        missed = ~(near < far)
        n = np.where(missed[..., None], 0.0, n / np.linalg.norm(n, axis=-1, keepdims=True))
        return np.where(missed, np.inf, near), np.where(missed, -np.inf, far), n


def _quadric(o, d, radius):
    a = np.maximum((d * d).sum(-1), 1e-12)
    middle = -(o * d).sum(-1) / a
    q = o + middle[..., None] * d
    half = np.sqrt((radius**2 - (q * q).sum(-1)) / a)
    return middle - half, middle + half


def _albedo(table: GeomTable, g, local, footprint):
    first, second = table.rgb[g]
    if table.pattern[g] == 1:
        side = local @ (table.rotation[g].T @ TONE_AXIS)
        mix = np.clip(0.5 + side / footprint, 0.0, 1.0)[..., None]
    elif table.pattern[g] == 2:
        cell = np.floor(local[..., 0] / table.scale[g]) + np.floor(local[..., 1] / table.scale[g])
        mix = (cell % 2)[..., None]
    else:
        return np.broadcast_to(first, local.shape)
    return first + (second - first) * mix


def silhouette_areas(
    scene: Scene, motion: Motion, cameras: CameraTrack, *, height: int, width: int
) -> Int32[np.ndarray, "time body"]:
    """Pixels of each body's whole silhouette inside the picture, as if nothing stood in front."""
    table = pack(scene)
    rotation, centre = world_frames(table, motion)
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    areas = np.zeros((scene.frames, len(scene.bodies)), np.int32)
    for t in range(scene.frames):
        fx, fy, cx, cy = cameras.intrinsics[t]
        ray = np.stack([(x - cx) / fx, -(y - cy) / fy, -np.ones_like(x)], -1)
        ray = ray @ rotations(cameras.quaternion[t]).T
        for body in np.unique(table.body):
            covered = np.zeros(x.shape, bool)
            for g in np.flatnonzero(table.body == body):
                frame = rotation[t, g]
                o = (cameras.position[t] - centre[t, g]) @ frame
                near, _, _ = hit(KINDS[table.kind[g]], table.size[g], o, ray @ frame)
                covered |= (near > NEAR_M) & (near < FAR_M)
            areas[t, body] = covered.sum()
    return areas
