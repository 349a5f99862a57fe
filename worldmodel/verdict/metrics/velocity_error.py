"""How wrong each object's velocity is, as PhyWorld measures it (arXiv 2411.02385, section 3)."""

from __future__ import annotations

import numpy as np

from worldmodel.clip import Clip
from worldmodel.verdict.metric import Metric, Sample, Scores, miss_penalty_px

INTERVAL_S = 0.1  # PhyWorld's frame step; the nearest whole number of frames is used


def stride_frames(frame_rate_hz: float) -> int:
    """Frames between the two centres of a finite difference, at least 1."""
    return max(1, round(INTERVAL_S * frame_rate_hz))


def velocity_error(sample: Sample) -> Scores:
    """Mean |v - v_hat| of objects seen whole, m/s across the line of sight (step, object).

    Both velocities are finite differences over about 0.1 s; the predicted one starts in the
    context for the first steps. Only frames count in which the whole object is in view in truth
    at both ends. PhyWorld imputes a vanished ball at the world's edge, which can flatter: here a
    missing object scores the penalty speed, which is also the most that anything scores.
    """
    clip, future = sample.clip, sample.future
    stride = min(stride_frames(clip.frame_rate_hz), clip.context)
    before = slice(clip.context - stride, len(clip.rgb) - stride)
    rate = clip.frame_rate_hz / stride

    def velocity_px_s(centre: np.ndarray) -> np.ndarray:
        return (centre[future] - centre[before]) * rate

    true = velocity_px_s(clip.centre)
    error = np.linalg.norm(velocity_px_s(sample.tracks.centre) - true, axis=-1)
    asked = clip.whole[future] & clip.whole[before]
    missed = (sample.tracks.missing[future] | sample.tracks.missing[before]) & asked
    penalty = penalty_px_s(clip)
    error = np.where(missed, penalty, np.minimum(error, penalty))
    metres = error * clip.metres_per_px[future]
    return Scores(np.where(asked, metres, np.nan), missed)


def penalty_px_s(clip: Clip) -> float:
    """Velocity error of a missing object, px/s.

    Twice the fastest true speed in the clip (an object going the wrong way), at least half the
    picture's width a second.
    """
    speed = np.linalg.norm(np.diff(clip.centre, axis=0), axis=-1) * clip.frame_rate_hz
    seen = speed[clip.scored[1:] & clip.scored[:-1]]
    return max(2.0 * float(seen.max(initial=0.0)), miss_penalty_px(clip))


METRIC = Metric(
    name="velocity_error_m_s",
    label="velocity error",
    unit="m/s",
    better="lower",
    ideal=0.0,
    definition="Mean length of the difference between predicted and simulated velocity, by finite "
    "differences over about 0.1 s, over the frames up to the horizon in which the whole object is "
    "in view; a missing object counts as twice the clip's fastest speed.",
    floor="The probe's error at two frames, divided by their distance in time.",
    measure=velocity_error,
    mean_up_to=True,
)
