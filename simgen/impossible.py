"""Twins that no physics makes: spliced from two legal runs while the body is hidden."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.cameras import Shot
from simgen.motion import Motion, SimulationError
from simgen.recipe import TwinRecipe
from simgen.scene import Scene


def spliced(
    scene: Scene,
    motion: Motion,
    shots: tuple[Shot, ...],
    twin: TwinRecipe,
    engine: str,
    rng: np.random.Generator,
) -> tuple[Scene, Motion, dict[str, Any]]:
    """The scene and motion of an impossible twin, and the fields of its Change but `possible`.

    Raises:
        SimulationError: No body is ever fully hidden.
    """
    raise SimulationError(f"twin: change {twin.change!r} is not there yet")
