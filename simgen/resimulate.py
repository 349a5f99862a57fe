"""The narrow door through which the verdict re-simulates: stored state and actions in."""

from __future__ import annotations

from importlib import import_module

import numpy as np
from jaxtyping import Float, Float64

from simgen.engines import ENGINES
from simgen.motion import Motion
from simgen.scene import Scene


def resimulate(
    scene: Scene,
    engine: str,
    state: Float64[np.ndarray, " state"],
    *,
    frame: int,
    frames: int,
    action: Float[np.ndarray, "time action"],
    state_every: int | None = None,
    position_offset_m: Float64[np.ndarray, "body 3"] | None = None,
    velocity_offset_m_s: Float64[np.ndarray, "body 3"] | None = None,
) -> Motion:
    """Motion of `frames` frames from a stored state; row 0 is that state.

    With no offsets it repeats the clip bit for bit, on the same engine version and architecture.
    The scene may be an edited one of the same bodies: other masses, another gravity.

    Args:
        state: A row of Motion.state, without the store's padding.
        frame: The row's entry in Motion.state_frames.
        action: Motion.action from that frame on, at least `frames` rows; the script is not asked.
        state_every: Frames between the states stored on the way; None: only the first.
        position_offset_m: Added to free bodies first; so is velocity_offset_m_s.
    Raises:
        ValueError: Unknown engine, one that cannot go on from a state, or too few actions.
        SimulationError: The physics broke.
    """
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; known: {', '.join(sorted(ENGINES))}")
    if len(action) < frames:
        raise ValueError(f"{len(action)} rows of actions for {frames} frames")
    module = import_module(ENGINES[engine])
    if not hasattr(module, "resume"):
        raise ValueError(f"engine {engine!r} cannot go on from a stored state; mujoco can")
    return module.resume(
        scene,
        np.asarray(state, dtype=np.float64),
        frame=frame,
        frames=frames,
        action=np.asarray(action, dtype=np.float64),
        state_every=state_every,
        position_offset_m=position_offset_m,
        velocity_offset_m_s=velocity_offset_m_s,
    )
