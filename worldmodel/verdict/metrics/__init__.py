"""Metrics: one file each, one line here."""

from worldmodel.verdict.metric import Metric
from worldmodel.verdict.metrics import (
    objects_kept,
    position_error,
    psnr,
    ssim,
    time_to_divergence,
    velocity_error,
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        position_error.PIXELS,
        position_error.METRES,
        velocity_error.METRIC,
        time_to_divergence.METRIC,
        objects_kept.METRIC,
        psnr.METRIC,
        ssim.METRIC,
    )
}
