"""From camera recipes to the shots of a clip."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.cameras import Shot, path
from simgen.motion import Motion, SimulationError
from simgen.recipe import SceneRecipe, Video
from simgen.scene import Scene


def film(
    scene: Scene,
    motion: Motion,
    kind: Any,
    table: SceneRecipe,
    video: Video,
    rng: np.random.Generator,
) -> tuple[Shot, ...]:
    """The clip's shots: one of the scene's cameras, drawn, and where it stands and goes.

    Raises:
        SimulationError: The draw gives no usable move.
    """
    look_at, distance_m = kind.look_at(scene, motion)
    camera = table.cameras[int(rng.integers(len(table.cameras)))]
    shape = {"frames": video.frames, "height": video.height, "width": video.width}
    try:
        track = path(camera, look_at=look_at, distance_m=distance_m, rng=rng, **shape)
    except ValueError as error:
        raise SimulationError(f"camera: {error}") from error
    return (Shot(0, track, camera.kind),)
