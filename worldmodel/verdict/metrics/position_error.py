"""How far each object is from where the simulator has it."""

from __future__ import annotations

from worldmodel.verdict.metric import Metric, Sample, Scores, position_error_px


def in_pixels(sample: Sample) -> Scores:
    """Position error, px (step, object); a missing object scores half the picture's width."""
    return Scores(*position_error_px(sample))


def in_metres(sample: Sample) -> Scores:
    """The same error as a length at the object's true depth, m: px * depth / focal length."""
    error, missed = position_error_px(sample)
    return Scores(error * sample.clip.metres_per_px[sample.future], missed)


PIXELS = Metric(
    name="position_error_px",
    label="position error",
    unit="px",
    better="lower",
    ideal=0.0,
    definition="Distance between the centre the probe finds and the simulator's centre of mass "
    "in the picture; a missing object counts as half the picture's width, and nothing more.",
    floor="The probe's own error: partly hidden objects show the centre of what is left.",
    measure=in_pixels,
)

METRES = Metric(
    name="position_error_m",
    label="position error",
    unit="m",
    better="lower",
    ideal=0.0,
    definition="Position error across the line of sight: pixels * true depth / focal length.",
    floor="The probe's own error in pixels, at the object's depth.",
    measure=in_metres,
)
