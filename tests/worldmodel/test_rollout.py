"""Rollouts: deterministic where promised, a sample where asked, any length."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from worldmodel.dynamics.baselines import copy_last
from worldmodel.dynamics.model import ModelConfig, WorldModel
from worldmodel.rollout import ModelPredictor, rollout, stream

CONTEXT = np.random.default_rng(0).integers(0, 256, (2, 4, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def model() -> WorldModel:
    torch.manual_seed(0)
    model = WorldModel(ModelConfig(width=16, depth=2, heads=4, window=3, fine_width=8))
    torch.nn.init.normal_(model.head.weight, std=0.2)
    torch.nn.init.normal_(model.noisy.weight, std=0.5)
    return model.eval().requires_grad_(False)


def test_one_step_is_deterministic_and_ignores_the_seed(model):
    assert np.array_equal(rollout(model, CONTEXT, 5, seed=0), rollout(model, CONTEXT, 5, seed=1))


def test_more_steps_are_samples_that_repeat_by_seed(model):
    first, again, other = (
        rollout(model, CONTEXT, 3, sampling_steps=4, seed=seed) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_longer_rollout_begins_with_the_shorter_one(model):
    long, short = rollout(model, CONTEXT, 40), rollout(model, CONTEXT, 6)
    assert long.shape == (2, 40, 16, 16, 3)
    assert np.array_equal(long[:, :6], short)
    assert rollout(model, CONTEXT, 0).shape == (2, 0, 16, 16, 3)


def test_clips_of_a_batch_do_not_touch(model):
    together = rollout(model, CONTEXT, 4).astype(int)
    alone = rollout(model, CONTEXT[1:], 4).astype(int)
    assert abs(together[1:] - alone).max() <= 1  # sums in another order may round otherwise


def test_a_rollout_equals_predicting_from_all_frames_so_far(model):
    context = torch.rand(1, 4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for frame in islice(stream(model, context), 6):
        features, _ = model.encode(context, torch.zeros(1, context.shape[1]), None)
        again = model.decode(context[:, -1], features.fine[:, -1], None, torch.zeros(1)).frame
        torch.testing.assert_close(frame, again.clamp(-1, 1), atol=1e-4, rtol=1e-4)
        context = torch.cat((context, frame[:, None]), 1)


def test_a_predictor_and_a_baseline_have_one_interface(model):
    for predict in (ModelPredictor(model), copy_last):
        frames = predict(CONTEXT[0], 3, clip=None)
        assert (frames.shape, frames.dtype) == ((3, 16, 16, 3), np.uint8)
    assert np.array_equal(copy_last(CONTEXT[0], 3)[2], CONTEXT[0, -1])


def test_what_cannot_be_predicted_is_refused(model):
    with pytest.raises(ValueError, match="context of 1 frame; at least 2"):
        rollout(model, CONTEXT[:, :1], 1)
    with pytest.raises(ValueError, match="sampling_steps=0: must be at least 1"):
        rollout(model, CONTEXT, 1, sampling_steps=0)
