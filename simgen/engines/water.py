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
from simgen.masses import volume_m3
from simgen.scene import Geom, Scene, Water

SLICES = 3  # of a capsule, cylinder, ellipsoid or sphere


class Buoyancy:
    """The water's wrenches on the bodies that it carries, and its potential energy.

    Attributes:
        rows: The bodies' rows in Scene.bodies.
    """

    def __init__(self, scene: Scene, water: Water) -> None:
        self.water = water
        self.rows = np.array([scene.body_index(name) for name in water.bodies], dtype=int)
        self.weight = water.density_kg_m3 * float(np.linalg.norm(scene.gravity))  # N/m3
        cells = [_cells(scene.bodies[row].geoms[0], water.grid) for row in self.rows]
        self.owner = np.repeat(np.arange(len(cells)), [len(places) for places, *_ in cells])
        self.place = np.concatenate([places for places, *_ in cells])
        self.face = np.concatenate([face for _, face, *_ in cells])
        self.radius, self.area, self.height = (
            np.concatenate([c[k] for c in cells]) for k in (2, 3, 4)
        )
        self.starts = np.searchsorted(self.owner, np.arange(len(cells)))

    def _lowest(
        self, position: Float64[np.ndarray, "hull 3"], turn: Float64[np.ndarray, "hull 3 3"]
    ) -> tuple[Float64[np.ndarray, "cell 3"], Float64[np.ndarray, " cell"]]:
        """World points where the cells' forces act, and how deep their lowest points lie, m."""
        turns = turn[self.owner]
        face = np.einsum("cij,cj->ci", turns, self.face)
        face *= np.where(face[:, 2:] > 0, -1.0, 1.0)
        point = position[self.owner] + np.einsum("cij,cj->ci", turns, self.place) + face
        return point, self.water.level_m - point[:, 2] + self.radius

    def wrench(
        self,
        position: Float64[np.ndarray, "hull 3"],
        turn: Float64[np.ndarray, "hull 3 3"],
        centre: Float64[np.ndarray, "hull 3"],
        velocity: Float64[np.ndarray, "hull 3"],
        spin: Float64[np.ndarray, "hull 3"],
    ) -> Float64[np.ndarray, "hull 6"]:
        """Force (N) and torque (N m) about the centre of mass of every hull, world frame.

        Args:
            position: Origins of the body frames, m; `turn` their rotations, body to world.
            velocity: Of the centres of mass, m/s; `spin` rad/s, world frame.
        """
        water = self.water
        point, depth = self._lowest(position, turn)
        wet = depth > 0
        arm = point - centre[self.owner]
        flow = velocity[self.owner] + np.cross(spin[self.owner], arm)
        force = flow * (np.array([-water.drag, -water.drag, -water.damping]))
        force[:, 2] += self.weight * np.clip(depth, 0.0, self.height)
        force *= (self.area * wet)[:, None]
        both = np.concatenate([force, np.cross(arm, force)], axis=1)
        return np.add.reduceat(both, self.starts, axis=0)

    def energy_j(
        self, position: Float64[np.ndarray, "hull 3"], turn: Float64[np.ndarray, "hull 3 3"]
    ) -> float:
        """Work against buoyancy that brought the hulls from the air to where they are, J."""
        _, depth = self._lowest(position, turn)
        inside = np.clip(depth, 0.0, self.height)
        column = 0.5 * inside**2 + self.height * np.maximum(depth - self.height, 0.0)
        return float(self.weight * (self.area @ column))


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


def _cells(geom: Geom, grid: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Places (cell 3), way to the underside (cell 3), radius, area and height of cells.

    Body frame. A round cell's lowest point lies a radius under its place whichever way it turns.
    """
    turn = rotation_matrix(np.array(geom.quaternion))
    if geom.kind == "box":
        half = np.array(geom.size)
        steps = [(2 * np.arange(n) + 1) / n - 1 for n in grid]  # -1..1
        across = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 2)
        local = np.concatenate([across * half[:2], np.zeros((len(across), 1))], axis=1)
        radius = 0.0
        face = turn @ (0.0, 0.0, half[2])
        height, volume = 2 * half[2], volume_m3(geom.kind, geom.size)
    else:
        radius = min(geom.size) if geom.kind == "ellipsoid" else geom.size[0]
        half_length = geom.size[-1] if len(geom.size) > 1 else 0.0
        local = np.zeros((SLICES, 3))
        local[:, 2] = half_length * ((2 * np.arange(SLICES) + 1) / SLICES - 1)
        face, height, volume = np.zeros(3), 2 * radius, volume_m3(geom.kind, geom.size)
    count = len(local)
    places = np.array(geom.position) + local @ turn.T
    one = np.ones(count)
    return places, one[:, None] * face, one * radius, one * volume / count / height, one * height
