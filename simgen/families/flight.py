"""Angular momentum of several bodies together, which nothing can change in the air."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from simgen.cameras import rotation_matrix
from simgen.masses import mass_properties
from simgen.motion import Motion, centre_velocity
from simgen.scene import Scene


def flight_angular_momentum(
    scene: Scene, motion: Motion, rows: Sequence[int], start: int, end: int
) -> Float64[np.ndarray, "time 3"]:
    """About the common centre of mass, world frame, kg m2/s, of the frames from start to end.

    Args:
        rows: Of the bodies that fly together, e.g. all those of one gymnast.
        start, end: First frame and the one after the last.
    Raises:
        ValueError: No frames or no bodies.
    """
    rows = list(rows)
    if not rows or not 0 <= start < end <= len(motion.position):
        raise ValueError(
            f"frames {start} to {end} of {len(motion.position)} and {len(rows)} bodies; "
            "at least one of each"
        )
    frames = slice(start, end)
    masses = np.array([scene.bodies[row].mass_kg for row in rows])
    tensors = np.array([mass_properties(scene.bodies[row])[1] for row in rows])
    centres = motion.centre_of_mass[frames, rows]
    velocities = centre_velocity(motion)[frames, rows]
    r = centres - np.einsum("b,tbk->tk", masses, centres)[:, None] / masses.sum()
    v = velocities - np.einsum("b,tbk->tk", masses, velocities)[:, None] / masses.sum()
    turns = rotation_matrix(motion.quaternion[frames, rows])
    spins = motion.angular_velocity[frames, rows]
    own = np.einsum("tbij,bjk,tblk,tbl->ti", turns, tensors, turns, spins)
    return np.einsum("b,tbk->tk", masses, np.cross(r, v)) + own
