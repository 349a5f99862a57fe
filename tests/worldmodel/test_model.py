"""The model: causal, cached as if not, and its motion is the simulator's."""

from __future__ import annotations

import pytest
import torch

from worldmodel.dynamics.model import ModelConfig, WorldModel
from worldmodel.dynamics.warp import backward_flow, warp

SMALL = ModelConfig(width=16, depth=2, heads=4, window=3, fine_width=8, fine_depth=1)


@pytest.fixture
def model() -> WorldModel:
    torch.manual_seed(0)
    model = WorldModel(SMALL)
    torch.nn.init.normal_(model.head.weight, std=0.2)  # a new head says nothing
    return model.eval().requires_grad_(False)


def frames(count=8, height=16, width=24):
    return (
        torch.rand(2, count, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1
    )


def test_the_future_does_not_change_the_past(model):
    x, level = frames(), torch.zeros(2, 8)
    changed = x.clone()
    changed[:, 5:] = 0.3
    before, after = (model.encode(z, level, None)[0].fine for z in (x, changed))
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5], after[:, 5])


def test_the_cache_equals_recomputation(model):
    x, level = frames(12), torch.zeros(2, 12)
    whole, _ = model.encode(x, level, None)
    features, state = model.encode(x[:, :4], level[:, :4], None)
    parts = [features.fine]
    for t in range(4, 12):
        features, state = model.encode(x[:, t : t + 1], level[:, :1], state)
        parts.append(features.fine)
    torch.testing.assert_close(torch.cat(parts, 1), whole.fine, atol=1e-5, rtol=1e-5)


def test_memory_does_not_grow_with_the_rollout(model):
    features, state = model.encode(frames(3), torch.zeros(2, 3), None)
    for _ in range(6):
        features, state = model.encode(features.frame[:, -1:], torch.zeros(2, 1), state)
        assert all(k.shape[1] == SMALL.window - 1 for k, _ in state.cache)


def test_a_window_of_one_frame_keeps_no_past():
    model = WorldModel(ModelConfig(width=16, depth=1, heads=4, window=1, fine_width=8))
    _, state = model.encode(frames(3), torch.zeros(2, 3), None)
    assert state.cache[0][0].shape[1] == 0


def test_a_new_model_says_almost_copy_last():
    model = WorldModel(SMALL)
    features, _ = model.encode(frames(2), torch.zeros(2, 2), None)
    last = features.frame[:, -1]
    out = model.decode(last, features.fine[:, -1], None, torch.zeros(2))
    torch.testing.assert_close(out.frame, last * (1 - out.mask), atol=1e-5, rtol=1e-5)
    assert out.mask.max() < 0.2


def test_a_frame_of_noise_says_nothing_at_tau_zero(model):
    features, _ = model.encode(frames(2), torch.zeros(2, 2), None)
    last, fine, tau = features.frame[:, -1], features.fine[:, -1], torch.zeros(2)
    without = model.decode(last, fine, None, tau).frame
    assert torch.equal(model.decode(last, fine, torch.randn_like(last), tau).frame, without)
    half = model.decode(last, fine, torch.randn_like(last), tau + 0.5).frame
    assert not torch.allclose(half, without)


def test_sizes_that_do_not_fit_are_refused(model):
    with pytest.raises(ValueError, match=r"frames of 20x24 px.*multiples of 8 px"):
        model.encode(frames(2, 20, 24), torch.zeros(2, 2), None)


def test_warp_by_whole_pixels_moves_pixels():
    x = frames(1)[:, 0]
    flow = torch.zeros(2, 2, 16, 24)
    flow[:, 0], flow[:, 1] = 3, -2
    moved = warp(x, flow)
    torch.testing.assert_close(moved[:, :, 2:, :-3], x[:, :, :-2, 3:], atol=1e-4, rtol=1e-4)


def test_backward_flow_of_a_moving_square_is_its_negated_motion():
    before, after = (torch.zeros(1, 16, 16, dtype=torch.uint8) for _ in range(2))
    before[0, 4:8, 4:8], after[0, 5:9, 6:10] = 1, 1
    flow = torch.zeros(1, 2, 16, 16)
    flow[0, :, 4:8, 4:8] = torch.tensor([2.0, 1.0])[:, None, None]
    back, known = backward_flow(flow, before, after)
    assert torch.equal(known[0, 5:9, 6:10], torch.ones(4, 4))
    assert torch.equal(back[0, :, 5:9, 6:10], -flow[0, :, 4:8, 4:8])
    revealed = (before[0] == 1) & (after[0] == 0)
    assert torch.equal(known[0][revealed], torch.zeros(int(revealed.sum())))
    assert torch.equal(known[0, 12:], torch.ones(4, 16))


def test_backward_flow_undoes_half_pixels_too():
    body = torch.ones(1, 16, 16, dtype=torch.uint8)
    back, known = backward_flow(torch.full((1, 2, 16, 16), 0.5), body, body)
    torch.testing.assert_close(back[0, :, 1:, 1:], torch.full((2, 15, 15), -0.5))
    assert known[0, 1:, 1:].min() == 1
