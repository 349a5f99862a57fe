"""CPU milliseconds for a random window of 16 frames, ours beside its peers. A JSON line each.

    python benchmarks/read.py [--clips 256] [--folder FOLDER]

bouncing_balls at 128 x 128 x 64, rgb, one core, everything in the page cache, all in one process
and interleaved round by round; medians. A window counts when it stands in a batch of 16, as uint8
(batch, time, height, width, channel), in memory that is used again. Ours checks every checksum; no
peer's default does more.
Clips are `--distinct` simulated ones over and over, each copy with bytes of its own in every
format. Peers that are not installed are named and skipped: `make bench-peers` installs them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import numpy as np
from read_peers import LENGTH, PEERS, tensorstore, zarr_python

import simgen
from simgen.build import build
from simgen.episode import Episode, make_episode
from simgen.recipe import Recipe, load
from simgen.store.reader import Dataset

RECIPE = Path(__file__).parents[1] / "datasets" / "bouncing_balls" / "recipe.toml"
BATCH = 16  # windows of a batch of ours; others give single windows
BOUNDS = {"of LeRobot AV1, at least": 8.0, "of the memory map's time, at most": 3.0,
          "of raw bytes, at most": 1 / 8, "two threads, at least": 1.8}  # fmt: skip


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--clips", type=int, default=256)
    arguments.add_argument("--distinct", type=int, default=32, help="clips that are simulated")
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--windows", type=int, default=64, help="windows a round")
    arguments.add_argument("--folder", type=Path, help="keep the files here, for another run")
    given = arguments.parse_args()
    find_ffmpeg()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if given.folder:
        given.folder.mkdir(parents=True, exist_ok=True)
        return report(given, given.folder)
    with tempfile.TemporaryDirectory() as folder:
        return report(given, Path(folder))


def report(given: argparse.Namespace, folder: Path) -> int:
    """Measure, and print a line for each reader and one for the bounds; 1 if one is not met."""
    dataset = store(folder / "ours.zarr", given.clips, given.distinct)
    clips = np.stack([dataset.read(name, "rgb") for name in dataset.find().episode_ids])
    raw = clips[0].nbytes / clips.shape[1]
    readers = ours(dataset) | peers(clips, folder)
    read_clips, bytes_a_frame = len(clips), {n: s / clips.shape[1] / len(clips)
                                             for n, (_, s) in readers.items()}  # fmt: skip
    del clips
    times = measure({n: r for n, (r, _) in readers.items()}, read_clips, given)
    for name, rounds in times.items():
        line = {"reader": name, "cpu_ms_a_window": round(statistics.median(rounds), 3),
                "bytes_a_frame": round(bytes_a_frame[name])}  # fmt: skip
        print(json.dumps(line))
    median = {name: statistics.median(rounds) for name, rounds in times.items()}
    threads = two_threads(dataset, given.rounds)
    reached = {
        "of raw bytes, at most": bytes_a_frame["ours"] / raw,
        "two threads, at least": threads,
    }
    if "LeRobot AV1, torchcodec" in median:
        ratio = median["LeRobot AV1, torchcodec"] / median["ours"]
        reached["of LeRobot AV1, at least"] = ratio
    reached["of the memory map's time, at most"] = median["ours"] / median["memory map"]
    met = {name: (value >= BOUNDS[name]) == name.endswith("least") or value == BOUNDS[name]
           for name, value in reached.items()}  # fmt: skip
    slower = [
        n for n in ("MDS", "LitData", "WebDataset npy") if median.get(n, 1e9) < median["ours"]
    ]
    print(json.dumps({
        "benchmark": "read", "clips": read_clips, "load_average": os.getloadavg()[0],
        "reached": {name: round(value, 3) for name, value in reached.items()}, "bounds": BOUNDS,
        "met": met, "slower_than": slower,
    }))  # fmt: skip
    if os.getloadavg()[0] > 1.5:
        print(
            "the machine is busy: read CPU times as ratios, and threads' not at all",
            file=sys.stderr,
        )
    return 0 if all(met.values()) and not slower else 1


def store(place: Path, clips: int, distinct: int) -> Dataset:
    """Our dataset of that many clips; what is simulated is few of them."""
    recipe = load(RECIPE, [f"episodes={clips}", 'video.channels=["rgb"]'])
    made: list[Episode] = []
    numbers = count()

    def make(recipe: Recipe, index: int) -> Episode:
        while len(made) < distinct:
            if not (episode := make_episode(recipe, next(numbers))).reasons:
                made.append(episode)
        episode = made[index % distinct]
        name, split = recipe.episode_id(index), recipe.assign(index).split
        return replace(episode, index=index, episode_id=name, split=split, costs_s={})

    build(recipe, place, workers=1, make=make)
    return simgen.open(place)


def ours(dataset: Dataset) -> dict[str, tuple[Callable, int]]:
    """The loader, and foreign readers of the same arrays."""
    (bucket,) = dataset.find().buckets
    array = Path(dataset.url) / bucket / "rgb"
    size = sum(path.stat().st_size for path in array.iterdir())
    readers: dict[str, tuple[Callable, int]] = {
        "ours": (_batches(dataset.windows(LENGTH, batch=BATCH)), size),
        "ours, windows at multiples of 8": (
            _batches(dataset.windows(LENGTH, batch=BATCH, every=8)), size),
        "ours, one by one": (_single(dataset), size),
    }  # fmt: skip
    for name, reader in (("zarr-python", zarr_python), ("tensorstore", tensorstore)):
        try:
            readers[f"{name} on ours"] = reader(array), size
        except ImportError as error:
            _skipped(name, error)
    return readers


def _batches(windows) -> Callable[[int, int], object]:
    """Of the loader's own order: a batch at every BATCH-th call."""
    steps, calls = count(), count()

    def read(_: int, __: int) -> None:
        if next(calls) % BATCH == 0:
            windows.read(next(steps))

    return read


