"""Compiled laws of springs and water, on rigid bodies as rows of thirteen numbers.

A row: centre of mass (m), quaternion (w x y z), velocity of the centre (m/s), spin (rad/s), all in
the world frame. One file, since numba's disk cache does not see changes of imported functions.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

jit = njit(cache=True, nogil=True, error_model="numpy")


@jit
def turned(quaternion, vector):
    """The vector in world axes, of a body with this unit quaternion."""
    w, x, y, z = quaternion
    a, b, c = vector
    p, q, r = 2.0 * (y * c - z * b), 2.0 * (z * a - x * c), 2.0 * (x * b - y * a)
    return (
        a + w * p + y * r - z * q,
        b + w * q + z * p - x * r,
        c + w * r + x * q - y * p,
    )


@jit
def pull(bodies, ends, arms, law):
    """Wrenches (body 6) of springs about the bodies' centres of mass, and their energy, J.

    Args:
        ends: Rows of bodies (spring 2); arms: of the points, from the centre, body axes.
        law: Stiffness, rest length, damping, 1 for a rope (spring 4).
    """
    total = np.zeros((len(bodies), 6))
    energy = 0.0
    for s in range(len(ends)):
        one, two = bodies[ends[s, 0]], bodies[ends[s, 1]]
        ax, ay, az = turned(one[3:7], arms[s, 0])
        bx, by, bz = turned(two[3:7], arms[s, 1])
        x, y, z = two[0] + bx - one[0] - ax, two[1] + by - one[1] - ay, two[2] + bz - one[2] - az
        length = math.sqrt(x * x + y * y + z * z)
        scale = 1.0 / max(length, 1e-12)
        x, y, z = x * scale, y * scale, z * scale
        rate = x * (two[7] - one[7] + two[11] * bz - two[12] * by - one[11] * az + one[12] * ay)
        rate += y * (two[8] - one[8] + two[12] * bx - two[10] * bz - one[12] * ax + one[10] * az)
        rate += z * (two[9] - one[9] + two[10] * by - two[11] * bx - one[10] * ay + one[11] * ax)
        stretch = length - law[s, 1]
        force = law[s, 0] * stretch + law[s, 2] * rate
        if law[s, 3] > 0:
            stretch = max(stretch, 0.0)
            force = max(force, 0.0) if stretch > 0 else 0.0
        energy += 0.5 * law[s, 0] * stretch * stretch
        _push(total[ends[s, 0]], ax, ay, az, force * x, force * y, force * z)
        _push(total[ends[s, 1]], bx, by, bz, -force * x, -force * y, -force * z)
    return total, energy


@jit
def carry(hulls, owner, cells, law, lead_s):
    """Wrenches (hull 6) of water about the hulls' centres of mass, and its energy, J.

    Args:
        owner: Row of each cell's hull.
        cells: Place from the centre, way to the underside, radius, area, height (cell 9).
        law: Level (m), weight (N/m3), vertical and horizontal drag (N s/m3).
        lead_s: How far ahead in time the hulls are taken to be.
    """
    level, weight, damping, drag = law
    total = np.zeros((len(hulls), 6))
    energy = 0.0
    for c in range(len(cells)):
        hull = hulls[owner[c]]
        radius, area, height = cells[c, 6:]
        x, y, z = turned(hull[3:7], cells[c, :3])
        fx, fy, fz = turned(hull[3:7], cells[c, 3:6])
        down = -1.0 if fz > 0 else 1.0
        x, y, z = x + down * fx, y + down * fy, z + down * fz
        u, v = hull[11] * z - hull[12] * y, hull[12] * x - hull[10] * z
        w = hull[10] * y - hull[11] * x
        x, y, z = x + lead_s * u, y + lead_s * v, z + lead_s * w
        depth = level - hull[2] - lead_s * hull[9] - z + radius
        if depth <= 0:
            continue
        inside = min(depth, height)
        energy += weight * area * (0.5 * inside * inside + height * (depth - inside))
        _push(
            total[owner[c]], x, y, z,
            -area * drag * (hull[7] + u), -area * drag * (hull[8] + v),
            area * (weight * inside - damping * (hull[9] + w)),
        )  # fmt: skip
    return total, energy


@jit
def _push(wrench, x, y, z, fx, fy, fz):
    """Add a force at an arm to a wrench."""
    wrench[0] += fx
    wrench[1] += fy
    wrench[2] += fz
    wrench[3] += y * fz - z * fy
    wrench[4] += z * fx - x * fz
    wrench[5] += x * fy - y * fx
