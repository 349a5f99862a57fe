"""The force of a scene's springs, for engines that have none of their own."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from simgen.engines.force_kernels import pull
from simgen.scene import Scene


class Springs:
    """-stiffness (length - rest) - damping (length's rate) along each line; ropes only pull."""

    def __init__(self, scene: Scene, centres: Float64[np.ndarray, "body 3"]) -> None:
        ties = scene.springs
        self.ends = np.array(
            [[scene.body_index(t.body_a), scene.body_index(t.body_b)] for t in ties], dtype=np.int64
        ).reshape(-1, 2)
        anchors = np.array([[t.anchor_a, t.anchor_b] for t in ties], dtype=np.float64)
        self.arms = anchors.reshape(-1, 2, 3) - centres[self.ends]
        self.law = np.array(
            [[t.stiffness, t.rest_m, t.damping, t.pull_only] for t in ties], dtype=np.float64
        ).reshape(-1, 4)

    def wrench(self, bodies: Float64[np.ndarray, "body 13"]) -> Float64[np.ndarray, "body 6"]:
        """Force (N) and torque (N m) about the centre of mass of every body, world frame.

        Args:
            bodies: Centre of mass (m), quaternion, its velocity (m/s), spin (rad/s), world frame.
        """
        return pull(bodies, self.ends, self.arms, self.law)[0]

    def energy_j(self, bodies: Float64[np.ndarray, "body 13"]) -> float:
        """Energy of the stretched springs, J."""
        return pull(bodies, self.ends, self.arms, self.law)[1]
