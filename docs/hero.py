"""Make docs/hero.png from what the project itself made.

python docs/hero.py out/demo/dataset.zarr out/demo/model/checkpoint.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import simgen
from simgen.episode import make_episode
from simgen.preview import coloured
from simgen.recipe import load
from worldmodel.rollout import load_predictor

ROOT = Path(__file__).resolve().parent.parent
TILE, GAP, COLUMNS, TEXT = 128, 4, 9, 15  # px
PAPER, INK = (250, 250, 248), (40, 40, 46)
HIGH_BAR, ORBIT, BALLS = 1, 2, 4  # episodes of the recipes, chosen by eye
CONTEXT, HORIZON = 6, 16


def tile(frame: np.ndarray) -> Image.Image:
    return Image.fromarray(frame).resize((TILE, TILE), Image.Resampling.LANCZOS)


def over_time(video: np.ndarray, first: int = 0) -> list[Image.Image]:
    at = np.linspace(first, len(video) - 1, COLUMNS).round().astype(int)
    return [tile(frame) for frame in video[at]]


def simulated(name: str, index: int) -> list[Image.Image]:
    recipe = load(ROOT / "datasets" / name / "recipe.toml")
    return over_time(make_episode(recipe, index).frames["rgb"])


def channels(name: str, index: int) -> list[Image.Image]:
    """One episode: early frames, then every other channel of a frame in mid-motion."""
    recipe = load(ROOT / "datasets" / name / "recipe.toml")
    frames = make_episode(recipe, index).frames
    rest = [c for c in frames if c != "rgb"]
    shown = np.linspace(0, 20, COLUMNS - len(rest)).round().astype(int)
    tiles = [tile(frames["rgb"][t]) for t in shown]
    return tiles + [tile(coloured(c, frames[c])[shown[-1]]) for c in rest]


def rollout(store: Path, checkpoint: Path, row: int) -> list[tuple[str, list[Image.Image]]]:
    """Truth and prediction of a test episode, from the last given frame on."""
    dataset = simgen.open(store)
    tests = [r["episode_id"] for r in dataset.catalog.to_pylist() if r["split"] == "test"]
    rgb = dataset.read(tests[row], "rgb")[: CONTEXT + HORIZON]
    predicted = load_predictor(checkpoint)(rgb[:CONTEXT], HORIZON)
    seen = np.concatenate((rgb[:CONTEXT], predicted))
    return [
        ("Simulated: the true future", over_time(rgb, CONTEXT - 1)),
        ("Predicted: the world model's rollout of it", over_time(seen, CONTEXT - 1)),
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("store", type=Path, help="the demo's dataset")
    arguments.add_argument("checkpoint", type=Path, help="a model trained on it")
    arguments.add_argument("--episode", type=int, default=0, help="which test episode to roll out")
    given = arguments.parse_args()
    rows = [
        ("A gymnast swings, lets go and lands, by forces alone", simulated("high_bar", HIGH_BAR)),
        ("Rolling, tumbling things under an orbiting camera", simulated("camera_orbit", ORBIT)),
        (
            "Every frame has its truth: depth, segmentation, normals, flow",
            channels("bouncing_balls", BALLS),
        ),
        *rollout(given.store, given.checkpoint, given.episode),
    ]
    line = TEXT + 10
    width = COLUMNS * (TILE + GAP) + GAP
    sheet = Image.new("RGB", (width, len(rows) * (TILE + line) + GAP), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=TEXT)
    for i, (text, tiles) in enumerate(rows):
        top = i * (TILE + line)
        draw.text((GAP, top + 4), text, INK, font)
        for j, picture in enumerate(tiles):
            sheet.paste(picture, (GAP + j * (TILE + GAP), top + line))
    sheet.save(ROOT / "docs" / "hero.png", optimize=True)
    print("docs/hero.png")


if __name__ == "__main__":
    main()
