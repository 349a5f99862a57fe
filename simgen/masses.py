"""Volume, centre of mass and inertia of a body's primitives at uniform density."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from simgen.cameras import rotation_matrix
from simgen.scene import Body, Geom


def volume_m3(kind: str, size: Sequence[float]) -> float:
    """Volume of a primitive, m3; a plane has none.

    >>> volume_m3("box", (0.5, 0.5, 1.0))
    2.0
    """
    match kind:
        case "sphere":
            return 4 / 3 * math.pi * size[0] ** 3
        case "capsule":
            return math.pi * size[0] ** 2 * (2 * size[1] + 4 / 3 * size[0])
        case "cylinder":
            return 2 * math.pi * size[0] ** 2 * size[1]
        case "ellipsoid":
            return 4 / 3 * math.pi * size[0] * size[1] * size[2]
        case "box":
            return 8.0 * size[0] * size[1] * size[2]
    return 0.0


def _unit_inertia(geom: Geom) -> tuple[float, float, float]:
    """Principal moments per kilogram about the primitive's own centre, m2."""
    size = geom.size
    match geom.kind:
        case "sphere":
            return (0.4 * size[0] ** 2,) * 3
        case "cylinder":
            across = size[0] ** 2 / 4 + size[1] ** 2 / 3
            return across, across, size[0] ** 2 / 2
        case "capsule":
            radius, half = size
            ends = 4 / 3 * radius / (2 * half + 4 / 3 * radius)  # the two caps' share of the mass
            across = (1 - ends) * (radius**2 / 4 + half**2 / 3)
            across += ends * (0.4 * radius**2 + half**2 + 0.75 * half * radius)
            return across, across, ((1 - ends) * 0.5 + ends * 0.4) * radius**2
        case "ellipsoid" | "box":
            x, y, z = (s * s for s in size)
            factor = 1 / 5 if geom.kind == "ellipsoid" else 1 / 3
            return factor * (y + z), factor * (x + z), factor * (x + y)
    return 0.0, 0.0, 0.0


def mass_properties(
    body: Body,
) -> tuple[Float64[np.ndarray, " 3"], Float64[np.ndarray, "3 3"]]:
    """Centre of mass in the body's frame (m) and inertia about it (kg m2, body axes).

    Geoms share one density. A body's own `inertia_kgm2` replaces the computed tensor.
    """
    volumes = np.array([volume_m3(g.kind, g.size) for g in body.geoms])
    if volumes.sum() == 0 or body.mass_kg == 0:
        return np.zeros(3), np.zeros((3, 3))
    masses = body.mass_kg * volumes / volumes.sum()
    places = np.array([g.position for g in body.geoms])
    centre = masses @ places / masses.sum()
    if body.inertia_kgm2 is not None:
        return centre, np.diag(body.inertia_kgm2)
    tensor = np.zeros((3, 3))
    for geom, mass, offset in zip(body.geoms, masses, places - centre, strict=True):
        turn = rotation_matrix(np.array(geom.quaternion))
        tensor += mass * turn @ np.diag(_unit_inertia(geom)) @ turn.T
        tensor += mass * (offset @ offset * np.eye(3) - np.outer(offset, offset))
    return centre, tensor
