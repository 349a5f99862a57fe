"""Scenes, motions and cameras for the renderers' tests, and a float64 picture of them by NumPy."""

from __future__ import annotations

import numpy as np

from simgen.cameras import CameraTrack, look_at_quaternion
from simgen.motion import CONTACT_DTYPE, Motion
from simgen.renderers.packing import KINDS, pack, rotations, world_frames
from simgen.scene import Body, Geom, Material, Scene

GREY = Material("grey", (0.5, 0.5, 0.5))
FLOOR = Geom("plane", (), Material("grey", (0.6, 0.6, 0.6), (0.4, 0.4, 0.4), "checker"))
NEAR_M, FAR_M = 0.01, 1000.0


def scene_of(*geoms_and_positions, frames: int = 2, floor: bool = False) -> Scene:
    """One free body for each (geom, position), under an optional floor as row 0."""
    bodies = [Body("floor", (FLOOR,), motion="static")] if floor else []
    for geom, position in geoms_and_positions:
        bodies.append(Body(f"body{len(bodies)}", (geom,), 1.0, position=position))
    return Scene("test", tuple(bodies), frames, 24.0, 240.0)


def six(frames: int = 2) -> Scene:
    """Every primitive over a checkered floor, two of them in two tones."""
    tones = Material("red", (0.7, 0.05, 0.05), (0.9, 0.7, 0.7), "two_tone")
    return scene_of(
        (Geom("sphere", (0.3,), tones), (-0.8, 0.1, 0.4)),
        (Geom("box", (0.25, 0.2, 0.3), GREY), (0.1, 0.7, 0.5)),
        (Geom("capsule", (0.13, 0.25), GREY), (0.5, -0.4, 0.9)),
        (Geom("cylinder", (0.2, 0.25), GREY), (0.85, 0.3, 0.4)),
        (Geom("ellipsoid", (0.35, 0.2, 0.15), tones), (-0.35, -0.7, 0.4)),
        (Geom("sphere", (0.22,), GREY), (-0.2, 0.1, 1.1)),
        frames=frames,
        floor=True,
    )


def motion_of(scene: Scene, seed: int = 0, *, moving: bool = True) -> Motion:
    """Free bodies drift and turn at random constant rates from a random orientation."""
    rng = np.random.default_rng(seed)
    time1, count = scene.frames + 1, len(scene.bodies)
    free = np.array([b.motion != "static" for b in scene.bodies])
    start = np.where(free[:, None], rng.normal(size=(count, 4)), [1.0, 0.0, 0.0, 0.0])
    rate = rng.normal(size=(count, 4)) * 0.08 * (free & moving)[:, None]
    drift = rng.normal(size=(count, 3)) * 0.02 * (free & moving)[:, None]
    steps = np.arange(time1)[:, None, None]
    quaternion = start + rate * steps
    quaternion /= np.linalg.norm(quaternion, axis=-1, keepdims=True)
    position = np.array([b.position for b in scene.bodies], np.float64) + drift * steps
    zeros, none = np.zeros((time1, count, 3)), np.zeros((time1, 0))
    return Motion(
        engine="none", engine_version="", position=position, quaternion=quaternion, velocity=zeros,
        angular_velocity=zeros, centre_of_mass=position, joint_position=none, joint_velocity=none,
        joint_torque=none, action=np.zeros((scene.frames, 0)), contacts=np.zeros(0, CONTACT_DTYPE),
        deepest_penetration_m=np.zeros(time1), kinetic_energy_j=np.zeros(time1),
        potential_energy_j=np.zeros(time1), state=np.zeros((0, 0)),
        state_frames=np.zeros(0, np.int32),
    )  # fmt: skip


