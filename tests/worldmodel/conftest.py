"""What several test files share: one probe fitted to drawn clips, and one verdict."""

import pytest
from drawn_clips import random_clip
from drawn_dataset import DrawnDataset

from worldmodel import calibration
from worldmodel.evaluate import evaluate


@pytest.fixture(scope="session")
def probe():
    """Fitted on drawn training clips and calibrated on others."""
    fitted = calibration.fit(random_clip(k, balls=1 + k % 3) for k in range(12))
    held_out = (random_clip(100 + k, balls=1 + k % 3) for k in range(4))
    return calibration.calibrate(fitted, held_out, split="val")


class Late:
    """A stand-in for a model: the truth, two frames late."""

    def __call__(self, context, horizon, *, clip):
        start = clip.context - 2
        return clip.rgb[start : start + horizon]


@pytest.fixture(scope="session")
def judged(tmp_path_factory):
    """(folder, verdict) of a model that lags two frames behind."""
    folder = tmp_path_factory.mktemp("verdict")
    return folder, evaluate(None, DrawnDataset(), folder, model=Late(), command="worldmodel <x>")
