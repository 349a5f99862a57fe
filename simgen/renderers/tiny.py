"""PyBullet's TinyRenderer (software, no GL), drawing any engine's Motion.

Kept for people who want it and as a second check. It draws no shadows (TinyRenderer's are a moire
over the whole floor); round shapes are meshes of ours, because its own are coarse; planes are
plates of 60 m; a pattern shows as the mean of its tones, and nothing shines.
"""

from __future__ import annotations

import numpy as np
import pybullet
from scipy.spatial.transform import Rotation

from simgen.cameras import CameraTrack
from simgen.motion import Motion
from simgen.renderers.derive import encode_srgb, normals_from
from simgen.renderers.flow import flows
from simgen.renderers.packing import KINDS, GeomTable, pack, rotations, world_frames
from simgen.scene import Scene

CHANNELS = ("rgb", "depth", "segmentation")
NEAR_M, FAR_M = 0.05, 100.0
PLATE_M = 30.0  # half the side of a plane's plate


def render(
    scene: Scene,
    motion: Motion,
    cameras: CameraTrack,
    *,
    height: int,
    width: int,
    channels: tuple[str, ...] = CHANNELS,
) -> dict[str, np.ndarray]:
    """The asked channels; shapes and units as in simgen.renderers."""
    table = pack(scene)
    rotation, centre = world_frames(table, motion)
    frames = len(cameras.position) - 1
    out = {
        "rgb": np.empty((frames, height, width, 3), np.uint8),
        "depth": np.empty((frames, height, width, 1), np.float32),
        "segmentation": np.empty((frames, height, width, 1), np.uint8),
    }
    client = pybullet.connect(pybullet.DIRECT)
    try:
        handles = [_add_geom(client, table, g) for g in range(len(table))]
        label = np.zeros(max(handles, default=0) + 2, np.uint8)  # the last: -1, sky
        label[handles] = table.body + 1
        for t in range(frames):
            for g, handle in enumerate(handles):
                where, turn = _plate_pose(table, g, centre[t, g], rotation[t, g])
                pybullet.resetBasePositionAndOrientation(
                    handle, where, turn, physicsClientId=client
                )
            picture = pybullet.getCameraImage(
                width,
                height,
                viewMatrix=_view_matrix(cameras, t),
                projectionMatrix=_projection_matrix(cameras, t, height, width),
                lightDirection=list(-np.asarray(scene.light.direction)),
                lightDistance=8.0,
                shadow=0,
                lightAmbientCoeff=scene.light.ambient,
                lightDiffuseCoeff=scene.light.intensity,
                lightSpecularCoeff=0.0,
                renderer=pybullet.ER_TINY_RENDERER,
                physicsClientId=client,
            )
            colour, z, owner = (np.reshape(part, (height, width, -1)) for part in picture[2:])
            sky = owner < 0
            out["segmentation"][t] = label[owner]
            depth = NEAR_M * FAR_M / (FAR_M - z.astype(np.float64) * (FAR_M - NEAR_M))
            out["depth"][t] = np.where(sky, np.inf, depth)
            backdrop = 255 * encode_srgb(np.asarray(scene.sky.horizon))
            out["rgb"][t] = np.where(sky, backdrop, colour[..., :3])
    finally:
        pybullet.disconnect(client)
    if "normals" in channels:
        out["normals"] = normals_from(scene, motion, cameras, out["depth"], out["segmentation"])
    if {"flow", "backward_flow"} & set(channels):
        out |= flows(
            channels, out["depth"], out["segmentation"], motion, cameras,
            frame_s=1 / scene.frame_rate_hz,
        )  # fmt: skip
    return {name: out[name] for name in channels}


def _add_geom(client: int, table: GeomTable, g: int) -> int:
    kind, size = KINDS[table.kind[g]], table.size[g]
    if kind == "plane":
        shape = {"shapeType": pybullet.GEOM_BOX, "halfExtents": [PLATE_M, PLATE_M, PLATE_M / 100]}
    elif kind == "box":
        shape = {"shapeType": pybullet.GEOM_BOX, "halfExtents": list(size)}
    elif kind == "cylinder":
        shape = {"shapeType": pybullet.GEOM_CYLINDER, "radius": size[0], "length": 2 * size[2]}
    else:
        half = size[2] - size[0] if kind == "capsule" else 0.0
        radii = np.full(3, size[0]) if kind == "capsule" else size
        shape = {"shapeType": pybullet.GEOM_MESH, **_round_mesh(radii, half)}
    tone = table.rgb[g].mean(0) if table.pattern[g] else table.rgb[g, 0]
    visual = pybullet.createVisualShape(
        rgbaColor=[*encode_srgb(tone), 1.0], physicsClientId=client, **shape
    )
    return pybullet.createMultiBody(baseVisualShapeIndex=visual, physicsClientId=client)


def _plate_pose(table: GeomTable, g: int, centre, rotation) -> tuple[list[float], list[float]]:
    """Position and x y z w quaternion; a plane's plate lies under its surface."""
    if KINDS[table.kind[g]] == "plane":
        centre = centre - rotation[:, 2] * PLATE_M / 100
    return list(centre), list(Rotation.from_matrix(rotation).as_quat())


def _round_mesh(radii, half: float, slices: int = 32, rings: int = 9) -> dict:
    """Halves of an ellipsoid, `half` metres above and below the middle, and a wall between."""
    around = np.arange(slices) * 2 * np.pi / slices
    down = np.concatenate([np.linspace(0, np.pi / 2, rings), np.linspace(np.pi / 2, np.pi, rings)])
    down = down[:, None]
    unit = np.stack(
        [np.sin(down) * np.cos(around), np.sin(down) * np.sin(around), np.cos(down) + 0 * around],
        -1,
    ).reshape(-1, 3)
    lift = np.repeat([half, -half], rings * slices)[:, None] * [0.0, 0.0, 1.0]
    row, column = np.mgrid[0 : 2 * rings - 1, 0:slices]
    a, b = row * slices + column, row * slices + (column + 1) % slices
    faces = np.stack([a, a + slices, b, b, a + slices, b + slices], -1).reshape(-1)
    normals = unit / radii / np.linalg.norm(unit / radii, axis=-1, keepdims=True)
    return {
        "vertices": (unit * radii + lift).tolist(),
        "indices": faces.tolist(),
        "normals": normals.tolist(),
        "uvs": np.zeros((len(unit), 2)).tolist(),
    }


def _view_matrix(cameras: CameraTrack, t: int) -> list[float]:
    axes = rotations(cameras.quaternion[t])
    matrix = np.eye(4)
    matrix[:3, :3] = axes.T
    matrix[:3, 3] = -axes.T @ cameras.position[t]
    return matrix.T.ravel().tolist()


def _projection_matrix(cameras: CameraTrack, t: int, height: int, width: int) -> list[float]:
    # TinyRenderer samples a pixel at its lower left corner, everything else at its centre
    fx, fy, cx, cy = cameras.intrinsics[t] + [0.0, 0.0, -0.5, 0.5]
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[0, 2] = 2 * fx / width, 1 - 2 * cx / width
    matrix[1, 1], matrix[1, 2] = 2 * fy / height, 2 * cy / height - 1
    matrix[2, 2] = -(FAR_M + NEAR_M) / (FAR_M - NEAR_M)
    matrix[2, 3] = -2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)
    matrix[3, 2] = -1.0
    return matrix.T.ravel().tolist()
