"""Twins whose grips open later: the script runs again, and its releases wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from simgen.engines import simulate
from simgen.motion import Change, Motion, SimulationError
from simgen.recipe import TwinRecipe
from simgen.scene import Command, Observation, Scene, Script


def released_later(
    scene: Scene,
    motion: Motion,
    twin: TwinRecipe,
    engine: str,
    rng: np.random.Generator,
    again: Callable[[], Scene],
) -> tuple[Scene, Motion, Change]:
    """The clip with every grip opened later by the same delay."""
    delay_s = float(rng.uniform(*twin.delay_s))
    opened = motion.action[:, len(scene.actuators) :] > 0
    if not opened.any():
        raise SimulationError(f"twin: nothing is released in this {scene.family!r}")
    fresh = again()
    late = replace(fresh, script=Delayed(fresh.script, delay_s, 1 / scene.frame_rate_hz))
    every = int(motion.state_frames[1] - motion.state_frames[0]) if len(motion.state) > 1 else 8
    moved = simulate(late, engine, state_every=every)
    frame = int(np.flatnonzero(opened.any(axis=1))[0])
    return scene, moved, Change("release", frame, value=delay_s)


class Delayed:
    """A script whose releases come later; all else it does in its own time."""

    def __init__(self, script: Script, delay_s: float, frame_s: float) -> None:
        self.script, self.delay_s, self.frame_s = script, delay_s, frame_s
        self.due_s: dict[str, float] = {}

    def __call__(self, frame: int, seen: Observation) -> Command:
        command = self.script(frame, seen)
        now = frame * self.frame_s
        for name, wait_s in command.releases.items():
            self.due_s.setdefault(name, now + wait_s + self.delay_s)
        releases = {
            name: max(due - now, 0.0)
            for name, due in self.due_s.items()
            if due < now + self.frame_s - 1e-9
        }
        for name in releases:
            del self.due_s[name]
        return replace(command, releases=releases)
