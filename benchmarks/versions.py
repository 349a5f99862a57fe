"""Our versions beside icechunk's: the same arrays both ways in one run, a part each in turn.

    python benchmarks/versions.py [--episodes 16] [--windows 200]

Rendered clips of datasets/bouncing_balls (64 frames, 128 x 128: rgb, depth, segmentation, position)
with one layout and one codec:

    ours      shards by simgen.store, committed part by part with fsync; versions by its commits
    icechunk  zarr-python into an icechunk session on the local file system; versions by its commits
    zarr      zarr-python on our folder: what of a read is zarr-python's share

One JSON line each: CPU ms a clip to write, ms of a commit on top of what is there (median of 9: a
small change), CPU ms to read a random window of 16 rgb frames, bytes. Not installed: it says so.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zarr
from scenes import ROOT

from simgen.episode import make_episode
from simgen.recipe import load
from simgen.store import catalog, commits, metadata, shard, writer
from simgen.store.arrays import stored_arrays
from simgen.store.layout import Bucket, array_specs, shard_path
from simgen.store.objects import objects_at
from simgen.store.shard import Shard
from simgen.store.versions import Version

ARRAYS = ("rgb", "depth", "segmentation", "position")
ROWS, FRAMES, COMMITS = 4, 16, 9  # clips a part; frames a window


class Ours:
    """simgen.store without the recipe's part of it."""

    def __init__(self, place: Path, bucket: Bucket, recipe):
        self.out, self.bucket, self.name = objects_at(place), bucket, "ours"
        self.files = metadata.metadata(recipe)
        self.out.put(self.files)
        self.markers: list[tuple[str, bytes, dict]] = []
        self.version: Version | None = None

    def write(self, part: int, clips: list[dict[str, np.ndarray]]) -> None:
        shards = {}
        for spec in self.bucket.arrays.values():
            chunks = {n: shard.encode_episode(spec, c[spec.name]) for n, c in enumerate(clips)}
            shards[shard_path(self.bucket.name, spec, part)] = shard.assemble(spec, ROWS, chunks)
        head = {"bucket": self.bucket.name, "part": part, "episodes": [], "quarantined": []}
        data = writer.commit(self.out, shards, head | {"events": []})
        self.markers.append((f"parts/{self.bucket.name}-{part:06d}.json", data, json.loads(data)))

    def commit(self, number: int) -> None:
        tables = {"parts": commits.parts_table(self.markers)}
        first = {"recipe": None, "growth": (0,), "metadata": self.files}
        if self.version is None:
            tables |= catalog.tables([])
        self.version = commits.commit(
            self.out,
            self.version,
            change={"kind": "bench", "number": number},
            tables=tables,
            **({} if self.version else first),
        )

    def reader(self) -> Callable[[int, int], np.ndarray]:
        spec = self.bucket.arrays["rgb"]
        parts = [shard_path(self.bucket.name, spec, part) for part in range(len(self.markers))]
        opened = [Shard(self.out, key, spec, ROWS) for key in parts]
        return lambda row, start: opened[row // ROWS].read(row % ROWS, start, start + FRAMES)


class Icechunk:
    """The same arrays through zarr-python into icechunk."""

    def __init__(self, place: Path, bucket: Bucket, plain: Path):
        import icechunk

        self.name = f"icechunk {icechunk.__version__}"
        self.repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(place)))
        self.session = self.repository.writable_session("main")
        group = zarr.create_group(self.session.store, path=bucket.name)
        for name in bucket.arrays:
            like = zarr.open_array(plain, path=f"{bucket.name}/{name}", mode="r")
            group.create_array(  # icechunk refuses our keys, which have dots
                name, shape=like.shape, dtype=like.dtype, chunks=like.chunks, shards=like.shards,
                filters=like.filters, compressors=like.compressors, fill_value=like.fill_value,
            )  # fmt: skip
        self.group, self.bucket = group, bucket

    def write(self, part: int, clips: list[dict[str, np.ndarray]]) -> None:
        for name in self.bucket.arrays:
            block = np.stack([clip[name] for clip in clips])
            self.group[name][part * ROWS : part * ROWS + len(clips)] = block

    def commit(self, number: int) -> None:
        if number:
            self.session = self.repository.writable_session("main")
            zarr.open_group(self.session.store, path=self.bucket.name).attrs["number"] = number
        self.session.commit(f"number {number}")

    def reader(self) -> Callable[[int, int], np.ndarray]:
        store = self.repository.readonly_session("main").store
        array = zarr.open_array(store, path=f"{self.bucket.name}/rgb", mode="r")
        return lambda row, start: np.asarray(array[row, start : start + FRAMES])


def measure(episodes: int, windows: int, folder: Path) -> list[dict]:
    """A line of figures for each way."""
    recipe = load(
        ROOT / "bouncing_balls/recipe.toml", [f"episodes={episodes}", f"episodes_per_part={ROWS}"]
    )
    (name,) = recipe.buckets
    whole = array_specs(recipe, name)
    specs = {key: whole[key] for key in ARRAYS}
    clips = [
        {key: a for key, a in stored_arrays(make_episode(recipe, i), whole) if key in specs}
        for i in range(episodes)
    ]
    bucket = Bucket(name, tuple(range(episodes)), ROWS, specs)
    ways: list[Ours | Icechunk] = [Ours(folder / "ours", bucket, recipe)]
    try:
        ways.append(Icechunk(folder / "icechunk", bucket, folder / "ours"))
    except ImportError:
        print(json.dumps({"missing": "icechunk", "install": "pip install 'icechunk==1.1.*'"}))
    writing = {way.name: 0.0 for way in ways}
    for part in range(episodes // ROWS):
        for way in ways:
            began = time.process_time()
            way.write(part, clips[part * ROWS : (part + 1) * ROWS])
            writing[way.name] += time.process_time() - began
    committing: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(COMMITS + 1):
        for way in ways:
            began = time.perf_counter()
            way.commit(number)
            committing[way.name].append(time.perf_counter() - began)
    readers = {way.name: way.reader() for way in ways}
    plain = zarr.open_array(folder / "ours", path=f"{name}/rgb", mode="r")
    readers["zarr"] = lambda row, start: np.asarray(plain[row, start : start + FRAMES])
    reading = dict.fromkeys(readers, 0.0)
    rng = np.random.default_rng(0)
    for number in range(windows + 5):
        row, start = int(rng.integers(episodes)), int(rng.integers(64 - FRAMES))
        for way, read in readers.items():
            began = time.process_time()
            found = read(row, start)
            reading[way] += (time.process_time() - began) * (number >= 5)
            assert np.array_equal(found, clips[row]["rgb"][start : start + FRAMES])
    stored = {"ours": folder / "ours", **{w.name: folder / "icechunk" for w in ways[1:]}}
    return [
        {
            "way": way,
            "write_cpu_ms_a_clip": _ms(writing.get(way), episodes),
            "commit_ms": _ms(statistics.median(committing[way][1:])) if way in committing else None,
            "read_cpu_ms_a_window": _ms(reading[way], windows),
            "bytes": sum(p.stat().st_size for p in stored[way].rglob("*") if p.is_file())
            if way in stored
            else None,
        }
        for way in readers
    ]


def _ms(seconds: float | None, of: int = 1) -> float | None:
    return None if seconds is None else round(seconds / of * 1000, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=16, help=f"a multiple of {ROWS}")
    parser.add_argument("--windows", type=int, default=200)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        for line in measure(given.episodes, given.windows, folder):
            print(json.dumps(line))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
