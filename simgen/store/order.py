"""Which windows a batch holds: a pure function of (seed, step), with nothing to remember.

`random` draws with replacement. `epochs` gives every window once before any comes again: a batch's
places in a shuffled epoch are computed one by one (a permutation by Feistel rounds, walked until
it lands inside), so an epoch of any length costs no memory and starts anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xxhash
from jaxtyping import Int64, UInt64

ORDERS = ("random", "epochs")
BALANCES = ("share", "even")
ROUNDS = 6
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # of splitmix64


@dataclass(frozen=True)
class Order:
    """The order of batches over buckets, each batch from one of them and so of one shape.

    Attributes:
        items: How many things each bucket has to draw from.
        batch: How many of them make a batch.
        balance: `share`: a bucket's batches are as many as its items. `even`: as many as any
            other's, so small buckets come round more often.
    """

    items: tuple[int, ...]
    batch: int
    seed: int
    balance: str = "share"

    def draw(self, step: int) -> tuple[int, Int64[np.ndarray, " batch"]]:
        """Bucket and items of a batch in a shuffled epoch."""
        batches = np.array([n // self.batch for n in self.items])
        if self.balance == "even":
            turn, place = divmod(step, len(batches))
            bucket = int(permuted(len(batches), np.array([place]), key=(self.seed, turn))[0])
            epoch, number = divmod(turn, int(batches[bucket]))
        else:
            epoch, place = divmod(step, int(batches.sum()))
            slot = permuted(int(batches.sum()), np.array([place]), key=(self.seed, epoch))[0]
            ends = np.cumsum(batches)
            bucket = int(np.searchsorted(ends, slot, "right"))
            number = int(slot - (ends[bucket] - batches[bucket]))
        places = np.arange(number * self.batch, (number + 1) * self.batch)
        return bucket, permuted(self.items[bucket], places, key=(self.seed, epoch, bucket))

    def draw_bucket(self, rng: np.random.Generator) -> int:
        """Bucket of a batch that is drawn with replacement."""
        shares = np.array(self.items, float)
        if self.balance == "even":
            shares = np.sign(shares)
        return int(rng.choice(len(shares), p=shares / shares.sum()))


def permuted(
    count: int, places: Int64[np.ndarray, " n"], *, key: tuple[int, ...]
) -> Int64[np.ndarray, " n"]:
    """What stands at those places of the permutation of 0..count - 1 that `key` names."""
    half = max(1, (max(count - 1, 1).bit_length() + 1) // 2)
    found = places.astype(np.uint64)
    outside = np.ones(len(found), bool)
    while outside.any():  # at most four times as many numbers as are wanted: a few walks
        found[outside] = _feistel(found[outside], half, key)
        outside = found >= count
    return found.astype(np.int64)


def _feistel(
    numbers: UInt64[np.ndarray, " n"], half: int, key: tuple[int, ...]
) -> UInt64[np.ndarray, " n"]:
    """A bijection of the numbers of 2 * half bits."""
    bits, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = numbers >> bits, numbers & mask
    for turn in range(ROUNDS):
        salt = np.uint64(xxhash.xxh3_64_intdigest(repr((*key, turn)).encode()))
        left, right = right, left ^ (_mixed(right ^ salt) & mask)
    return (left << bits) | right


def _mixed(numbers: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """splitmix64's finalizer: Steele, Lea and Flood, 2014; product modulo 2^64."""
    for shift, factor in zip((30, 27), _MIX, strict=True):
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * factor
    return numbers ^ (numbers >> np.uint64(31))
