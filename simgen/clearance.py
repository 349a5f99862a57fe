"""How far points are from the surfaces of a scene, negative inside; and how large those look."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from simgen.renderers.packing import KINDS, GeomTable


def _plane(p: np.ndarray, size: np.ndarray) -> np.ndarray:
    return p[..., 2]


def _sphere(p: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.linalg.norm(p, axis=-1) - size[..., 0]


def _ellipsoid(p: np.ndarray, size: np.ndarray) -> np.ndarray:
    """First-order estimate, exact on the surface and of the right sign (Quilez, ellipsoid SDF)."""
    scaled = np.linalg.norm(p / size, axis=-1)
    slope = np.maximum(np.linalg.norm(p / size**2, axis=-1), 1e-12)
    return np.where(scaled < 1e-9, -size.min(-1), scaled * (scaled - 1) / slope)


def _capsule(p: np.ndarray, size: np.ndarray) -> np.ndarray:
    half = size[..., 2] - size[..., 0]
    along = p[..., 2] - np.clip(p[..., 2], -half, half)
    return np.linalg.norm([p[..., 0], p[..., 1], along], axis=0) - size[..., 0]


def _cylinder(p: np.ndarray, size: np.ndarray) -> np.ndarray:
    radial = np.linalg.norm(p[..., :2], axis=-1) - size[..., 0]
    return _outside(np.stack([radial, np.abs(p[..., 2]) - size[..., 2]], axis=-1))


def _box(p: np.ndarray, size: np.ndarray) -> np.ndarray:
    return _outside(np.abs(p) - size)


def _outside(beyond: np.ndarray) -> np.ndarray:
    """Distance to where every excess is zero; inside, the largest (negative) one."""
    return np.linalg.norm(np.maximum(beyond, 0), axis=-1) + np.minimum(beyond.max(-1), 0)


# (point in the geom's frame, half extents) -> signed distance, m
DISTANCES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "plane": _plane,
    "sphere": _sphere,
    "ellipsoid": _ellipsoid,
    "capsule": _capsule,
    "cylinder": _cylinder,
    "box": _box,
}


def clearance_m(
    table: GeomTable,
    rotation: Float64[np.ndarray, "time geom 3 3"],
    centre: Float64[np.ndarray, "time geom 3"],
    points: Float64[np.ndarray, "time 3"],
) -> Float64[np.ndarray, "time geom"]:
    """Signed distance of a point a frame from every geom, m; below a plane is inside it."""
    local = np.einsum("tgji,tgj->tgi", rotation, points[:, None] - centre)
    out = np.full(local.shape[:2], np.inf)
    for number, kind in enumerate(KINDS):
        rows = np.flatnonzero(table.kind == number)
        out[:, rows] = DISTANCES[kind](local[:, rows], table.size[rows])
    return out


def mean_silhouettes_m2(table: GeomTable) -> Float64[np.ndarray, " geom"]:
    """Mean area of each geom's silhouette over all directions: a quarter of its surface (Cauchy).

    An ellipsoid's is Thomsen's approximation; a plane has none.
    """
    a, b, c = table.size.T
    half = np.maximum(c - a, 0)  # of a capsule's cylinder
    ellipsoid = np.pi * (((a * b) ** 1.6 + (b * c) ** 1.6 + (c * a) ** 1.6) / 3) ** (1 / 1.6)
    areas = {
        "plane": np.zeros_like(a),
        "sphere": np.pi * a**2,
        "ellipsoid": ellipsoid,
        "capsule": np.pi * a * (half + a),
        "cylinder": np.pi * a * (c + a / 2),
        "box": 2 * (a * b + b * c + c * a),
    }
    return np.stack([areas[kind] for kind in KINDS])[table.kind, np.arange(len(table))]
