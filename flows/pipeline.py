"""The whole loop: build a dataset, train a model on it, judge the model against the simulator.

    python flows/pipeline.py datasets/demo/recipe.toml --out out/demo
    python flows/pipeline.py datasets/demo/recipe.toml --out out/more --budget 20m episodes=800

leaves in the output folder
    dataset.zarr/                    clips with their ground truth: `simgen inspect`
    model/checkpoint.safetensors     the model: `worldmodel rollout`
    verdict/report.html              how far its rollouts stray from the simulator

The same command again does only what is missing: parts are not rebuilt, a finished model is not
trained again, and a verdict is renewed when its model or its dataset changed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import command
from build_dataset import build_dataset
from cluster import Cluster
from evaluate_model import evaluate_model, print_verdict
from prefect import flow
from train_model import train_model, training_config

from simgen.build.planning import plan
from simgen.recipe import load
from simgen.terminal import DONE, QUARANTINED


@flow(name="pipeline", flow_run_name="pipeline {out}")
def pipeline(
    recipe_path: Path,
    out: Path,
    overrides: Sequence[str] = (),
    budget_s: float = 480.0,
    seed: int = 0,
    preset: str = "tiny",
    settings: Sequence[str] = (),
    split: str = "test",
    clips: int | None = None,
    cluster: Cluster = Cluster(),  # noqa: B008 - frozen
) -> dict[str, int]:
    """Recipe to verdict.

    Args:
        recipe_path: The dataset's recipe, a TOML file.
        out: Folder for dataset, model and verdict.
        overrides: `key=value` on recipe keys.
        budget_s: Seconds of training.
        seed: Of the training; the dataset's own stands in the recipe.
        preset: Of the model: tiny, small, base or pro.
        settings: `key=value` on the preset's keys.
        split: To judge on.
        clips: Judge the first so many episodes of the split; all if None.
        cluster: Where the dataset's parts are built.
    Returns:
        episodes, quarantined and bytes of the dataset.
    """
    store = out / "dataset.zarr"
    counts = build_dataset(recipe_path, store, overrides, cluster)
    checkpoint = train_model(store, out / "model", budget_s, seed, preset, settings)
    evaluate_model(store, checkpoint, out / "verdict", split, clips)
    return counts


def main() -> int:
    arguments = command.parser(__doc__)
    command.add_recipe(arguments)
    arguments.add_argument("--out", type=Path, required=True, help="folder for all that is made")
    command.add_training(arguments)
    arguments.add_argument(
        "--train",
        action="append",
        default=[],
        metavar="key=value",
        help="on the preset's keys, may be repeated: --train batch=8",
    )
    command.add_judging(arguments)
    command.add_cluster(arguments)
    given = arguments.parse_intermixed_args()

    def work() -> int:
        counts = pipeline(
            given.recipe,
            given.out,
            given.overrides,
            budget_s=given.budget,
            seed=given.seed,
            preset=given.preset,
            settings=given.train,
            split=given.split,
            clips=given.clips,
            cluster=command.cluster_of(given),
        )
        print_verdict(given.out / "verdict")
        return QUARANTINED if counts["quarantined"] else DONE

    def check() -> None:
        plan(load(given.recipe, given.overrides), given.out / "dataset.zarr")
        training_config(given.budget, given.seed, given.preset, given.train)

    return command.run(
        work,
        check=check,
        server=given.out / ".prefect",
    )


if __name__ == "__main__":
    sys.exit(main())
