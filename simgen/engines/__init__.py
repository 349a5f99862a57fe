"""Physics engines: Scene -> Motion. One file each; the only importers of mujoco and pybullet
beside the two renderers that need them."""

from __future__ import annotations

from importlib import import_module

from simgen.motion import Motion
from simgen.scene import Scene

# name -> module with simulate(scene, *, state_every) and check(scene) -> reasons it cannot
ENGINES = {
    "bullet": "simgen.engines.bullet",
    "mujoco": "simgen.engines.mujoco",
}


def simulate(scene: Scene, engine: str, *, state_every: int = 8) -> Motion:
    """Motion of the scene under the engine, the same bytes for the same scene and version.

    Args:
        state_every: Frames between stored restorable states.
    Raises:
        ValueError: Unknown engine, or a scene it cannot do; the message names what.
        SimulationError: The physics broke (NaN, reset, explosion, contact buffer full).
    """
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; known: {', '.join(sorted(ENGINES))}")
    module = import_module(ENGINES[engine])
    if reasons := module.check(scene):
        said = "; ".join(reasons)
        raise ValueError(f"engine {engine!r} cannot simulate {scene.family!r}: {said}")
    return module.simulate(scene, state_every=state_every)
