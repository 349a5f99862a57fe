"""How long each object follows its simulated path."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from worldmodel.verdict.metric import Metric, Sample, Scores, position_error_px

TOLERANCE_WIDTHS = 0.05  # of the picture's width, at the object's depth


def time_to_divergence(
    error_m: Float64[np.ndarray, "time object"],
    *,
    tolerance_m: float | Float64[np.ndarray, "time object"],
    frame_rate_hz: float,
) -> Float64[np.ndarray, " object"]:
    """Seconds until each object's predicted path leaves the simulated one.

    An object diverges at its first frame with an error above tolerance_m. One that never does
    scores the whole horizon. A NaN is a frame in which the object is not asked for: it
    passes, and an object that is never asked for scores NaN.

    Args:
        error_m: Position error by frame, the first predicted frame first; a missing object's
            penalty must be above the tolerance.
        tolerance_m: Largest error that still counts as following.
        frame_rate_hz: Frames a second.
    Raises:
        ValueError: If tolerance_m is not positive.

    >>> import numpy as np
    >>> error_m = np.array([[0.01, 0.2], [0.02, 0.2], [0.09, 0.2], [0.01, 0.2]])
    >>> time_to_divergence(error_m, tolerance_m=0.05, frame_rate_hz=10.0)
    array([0.2, 0. ])
    """
    if not np.all(np.nan_to_num(tolerance_m, nan=1.0) > 0):
        raise ValueError(f"tolerance_m must be positive, got {tolerance_m}")
    with np.errstate(invalid="ignore"):
        over = error_m > tolerance_m
    first = np.where(over.any(axis=0), over.argmax(axis=0), len(error_m))
    return np.where(np.isnan(error_m).all(axis=0), np.nan, first / frame_rate_hz)


def measure(sample: Sample) -> Scores:
    """Time to divergence, s (1, object), and whether the object was ever missing by then."""
    error_px, missed = position_error_px(sample)
    scale = sample.clip.metres_per_px[sample.future]
    seconds = time_to_divergence(
        error_px * scale,
        tolerance_m=TOLERANCE_WIDTHS * sample.clip.width * scale,
        frame_rate_hz=sample.clip.frame_rate_hz,
    )
    return Scores(seconds[None], missed.any(axis=0)[None])


METRIC = Metric(
    name="time_to_divergence_s",
    label="time to divergence",
    unit="s",
    better="higher",
    ideal=float("inf"),
    definition="Seconds of rollout before an object is first more than 5% of the picture's width "
    "(at its depth) from the simulated path; one that stays scores the whole rollout.",
    floor="The rollout's length is the ceiling; the probe's error shortens it where objects hide.",
    measure=measure,
    per_clip=True,
)
