"""How inner chunks are compressed, and how far stored numbers may lie from what was made.

The choices, each by measurement, are in specs.py; docs/format.md has the tables.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numcodecs import blosc

blosc.use_threads = False  # threads write blocks in any order: other bytes on every run
# Blosc cuts a chunk into blocks of 32 to 256 KiB unless told; each starts anew, which costs zstd
# 3 to 15% more bytes and, for setting itself up, twice the time of writing and of reading.
BLOCK = 1 << 20


class Codec(NamedTuple):
    """Settings of Blosc, which every Zarr v3 reader has."""

    name: str  # of the compressor in it
    level: int
    group: int = 1  # bytes of an item, whose first, second, ... bytes are put together; 1: not
    block: int = BLOCK  # bytes; 0: as Blosc likes

    @property
    def shuffle(self) -> int:
        return blosc.SHUFFLE if self.group > 1 else blosc.NOSHUFFLE

    def pack(self, block: np.ndarray) -> bytes:
        """The compressed bytes of a contiguous array; the same on every call."""
        raw = block.reshape(-1).view(np.uint8)
        return blosc.compress(
            raw, self.name.encode(), self.level, self.shuffle, self.block, self.group
        )


class Bound(NamedTuple):
    """Stored and made differ by at most max(absolute, relative x |made|), in the array's units."""

    absolute: float = 0.0
    relative: float = 0.0

    def holds(self, stored: np.ndarray, made: np.ndarray) -> np.ndarray:
        """Where it does; NaN must be stored as NaN, and infinity as itself."""
        stored, made = np.asarray(stored, np.float64), np.asarray(made, np.float64)
        with np.errstate(invalid="ignore"):
            allowed = np.maximum(self.absolute, self.relative * np.abs(made))
            near = np.isfinite(made) & (np.abs(stored - made) <= allowed)
        return near | (stored == made) | (np.isnan(stored) & np.isnan(made))


LOSSLESS = Bound()
ZSTD = Codec("zstd", 1)
