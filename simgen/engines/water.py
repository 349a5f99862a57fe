"""Still water that carries bodies: the force of every cell of a hull, for any engine.

A box is cut into columns by a grid over whichever of its two faces along z looks down; a round
body into slices along its axis. A cell knows its lowest point, so the force on it is
density g area depth with the depth clipped at the cell's height: Archimedes' for a box that lies
flat, and the gradient of an energy at any tilt. Drag acts on the cells that are wet.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from simgen.cameras import rotation_matrix
from simgen.engines.force_kernels import carry
from simgen.masses import mass_properties, volume_m3
from simgen.scene import Geom, Scene, Water

SLICES = 3  # of a capsule, cylinder, ellipsoid or sphere


class Buoyancy:
    """The water's wrenches on the bodies that it carries, and its potential energy.

    Attributes:
        rows: The bodies' rows in Scene.bodies, the order of `hulls` below.
    """

    def __init__(self, scene: Scene, water: Water) -> None:
        self.rows = np.array([scene.body_index(name) for name in water.bodies], dtype=int)
        weight = water.density_kg_m3 * float(np.linalg.norm(scene.gravity))  # N/m3
        self.law = np.array([water.level_m, weight, water.damping, water.drag])
        bodies = [scene.bodies[row] for row in self.rows]
        cells = [_cells(body.geoms[0], water.grid) for body in bodies]
        self.owner = np.repeat(np.arange(len(cells)), [len(c) for c in cells])
        self.cells = np.concatenate(cells)
        self.cells[:, :3] -= np.array([mass_properties(body)[0] for body in bodies])[self.owner]

    def wrench(
        self, hulls: Float64[np.ndarray, "hull 13"], *, lead_s: float = 0.0
    ) -> Float64[np.ndarray, "hull 6"]:
        """Force (N) and torque (N m) about the centre of mass of every hull, world frame.

        Args:
            hulls: Centre of mass (m), quaternion, its velocity (m/s), spin (rad/s), world frame.
            lead_s: How far ahead of that the hulls are taken to be.
        """
        return carry(hulls, self.owner, self.cells, self.law, lead_s)[0]

    def energy_j(self, hulls: Float64[np.ndarray, "hull 13"]) -> float:
        """Work against buoyancy that brought the hulls from the air to where they are, J."""
        return carry(hulls, self.owner, self.cells, self.law, 0.0)[1]


def problems(scene: Scene) -> list[str]:
    """What about the scene's water no engine can do."""
    if scene.water is None:
        return []
    bodies = {body.name: body for body in scene.bodies}
    said = []
    if any(scene.gravity[:2]):
        said.append("water under a gravity that is not vertical")
    for name in scene.water.bodies:
        if name not in bodies:
            said.append(f"water: no body {name!r}")
        elif bodies[name].motion == "static":
            said.append(f"water: body {name!r} is static")
    return said


def _cells(geom: Geom, grid: tuple[int, int]) -> Float64[np.ndarray, "cell 9"]:
    """Place (3), way from it to the underside (3), radius, area and height of each cell.

    Body frame. A round cell's lowest point lies a radius under its place whichever way it turns.
    """
    turn = rotation_matrix(np.array(geom.quaternion))
    volume = volume_m3(geom.kind, geom.size)
    if geom.kind == "box":
        half = np.array(geom.size)
        steps = [(2 * np.arange(n) + 1) / n - 1 for n in grid]  # -1..1
        local = np.stack(np.meshgrid(*steps, [0.0], indexing="ij"), axis=-1).reshape(-1, 3) * half
        face, radius, height = turn @ (0.0, 0.0, half[2]), 0.0, 2 * half[2]
    else:
        radius = min(geom.size) if geom.kind == "ellipsoid" else geom.size[0]
        local = np.zeros((SLICES, 3))
        if len(geom.size) > 1:
            local[:, 2] = geom.size[-1] * ((2 * np.arange(SLICES) + 1) / SLICES - 1)
        face, height = np.zeros(3), 2 * radius
    cells = np.empty((len(local), 9))
    cells[:, :3] = np.array(geom.position) + local @ turn.T
    cells[:, 3:6], cells[:, 6] = face, radius
    cells[:, 7], cells[:, 8] = volume / len(local) / height, height
    return cells
