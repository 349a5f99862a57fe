"""A dataset of drawn clips behind the reader's interface, for tests that need no simulator."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
from drawn_clips import RATE_HZ, random_clip

SPLITS = {"train": 12, "val": 4, "test": 5}


class DrawnDataset:
    """`catalog`, `attrs` and `read` as in simgen.store.reader.Dataset."""

    def __init__(self, *, frames=22, noise=0.0, splits=SPLITS):
        names = [split for split, count in splits.items() for _ in range(count)]
        self.clips = {
            f"drawn-{k}": random_clip(k, balls=1 + k % 3, frames=frames, noise=noise)
            for k in range(len(names))
        }
        self.attrs = {
            "format": "physreel", "recipe_hash": "d" * 64, "cpu": "x86_64",
            "recipe": {"name": "drawn", "seed": 0},
        }  # fmt: skip
        rows = zip(range(len(names)), names, self.clips.values(), strict=True)
        self.catalog = pa.Table.from_pylist([self._row(*row) for row in rows])

    def _row(self, index, split, clip):
        bodies = [{"name": "floor", "object": "", "colour": "grey", "static": True, "visible": True,
                   "mass_kg": 0.0}]  # fmt: skip
        bodies += [
            {"name": thing.name, "object": "", "colour": thing.colour, "static": False,
             "visible": True, "mass_kg": 1.0}
            for thing in clip.objects
        ]  # fmt: skip
        return {
            "episode_id": clip.episode_id, "index": index, "seed": 1000 + index, "family": "drawn",
            "split": split, "frame_rate_hz": RATE_HZ, "bodies": json.dumps(bodies),
            "caption_dense": f"{len(clip.objects)} balls roll <fast> & bounce.",
            "hashes": json.dumps({"rgb": "0", "segmentation": "0"}), "content_hash": "d" * 64,
        }  # fmt: skip

    def read(self, episode_id, channel, start=0, stop=None):
        clip = self.clips[episode_id]
        frames = len(clip.rgb)
        stop = frames if stop is None else stop
        if stop > frames:
            raise IndexError(f"{channel} {start}..{stop}; it has 0..{frames}")
        background = np.full((frames, 1), np.nan)
        arrays = {
            "rgb": clip.rgb,
            "segmentation": np.where(clip.label > 0, clip.label + 1, 1)[..., None].astype(np.uint8),
            "track": np.concatenate([background[..., None].repeat(2, -1), clip.centre], 1),
            "track_depth": np.concatenate([background, clip.depth_m], 1),
            "visibility": np.concatenate([background, clip.visibility], 1),
            "area": np.concatenate([np.full((frames, 1), 9), clip.area_px], 1),
            "camera_intrinsics": np.repeat(clip.focal_px[:, None], 4, 1),
        }  # fmt: skip
        return arrays[channel][start:stop]
