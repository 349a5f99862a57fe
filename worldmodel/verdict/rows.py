"""The rows of the table: who predicts. A new row is one entry where `standard_rows` lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import UInt8

from worldmodel.clip import Clip
from worldmodel.dynamics.baselines import ConstantVelocity, copy_last
from worldmodel.perception import Probe

GREY = 127


class Predict(Protocol):
    """The interface of every predictor, trained or not."""

    def __call__(
        self, context: UInt8[np.ndarray, "time height width 3"], horizon: int, *, clip: Clip
    ) -> UInt8[np.ndarray, "horizon height width 3"]: ...


@dataclass(frozen=True)
class Row:
    """A predictor with the words that the table and the report use for it."""

    name: str
    label: str
    predict: Predict


class PredictionError(ValueError):
    """A predictor returned something that is not the frames it was asked for."""


def truth(context: np.ndarray, horizon: int, *, clip: Clip) -> np.ndarray:
    """The clip's true future: what the ruler says of it is the ruler's own error."""
    return clip.rgb[clip.context : clip.context + horizon]


def standard_rows(probe: Probe, model: Predict | None, label: str = "model") -> tuple[Row, ...]:
    """Truth, the model (where there is one) and the baselines, in the table's order."""
    learned = (Row("model", label, model),) if model is not None else ()
    return (
        Row("truth", "truth (the ruler's error)", truth),
        *learned,
        Row("constant_velocity", "constant velocity", ConstantVelocity(probe)),
        Row("copy_last", "copy last", copy_last),
    )


def attempt(row: Row, clip: Clip) -> tuple[np.ndarray, str | None]:
    """The row's frames, and why they are unusable, if they are: then the frames are plain grey.

    The caller counts every object as missing in them, so the clip stays in every denominator.
    """
    shape = (clip.horizon, *clip.rgb.shape[1:])
    try:
        context = clip.rgb[: clip.context].copy()  # one that draws on it spoils no other row
        frames = np.asarray(row.predict(context, clip.horizon, clip=clip))
        if frames.shape != shape or frames.dtype != np.uint8:
            raise PredictionError(
                f"returned {frames.dtype} {frames.shape}, asked for uint8 {shape}"
            )
    except Exception as error:  # whatever a model raises is its failure, counted and named
        return np.full(shape, GREY, np.uint8), f"{type(error).__name__}: {error}"
    return frames, None