def camera_of(
    time1: int,
    height: int,
    width: int,
    *,
    eye=(0.0, -4.2, 1.7),
    target=(0.0, 0.0, 0.5),
    step=(0.0, 0.0, 0.0),
    focal: float | None = None,
) -> CameraTrack:
    """A camera that looks at target while it moves by `step` a frame; 45 degrees unless told."""
    position = np.asarray(eye, np.float64) + np.arange(time1)[:, None] * np.asarray(step)
    focal = focal or min(height, width) / 2 / np.tan(np.radians(22.5))
    return CameraTrack(
        position,
        look_at_quaternion(position, np.tile(np.asarray(target, np.float64), (time1, 1))),
        np.tile([focal, focal, width / 2, height / 2], (time1, 1)).astype(np.float64),
    )


def reference(scene: Scene, motion: Motion, cameras: CameraTrack, t: int, height: int, width: int):
    """Depth, label and camera-frame normal of frame t by textbook formulas in float64."""
    table = pack(scene)
    rotation, centre = world_frames(table, motion)
    camera, eye = rotations(cameras.quaternion[t]), cameras.position[t]
    fx, fy, cx, cy = cameras.intrinsics[t]
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    ray = np.stack([(x - cx) / fx, -(y - cy) / fy, -np.ones_like(x)], -1) @ camera.T
    depth, label = np.full(x.shape, FAR_M), np.zeros(x.shape, np.uint8)
    normal = np.zeros((*x.shape, 3))
    for g in range(len(table)):
        frame = rotation[t, g]
        near, n = hit(
            KINDS[table.kind[g]], table.size[g], (eye - centre[t, g]) @ frame, ray @ frame
        )
        closer = (near > NEAR_M) & (near < depth)
        depth = np.where(closer, near, depth)
        label = np.where(closer, table.body[g] + 1, label)
        normal = np.where(closer[..., None], n @ frame.T @ camera, normal)
    return np.where(label > 0, depth, np.inf), label, normal


def hit(kind: str, size: np.ndarray, o: np.ndarray, d: np.ndarray):
    """Where o + t d enters a geom, in its own frame (inf: a miss), and the normal there."""
    with np.errstate(all="ignore"):
        if kind == "plane":
            t = -o[2] / d[..., 2]
            t = np.where((t > 0) & (d[..., 2] < 0), t, np.inf)
            return t, np.broadcast_to([0.0, 0.0, 1.0], d.shape)
        if kind in ("sphere", "ellipsoid"):
            near, far = quadratic(o / size, d / size, 1.0)
            n = (o + near[..., None] * d) / size**2
        elif kind == "box":
            a, b = (-size - o) / d, (size - o) / d
            near, far = np.minimum(a, b).max(-1), np.maximum(a, b).min(-1)
            n = -np.sign(d) * (np.minimum(a, b) == near[..., None])
        else:
            half = size[2] - size[0] if kind == "capsule" else size[2]
            wall, wall_far = quadratic(o[:2], d[..., :2], size[0])
            a, b = (-half - o[2]) / d[..., 2], (half - o[2]) / d[..., 2]
            cap = np.minimum(a, b)
            near, far = np.maximum(wall, cap), np.minimum(wall_far, np.maximum(a, b))
            flat = -np.sign(d) * [0, 0, 1]
            side = (o + near[..., None] * d) * [1, 1, 0]
            n = np.where((cap > wall)[..., None], flat, side)
            if kind == "capsule":  # a cylinder without lids and two balls: the first of the three
                near = np.where((wall >= cap) & (near < far), near, np.inf)
                far = np.full_like(near, np.inf)
                for end in (-half, half):
                    centre = np.array([0.0, 0.0, end])
                    ball, _ = quadratic(o - centre, d, size[0])
                    first = ball < near
                    near = np.where(first, ball, near)
                    n = np.where(first[..., None], o + ball[..., None] * d - centre, n)
        missed = ~(near < far)
        n = n / np.linalg.norm(n, axis=-1, keepdims=True)
        return np.where(missed, np.inf, near), np.where(missed[..., None], 0.0, n)


def quadratic(o: np.ndarray, d: np.ndarray, radius: float):
    """Both crossings of o + t d with |p| = radius; NaN: none."""
    a, b, c = (d * d).sum(-1), (o * d).sum(-1), (o * o).sum(-1) - radius**2
    root = np.sqrt(b * b - a * c)
    return (-b - root) / a, (-b + root) / a
