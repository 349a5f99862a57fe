"""What no engine's motion may be: not finite, far away, or with energy from nowhere."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from simgen.motion import SimulationError
from simgen.scene import Connect, Scene

FARTHEST_M = 200.0  # from the origin: no scene is that large
ENERGY_GROWTH = 0.1  # unexplained rise, as a share of the largest kinetic energy so far


def catch_work_j(scene: Scene, connect: Connect, gap_m: float, time_s: float) -> float:
    """Most work that closing a caught Connect's gap in this time does on the lighter object, J."""
    kilograms = []
    for name in (connect.body_a, connect.body_b):
        whole = scene.bodies[scene.body_index(name)].object_name
        parts = [b for b in scene.bodies if b.object_name == whole and b.motion != "static"]
        kilograms.append(sum(b.mass_kg for b in parts))
    return 0.5 * min(m for m in (*kilograms, sum(kilograms)) if m > 0) * (gap_m / time_s) ** 2


class Guard:
    """Refuses a frame that no data should hold.

    Springs of contacts are not counted, so energy may dip in a touch and come back.
    """

    def __init__(self, scene: Scene, *, slack_j: float) -> None:
        self.scene = scene
        self.slack_j = slack_j
        self.limits = np.array([a.limit for a in scene.actuators])
        self.joints = [scene.joint_names.index(a.joint) for a in scene.actuators]
        self.start_j: float | None = None
        self.work_j = 0.0  # most that servos and catches can have done
        self.scale_j = 0.0
        self.speed = np.zeros(len(self.limits))

    def check(self, frame: int, row: dict[str, np.ndarray]) -> None:
        """Look at a frame's row of Motion's arrays, each frame once and in order.

        Raises:
            SimulationError: It must not become data; the message says which, when and where.
        """
        kinetic = row["kinetic_energy_j"]
        total = kinetic + row["potential_energy_j"]
        if not np.isfinite(total):
            raise SimulationError(f"frame {frame}: the energy is not finite")
        if not all(np.isfinite(value).all() for value in row.values()):
            raise SimulationError(f"frame {frame}: the state is not finite")
        self._near(frame, row["position"])
        speed = np.abs(row["joint_velocity"][self.joints])
        if self.start_j is None:
            self.start_j = total
        frame_s = 1.0 / self.scene.frame_rate_hz
        self.work_j += float(self.limits @ np.maximum(speed, self.speed)) * frame_s
        self.speed = speed
        rise = total - self.start_j - self.work_j
        self.scale_j = max(self.scale_j, kinetic - max(rise, 0.0))
        allowed = ENERGY_GROWTH * self.scale_j + self.slack_j
        if not rise <= allowed:
            raise SimulationError(
                f"frame {frame}: energy rose by {rise:.3g} J that nothing put in "
                f"(at most {allowed:.3g})"
            )

    def _near(self, frame: int, position: Float64[np.ndarray, "body 3"]) -> None:
        distance = np.abs(position).max(axis=1)
        distance[[b.motion == "static" for b in self.scene.bodies]] = 0.0
        if distance.max(initial=0.0) > FARTHEST_M:
            name = self.scene.body_names[int(distance.argmax())]
            raise SimulationError(
                f"frame {frame}: body {name!r} is {distance.max():.0f} m from the origin "
                f"(at most {FARTHEST_M:g})"
            )
