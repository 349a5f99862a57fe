"""CPU time to store clips beside the CPU time to render them. One JSON line a recipe, one for all.

    python benchmarks/write.py [NAME ...] [--episodes 8] [--rounds 3] [--all]

Clips of the datasets' recipes at 128 x 128 x 64 with the five channels and whatever else the
recipe stores, built in this process. Storing is rounding, hashing and compressing (`compress`), and
assembling, hashing, writing and syncing a part's objects (`commit`); it is met if storing costs no
more than rendering. Rounds are interleaved over the recipes, so that a busy moment of the machine
hits all; figures are medians over rounds, CPU microseconds a frame, of all threads.
"""

from __future__ import annotations

import argparse
import json
import sys
from statistics import median

from scenes import CHANNELS, FRAMES, ROOT, SKIPPED, costs_s, plain
from size import DEFAULT

from simgen.recipe import Recipe, load

LIMIT = 1.0  # storing over rendering


def recipe_of(name: str, episodes: int) -> Recipe:
    """As benchmarks/scenes.py builds it, with the recipe's own channels too."""
    own = load(ROOT / name / "recipe.toml")
    asked = [c for index in range(len(own.scene)) for c in own.video_of(index).channels]
    return plain(name, episodes, tuple(dict.fromkeys((*CHANNELS, *asked))))


def row(name: str, rounds: list[tuple[float, dict[str, float]]]) -> dict:
    """The JSON line of one recipe, from its rounds."""

    def middle(stage: str) -> float:
        return median(costs[stage] / (clips * FRAMES) * 1e6 for clips, costs in rounds)

    ratio = median((c["compress"] + c["store"]) / c["render"] for _, c in rounds)
    return {
        "benchmark": "write",
        "recipe": name,
        "rounds": len(rounds),
        "unit": "CPU us a frame",
        "render": round(middle("render")),
        "compress": round(middle("compress")),
        "commit": round(middle("store")),
        "ratio": round(ratio, 3),
        "limit": LIMIT,
        "met": ratio <= LIMIT,
    }


def main() -> int:
    names = sorted(p.parent.name for p in ROOT.glob("*/recipe.toml"))
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("names", nargs="*", metavar="NAME", help="folders of datasets/")
    arguments.add_argument("--episodes", type=int, default=8)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--all", action="store_true", help="every dataset")
    given = arguments.parse_args()
    chosen = given.names or ([n for n in names if n not in SKIPPED] if given.all else DEFAULT)
    if unknown := sorted(set(chosen) - set(names)):
        arguments.error(f"no datasets {', '.join(unknown)}; there are: {', '.join(names)}")
    recipes = {name: recipe_of(name, given.episodes) for name in chosen}
    for name in chosen:  # compiled code is loaded before anything is counted
        costs_s(recipe_of(name, 1))
    found = {name: [] for name in chosen}
    for _ in range(given.rounds):
        for name, recipe in recipes.items():
            found[name].append(costs_s(recipe))
    rows = [row(name, rounds) for name, rounds in found.items()]
    for line in rows:
        print(json.dumps(line))
    worst = max(rows, key=lambda line: line["ratio"])
    summary = {
        "benchmark": "write", "recipe": "all", "recipes": len(rows), "worst": worst["recipe"],
        "ratio": worst["ratio"], "limit": LIMIT, "met": all(line["met"] for line in rows),
    }  # fmt: skip
    print(json.dumps(summary))
    return 0 if summary["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
