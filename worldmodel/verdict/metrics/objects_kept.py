"""Which objects are still there, in one piece, in their colour and at their size."""

from __future__ import annotations

import numpy as np

from worldmodel.verdict.metric import Metric, Sample, Scores

AREA_GATE = (0.5, 2.0)  # of the visible area in truth


def objects_kept(sample: Sample) -> Scores:
    """1 for an object kept, 0 for one lost, split, shrunk or grown (step, object)."""
    clip, future = sample.clip, sample.future
    ratio = sample.tracks.area[future] / np.maximum(clip.area_px[future], 1)
    one_piece = sample.tracks.components[future] == 1
    kept = one_piece & (ratio >= AREA_GATE[0]) & (ratio <= AREA_GATE[1])
    scored = clip.scored[future]
    return Scores(np.where(scored, kept.astype(np.float64), np.nan), scored & ~kept)


METRIC = Metric(
    name="objects_kept",
    label="objects kept",
    unit="share",
    better="higher",
    ideal=1.0,
    definition="Share of the objects visible in truth that the probe finds as one connected piece "
    "of their own colour with between half and twice the area that truth shows.",
    floor="Truth itself loses objects that another one cuts in two or mostly hides.",
    measure=objects_kept,
)
