"""MuJoCo: Scene -> Motion, bit for bit the same within one version and CPU architecture."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from simgen.engines import water
from simgen.engines.mujoco_model import GEOM_TYPES
from simgen.engines.mujoco_run import Run
from simgen.engines.pairs import wrong_names
from simgen.engines.scripts import recorded, scripted
from simgen.motion import Motion
from simgen.scene import Scene


def check(scene: Scene) -> tuple[str, ...]:
    """What about the scene this engine cannot simulate; empty if nothing."""
    reasons = [*wrong_names(scene), *water.problems(scene)]
    for body in scene.bodies:
        if body.motion != "static" and not body.mass_kg > 0:
            reasons.append(f"body {body.name!r}: moving, so mass_kg {body.mass_kg} must be above 0")
        if body.motion == "free" and body.parent is not None:
            reasons.append(f"body {body.name!r}: free, so it has no parent")
        if (body.motion == "jointed") != bool(body.joints):
            reasons.append(f"body {body.name!r}: {body.motion} with {len(body.joints)} joints")
        for geom in body.geoms:
            if geom.kind not in GEOM_TYPES:
                reasons.append(f"body {body.name!r}: unknown geom kind {geom.kind!r}")
            elif geom.kind == "plane" and body.motion != "static":
                reasons.append(f"body {body.name!r}: a plane cannot move")
    return tuple(reasons)


def simulate(scene: Scene, *, state_every: int) -> Motion:
    """Motion of the scene, driven by its script.

    Raises:
        SimulationError: NaN, a MuJoCo warning, time not monotone, a body far outside, or energy
            that no servo put in; the message says which, when and where.
    """
    run = Run(scene)
    run.start()
    return run.record(0, scene.frames, scripted(scene), state_every)


def resume(
    scene: Scene,
    state: Float64[np.ndarray, " state"],
    *,
    frame: int,
    frames: int,
    action: Float64[np.ndarray, "time action"],
    position_offset_m: Float64[np.ndarray, "body 3"] | None = None,
    velocity_offset_m_s: Float64[np.ndarray, "body 3"] | None = None,
    state_every: int | None = None,
) -> Motion:
    """Motion of `frames` frames from a stored state, driven by recorded actions.

    Args:
        frame: The clip's frame that the state belongs to; action row 0 acts from it.
        position_offset_m: Added to free bodies first, and so is velocity_offset_m_s.
    """
    run = Run(scene)
    run.restore(state, position_offset_m, velocity_offset_m_s)
    return run.record(frame, frames, recorded(action, frame), state_every or frames)
