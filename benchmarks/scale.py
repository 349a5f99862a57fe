"""Opening, querying and loading a catalog of a million episodes; building more and more of them.

    python benchmarks/scale.py [--episodes 1000000] [--build 100 3000]

The large dataset is a small real one whose rows are told a million times over, under names of
their own, with links to its shards: every byte is read as from a real one. A JSON line each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

import simgen
from simgen.build import build
from simgen.recipe import load
from simgen.store import catalog, versions
from simgen.store.reader import Dataset

RECIPE = Path(__file__).parents[1] / "datasets" / "smoke" / "recipe.toml"
ROWS = 64  # of a part
TINY = ("episodes_per_part=64", 'video.channels=["rgb"]')
QUERIES = {
    "split, family and outcome": {"split": "train", "family": "bouncing_balls", "engine": "mujoco"},
    "caption words": {"words": ["ball", "red"]},
    "contacts": {"event": "contact", "split": "train"},
}
BOUNDS = {"open_s": 2.0, "query_s": 1.0, "memory_ratio": 1.1, "build_ratio": 1.15}


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--episodes", type=int, default=1_000_000)
    arguments.add_argument("--build", type=int, nargs=2, default=(100, 3000))
    arguments.add_argument("--only", choices=("catalog", "build"))
    arguments.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    arguments.add_argument("place", nargs="?", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.worker:
        print(json.dumps(WORKERS[given.worker](given.place)))
        return 0
    met = True
    with tempfile.TemporaryDirectory() as folder:
        if given.only != "build":
            met &= report_catalog(Path(folder), given.episodes)
        if given.only != "catalog":
            met &= report_build(Path(folder), *given.build)
    return 0 if met else 1


def report_catalog(folder: Path, episodes: int) -> bool:
    """Figures of 1,000 episodes and of many, and whether the bounds are met."""
    small = build(load(RECIPE, [f"episodes={ROWS}", *TINY]), folder / "small.zarr", workers=1).out
    told: dict[int, dict] = {}
    for number in (1000, episodes):
        place = enlarged(Path(small), folder / f"{number}.zarr", number)
        told[number] = {"benchmark": "scale, catalog", "episodes": number}
        for worker in ("query", "load"):
            told[number] |= in_process(worker, place)
        print(json.dumps(told[number]))
    many, few = told[episodes], told[1000]
    reached = {
        "open_s": many["open_s"],
        "query_s": many["query_s"]["split, family and outcome"],
        "memory_ratio": round(many["peak_mb"] / few["peak_mb"], 3),
    }
    met = {name: value <= BOUNDS[name] for name, value in reached.items()}
    print(json.dumps({"benchmark": "scale, catalog", "reached": reached, "met": met}))
    return all(met.values())


def enlarged(small: Path, place: Path, episodes: int) -> Path:
    """A dataset of that many episodes, all made of the small one's."""
    source = simgen.open(small)
    (bucket,) = source.find().buckets
    for path in small.rglob("*"):
        kept = path.relative_to(small)
        if path.is_file() and kept.parts[0] not in (".build", "versions", "tables", "parts"):
            (place / kept).parent.mkdir(parents=True, exist_ok=True)
            os.link(path, place / kept)
    for array in (place / bucket).iterdir():
        if array.is_dir():
            (first,) = array.glob("c.0*")
            for part in range(1, -(-episodes // ROWS)):
                os.link(first, array / first.name.replace("c.0", f"c.{part}", 1))
    tables = {
        "catalog": catalog.parquet(_told(source.catalog, episodes, source.catalog.num_rows)),
        "events": catalog.parquet(_told(source.events(), episodes, source.catalog.num_rows)),
    }
    entries, files = versions.describe_tables(tables)
    target = source.objects.__class__(place)
    target.put(files)
    version = replace(source.version, episodes=episodes, tables=source.version.tables | entries)
    target.put({versions.version_path(version.version): version.to_bytes()})
    return place


def _told(table: pa.Table, episodes: int, rows: int) -> Iterator[pa.Table]:
    """The small dataset's table over and over, in pieces of one row group, renumbered."""
    copies = max(1, catalog.ROW_GROUP // rows)
    whole = pa.concat_tables([table] * copies).combine_chunks()
    inside = whole["index"].to_numpy() + np.repeat(np.arange(copies) * ROWS, table.num_rows)
    for first in range(0, episodes, copies * ROWS):
        index = inside + first
        names = [f"00000000-{i:06d}" for i in index.tolist()]
        columns = {"index": index, "episode_id": names, "row": index, "seed": index, "group": index}
        piece = whole
        for name, values in columns.items():
            if name in table.column_names:
                place = table.column_names.index(name)
                piece = piece.set_column(place, table.schema.field(name), pa.array(values))
        yield piece.filter(pa.array(index < episodes))


def in_process(worker: str, place: Path) -> dict:
    """What a worker in a process of its own says."""
    command = [sys.executable, __file__, "--worker", worker, str(place)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def query(place: str) -> dict:
    """Seconds to open, and for each query; the best of three, as caches are warm then."""
    simgen.open(place).find(split="val")  # imports
    began = time.perf_counter()
    dataset = simgen.open(place)
    rows = dataset.table("catalog").rows
    told = {"open_s": round(time.perf_counter() - began, 4), "rows": rows, "query_s": {},
            "found": {}}  # fmt: skip
    for name, asked in QUERIES.items():
        times = []
        for _ in range(3):
            began = time.perf_counter()
            told["found"][name] = len(dataset.find(**asked))
            times.append(time.perf_counter() - began)
        told["query_s"][name] = round(min(times), 3)
    return told


def load_windows(place: str) -> dict:
    """Megabytes of a loader after 300 batches of random windows, at its peak."""
    dataset: Dataset = simgen.open(place)
    batches = iter(dataset.windows(8, batch=16, split="train"))
    for _ in islice(batches, 300):
        pass
    batches.close()
    status = Path("/proc/self/status").read_text().split()
    now, peak = (int(status[status.index(f"{key}:") + 1]) / 1024 for key in ("VmRSS", "VmHWM"))
    return {"memory_mb": round(now, 1), "peak_mb": round(peak, 1)}


def report_build(folder: Path, few: int, many: int) -> bool:
    """CPU seconds an episode of a long build over those of a short one."""
    seconds = {}
    for number in (8, few, many):  # the first is for what is compiled and imported once
        recipe = load(RECIPE, [f"episodes={number}", *TINY])
        began = time.process_time()
        build(recipe, folder / f"build-{number}.zarr", workers=1)
        seconds[number] = (time.process_time() - began) / number
    ratio = round(seconds[many] / seconds[few], 3)
    met = 2 - BOUNDS["build_ratio"] <= ratio <= BOUNDS["build_ratio"]
    line = {"benchmark": "scale, build", "episodes": [few, many], "build_ratio": ratio, "met": met,
            "cpu_ms_an_episode": [round(seconds[n] * 1e3, 2) for n in (few, many)]}  # fmt: skip
    print(json.dumps(line))
    return met


WORKERS = {"query": query, "load": load_windows}

if __name__ == "__main__":
    sys.exit(main())
