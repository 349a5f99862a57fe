"""End-to-end build time over the CPU time that the work itself needs. One JSON line.

    python benchmarks/build.py [RECIPE] [--episodes 512] [--workers 2]

The ratio is wall seconds of `simgen build` over (simulation + rendering + compression CPU seconds)
/ workers, of clips of 128 x 128 x 64 with all channels. Starting the workers, truth, captions,
hashing, syncing and publishing are what makes it more than 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from simgen.build import build
from simgen.recipe import load

TARGET = 1.25
CLIP = ("video.frames=64", "video.height=128", "video.width=128")
DEFAULT = Path(__file__).parents[1] / "datasets" / "bouncing_balls" / "recipe.toml"


def measure(recipe_path: Path, episodes: int, workers: int) -> dict:
    """Build into a folder that is thrown away; figures for the JSON line."""
    recipe = load(recipe_path, [*CLIP, f"episodes={episodes}"])
    with tempfile.TemporaryDirectory() as folder:
        report = build(recipe, Path(folder) / "benchmark.zarr", workers=workers)
    costs = report.costs_s
    work_s = costs["simulate"] + costs["render"] + costs["compress"]
    whole_s = report.seconds * workers
    shares = {name: seconds / whole_s for name, seconds in costs.items()}
    shares["starting, waiting, publishing"] = 1 - sum(shares.values())
    ratio = report.seconds / (work_s / workers)
    return {
        "benchmark": "build",
        "recipe": recipe.name,
        "clips": report.episodes,
        "workers": workers,
        "wall_s": round(report.seconds, 2),
        "cpu_s": {name: round(value, 2) for name, value in sorted(costs.items())},
        "shares": {name: round(value, 3) for name, value in sorted(shares.items())},
        "clips_per_s": round(report.episodes / report.seconds, 2),
        "bytes_a_frame": round(report.bytes / report.episodes / 64),
        "ratio": round(ratio, 3),
        "target": TARGET,
        "met": ratio <= TARGET,
    }


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("recipe", nargs="?", type=Path, default=DEFAULT)
    arguments.add_argument("--episodes", type=int, default=512)
    arguments.add_argument("--workers", type=int, default=2)
    given = arguments.parse_args()
    result = measure(given.recipe, given.episodes, given.workers)
    print(json.dumps(result))
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
