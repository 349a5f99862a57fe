"""Where the actions of a run come from: the scene's script, or rows recorded from one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from simgen.scene import Command, Observation, Scene

ActionSource = Callable[[int, Observation], np.ndarray]  # (frame, what is seen) -> one action row


def scripted(scene: Scene) -> ActionSource:
    """Action rows from the scene's script, rounded to the float32 that the store keeps."""
    servos, connects = len(scene.actuators), scene.connects

    def act(frame: int, seen: Observation) -> np.ndarray:
        row = np.zeros(servos + len(connects))
        if scene.script is None:
            return row
        command: Command = scene.script(frame, seen)
        row[:servos] = command.targets
        for name, delay_s in command.releases.items():
            column = servos + [c.name for c in connects].index(name)
            row[column] = 1.0 - delay_s * scene.frame_rate_hz
        for number, connect in enumerate(connects):
            if connect.name in command.catches and row[servos + number] == 0.0:
                row[servos + number] = -1.0
        return row.astype(np.float32).astype(np.float64)

    return act


def recorded(action: Float64[np.ndarray, "time action"], frame: int) -> ActionSource:
    """Action rows of an earlier run, the first of which acts from `frame` on."""
    return lambda number, _: action[number - frame]


def openings(grips: Float64[np.ndarray, " connect"], frame_s: float) -> list[tuple[float, int]]:
    """Seconds into the frame at which Connects open, and which, in order."""
    return sorted(((1.0 - share) * frame_s, i) for i, share in enumerate(grips) if share > 0)
