"""What each way to store a channel costs: bytes, writing and reading. JSON lines.

    python benchmarks/channel_codecs.py [NAME ...] [--channels rgb ...] [--clips 2] [--rounds 5]

Clips of the datasets' recipes at 128 x 128 x 64. `chosen` is the layout's own way; every other
differs from it in what its name says. Rounds are interleaved over the ways; figures are medians of
CPU time: `write_us` a frame, from the stored array to a shard's bytes; `read_us` a window of 16
frames that starts anywhere, checksums verified. The way "unrounded" stores flow as plain float16.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from scenes import CHANNELS, plain

from simgen.episode import make_episode
from simgen.store.arrays import stored_arrays
from simgen.store.codecs import BLOCK, Codec
from simgen.store.layout import array_specs
from simgen.store.objects import objects_at
from simgen.store.shard import Shard, assemble, encode_episode
from simgen.store.specs import ArraySpec

DEFAULT = ("bouncing_balls", "camera_orbit", "journey")
COMPRESSORS = (("lz4", 5), ("lz4", 9), ("lz4hc", 1), ("lz4hc", 3), ("zstd", 1), ("zstd", 3))
WINDOW, WINDOWS = 16, 40  # frames, and how many


def clips(name: str, count: int) -> tuple[dict[str, ArraySpec], list[dict[str, np.ndarray]]]:
    """Layout of the recipe's first bucket, and its first sound clips; rendered flow as float16."""
    recipe = plain(name, 8 * count)
    specs = array_specs(recipe, recipe.assign(0).bucket)
    made: list[dict[str, np.ndarray]] = []
    for index in range(recipe.episodes):
        episode = make_episode(recipe, index)
        if not episode.reasons and len(made) < count:
            with np.errstate(over="ignore"):
                unrounded = {"unrounded": episode.frames["flow"].astype(np.float16)}
            made.append(dict(stored_arrays(episode, specs)) | unrounded)
        if len(made) == count:
            break
    return specs, made


def ways(spec: ArraySpec) -> Iterator[tuple[str, ArraySpec]]:
    """Ways to store the channel by name, the chosen one first."""
    chosen = spec.codec
    yield "chosen", spec
    for name, level in COMPRESSORS:
        if (name, level) != (chosen.name, chosen.level):
            yield f"{name} {level}", replace(spec, codec=Codec(name, level, chosen.group, BLOCK))
    yield "blosc's blocks", replace(spec, codec=chosen._replace(block=0))
    yield "no transpose", replace(spec, order=())
    if chosen.group > 1:
        yield "no shuffle", replace(spec, codec=chosen._replace(group=1))
    if chosen.group > spec.dtype.itemsize:
        yield "shuffle of items", replace(spec, codec=chosen._replace(group=spec.dtype.itemsize))
    for frames in (4, 16):
        yield f"chunks of {frames}", replace(spec, chunk=(frames, *spec.chunk[1:]))
    old = Codec("lz4hc", 3, spec.dtype.itemsize, 0)
    yield "format version 2", replace(spec, codec=old)
    if spec.name == "flow":
        yield "unrounded", spec
        yield "unrounded, format version 2", replace(spec, codec=old)


def measure(spec: ArraySpec, arrays: list[np.ndarray], folder: Path) -> tuple[int, float, float]:
    """Bytes of the shard, and CPU seconds to make it and to read all windows."""
    began = time.process_time()
    data = assemble(spec, len(arrays), {n: encode_episode(spec, a) for n, a in enumerate(arrays)})
    written = time.process_time() - began
    (folder / "shard").write_bytes(data)
    shard = Shard(objects_at(folder), "shard", spec, len(arrays))
    rng = np.random.default_rng(0)
    starts = rng.integers(spec.shape[0] - WINDOW + 1, size=WINDOWS)
    began = time.process_time()
    for number, start in enumerate(starts.tolist()):
        found = shard.read(number % len(arrays), start, start + WINDOW)
    read = time.process_time() - began
    wanted = arrays[number % len(arrays)][start : start + WINDOW]
    if found.tobytes() != wanted.tobytes():
        raise RuntimeError(f"{spec.name} by {spec.codec} came back as other numbers")
    return len(data), written, read


def lines(name: str, channels: tuple[str, ...], count: int, rounds: int) -> Iterator[dict]:
    specs, made = clips(name, count)
    for channel in channels:
        times: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(rounds):
                for way, spec in ways(specs[channel]):
                    key = "unrounded" if way.startswith("unrounded") else channel
                    arrays = [clip[key] for clip in made]
                    times[way].append(measure(spec, arrays, Path(folder)))
        frames = len(made) * specs[channel].shape[0]
        for way, found in times.items():
            size, written, read = (median(values) for values in zip(*found, strict=True))
            yield {
                "benchmark": "channel_codecs", "recipe": name, "channel": channel, "way": way,
                "bytes": round(size / frames), "write_us": round(written / frames * 1e6),
                "read_us": round(read / WINDOWS * 1e6),
            }  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("names", nargs="*", metavar="NAME", help="folders of datasets/")
    arguments.add_argument("--channels", nargs="+", choices=CHANNELS, default=CHANNELS)
    arguments.add_argument("--clips", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    for name in given.names or DEFAULT:
        for line in lines(name, tuple(given.channels), given.clips, given.rounds):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
