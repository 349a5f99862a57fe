"""Where in the picture a geom, and everything that it can shadow, may be seen."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int32, UInt8

from simgen.renderers.packing import KINDS, GeomTable

NEAR_M = 0.01
THIN_PX = 2.0  # a geom thinner than this can slip between pixel centres
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)


def geom_boxes(
    table: GeomTable,
    to_local: Float64[np.ndarray, "time geom 3 3"],
    centre: Float64[np.ndarray, "time geom 3"],
    light: Float64[np.ndarray, "time 3"],
    up: Float64[np.ndarray, "time 3"],
    intrinsics: Float64[np.ndarray, "time 4"],
    height: int,
    width: int,
) -> tuple[Int32[np.ndarray, "time geom 8"], UInt8[np.ndarray, "time geom"]]:
    """Pixel bounds x0 x1 y0 y1 of each geom and of its shadows, and which geoms are thin.

    A shadow lies in the volume that the geom sweeps when it moves along the light down to the
    lowest thing in the scene. Bounds are generous by a pixel; a geom that reaches behind the
    camera gets the whole picture. All vectors are in the camera's frame.
    """
    plane = table.kind == KINDS.index("plane")
    corners = _corners(table, to_local, centre)
    height_of = np.einsum("tgcj,tj->tgc", corners, up)
    plane_height = np.einsum("tgj,tj->tg", centre, up)
    lowest = np.where(plane, plane_height, height_of.min(-1)).min(-1, initial=np.inf)
    fall = np.einsum("tj,tj->t", light, up)  # of the way to the light, per metre
    length = (
        np.maximum(height_of.max(-1) - lowest[:, None] + 1e-3, 0) / np.maximum(fall, 1e-6)[:, None]
    )
    swept = corners - length[..., None, None] * light[:, None, None, :]
    own = _bounds(corners, intrinsics, height, width)
    shadow = _bounds(np.concatenate([corners, swept], 2), intrinsics, height, width)
    whole = np.array([0, width, 0, height])
    own[:, plane] = whole
    shadow[:, plane] = 0
    steep = _endless_receivers(table, to_local, up) | (fall < 0.05)
    shadow[np.ix_(steep, ~plane)] = whole
    distance = np.maximum(-centre[..., 2], NEAR_M)
    across = 2 * np.sort(table.size, axis=-1)[:, 1] * intrinsics[:, :1] / distance
    thin = (across < THIN_PX) & ~plane
    return np.concatenate([own, shadow], -1), thin.astype(np.uint8)


def _endless_receivers(
    table: GeomTable, to_local: np.ndarray, up: np.ndarray
) -> Bool[np.ndarray, " time"]:
    """Frames in which some plane is not level: shadows on it have no lowest point."""
    plane = table.kind == KINDS.index("plane")
    normal = to_local[:, plane, 2]
    return (np.einsum("tgj,tj->tg", normal, up) < 1 - 1e-6).any(-1)


def _corners(
    table: GeomTable, to_local: np.ndarray, centre: np.ndarray
) -> Float64[np.ndarray, "time geom 8 3"]:
    """Corners of a box around each geom; a sphere's is turned to the camera, which is tightest."""
    sphere = table.kind == KINDS.index("sphere")
    axes = np.where(sphere[:, None, None], np.eye(3), to_local)
    reach = np.einsum("gj,cj->gcj", table.size, _CORNERS)
    return centre[:, :, None] + np.einsum("gcj,tgjk->tgck", reach, axes)


def _bounds(
    points: Float64[np.ndarray, "time geom point 3"],
    intrinsics: Float64[np.ndarray, "time 4"],
    height: int,
    width: int,
) -> Int32[np.ndarray, "time geom 4"]:
    fx, fy, cx, cy = intrinsics.T[:, :, None, None]
    depth = -points[..., 2]
    safe = np.maximum(depth, NEAR_M)
    x = cx + fx * points[..., 0] / safe
    y = cy - fy * points[..., 1] / safe
    bounds = np.stack(
        [
            np.floor(x.min(-1)) - 1,
            np.ceil(x.max(-1)) + 1,
            np.floor(y.min(-1)) - 1,
            np.ceil(y.max(-1)) + 1,
        ],
        -1,
    )
    bounds[depth.min(-1) <= NEAR_M] = 0, width, 0, height
    return np.clip(bounds, 0, [width, width, height, height]).astype(np.int32)
