"""Peak signal-to-noise ratio: how close the pixels are, wherever the objects are."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, UInt8

from worldmodel.verdict.metric import Metric, Sample, Scores

# Rounding to 8 bits alone makes an error of 1/12; equal frames score this 58.9 dB, not infinity.
LEAST_SQUARE_ERROR = 1.0 / 12.0


def psnr(
    predicted: UInt8[np.ndarray, "time height width 3"],
    truth: UInt8[np.ndarray, "time height width 3"],
) -> Float64[np.ndarray, " time"]:
    """Peak signal-to-noise ratio of each frame, dB: 10 log10(255^2 / mean squared error).

    >>> import numpy as np
    >>> grey = np.full((1, 4, 4, 3), 100, np.uint8)
    >>> psnr(grey + np.uint8(10), grey).round(2)
    array([28.13])
    """
    error = predicted.astype(np.float64) - truth
    square = (error**2).mean(axis=(1, 2, 3))
    return 10.0 * np.log10(255.0**2 / np.maximum(square, LEAST_SQUARE_ERROR))


def measure(sample: Sample) -> Scores:
    """PSNR of each predicted frame, dB (step, 1)."""
    value = psnr(sample.frames, sample.clip.rgb[sample.future])[:, None]
    return Scores(value, np.zeros(value.shape, bool))


METRIC = Metric(
    name="psnr_db",
    label="PSNR",
    unit="dB",
    better="higher",
    ideal=float(10.0 * np.log10(255.0**2 / LEAST_SQUARE_ERROR)),
    definition="10 log10(255² / mean squared error) of each frame, then the mean over clips.",
    floor="None: truth scores the ceiling of eight-bit frames, 58.9 dB.",
    measure=measure,
)
