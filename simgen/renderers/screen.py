"""Where in the picture a geom, and everything that it can shadow, may be seen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, UInt8, UInt64

from simgen.renderers.packing import KINDS, GeomTable
from simgen.renderers.raycast_kernel import CENTRE, MATRIX

NEAR_M = 0.01
SLACK_M = 1e-5  # of float32 poses some metres away
THIN_PX = 2.0  # a geom thinner than this can slip between pixel centres
_CORNERS = [(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]


class Bounds(NamedTuple):
    """Where in the picture each geom may be seen, and be found to shadow something."""

    boxes: Int32[np.ndarray, "time geom 8"]  # pixels x0 x1 y0 y1 of the geom; of its shadows
    # px: 8 corners of a box around the geom, then the same where its shadow ends; NaN: no hull,
    # only the boxes hold
    outlines: Float32[np.ndarray, "time geom 16 2"]
    thin: UInt8[np.ndarray, "time geom"]


def geom_bounds(
    table: GeomTable,
    to_local: Float64[np.ndarray, "time geom 3 3"],
    centre: Float64[np.ndarray, "time geom 3"],
    light: Float64[np.ndarray, "time 3"],
    up: Float64[np.ndarray, "time 3"],
    intrinsics: Float64[np.ndarray, "time 4"],
    height: int,
    width: int,
) -> Bounds:
    """Where each geom and its shadows can be seen.

    A shadow lies in the volume that the geom sweeps when it moves along the light down to the
    lowest thing in the scene. Bounds are generous by a pixel; a geom that reaches behind the
    camera gets the whole picture, and one that lies there none of it. All vectors are in the
    camera's frame.
    """
    plane = table.kind == KINDS.index("plane")
    corners = _corners(table, to_local, centre)
    height_of = (corners * up[:, None]).sum(-1)
    lowest = height_of.min(0).min(-1, initial=np.inf)
    fall = (light * up).sum(-1)  # of the way to the light, per metre
    length = (
        np.maximum(height_of.max(0) - lowest[:, None] + 1e-3, 0) / np.maximum(fall, 1e-6)[:, None]
    )
    swept = corners - length[..., None] * light[:, None]
    outline, behind = _projected(np.concatenate([corners, swept]), intrinsics)
    own = _bounds(outline[:8], behind[:8], height, width)
    shadow = _bounds(outline, behind, height, width)
    whole = np.array([0, width, 0, height])
    own[:, plane] = whole
    shadow[:, plane] = 0
    steep = _endless_receivers(table, to_local, up) | (fall < 0.05)
    shadow[np.ix_(steep, ~plane)] = whole
    outline = np.ascontiguousarray(np.moveaxis(outline, 0, 2))
    outline[behind.any(0) | steep[:, None] | plane] = np.nan
    distance = np.maximum(-centre[..., 2], NEAR_M)
    across = 2 * np.sort(table.size, axis=-1)[:, 1] * intrinsics[:, :1] / distance
    thin = (across < THIN_PX) & ~plane
    return Bounds(np.concatenate([own, shadow], -1), outline, thin.astype(np.uint8))


def _endless_receivers(
    table: GeomTable, to_local: np.ndarray, up: np.ndarray
) -> Bool[np.ndarray, " time"]:
    """Frames in which some plane is not level: shadows on it have no lowest point."""
    plane = table.kind == KINDS.index("plane")
    normal = to_local[:, plane, 2]
    return (np.einsum("tgj,tj->tg", normal, up) < 1 - 1e-6).any(-1)


def _corners(
    table: GeomTable, to_local: np.ndarray, centre: np.ndarray
) -> Float64[np.ndarray, "8 time geom 3"]:
    """Corners of a box around each geom; a sphere's is turned to the camera, which is tightest."""
    sphere = table.kind == KINDS.index("sphere")
    axes = np.where(sphere[:, None, None], np.eye(3), to_local)
    x, y, z = np.moveaxis(table.size[:, :, None] * axes, -2, 0)
    return centre + np.stack([i * x + j * y + k * z for i, j, k in _CORNERS])


