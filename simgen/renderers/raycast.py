"""The default renderer: analytic ray casting of the scene's primitives on the CPU, no GL.

It is exact to float32 rounding, needs no driver, and gives the same bytes whatever the machine's
load, number of threads and vector width. Depth, segmentation, normals and flow are taken at pixel
centres; rgb is smoothed where surfaces or shadows meet.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from jaxtyping import Float32, Int32, UInt8

from simgen.cameras import CameraTrack
from simgen.motion import Motion
from simgen.renderers import raycast_kernel as kernel
from simgen.renderers.flow import flows
from simgen.renderers.packing import GeomTable, pack, rotations, world_frames
from simgen.renderers.screen import Bounds, geom_bounds, hiders
from simgen.scene import Scene

CHANNELS = ("rgb", "depth", "segmentation", "normals", "flow", "backward_flow")
# positions in the pixel of 4 samples: no two share a row or a column (rotated grid)
OFFSETS = np.array([[0.375, 0.125], [0.875, 0.375], [0.125, 0.625], [0.625, 0.875]], np.float32)
_SHAPES = {
    "rgb": (3, np.uint8),
    "depth": (1, np.float32),
    "segmentation": (1, np.uint8),
    "normals": (3, np.float32),
}


def render(
    scene: Scene,
    motion: Motion,
    cameras: CameraTrack,
    *,
    height: int,
    width: int,
    channels: tuple[str, ...] = CHANNELS,
    smooth: bool = True,
    threads: int = 1,
) -> dict[str, np.ndarray]:
    """The asked channels; shapes and units as in simgen.renderers.

    Args:
        scene, motion, cameras: What to draw, and one frame more for flow.
        height, width: Of the picture, pixels.
        channels: Which of CHANNELS to return.
        smooth: Redraw rgb with 4 samples a pixel where surfaces or shadows meet.
        threads: Frames drawn at once. The bytes do not depend on it.
    """
    moving = {"flow", "backward_flow"} & set(channels)
    needed = set(channels) | ({"depth", "segmentation"} if moving else set())
    frames = len(cameras.position) - 1
    out = {
        name: np.empty((frames, height if name in needed else 0, width, depth), dtype)
        for name, (depth, dtype) in _SHAPES.items()
    }
    table = pack(scene)
    geoms, views, bounds = _frames(scene, table, motion, cameras, height, width)
    labels = np.concatenate([[0], table.body + 1]).astype(np.uint8)
    offsets = OFFSETS if smooth else OFFSETS[:0]

    def draw(part: slice) -> None:
        kernel.draw(
            geoms[part], views[part], table.kind, table.pattern, labels,
            *(array[part] for array in bounds), offsets,
            *(out[name][part] for name in _SHAPES), (height, width),
        )  # fmt: skip

    cuts = np.linspace(0, frames, min(max(threads, 1), frames) + 1).astype(int)
    parts = [slice(a, b) for a, b in pairwise(cuts)]
    if len(parts) == 1:
        draw(parts[0])
    else:
        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(draw, parts))
    out |= flows(
        channels, out["depth"], out["segmentation"], motion, cameras,
        frame_s=1 / scene.frame_rate_hz,
    )  # fmt: skip
    return {name: out[name] for name in channels}


def areas(
    scene: Scene,
    motion: Motion,
    cameras: CameraTrack,
    *,
    height: int,
    width: int,
    segmentation: UInt8[np.ndarray, "time height width 1"] | None = None,
) -> tuple[Int32[np.ndarray, "time body"], Int32[np.ndarray, "time body"]]:
    """Pixels of each body: those that show, and its whole silhouette's inside the picture.

    What shows is counted in the segmentation; a body is traced again only where something shows
    that may stand in front of it, and only in frames in which it or the camera has moved.

    Args:
        segmentation: Of the same frames, if it was drawn already.
    """
    if segmentation is None:
        size = {"height": height, "width": width, "channels": ("segmentation",)}
        segmentation = render(scene, motion, cameras, **size)["segmentation"]
    table = pack(scene)
    geoms, views, bounds = _frames(scene, table, motion, cameras, height, width)
    visible, whole = np.zeros((2, len(views), len(scene.bodies)), np.int32)
    kernel.silhouettes(
        geoms, views, table.kind, table.body, bounds.boxes, bounds.outlines,
        np.ascontiguousarray(segmentation), hiders(table, geoms, len(scene.bodies)),
        _unchanged(motion, cameras), visible, whole,
    )  # fmt: skip
    return visible, whole


def _unchanged(motion: Motion, cameras: CameraTrack) -> UInt8[np.ndarray, "time body"]:
    """1 where camera and body stand as in the frame before, so that the body looks the same."""
    seen = np.concatenate([cameras.position, cameras.quaternion, cameras.intrinsics], -1)
    pose = np.concatenate([motion.position, motion.quaternion], -1)
    out = np.zeros((len(seen) - 1, pose.shape[1]), np.uint8)
    still = (seen[1:-1] == seen[:-2]).all(-1)
    out[1:] = still[:, None] & (pose[1:-1] == pose[:-2]).all(-1)
    return out


def _frames(
    scene: Scene, table: GeomTable, motion: Motion, cameras: CameraTrack, height: int, width: int
) -> tuple[
    Float32[np.ndarray, "time geom column"],
    Float32[np.ndarray, "time column"],
    Bounds,
]:
    """The kernel's inputs for every frame, reckoned in float64 relative to the camera."""
    count = len(cameras.position) - 1
    rotation, centre = (a[:count] for a in world_frames(table, motion))
    camera = rotations(cameras.quaternion[:count])
    light = -np.asarray(scene.light.direction) / np.linalg.norm(scene.light.direction)
    to_local = rotation.transpose(0, 1, 3, 2) @ camera[:, None]
    seen_centre = (centre - cameras.position[:count, None]) @ camera
    seen_light = light @ camera
    geoms = np.empty((count, len(table), kernel.GEOM_COLUMNS), np.float32)
    geoms[..., 0:9] = to_local.reshape(count, len(table), 9)
    geoms[..., 9:12] = -(to_local @ seen_centre[..., None])[..., 0]
    geoms[..., 12:15] = table.size
    geoms[..., 15:18] = (to_local @ seen_light[:, None, :, None])[..., 0]
    geoms[..., 18:24] = table.rgb.reshape(-1, 6)
    geoms[..., 24:27] = seen_centre
    geoms[..., 27:30] = (table.axis[:, None] @ to_local)[..., 0, :]
    geoms[..., 30], geoms[..., 31] = table.scale, table.gloss
    views = np.empty((count, kernel.VIEW_COLUMNS), np.float32)
    views[:, 0:4] = cameras.intrinsics[:count]
    views[:, 4:7] = seen_light
    views[:, 7:10] = camera[:, 2]
    views[:, 10:] = (
        *scene.sky.horizon,
        *scene.sky.zenith,
        scene.light.ambient,
        scene.light.intensity,
    )
    bounds = geom_bounds(
        table, to_local, seen_centre, seen_light, camera[:, 2],
        cameras.intrinsics[:count], height, width,
    )  # fmt: skip
    return geoms, views, bounds
