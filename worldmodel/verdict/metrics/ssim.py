"""Structural similarity of luma (Wang, Bovik, Sheikh and Simoncelli 2004)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, UInt8
from scipy import ndimage

from worldmodel.verdict.metric import Metric, Sample, Scores

SIGMA_PX = 1.5
RADIUS_PX = 5  # an 11 x 11 window
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
LUMA = np.array([0.299, 0.587, 0.114])  # Rec. 601


def ssim(
    predicted: UInt8[np.ndarray, "time height width 3"],
    truth: UInt8[np.ndarray, "time height width 3"],
) -> Float64[np.ndarray, " time"]:
    """Mean structural similarity of each frame, 1 for equal frames.

    The paper's constants: a Gaussian window of sigma 1.5 cut to 11 x 11, population variances;
    positions where the window would leave the picture are not used.

    >>> import numpy as np
    >>> frames = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    >>> ssim(frames, frames)
    array([1., 1.])
    """
    x, y = predicted @ LUMA, truth @ LUMA
    mean_x, mean_y = _window(x), _window(y)
    var_x = _window(x * x) - mean_x**2
    var_y = _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    top = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    bottom = (mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2)
    return (top / bottom).mean(axis=(1, 2))


def _window(image: np.ndarray) -> np.ndarray:
    for axis in (1, 2):
        image = ndimage.gaussian_filter1d(image, SIGMA_PX, axis=axis, radius=RADIUS_PX)
    return image[:, RADIUS_PX:-RADIUS_PX, RADIUS_PX:-RADIUS_PX]


def measure(sample: Sample) -> Scores:
    """SSIM of each predicted frame (step, 1)."""
    value = ssim(sample.frames, sample.clip.rgb[sample.future])[:, None]
    return Scores(value, np.zeros(value.shape, bool))


METRIC = Metric(
    name="ssim",
    label="SSIM",
    unit="",
    better="higher",
    ideal=1.0,
    definition="Structural similarity of luma, 11 x 11 Gaussian window, mean over the picture.",
    floor="None: truth scores 1.",
    measure=measure,
)