def _projected(
    points: Float64[np.ndarray, "point time geom 3"], intrinsics: Float64[np.ndarray, "time 4"]
) -> tuple[Float32[np.ndarray, "point time geom 2"], Bool[np.ndarray, "point time geom"]]:
    """Pixels of points in the camera's frame, and which are behind it."""
    fx, fy, cx, cy = intrinsics.T[:, :, None]
    depth = -points[..., 2]
    scale = 1.0 / np.maximum(depth, NEAR_M)
    out = np.empty((*points.shape[:-1], 2), np.float32)
    out[..., 0] = cx + fx * points[..., 0] * scale
    out[..., 1] = cy - fy * points[..., 1] * scale
    return out, depth <= NEAR_M


def _bounds(
    pixels: Float32[np.ndarray, "point time geom 2"],
    behind: Bool[np.ndarray, "point time geom"],
    height: int,
    width: int,
) -> Int32[np.ndarray, "time geom 4"]:
    low, high = np.floor(pixels.min(0)) - 1, np.ceil(pixels.max(0)) + 1
    bounds = np.stack([low[..., 0], high[..., 0], low[..., 1], high[..., 1]], -1)
    bounds[behind.any(0)] = 0, width, 0, height
    bounds[behind.all(0)] = 0
    return np.clip(bounds, 0, [width, width, height, height]).astype(np.int32)


def hiders(
    table: GeomTable, geoms: Float32[np.ndarray, "time geom column"], bodies: int
) -> UInt64[np.ndarray, "time body 4"]:
    """A bit of 256 is 1 where a pixel of that label may have the body behind it (by SLACK_M).

    A body lies wholly in front of another if its farthest depth is less than the other's nearest,
    and a plane hides nothing that lies wholly on the camera's side of it.

    Args:
        geoms: The kernel's table of every frame.
    """
    plane = table.kind == KINDS.index("plane")
    to_local = geoms[..., MATRIX : MATRIX + 9].reshape(*geoms.shape[:2], 3, 3)
    centre = geoms[..., CENTRE : CENTRE + 3]
    reach = _support(table, to_local[..., 2])
    near, far = -centre[..., 2] - reach, -centre[..., 2] + reach
    near[:, plane], far[:, plane] = 0.0, np.inf
    starts = np.flatnonzero(np.diff(table.body, prepend=-1))
    owners = table.body[starts]
    near, far = (f.reduceat(x, starts, 1) for f, x in ((np.minimum, near), (np.maximum, far)))
    out = np.zeros((len(geoms), bodies, 256), np.uint8)
    hidden = near[:, None] < far[:, :, None] + SLACK_M
    for g in np.flatnonzero(plane):
        normal = to_local[:, g, 2]
        height = np.einsum("tgj,tj->tg", centre - centre[:, g : g + 1], normal)
        over = height - _support(table, np.einsum("tgij,tj->tgi", to_local, normal))
        over[:, plane] = -np.inf
        column = np.flatnonzero(owners == table.body[g])
        alone = np.count_nonzero(table.body == table.body[g]) == 1
        eye_over = -np.einsum("tj,tj->t", centre[:, g], normal) > 0
        clear = (np.minimum.reduceat(over, starts, 1) > -SLACK_M) & eye_over[:, None] & alone
        hidden[:, :, column] &= ~clear[..., None]
    out[:, owners[:, None], owners + 1] = hidden
    out[:, owners, owners + 1] = 0
    return np.packbits(out, -1, bitorder="little").view("<u8")


def _support(
    table: GeomTable, direction: Float32[np.ndarray, "time geom 3"]
) -> Float64[np.ndarray, "time geom"]:
    """How far each geom reaches from its centre along a unit direction in its own frame."""
    along = np.abs(direction)
    flat = np.hypot(along[..., 0], along[..., 1])
    radius, half = table.size[:, 0], table.size[:, 2]
    is_kind = {name: table.kind == row for row, name in enumerate(KINDS)}
    return np.select(
        [is_kind["box"], is_kind["capsule"], is_kind["cylinder"]],
        [
            (along * table.size).sum(-1),
            (half - radius) * along[..., 2] + radius,
            radius * flat + half * along[..., 2],
        ],
        np.linalg.norm(along * table.size, axis=-1),
    )
