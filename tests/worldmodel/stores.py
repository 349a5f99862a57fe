"""A store in memory, with the reader's interface: a square that moves one pixel a frame."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from simgen.store.catalog import parquet
from simgen.store.specs import ArraySpec
from simgen.store.tables import Table


class FakeStore:
    """Episodes of a bright square on grey; flow and segmentation are exact."""

    def __init__(self, *, train=6, test=2, frames=12, size=16, rows=()):
        names = ["train"] * train + ["test"] * test
        self.rows = [
            {
                "episode_id": f"e{i}", "seed": 100 + i, "split": split,
                "bucket": f"t{frames}_{size}x{size}", "content_hash": "abc",
                "hashes": json.dumps({"rgb": f"r{i}", "flow": f"f{i}", "segmentation": f"s{i}"}),
                "possible": True,
            }
            for i, split in enumerate(names)
        ] + list(rows)  # fmt: skip
        self.frames, self.size, self.reads = frames, size, 0

    def table(self, name: str) -> Table:
        told = {"channels": "rgb flow segmentation"}
        rows = [told | row | {"index": i, "row": i} for i, row in enumerate(self.rows)]
        return Table(parquet(pa.Table.from_pylist(rows)))

    def specs(self, bucket: str) -> dict[str, ArraySpec]:
        shape = (self.frames, self.size, self.size)
        kinds = {"rgb": ("u1", 3), "flow": ("f2", 2), "segmentation": ("u1", 1)}
        dims = ("time", "height", "width", "channel")
        return {
            name: ArraySpec(name, np.dtype(kind), dims, (*shape, n), (*shape, n), "", "")
            for name, (kind, n) in kinds.items()
        }

    def read_into(self, out, bucket, row, channel, start):
        self.reads += 1
        whole = self.read(self.rows[row]["episode_id"], channel)
        np.copyto(out, whole[start : start + len(out)])

    def read(self, episode_id, channel, start=0, stop=None):
        rng = np.random.default_rng(int(episode_id[1:]))
        place, step = rng.integers(0, self.size, 2), rng.integers(-1, 2, 2)
        colour = rng.integers(150, 256, 3)
        shape = (self.frames, self.size, self.size)
        rgb, flow = np.full((*shape, 3), 60, np.uint8), np.zeros((*shape, 2), np.float16)
        segmentation = np.zeros((*shape, 1), np.uint8)
        for t in range(self.frames):
            y, x = (np.arange(4) + place[i] + t * step[i] for i in (1, 0))
            inside = np.ix_(y % self.size, x % self.size)
            rgb[t][inside], flow[t][inside], segmentation[t][inside] = colour, step, 1
        channels = {"rgb": rgb, "flow": flow, "segmentation": segmentation}
        return channels[channel][start:stop]
