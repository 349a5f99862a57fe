"""Renderers: Scene + Motion + Cameras -> channels. `raycast` needs no GL and is the default.

Channels (time = rows of the cameras less one: pose and camera of frame t + 1 are for flow):
    rgb           uint8   (time, height, width, 3)
    depth         float32 (time, height, width, 1)  metres along the optical axis, inf for sky
    segmentation  uint8   (time, height, width, 1)  body row + 1, 0 for sky
    normals       float32 (time, height, width, 3)  unit, 0 for sky; camera frame (x right, y up,
                                                    z back)
    flow          float32 (time, height, width, 2)  pixels to frame t + 1, x right, y down
    backward_flow float32 (time, height, width, 2)  pixels to frame t - 1, x right, y down; before
                                                    the first frame stands motion.before, or what
                                                    the velocities say
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # the recipe reads this registry, and cameras read the recipe
    from simgen.cameras import CameraTrack
    from simgen.motion import Motion
    from simgen.scene import Scene

CHANNELS = ("rgb", "depth", "segmentation", "normals", "flow", "backward_flow")

# name -> module with CHANNELS (those that it draws itself; it derives the others) and
# render(scene, motion, cameras, height=, width=, channels=)
RENDERERS = {
    "raycast": "simgen.renderers.raycast",
    "mujoco": "simgen.renderers.mujoco",
    "tiny": "simgen.renderers.tiny",
}


class RendererUnavailable(RuntimeError):  # noqa: N818
    """The back end cannot run on this machine; the message says what to install."""


def render(
    scene: Scene,
    motion: Motion,
    cameras: CameraTrack,
    *,
    renderer: str = "raycast",
    height: int,
    width: int,
    channels: tuple[str, ...] = CHANNELS,
) -> dict[str, np.ndarray]:
    """The asked channels of every frame of the clip, shapes and units as in this module's head.

    Raises:
        ValueError: Unknown renderer or channel.
        RendererUnavailable: The back end is missing something here.
    """
    if renderer not in RENDERERS:
        raise ValueError(f"unknown renderer {renderer!r}; known: {', '.join(sorted(RENDERERS))}")
    if unknown := set(channels) - set(CHANNELS):
        raise ValueError(f"unknown channels {sorted(unknown)}; known: {', '.join(CHANNELS)}")
    module = import_module(RENDERERS[renderer])
    return module.render(scene, motion, cameras, height=height, width=width, channels=channels)
