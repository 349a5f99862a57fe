"""Shards: compressed inner chunks and their index, in Zarr v3's sharding format.

Writing chunk by chunk as episodes arrive keeps only compressed bytes in memory, and costs a third
of the CPU time of zarr-python's sharding; the inner chunks are the same bytes. Reading caches
each shard's index, which zarr-python reads again at every access.
"""

from __future__ import annotations

from itertools import product
from threading import local

import google_crc32c
import numpy as np
from numcodecs import blosc

from simgen.store.layout import ArraySpec
from simgen.store.objects import Objects

ABSENT = np.uint64(2**64 - 1)


class IntegrityError(RuntimeError):
    """The stored bytes are not what was written; the message names episode and array."""


def encode_episode(spec: ArraySpec, data: np.ndarray) -> list[bytes]:
    """Inner chunks of one episode's array, in C order of the chunk grid.

    Args:
        data: The array as stored, shape spec.shape.
    """
    if data.shape != spec.shape or data.dtype != spec.dtype:
        raise ValueError(
            f"array {spec.name!r} is {data.dtype}{list(data.shape)}; "
            f"the layout says {spec.dtype}{list(spec.shape)}"
        )
    return [
        _encode_chunk(spec, data[tuple(_block(spec, at))]) for at in product(*map(range, spec.grid))
    ]


def _block(spec: ArraySpec, at: tuple[int, ...]) -> list[slice]:
    return [slice(i * c, (i + 1) * c) for i, c in zip(at, spec.chunk, strict=True)]


def _encode_chunk(spec: ArraySpec, block: np.ndarray) -> bytes:
    if block.shape != spec.chunk:  # the clip ends inside the chunk
        margins = [(0, c - n) for c, n in zip(spec.chunk, block.shape, strict=True)]
        block = np.pad(block, margins, constant_values=spec.fill)
    if spec.order:
        block = block.transpose(spec.order)
    packed = spec.codec.pack(np.ascontiguousarray(block))
    return packed + google_crc32c.value(packed).to_bytes(4, "little")


def assemble(spec: ArraySpec, rows: int, chunks: dict[int, list[bytes]]) -> bytes:
    """Bytes of a shard.

    Args:
        rows: Rows of the shard along `episode`, absent ones included.
        chunks: Row in the shard -> its encoded inner chunks; rows left out stay absent.
    """
    index = np.full((rows, spec.chunks, 2), ABSENT, "<u8")
    body, offset = [], 0
    for row in sorted(chunks):
        for number, chunk in enumerate(chunks[row]):
            index[row, number] = offset, len(chunk)
            offset += len(chunk)
            body.append(chunk)
    table = index.tobytes()
    return b"".join([*body, table, google_crc32c.value(table).to_bytes(4, "little")])


class Shard:
    """One shard object, its index read once. Every read checks the checksums."""

    def __init__(self, objects: Objects, key: str, spec: ArraySpec, rows: int):
        self.objects, self.key, self.spec = objects, key, spec
        size = rows * spec.chunks * 16 + 4
        try:
            tail = objects.get_range(key, -size, size)
        except FileNotFoundError:
            raise IntegrityError(f"object {key} is missing") from None
        if len(tail) < size or not _intact(tail):
            raise IntegrityError(f"object {key} is truncated, or its index is damaged")
        index = np.frombuffer(tail, "<i8", rows * spec.chunks * 2)
        self.index = index.reshape(rows, spec.chunks, 2)  # -1, -1: absent

    def read(self, row: int, start: int, stop: int) -> np.ndarray:
        """Entries start..stop of the episode in that row; raises as read_into."""
        out = np.empty((stop - start, *self.spec.shape[1:]), self.spec.dtype)
        self.read_into(out, row, start)
        return out

    def read_into(self, out: np.ndarray, row: int, start: int) -> None:
        """Fill `out` with the row's entries from `start` on, along the array's first axis.

        One read of the chunks that hold them, which stand side by side. Only the first axis is
        ever split, so a chunk is whole in the others.

        Raises:
            IntegrityError: The row is absent, or its bytes are damaged.
        """
        step = self.spec.chunk[0]
        first, last = start // step, -(-(start + len(out)) // step)
        places = self.index[row, first:last].tolist()
        if not places:
            return
        if min(offset for offset, _ in places) < 0:
            raise IntegrityError(f"object {self.key} lacks chunks that it must have")
        low, high = places[0][0], sum(places[-1])
        try:
            data = np.frombuffer(self.objects.get_range(self.key, low, high - low), np.uint8)
        except FileNotFoundError:
            raise IntegrityError(f"object {self.key} is missing") from None
        raw, chunk = _scratch(self.spec)
        for number, (offset, length) in enumerate(places, first):
            packed = data[offset - low : offset - low + length]
            if not _intact(packed):
                raise IntegrityError(f"object {self.key} has a chunk whose checksum is wrong")
            blosc.decompress(packed[:-4], raw)
            skip, place = max(start - number * step, 0), max(number * step - start, 0)
            count = min(step - skip, len(out) - place)
            np.copyto(out[place : place + count], chunk[skip : skip + count])


_memory = local()


def _scratch(spec: ArraySpec) -> tuple[np.ndarray, np.ndarray]:
    """The thread's own memory for one inner chunk: as it is packed, and axes as in the array.

    What is fresh costs a page fault every 4 kB.
    """
    held = _memory.__dict__.setdefault("chunks", {})
    if (key := (spec.dtype, spec.chunk, spec.order)) not in held:
        order = spec.order or range(len(spec.chunk))
        chunk = np.empty([spec.chunk[axis] for axis in order], spec.dtype)
        held[key] = chunk.reshape(-1).view(np.uint8), chunk.transpose(spec.axes)
    return held[key]


def _intact(data: bytes | np.ndarray) -> bool:
    """Whether the last four bytes are the crc32c of what stands before them."""
    given = int.from_bytes(bytes(data[-4:]), "little")
    return len(data) > 4 and google_crc32c.value(data[:-4]) == given
