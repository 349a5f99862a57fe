"""What a metric is: a name, a definition, and a function from one rollout to scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from worldmodel.clip import Clip
from worldmodel.perception import Tracks


@dataclass(frozen=True)
class Sample:
    """One rollout beside its truth. `tracks` covers context and horizon, `frames` the horizon."""

    clip: Clip
    frames: UInt8[np.ndarray, "horizon height width 3"]
    tracks: Tracks

    @property
    def future(self) -> slice:
        """The predicted frames on the clip's time axis."""
        return slice(self.clip.context, None)


@dataclass(frozen=True)
class Scores:
    """What a metric says of one rollout; step 0 is the first predicted frame.

    A NaN is not asked for (the object is hidden or gone in truth); it counts nowhere. A missed
    object has the metric's stated penalty as its value, and is also counted.
    """

    value: Float64[np.ndarray, "step object"]
    missed: Bool[np.ndarray, "step object"]


@dataclass(frozen=True)
class Metric:
    """A registered metric; docs/verdict.md has its formula, source and blind spots."""

    name: str
    label: str
    unit: str
    better: Literal["lower", "higher"]
    ideal: float
    definition: str
    floor: str  # what keeps truth itself from the ideal
    measure: Callable[[Sample], Scores]
    mean_up_to: bool = False  # a column is the mean over steps 1..h, not the value at step h
    per_clip: bool = False  # one score a clip: measure returns a single step


def miss_penalty_px(clip: Clip) -> float:
    """Error of an object that is not there, px: half the picture's width.

    About the mean distance of a blind guess (0.52 of a square's side). No error scores more, so
    that removing an object never pays.
    """
    return clip.width / 2


def position_error_px(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each object's centre from the simulator's, px (step, object), and the misses."""
    clip, future = sample.clip, sample.future
    error = np.linalg.norm(sample.tracks.centre[future] - clip.centre[future], axis=-1)
    missed = sample.tracks.missing[future] & clip.scored[future]
    penalty = miss_penalty_px(clip)
    error = np.where(missed, penalty, np.minimum(error, penalty))
    return np.where(clip.scored[future], error, np.nan), missed
