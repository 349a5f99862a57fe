"""Connects in a PyBullet world: closed, open, caught."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from simgen.cameras import rotation_matrix
from simgen.engines.bullet_build import pybullet
from simgen.engines.guard import catch_work_j

if TYPE_CHECKING:
    from simgen.engines.bullet_world import World

# A catch draws its points together in about this time, as a hand closes; at once, Bullet would
# close 6 cm within a step and throw the body
CATCH_TIME_S = 0.05
CLOSED_M = 1e-4


class Grips:
    """The scene's Connects as ball joints of Bullet, each with the point of body b it holds now."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.scene = world.scene
        self.closed: list[int | None] = [None] * len(self.scene.connects)  # the constraint's id
        self.pivots = np.array([c.anchor_b for c in self.scene.connects]).reshape(-1, 3)
        for number, connect in enumerate(self.scene.connects):
            if connect.active:
                self.close(number)

    def close(self, number: int) -> None:
        """Close a Connect where its pivots are."""
        connect = self.scene.connects[number]
        a, b = (self.scene.body_index(name) for name in (connect.body_a, connect.body_b))
        place_a, place_b = np.array(connect.anchor_a), self.pivots[number]
        if self.world.masses[a] == 0:  # PyBullet wants the one that moves first
            a, b, place_a, place_b = b, a, place_b, place_a
        self.closed[number] = self.world.tie(a, place_a, b, place_b)

    def open(self, number: int) -> None:
        if self.closed[number] is not None:
            pybullet.removeConstraint(self.closed[number], physicsClientId=self.world.client)
            self.closed[number] = None

    def catch(self, grips: np.ndarray, row: dict[str, np.ndarray]) -> float:
        """Close the Connects marked -1 whose points are in reach; unmark the others, in place.

        Returns the most work that it does, J.
        """
        work_j = 0.0
        turns = rotation_matrix(row["quaternion"])
        for number in np.flatnonzero(grips < 0):
            connect = self.scene.connects[number]
            a, b = (self.scene.body_index(name) for name in (connect.body_a, connect.body_b))
            point_a = row["position"][a] + turns[a] @ connect.anchor_a
            apart = point_a - row["position"][b] - turns[b] @ connect.anchor_b
            gap_m = float(np.linalg.norm(apart))
            if self.closed[number] is not None or not gap_m <= connect.reach_m:
                grips[number] = 0.0
                continue
            self.pivots[number] = connect.anchor_b + turns[b].T @ apart
            self.close(number)
            work_j += catch_work_j(self.scene, connect, gap_m, CATCH_TIME_S)
        return work_j

    def draw_together(self) -> None:
        """Move the pivots of catches a step's way to where the scene has them."""
        for number, connect in enumerate(self.scene.connects):
            gap = self.pivots[number] - connect.anchor_b
            if self.closed[number] is None or not gap.any():
                continue
            gap *= (
                np.exp(-self.world.step_s / CATCH_TIME_S) if np.abs(gap).max() > CLOSED_M else 0.0
            )
            self.pivots[number] = connect.anchor_b + gap
            self.open(number)
            self.close(number)

    def state(self) -> Float64[np.ndarray, "connect 4"]:
        """1 if closed, and the point of body b."""
        closed = np.array([[grip is not None] for grip in self.closed]).reshape(-1, 1)
        return np.concatenate([closed, self.pivots], axis=1)

    def restore(self, state: Float64[np.ndarray, "connect 4"]) -> None:
        """Close and open as `state` gave; bodies must stand where they stood."""
        for number, (closed, *pivot) in enumerate(state):
            self.open(number)
            self.pivots[number] = pivot
            if closed:
                self.close(number)
