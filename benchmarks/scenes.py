"""What a clip of each family costs: clips per second and core, and where the time goes.

    python benchmarks/scenes.py [NAME ...] [--episodes 16] [--rounds 3]

Builds clips of every dataset's recipe at 128 x 128 with all channels in this process, rounds
interleaved over the recipes so that a busy moment of the machine hits all of them. A clip has 64
frames, or its recipe's number if that is more: some would end before anything happens. The rate is
of 64 frames. CPU seconds, the median round. Rendering draws the channels and, of bodies that
something hides, the whole silhouettes that visibility is measured by. `rest` is all but simulation,
rendering and compression: truth, quality control, captions, hashing, tables and writing. One JSON
line a recipe, and one for all.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import median

from simgen.build import build
from simgen.recipe import Recipe, load

CHANNELS = ("rgb", "depth", "segmentation", "normals", "flow")
FRAMES = 64
LIMIT = 0.10  # of a clip's time for the rest
WORK = ("simulate", "render", "compress")
ROOT = Path(__file__).parents[1] / "datasets"
SKIPPED = ("demo", "smoke")  # the same families again, smaller


def plain(name: str, episodes: int, channels: tuple[str, ...] = CHANNELS) -> Recipe:
    """The dataset's recipe in one split and one shape of picture."""
    recipe = load(ROOT / name / "recipe.toml")
    square = {"height": 128, "width": 128, "channels": channels}
    square["frames"] = max(FRAMES, recipe.video.frames)
    scenes = tuple(
        scene.model_copy(update={"video": {**scene.video, **square}}) for scene in recipe.scene
    )
    update = {"splits": {"train": 1.0}, "scene": scenes, "episodes": episodes}
    return recipe.model_copy(update=update)


def costs_s(recipe: Recipe) -> tuple[float, dict[str, float]]:
    """Frames made and stored, in clips of FRAMES, and CPU seconds by stage; all is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        report = build(recipe, Path(folder) / "benchmark.zarr", workers=1)
    return report.episodes * recipe.video_of(0).frames / FRAMES, report.costs_s


def row(name: str, rounds: list[tuple[float, dict[str, float]]]) -> dict:
    """The JSON line of one recipe, from its rounds."""
    clips, costs = sorted(rounds, key=lambda found: sum(found[1].values()))[len(rounds) // 2]
    whole = sum(costs.values())
    shares = {stage: costs.get(stage, 0.0) / whole for stage in WORK}
    rest = 1 - sum(shares.values())
    return {
        "benchmark": "scenes",
        "recipe": name,
        "clips": round(clips, 1),
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
    costs_s(plain(chosen[0], 2))  # compiled code is loaded before anything is counted
    found = {name: [] for name in chosen}
    for _ in range(given.rounds):
        for name in chosen:
            found[name].append(costs_s(plain(name, given.episodes)))
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
