"""What a clip of each family costs: clips per second and core, and where the time goes.

    python benchmarks/scenes.py [NAME ...] [--episodes 16] [--rounds 3]

Builds clips of every dataset's recipe at 128 x 128 x 64 with all channels in this process, rounds
interleaved over the recipes so that a busy moment of the machine hits all of them. CPU seconds, the
median round. `rest` is all but simulation, rendering and compression: truth, quality control,
captions, hashing, tables and writing. One JSON line a recipe, and one for all.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import median

from simgen.build import build
from simgen.recipe import load

CLIP = ("video.frames=64", "video.height=128", "video.width=128", "episodes_per_part=16")
LIMIT = 0.10  # of a clip's time for the rest
WORK = ("simulate", "render", "compress")
ROOT = Path(__file__).parents[1] / "datasets"
SKIPPED = ("demo", "smoke")  # the same families again, smaller


def costs_s(name: str, episodes: int) -> tuple[int, dict[str, float]]:
    """Clips made, quarantined ones too, and CPU seconds by stage; the dataset is thrown away."""
    recipe = load(ROOT / name / "recipe.toml", [*CLIP, f"episodes={episodes}"])
    with tempfile.TemporaryDirectory() as folder:
        report = build(recipe, Path(folder) / "benchmark.zarr", workers=1)
    return report.episodes + report.quarantined, report.costs_s


def row(name: str, rounds: list[tuple[int, dict[str, float]]]) -> dict:
    """The JSON line of one recipe, from its rounds."""
    clips, costs = sorted(rounds, key=lambda found: sum(found[1].values()))[len(rounds) // 2]
    whole = sum(costs.values())
    shares = {stage: costs.get(stage, 0.0) / whole for stage in WORK}
    rest = 1 - sum(shares.values())
    return {
        "benchmark": "scenes",
        "recipe": name,
        "clips": clips,
        "clips_per_s_and_core": round(clips / whole, 2),
        "shares": {stage: round(share, 3) for stage, share in shares.items()},
        "rest": round(rest, 3),
        "met": rest <= LIMIT,
    }


def main() -> int:
    names = sorted(p.parent.name for p in ROOT.glob("*/recipe.toml"))
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("names", nargs="*", metavar="NAME", help="folders of datasets/")
    arguments.add_argument("--episodes", type=int, default=16)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    chosen = given.names or [name for name in names if name not in SKIPPED]
    if unknown := sorted(set(chosen) - set(names)):
        arguments.error(f"no datasets {', '.join(unknown)}; there are: {', '.join(names)}")
    costs_s(chosen[0], 2)  # compiled code is loaded before anything is counted
    found = {name: [] for name in chosen}
    for _ in range(given.rounds):
        for name in chosen:
            found[name].append(costs_s(name, given.episodes))
    rows = [row(name, rounds) for name, rounds in found.items()]
    for line in rows:
        print(json.dumps(line))
    worst = max(rows, key=lambda line: line["rest"])
    middle = median(line["clips_per_s_and_core"] for line in rows)
    summary = {
        "benchmark": "scenes", "recipe": "all", "clips_per_s_and_core": middle,
        "worst_rest": worst["rest"], "worst": worst["recipe"], "limit": LIMIT,
        "met": worst["rest"] <= LIMIT,
    }  # fmt: skip
    print(json.dumps(summary))
    return 0 if summary["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
