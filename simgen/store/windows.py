"""Windows: slices of episodes in batches, in an order that (seed, step) alone decides.

Batch number `step` is a pure function of (dataset, query, seed, step), so a loader that goes on
needs to know nothing but a number, and ranks of a parallel run share one batch. Threads decode
into a ring of buffers that are used again: the codecs release the interpreter's lock, and nothing
crosses a process boundary.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from threading import Lock

import numpy as np

from simgen.store.drawing import Drawn, Draws
from simgen.store.query import QueryError, Selection
from simgen.store.ring import Ring
from simgen.store.shard import IntegrityError


@dataclass
class Windows:
    """Windows of the selected episodes; iterating gives batches for ever.

    Attributes:
        dataset: An open one.
        selection: Its episodes, from simgen.store.query.find. Where that named an event, every
            window holds one: the event begins between the window's first and last frame.
        length: Frames in a window.
        batch: Windows in a batch, over all ranks.
        channels: Arrays to read.
        seed: Of the order.
        order: `random`: drawn with replacement. `epochs`: no window again before all came once.
        every: Windows begin at multiples of this; by default 1, and `length` in epochs.
        balance: A bucket's share of batches: by its `share` of episodes, or `even`.
        rank, ranks: This process among those that share each batch.
        threads: That read.
        ahead: Batches made ready beyond those in the threads' hands.
        cache_bytes: Memory for whole decoded episodes.
        then: Called by the threads on each batch, for example to convert it.
        torch: Give tensors; page-locked where there is CUDA, so that copies to it overlap.
    """

    dataset: object
    selection: Selection
    length: int
    batch: int = 1
    channels: Sequence[str] = ("rgb",)
    seed: int = 0
    order: str = "random"
    every: int | None = None
    balance: str = "share"
    rank: int = 0
    ranks: int = 1
    threads: int = 2
    ahead: int = 2
    cache_bytes: int = 0
    torch: bool = False
    then: Callable[[dict], dict] | None = None
    step: int = 0  # of the next batch
    _draws: Draws = field(init=False, repr=False)
    _ring: Ring = field(init=False, repr=False)
    _cache: _Cache = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.channels = tuple(self.channels)
        self.every = self.every or (self.length if self.order == "epochs" else 1)
        frames = [self._time(bucket) for bucket in self.selection.buckets]
        self._draws = Draws(
            self.selection, frames, self.length, self.batch, self.seed, self.order, self.every,
            self.balance,
        )  # fmt: skip
        if self.batch % self.ranks:
            raise QueryError(f"a batch of {self.batch} does not divide among {self.ranks} ranks")
        self._cache = _Cache(self.cache_bytes)
        self._ring = Ring(self.threads + self.ahead + 1, pinned=self.torch and _has_cuda())

    def __iter__(self) -> Iterator[dict]:
        """Batches from number `step` on, for ever; close it to stop the threads.

        Each is a new dict: the channels (batch, time, height, width, channel) as stored, `index`
        (of each episode, as its name ends) and `start` (first frame).
        """
        with ThreadPoolExecutor(self.threads, thread_name_prefix="windows") as pool:
            waiting: deque[Future] = deque()
            try:
                while True:
                    while len(waiting) < self.threads + self.ahead:
                        waiting.append(pool.submit(self.read, self.step + len(waiting)))
                    batch = waiting.popleft().result()
                    self.step += 1
                    yield batch
                    del batch  # or its buffer stays taken
            finally:
                for future in waiting:
                    future.cancel()

    @property
    def state(self) -> dict:
        """All that it takes to go on: JSON values. Ranks have the same."""
        return {"step": self.step, "windows": self._draws.fingerprint}

    @state.setter
    def state(self, state: dict) -> None:
        if state["windows"] != self._draws.fingerprint:
            raise QueryError(
                "the saved state is of windows that were asked for otherwise, or of other "
                "episodes: give the same dataset version, query, seed, length, batch and order"
            )
        self.step = state["step"]

    def sized(self, batch: int, *, rank: int = 0, ranks: int = 1) -> Windows:
        """The same with batches of another size; what is decoded already is shared."""
        other = replace(self, batch=batch, rank=rank, ranks=ranks)
        other._cache = self._cache
        return other

    def draw(self, step: int) -> Drawn:
        """The windows of a batch, of all ranks."""
        return self._draws.draw(step)

    def read(self, step: int) -> dict:
        """Batch `step`, or this rank's share of it; what `__iter__` gives.

        Raises:
            IntegrityError: Bytes are missing or damaged; the message names episode and array.
        """
        drawn = self.draw(step).share(self.rank, self.ranks)
        specs = self.dataset.specs(drawn.bucket)
        count = len(drawn.episode)
        shapes = {
            name: ((count, self.length, *specs[name].shape[1:]), specs[name].dtype)
            for name in self.channels
        }
        batch = self._ring.take(shapes)
        for i, (place, start) in enumerate(zip(drawn.episode, drawn.start, strict=True)):
            self._fill({name: batch[name][i] for name in self.channels}, drawn.bucket,
                       int(place), int(start))  # fmt: skip
        batch["index"] = self.selection.index[drawn.episode].astype(np.int64)
        batch["start"] = drawn.start
        if self.torch:
            import torch

            batch = {name: torch.from_numpy(array) for name, array in batch.items()}
        return self.then(batch) if self.then else batch

    def _fill(self, out: dict[str, np.ndarray], bucket: str, place: int, start: int) -> None:
        whole = self._cache.get(place)
        if whole is None and self._cache.has_room:
            specs = self.dataset.specs(bucket)
            whole = {c: np.empty(specs[c].shape, specs[c].dtype) for c in self.channels}
            for channel, array in whole.items():
                self._read(array, bucket, place, channel, 0)
            self._cache.keep(place, whole)
        for channel, array in out.items():
            if whole is None:
                self._read(array, bucket, place, channel, start)
            else:
                np.copyto(array, whole[channel][start : start + self.length])

    def _read(self, out: np.ndarray, bucket: str, place: int, channel: str, start: int) -> None:
        try:
            self.dataset.read_into(out, bucket, int(self.selection.row[place]), channel, start)
        except IntegrityError as error:
            raise IntegrityError(
                f"episode {self.selection.name(place)!r}, array {channel!r}: {error}; "
                f"run `simgen verify {self.dataset.url}`"
            ) from None

    def _time(self, bucket: str) -> int:
        """Frames of the bucket's clips."""
        specs = self.dataset.specs(bucket)
        for channel in self.channels:
            if channel not in specs or specs[channel].dims[0] != "time":
                known = [name for name, spec in specs.items() if spec.dims[0] == "time"]
                raise QueryError(
                    f"bucket {bucket} has no {channel!r} along time; it has {', '.join(known)}"
                )
        return specs[self.channels[0]].shape[0]


OPTIONS = {f.name for f in fields(Windows) if f.init} - {"dataset", "selection", "length"}


class _Cache:
    """Whole decoded episodes, as many as fit."""

    def __init__(self, size: int):
        self.size, self.taken, self._lock = size, 0, Lock()
        self._held: dict[int, dict[str, np.ndarray]] = {}
        self.get = self._held.get

    @property
    def has_room(self) -> bool:
        return self.taken < self.size

    def keep(self, place: int, whole: dict[str, np.ndarray]) -> None:
        with self._lock:
            if place not in self._held:
                self.taken += sum(array.nbytes for array in whole.values())
                self._held[place] = whole


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
