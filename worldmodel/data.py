"""Windows: training slices of a store's episodes, in an order that follows from the seed alone.

Batch number `step` is a pure function of (store, split, seed, step), so a resumed run needs no
record of what it has read, and ranks of a parallel run share one batch. Episodes are decoded once
and kept as bytes while they fit the cache; a store larger than that is read window by window.
This is the only place where stored bytes become floats.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from threading import Lock

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

CHANNELS = ("rgb", "flow", "segmentation")
AHEAD = 2  # batches prepared while one trains


class DataError(ValueError):
    """The store cannot be trained on as asked; the message says what to change."""


def to_float(rgb: UInt8[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Stored colour as the model's: 0..255 to -1..1."""
    return rgb.float() / 127.5 - 1.0


def to_uint8(rgb: Float[Tensor, "*n"]) -> UInt8[Tensor, "*n"]:
    """The model's colour as stored: -1..1 to 0..255, rounded."""
    return ((rgb + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)


@dataclass
class Windows:
    """Random windows of one split.

    Attributes:
        dataset: An open store (`simgen.open`).
        split: Its name, as in the recipe.
        length: Frames in a window.
        seed: Of the order.
        cache_bytes: Memory for decoded episodes.
        workers: Threads that read.
    """

    dataset: object
    split: str
    length: int
    seed: int = 0
    cache_bytes: int = 4 << 30
    workers: int = 2
    episodes: list[dict] = field(init=False)
    _cache: dict[str, dict[str, np.ndarray]] = field(init=False, default_factory=dict)
    _cached_bytes: int = field(init=False, default=0)
    _lock: Lock = field(init=False, default_factory=Lock)

    def __post_init__(self) -> None:
        if self.length < 3:
            raise DataError(f"length={self.length}: a window needs at least 3 frames")
        rows = self.dataset.catalog.to_pylist()
        refuse_leaks(rows, self.split)
        self.episodes = [row for row in rows if row["split"] == self.split]
        if missing := set(CHANNELS) - set(json.loads(self.episodes[0]["hashes"])):
            raise DataError(
                f"the store lacks {', '.join(sorted(missing))}, which training needs; "
                f"build it with channels = {json.dumps(CHANNELS)} or more in [video]"
            )
        frames = [frames_of(row) for row in self.episodes]
        if short := [n for n in frames if n < self.length]:
            raise DataError(
                f"{len(short)} episodes of split {self.split!r} have fewer than {self.length} "
                f"frames (shortest: {min(short)}); ask for windows of at most {min(short)} frames"
            )
        self._buckets: dict[str, list[int]] = {}
        for i, row in enumerate(self.episodes):
            self._buckets.setdefault(row["bucket"], []).append(i)

    @property
    def catalog_hash(self) -> str:
        """sha256 over the split's episodes, their seeds and the hashes of what was read of them."""
        digest = hashlib.sha256()
        for row in self.episodes:
            hashes = json.loads(row["hashes"])
            digest.update(json.dumps([row["episode_id"], row["seed"],
                                      [hashes.get(c) for c in CHANNELS]]).encode())  # fmt: skip
        return digest.hexdigest()

    def choose(self, step: int, size: int) -> list[tuple[int, int]]:
        """(episode, first frame) of each window of a batch; all of one bucket, so of one shape."""
        rng = np.random.default_rng((self.seed, step))
        shares = np.array([len(rows) for rows in self._buckets.values()], np.float64)
        bucket = list(self._buckets.values())[rng.choice(len(shares), p=shares / shares.sum())]
        chosen = []
        for _ in range(size):
            episode = bucket[rng.integers(len(bucket))]
            last = frames_of(self.episodes[episode]) - self.length
            chosen.append((episode, int(rng.integers(last + 1))))
        return chosen

    def batch(self, step: int, size: int, *, rank: int = 0, ranks: int = 1) -> dict[str, Tensor]:
        """Batch `step`, or the share of it that one of several ranks takes.

        Returns:
            rgb float (batch time 3 height width) in [-1, 1]; flow float (batch time 2 height
            width), px to the next frame; segmentation uint8 (batch time height width).
        """
        if size % ranks:
            raise DataError(f"a batch of {size} does not divide among {ranks} ranks")
        each = size // ranks
        mine = self.choose(step, size)[rank * each : (rank + 1) * each]
        windows = [self._window(self.episodes[e], start) for e, start in mine]
        rgb, flow, segmentation = (
            torch.from_numpy(np.stack([w[channel] for w in windows])) for channel in CHANNELS
        )
        return {
            "rgb": to_float(rearrange(rgb, "b t h w c -> b t c h w")),
            "flow": rearrange(flow, "b t h w c -> b t c h w").float(),
            "segmentation": segmentation[..., 0],
        }

    def stream(
        self, first: int, size: int, *, rank: int = 0, ranks: int = 1
    ) -> Iterator[dict[str, Tensor]]:
        """Endless batches from number `first`, prepared ahead by threads; close it when done."""
        with ThreadPoolExecutor(self.workers, thread_name_prefix="windows") as pool:
            waiting: deque[Future] = deque()
            try:
                for step in count(first):
                    waiting.append(pool.submit(self.batch, step, size, rank=rank, ranks=ranks))
                    if len(waiting) > AHEAD:
                        yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _window(self, row: dict, start: int) -> dict[str, np.ndarray]:
        ident, stop = row["episode_id"], start + self.length
        whole = self._cache.get(ident)
        if whole is None and self._cached_bytes < self.cache_bytes:
            whole = {c: self.dataset.read(ident, c) for c in CHANNELS}
            with self._lock:
                if ident not in self._cache:
                    self._cached_bytes += sum(a.nbytes for a in whole.values())
                    self._cache[ident] = whole
        if whole is not None:
            return {c: a[start:stop] for c, a in whole.items()}
        return {c: self.dataset.read(ident, c, start, stop) for c in CHANNELS}


def frames_of(row: dict) -> int:
    """Frames of an episode, from its bucket's name (t48_64x64)."""
    return int(row["bucket"].split("_")[0].removeprefix("t"))


def refuse_leaks(rows: list[dict], split: str) -> None:
    """Nothing, if the split exists, has episodes, and shares none with another split.

    Raises:
        DataError: Otherwise; two episodes are the same when their ids or their seeds are. Twins
            that no physics makes share their original's seed, and are no data to learn from.
    """
    if any(row["split"] == split and row.get("possible") is False for row in rows):
        raise DataError(f"split {split!r} holds clips that no physics makes: nothing trains on it")
    rows = [row for row in rows if row.get("possible") is not False]
    counts = Counter(row["split"] for row in rows)
    if not counts[split]:
        known = ", ".join(f"{name} ({n})" for name, n in sorted(counts.items())) or "none"
        raise DataError(f"no episodes of split {split!r}; the store has: {known}")
    for key in ("episode_id", "seed"):
        seen: dict[object, str] = {}
        for row in rows:
            other = seen.setdefault(row[key], row["split"])
            if split in (other, row["split"]) and other != row["split"]:
                raise DataError(
                    f"leak: {key} {row[key]} is in split {other!r} and in {row['split']!r}; "
                    "what a model trains on must not judge it: rebuild the dataset"
                )
