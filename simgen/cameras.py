"""Camera paths, and the pinhole arithmetic that everything shares.

A camera looks along its local -z with +y up. Pixel (0, 0) is the top left corner and pixel
centres lie at +0.5. Pixels are square.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True)
class CameraTrack:
    """Extrinsics and intrinsics per frame, one frame past the clip's end like Motion."""

    position: Float64[np.ndarray, "time1 3"]
    quaternion: Float64[np.ndarray, "time1 4"]  # camera to world, w x y z
    intrinsics: Float64[np.ndarray, "time1 4"]  # fx, fy, cx, cy in pixels
