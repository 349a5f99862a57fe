"""Windows for training: the store's, as floats, of one split that leaks into no other.

This is the only place where stored bytes become floats. The order follows from the seed alone
(simgen.store.windows), so a resumed run needs no record of what it has read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import pyarrow as pa
import pyarrow.compute as pc
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from simgen.store import windows
from simgen.store.query import QueryError, find

CHANNELS = ("rgb", "flow", "segmentation")


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
        cache_bytes: Memory for decoded episodes; of a larger store the rest is read by window.
        workers: Threads that read.
    """

    dataset: object
    split: str
    length: int
    seed: int = 0
    cache_bytes: int = 4 << 30
    workers: int = 2
    _stored: windows.Windows = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.length < 3:
            raise DataError(f"length={self.length}: a window needs at least 3 frames")
        refuse_leaks(self.dataset, self.split)
        found = find(self.dataset, split=self.split)
        if missing := set(CHANNELS) - _channels_of_all(self.dataset, self.split):
            raise DataError(
                f"the store lacks {', '.join(sorted(missing))}, which training needs; "
                f"build it with channels = {json.dumps(CHANNELS)} or more in [video]"
            )
        self._sized = lru_cache(maxsize=4)(self._make)
        try:
            self._stored = windows.Windows(
                self.dataset, found, self.length, channels=CHANNELS, seed=self.seed,
                threads=self.workers, cache_bytes=self.cache_bytes, torch=True, then=_floats,
            )  # fmt: skip
        except QueryError as error:
            raise DataError(str(error)) from error

    @cached_property
    def episodes(self) -> list[dict]:
        """The split's episodes: their names, seeds, buckets and hashes."""
        columns = ("episode_id", "seed", "split", "bucket", "hashes", "content_hash")
        return [
            row
            for rows in self.dataset.table("catalog").scan(columns)
            for row in rows.to_pylist()
            if row["split"] == self.split
        ]

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
        drawn = self._sized(size, 0, 1).draw(step)
        return list(zip(drawn.episode.tolist(), drawn.start.tolist(), strict=True))

    def batch(self, step: int, size: int, *, rank: int = 0, ranks: int = 1) -> dict[str, Tensor]:
        """Batch `step`, or the share of it that one of several ranks takes.

        Returns:
            rgb float (batch time 3 height width) in [-1, 1]; flow float (batch time 2 height
            width), px to the next frame; segmentation uint8 (batch time height width).
        """
        return self._sized(size, rank, ranks).read(step)

    def stream(
        self, first: int, size: int, *, rank: int = 0, ranks: int = 1
    ) -> Iterator[dict[str, Tensor]]:
        """Endless batches from number `first`, prepared ahead by threads; close it when done."""
        batches = self._make(size, rank, ranks)
        batches.step = first
        return iter(batches)

    def _make(self, size: int, rank: int, ranks: int) -> windows.Windows:
        try:
            return self._stored.sized(size, rank=rank, ranks=ranks)
        except QueryError as error:
            raise DataError(str(error)) from error


def _floats(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """A batch as the model takes it."""
    return {
        "rgb": to_float(rearrange(batch["rgb"], "b t h w c -> b t c h w")),
        "flow": rearrange(batch["flow"], "b t h w c -> b t c h w").float(),
        "segmentation": batch["segmentation"][..., 0],
    }


def _channels_of_all(dataset: object, split: str) -> set[str]:
    """Arrays that every episode of the split has."""
    told = set()
    for rows in dataset.table("catalog").scan(("split", "channels")):
        told.update(pc.unique(rows.filter(pc.equal(rows["split"], split))["channels"]).to_pylist())
    return set.intersection(*(set(names.split()) for names in told))


def frames_of(row: dict) -> int:
    """Frames of an episode, from its bucket's name (t48_64x64)."""
    return int(row["bucket"].split("_")[0].removeprefix("t"))


def refuse_leaks(dataset: object, split: str) -> None:
    """Nothing, if the split exists, has episodes, and shares none with another split.

    Raises:
        DataError: Otherwise; two episodes are the same when their ids or their seeds are. Twins
            that no physics makes share their original's seed, and are no data to learn from.
    """
    columns = ("episode_id", "seed", "split", "possible")
    rows = pa.concat_tables(dataset.table("catalog").scan(columns))
    rows = rows.set_column(2, "split", rows["split"].cast(pa.string()))
    inside = pc.equal(rows["split"], split)
    possible = pc.fill_null(rows["possible"], True)
    if pc.any(pc.and_(inside, pc.invert(possible))).as_py():
        raise DataError(f"split {split!r} holds clips that no physics makes: nothing trains on it")
    ours, others = rows.filter(inside), rows.filter(pc.and_(pc.invert(inside), possible))
    if not ours.num_rows:
        counts = pc.value_counts(others["split"]).to_pylist()
        known = ", ".join(sorted(f"{told['values']} ({told['counts']})" for told in counts))
        raise DataError(f"no episodes of split {split!r}; the store has: {known or 'none'}")
    for key in ("episode_id", "seed"):
        shared = others.filter(pc.is_in(others[key], value_set=ours[key].combine_chunks()))
        if shared.num_rows:
            first = shared.slice(0, 1).to_pylist()[0]
            raise DataError(
                f"leak: {key} {first[key]} is in split {split!r} and in {first['split']!r}; "
                "what a model trains on must not judge it: rebuild the dataset"
            )
