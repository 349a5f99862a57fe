"""The windows of each batch of a selection, from (seed, step) alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import xxhash
from jaxtyping import Int64

from simgen.store.layout import canonical_json
from simgen.store.order import BALANCES, ORDERS, Order
from simgen.store.query import QueryError, Selection


@dataclass(frozen=True)
class Drawn:
    """What a batch holds: places in the selection, all of one bucket, and first frames."""

    bucket: str
    episode: Int64[np.ndarray, " batch"]
    start: Int64[np.ndarray, " batch"]

    def share(self, rank: int, ranks: int) -> Drawn:
        """What one of several ranks reads of it."""
        each = len(self.episode) // ranks
        mine = slice(rank * each, (rank + 1) * each)
        return Drawn(self.bucket, self.episode[mine], self.start[mine])


@dataclass
class Draws:
    """See simgen.store.windows.Windows for what is asked.

    Attributes:
        frames: Of the clips of each of the selection's buckets.
    """

    selection: Selection
    frames: list[int]
    length: int
    batch: int
    seed: int
    order: str
    every: int
    balance: str
    _members: list[np.ndarray | range] = field(init=False, repr=False)
    _each: list[int] = field(init=False, repr=False)
    _order: Order = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._refuse()
        epochs = self.order == "epochs"
        whole = self.selection.moment is None and epochs  # then each window is an item
        self._members = _members(self.selection, self.frames, self.length, self.every)
        self._each = [(n - self.length) // self.every + 1 if whole else 1 for n in self.frames]
        items = tuple(len(m) * n for m, n in zip(self._members, self._each, strict=True))
        self._order = Order(items, self.batch, self.seed, self.balance)
        if not sum(items):
            raise QueryError("no window holds such an event; ask for longer ones")
        if epochs and min(items) < self.batch:
            raise QueryError(
                f"a bucket has {min(items)} windows, fewer than a batch of {self.batch}; ask for "
                "smaller batches, a smaller `every`, or one bucket: bucket=..."
            )

    def _refuse(self) -> None:
        """Raise QueryError for what cannot be drawn."""
        if not len(self.selection):
            raise QueryError("no episode answers the query")
        for name in ("length", "every", "batch"):
            if getattr(self, name) < 1:
                raise QueryError(f"{name}={getattr(self, name)}: it must be at least 1")
        for name, known in (("order", ORDERS), ("balance", BALANCES)):
            if getattr(self, name) not in known:
                raise QueryError(f"{name}={getattr(self, name)!r}; known: {', '.join(known)}")
        if (shortest := min(self.frames)) < self.length:
            raise QueryError(
                f"windows of {self.length} frames, and there are clips of {shortest}; ask for "
                f"windows of at most {shortest} frames, or for one bucket: bucket=..."
            )

    @property
    def fingerprint(self) -> str:
        """Equal for equal orders: of what was asked and of what answered."""
        asked = [self.length, self.batch, self.seed, self.order, self.every, self.balance]
        digest = xxhash.xxh3_64(canonical_json({"asked": asked, "of": self.selection.buckets}))
        for name in ("index", "code", "moment_of", "moment"):
            if (array := getattr(self.selection, name)) is not None:
                digest.update(array)
        return digest.hexdigest()

    def draw(self, step: int) -> Drawn:
        """The windows of a batch, of all ranks."""
        rng = np.random.default_rng((self.seed, step))
        if self.order == "epochs":
            bucket, items = self._order.draw(step)
            members, each = self._members[bucket], self._each[bucket]
            places, numbers = items // each, items % each
            places = places if isinstance(members, range) else members[places]
        else:
            bucket = self._order.draw_bucket(rng)
            members, places, numbers = self._members[bucket], None, None
        if numbers is None or self.selection.moment is not None:
            places, numbers = self._starts(rng, bucket, members, places)
        episodes = places if self.selection.moment is None else self.selection.moment_of[places]
        return Drawn(
            self.selection.buckets[bucket],
            np.asarray(episodes, np.int64),
            np.asarray(numbers, np.int64) * self.every,
        )

    def _starts(
        self, rng: np.random.Generator, bucket: int, members: np.ndarray, places: np.ndarray | None
    ) -> tuple[list[int], list[int]]:
        """Members, drawn unless given, and of each a window: its number among those it has."""
        chosen, numbers = [], []
        for i in range(self.batch):
            place = members[rng.integers(len(members))] if places is None else places[i]
            low, high = 0, (self.frames[bucket] - self.length) // self.every
            if self.selection.moment is not None:
                low, high = _around(
                    self.selection.moment[place], self.frames[bucket], self.length, self.every
                )
            chosen.append(place)
            numbers.append(int(rng.integers(low, high + 1)))
        return chosen, numbers


def _members(
    selection: Selection, frames: list[int], length: int, every: int
) -> list[np.ndarray | range]:
    """What each bucket draws from: places of its episodes, or of its moments."""
    if selection.moment is None:
        if len(frames) == 1:
            return [range(len(selection))]
        return [np.flatnonzero(selection.code == n).astype(np.uint32) for n in range(len(frames))]
    code = selection.code[selection.moment_of]
    low, high = _around(selection.moment, np.array(frames)[code], length, every)
    return [np.flatnonzero((code == n) & (low <= high)) for n in range(len(frames))]


def _around(moment, frames, length: int, every: int):
    """First and last number of the windows in which the moment lies between two frames."""
    low = np.ceil(np.maximum(np.ceil(moment) - (length - 1), 0) / every)
    high = np.minimum(np.floor(moment), frames - length) // every
    return low.astype(np.int64), high.astype(np.int64)