def _single(dataset: Dataset) -> Callable[[int, int], object]:
    names = dataset.find().episode_ids
    return lambda clip, start: dataset.read(names[clip], "rgb", start, start + LENGTH)


def peers(clips: np.ndarray, folder: Path) -> dict[str, tuple[Callable, int]]:
    """Every peer that is installed."""
    readers = {}
    for name, peer in PEERS.items():
        place = folder / peer.__name__.removesuffix("_seen")
        place.mkdir(exist_ok=True)
        try:
            readers[name] = peer(clips, place)
        except (ImportError, RuntimeError) as error:
            _skipped(name, error)
    return readers


def _skipped(name: str, error: Exception) -> None:
    why = str(error).strip().splitlines()[0]
    print(json.dumps({"reader": name, "skipped": why, "install": "make bench-peers"}))


def measure(
    readers: dict[str, Callable], clips: int, given: argparse.Namespace
) -> dict[str, list[float]]:
    """CPU milliseconds a window of each reader, a number a round; the first round is dropped."""
    times: dict[str, list[float]] = {name: [] for name in readers}
    batches = np.zeros((2, BATCH, LENGTH, 128, 128, 3), np.uint8)
    for number in range(given.rounds + 1):
        rng = np.random.default_rng(number)
        wanted = [(int(rng.integers(clips)), int(rng.integers(64 - LENGTH + 1)))
                  for _ in range(given.windows)]  # fmt: skip
        for name, read in readers.items():
            began = time.process_time()
            for i, (clip, start) in enumerate(wanted):
                window = read(clip, start)
                if window is not None:  # ours stands there already
                    np.copyto(batches[i // BATCH % 2, i % BATCH], window)
            if number:
                times[name].append((time.process_time() - began) / given.windows * 1e3)
    return times


def two_threads(dataset: Dataset, rounds: int) -> float:
    """Wall time of one thread over that of two, for the same batches."""
    ratios = []
    for number in range(rounds):
        wall = {}
        for threads in (1, 2):
            windows = dataset.windows(LENGTH, batch=BATCH, threads=threads, seed=number)
            batches = iter(windows)
            next(batches)
            began = time.perf_counter()
            for _ in islice(batches, 24):
                pass
            wall[threads] = time.perf_counter() - began
            batches.close()
        ratios.append(wall[1] / wall[2])
    return statistics.median(ratios)


def find_ffmpeg() -> None:
    """Start again with PyAV's FFmpeg, under plain names, where torchcodec finds no other."""
    if "READ_FFMPEG" in os.environ:
        return
    try:
        import torchcodec  # noqa: F401
    except ImportError:
        return
    except RuntimeError:
        try:
            import av
        except ImportError:
            return
    else:
        return
    bundled = Path(av.__file__).parents[1] / "av.libs"
    links = Path(tempfile.mkdtemp())
    for library in bundled.glob("lib[as][vw]*.so.*"):
        name, version = library.name.split("-")[0], library.name.split(".so.")[1].split(".")[0]
        (links / f"{name}.so.{version}").symlink_to(library)
    paths = [str(links), str(bundled), os.environ.get("LD_LIBRARY_PATH", "")]
    environment = os.environ | {"LD_LIBRARY_PATH": ":".join(paths), "READ_FFMPEG": str(links)}
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)


if __name__ == "__main__":
    sys.exit(main())
