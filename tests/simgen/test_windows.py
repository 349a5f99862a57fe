"""Windows: the stored frames, in an order that seed and step alone decide."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import simgen
from simgen.store.order import Order, permuted
from simgen.store.query import QueryError
from simgen.store.reader import Dataset
from simgen.store.ring import Ring
from simgen.store.shard import IntegrityError

WIDE, TALL = "t10_16x24", "t10_24x16"


@pytest.fixture(scope="module")
def opened(finished: Path) -> Dataset:
    return simgen.open(finished)


def name_of(opened: Dataset, index: int) -> str:
    (name,) = opened.find(index=int(index)).episode_ids
    return name


def test_a_window_is_the_stored_frames(opened: Dataset):
    windows = opened.windows(4, batch=3, channels=("rgb", "depth", "position"), bucket=WIDE)
    for batch in islice(windows, 5):
        assert batch["rgb"].shape == (3, 4, 16, 24, 3)
        for i, (index, start) in enumerate(zip(batch["index"], batch["start"], strict=True)):
            for channel in ("rgb", "depth", "position"):
                stored = opened.read(name_of(opened, index), channel, start, start + 4)
                assert batch[channel][i].tobytes() == stored.tobytes()


def test_batches_follow_from_seed_and_step_whatever_the_threads(opened: Dataset):
    asked = {"batch": 4, "seed": 5}
    one = islice(opened.windows(3, threads=1, **asked), 12)
    three = islice(opened.windows(3, threads=3, ahead=5, **asked), 12)
    windows = opened.windows(3, **asked)
    for step, (a, b) in enumerate(zip(one, three, strict=True)):
        assert a["rgb"].tobytes() == b["rgb"].tobytes()
        np.testing.assert_array_equal(windows.read(step)["start"], a["start"])
    other = opened.windows(3, batch=4, seed=6)
    assert any(not np.array_equal(other.draw(s).start, windows.draw(s).start) for s in range(4))


def test_a_saved_state_goes_on_where_it_was(opened: Dataset):
    asked = {"batch": 2, "order": "epochs", "every": 1}
    windows = opened.windows(4, **asked)
    batches = iter(windows)
    for _ in range(7):
        next(batches)
    saved = json.loads(json.dumps(windows.state))
    wanted = [next(batches)["rgb"].copy() for _ in range(5)]
    resumed = opened.windows(4, **asked)
    resumed.state = saved
    for batch, rgb in zip(resumed, wanted, strict=False):
        np.testing.assert_array_equal(batch["rgb"], rgb)
    with pytest.raises(QueryError, match="asked for otherwise, or of other episodes"):
        opened.windows(4, seed=1, **asked).state = saved
    with pytest.raises(QueryError, match="asked for otherwise, or of other episodes"):
        opened.windows(4, bucket=WIDE, **asked).state = saved


@pytest.mark.parametrize("balance", ["share", "even"])
def test_an_epoch_gives_every_window_once(opened: Dataset, balance: str):
    windows = opened.windows(4, batch=2, order="epochs", every=2, balance=balance, bucket=WIDE)
    episodes = len(windows.selection)
    of_one = 4  # windows of 4 of 10 frames begin at 0, 2, 4 and 6
    steps = episodes * of_one // 2
    for epoch in range(3):
        seen = Counter()
        for step in range(epoch * steps, (epoch + 1) * steps):
            drawn = windows.draw(step)
            seen.update(zip(drawn.episode.tolist(), drawn.start.tolist(), strict=True))
        wanted = {(e, 2 * n) for e in range(episodes) for n in range(of_one)}
        assert seen == Counter(wanted)
    first, second = ([windows.draw(s + e * steps).start.tolist() for s in range(steps)]
                     for e in (0, 1))  # fmt: skip
    assert first != second


def test_every_window_of_an_event_holds_it(opened: Dataset):
    rate = opened.catalog["frame_rate_hz"][0].as_py()
    for order in ("random", "epochs"):
        windows = opened.windows(3, batch=2, event="contact", order=order, every=1)
        starts = np.concatenate([windows.draw(step).start for step in range(40)])
        assert set(starts.tolist()) == {1, 2} if 0.1 * rate % 1 else {0, 1, 2}
        assert (starts <= 0.1 * rate).all()
        assert (starts + 2 >= 0.1 * rate).all()
    with pytest.raises(QueryError, match="no window holds such an event"):
        opened.windows(1, event="contact")  # it begins between two frames


def test_buckets_come_by_their_share_or_evenly(opened: Dataset):
    sizes = Counter(opened.catalog["bucket"].to_pylist())
    for balance, share in (("share", sizes[WIDE] / sizes.total()), ("even", 0.5)):
        windows = opened.windows(4, batch=2, balance=balance)
        drawn = Counter(windows.draw(step).bucket for step in range(600))
        assert drawn[WIDE] / 600 == pytest.approx(share, abs=0.06)
    even = opened.windows(4, batch=2, balance="even", order="epochs", every=1)
    assert Counter(even.draw(step).bucket for step in range(60)) == {WIDE: 30, TALL: 30}


def test_the_example_in_the_format_s_documentation_runs(finished: Path, capsys):
    page = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
    section = page.split("## Reading\n")[1].split("\n## ")[0]
    code = section.split("```python\n")[1].split("```")[0]
    names: dict = {}
    exec(code.replace("NAME.zarr", str(finished)), names)
    assert names["batch"]["rgb"].shape[:2] == (2, 4)
    assert names["frames"].shape[0] == 4
    assert names["saved"]["step"] == 1
    assert names["found"].episode_ids[0] in capsys.readouterr().out


def test_ranks_share_each_batch(opened: Dataset):
    whole = opened.windows(4, batch=4).read(3)["rgb"]
    parts = [opened.windows(4, batch=4, rank=r, ranks=2).read(3)["rgb"] for r in range(2)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_tensors_lie_in_the_ring_s_memory(opened: Dataset):
    windows = opened.windows(4, batch=2, bucket=WIDE, torch=True)
    batch = windows.read(0)
    assert batch["rgb"].dtype == torch.uint8
    place = batch["rgb"].data_ptr()
    kept = batch["rgb"][0]  # a view: its memory must not be written again
    before = kept.clone()
    del batch
    assert windows.read(1)["rgb"].data_ptr() != place
    assert torch.equal(kept, before)
    del kept
    assert windows.read(2)["rgb"].data_ptr() == place


def test_a_ring_keeps_no_more_than_it_was_told(opened: Dataset):
    ring, shapes = Ring(2), {"a": ((4,), np.dtype("u1"))}
    held = [ring.take(shapes) for _ in range(4)]
    places = [arrays["a"].ctypes.data for arrays in held]
    assert len(set(places)) == 4
    held.clear()
    again = {ring.take(shapes)["a"].ctypes.data for _ in range(4)}
    assert again <= set(places[:2])
    other = ring.take({"a": ((5,), np.dtype("u1"))})["a"]
    assert other.shape == (5,)


def test_whole_episodes_are_decoded_once_while_they_fit(opened: Dataset, monkeypatch):
    reads = []
    inside = Dataset.read_into
    monkeypatch.setattr(
        Dataset, "read_into", lambda self, *a: (reads.append(a[2]), inside(self, *a))[1]
    )
    windows = opened.windows(4, batch=2, bucket=WIDE, cache_bytes=1 << 30)
    direct = opened.windows(4, batch=2, bucket=WIDE)
    for step in range(20):
        np.testing.assert_array_equal(windows.read(step)["rgb"], direct.read(step)["rgb"])
    assert len(reads) == len(windows.selection) + 40


def test_damage_names_the_episode(dataset: Path):
    opened = simgen.open(dataset)
    row = opened.catalog.to_pylist()[0]
    (dataset / row["bucket"] / "rgb" / "c.0.0.0.0.0").unlink()
    windows = opened.windows(4, index=row["index"])
    with pytest.raises(IntegrityError, match=f"{row['episode_id']}.*'rgb'.*missing"):
        next(iter(windows))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"length": 11}, "windows of at most 10 frames"),
        ({"split": "none"}, "no episode answers the query"),
        ({"order": "sorted"}, "order='sorted'; known: random, epochs"),
        ({"balance": "fair"}, "balance='fair'; known: share, even"),
        ({"batch": 3, "ranks": 2}, "batch of 3 does not divide among 2 ranks"),
        ({"batch": 50, "order": "epochs"}, "fewer than a batch of 50"),
        ({"channels": ("state",)}, "has no 'state' along time; it has .*rgb"),
        ({"length": 0}, "length=0: it must be at least 1"),
    ],
)
def test_what_cannot_be_given_is_refused(opened: Dataset, asked: dict, message: str):
    with pytest.raises(QueryError, match=message):
        opened.windows(asked.pop("length", 4), **asked)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.integers(0, 2**40), st.integers(0, 9))
def test_a_permutation_visits_every_place_once(count: int, seed: int, epoch: int):
    found = permuted(count, np.arange(count), key=(seed, epoch))
    assert np.array_equal(np.sort(found), np.arange(count))


def test_a_long_epoch_is_shuffled_well():
    """Neighbours part: mean distance of a random permutation is a third of its length."""
    found = permuted(10**6, np.arange(20_000), key=(3, 0))
    assert np.abs(np.diff(found)).mean() / 10**6 == pytest.approx(1 / 3, abs=0.01)
    assert np.corrcoef(np.arange(20_000), found)[0, 1] == pytest.approx(0, abs=0.03)


def test_epochs_of_buckets_need_no_memory_of_what_was():
    order = Order((10, 7), 2, seed=1)
    batches = [order.draw(step) for step in range(8 * 3)]
    for epoch in range(3):
        seen = Counter(
            (bucket, item) for bucket, items in batches[epoch * 8 : epoch * 8 + 8] for item in items
        )
        assert set(seen.values()) == {1}
        assert sum(bucket == 0 for bucket, _ in seen) == 10
