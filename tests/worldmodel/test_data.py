"""Windows: a batch is a function of seed and step; leaks and bad stores are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stores import FakeStore

from worldmodel.data import DataError, Windows, to_float, to_uint8


def test_every_byte_survives_the_way_to_float_and_back():
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(every)), every)
    assert to_float(every).aminmax() == (-1.0, 1.0)


def test_a_batch_follows_from_seed_and_step_alone():
    a = Windows(FakeStore(), "train", length=5, seed=3)
    b = Windows(FakeStore(), "train", length=5, seed=3, cache_bytes=0)
    a.batch(0, 4)  # what was read before does not matter
    for name, tensor in a.batch(7, 4).items():
        assert torch.equal(tensor, b.batch(7, 4)[name])
    other = Windows(FakeStore(), "train", length=5, seed=4)
    assert any(a.choose(step, 4) != other.choose(step, 4) for step in range(3))


def test_a_window_is_the_stored_frames():
    store = FakeStore()
    windows = Windows(store, "train", length=5)
    batch = windows.batch(2, 3)
    for i, (episode, start) in enumerate(windows.choose(2, 3)):
        ident = windows.episodes[episode]["episode_id"]
        stored = store.read(ident, "rgb", start, start + 5)
        assert np.array_equal(to_uint8(batch["rgb"][i]).permute(0, 2, 3, 1).numpy(), stored)
        flow = store.read(ident, "flow", start, start + 5)
        assert np.array_equal(batch["flow"][i].permute(0, 2, 3, 1).numpy(), flow)


def test_ranks_share_the_batch_of_one_process():
    windows = Windows(FakeStore(), "train", length=5)
    whole = windows.batch(5, 4)["rgb"]
    parts = [windows.batch(5, 4, rank=r, ranks=2)["rgb"] for r in range(2)]
    assert torch.equal(torch.cat(parts), whole)
    with pytest.raises(DataError, match="batch of 4 does not divide among 3 ranks"):
        windows.batch(0, 4, ranks=3)


def test_the_stream_gives_the_batches_in_order_from_any_step():
    windows = Windows(FakeStore(), "train", length=5)
    stream = windows.stream(3, 2)
    for step in range(3, 9):
        assert torch.equal(next(stream)["rgb"], windows.batch(step, 2)["rgb"])
    stream.close()


def test_episodes_are_decoded_once_while_they_fit_and_by_window_otherwise():
    small, large = FakeStore(), FakeStore()
    cached = Windows(small, "train", length=5)
    direct = Windows(large, "train", length=5, cache_bytes=0)
    for step in range(40):
        cached.batch(step, 4)
        direct.batch(step, 4)
    assert small.reads == 6 * 3
    assert large.reads == 40 * 4 * 3


def test_training_sees_only_its_split():
    windows = Windows(FakeStore(), "train", length=5)
    assert {row["split"] for row in windows.episodes} == {"train"}


def test_buckets_of_other_sizes_make_batches_of_their_own():
    rows = [row | {"bucket": "t12_24x16", "episode_id": f"e9{i}", "seed": 900 + i}
            for i, row in enumerate(FakeStore().rows)]  # fmt: skip
    windows = Windows(FakeStore(rows=rows), "train", length=5)
    seen = set()
    for step in range(20):
        buckets = {windows.episodes[e]["bucket"] for e, _ in windows.choose(step, 4)}
        assert len(buckets) == 1
        seen |= buckets
    assert len(seen) == 2


@pytest.mark.parametrize("key", ["episode_id", "seed"])
def test_an_episode_in_two_splits_is_refused(key):
    store = FakeStore()
    store.rows[-1][key] = store.rows[0][key]
    with pytest.raises(DataError, match=f"leak: {key} .* 'train' and in 'test'"):
        Windows(store, "train", length=5)


def test_clips_that_no_physics_makes_are_never_learnt_from():
    store = FakeStore()
    store.rows[0]["possible"] = True
    twin = {"split": "impossible", "possible": False, "episode_id": "twin"}
    store.rows.append(store.rows[0] | twin)  # and it has its original's seed
    assert len(Windows(store, "train", length=5).episodes) == 6
    with pytest.raises(DataError, match="no physics makes"):
        Windows(store, "impossible", length=5)


def test_an_unknown_split_names_the_known_ones():
    with pytest.raises(DataError, match=r"split 'trian'; the store has: test \(2\), train \(6\)"):
        Windows(FakeStore(), "trian", length=5)


def test_windows_longer_than_the_episodes_are_refused():
    with pytest.raises(DataError, match="windows of at most 12 frames"):
        Windows(FakeStore(), "train", length=13)


def test_a_store_without_flow_is_refused():
    store = FakeStore()
    for row in store.rows:
        row["channels"] = "rgb segmentation"
    with pytest.raises(DataError, match="the store lacks flow"):
        Windows(store, "train", length=5)
