"""Train a world model on a dataset, within a time budget.

    python flows/train_model.py out/demo/dataset.zarr --out out/demo/model --budget 8m

Goes on from the checkpoint in the output folder, to the same weights as if it had never stopped. A
finished run of the same dataset and settings is left as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

import command
from prefect import flow
from terminal import counting, say

from worldmodel.train import CHECKPOINT, Run, TrainConfig, train


@flow(name="train-model", flow_run_name="train {out}")
def train_model(store: Path, out: Path, budget_s: float = 480.0, seed: int = 0) -> Path:
    """Train the `tiny` preset until the budget is spent.

    Args:
        store: A published dataset.
        out: The run's folder: checkpoint and metrics.
        budget_s: Seconds of training, over all sittings.
        seed: Of the weights and of the order of the windows.
    Returns:
        The checkpoint's path.
    """
    steps = 0
    config = TrainConfig(budget_s=budget_s, seed=seed)
    with counting("training, s", round(budget_s)) as seconds:

        def show(run: Run) -> None:
            nonlocal steps
            steps += 1
            seconds.reach(round(run.elapsed_s))

        run = train(store, out, config, progress=show)
    if steps:
        say(f"{out}: trained to step {run.step} in {run.elapsed_s:.0f} s")
    else:
        say(f"{out}: nothing to train, step {run.step} of this dataset and settings is there")
    return out / CHECKPOINT


def main() -> int:
    arguments = command.parser(__doc__)
    arguments.add_argument("store", type=Path, help="a published dataset, NAME.zarr")
    arguments.add_argument("--out", type=Path, required=True, help="the run's folder")
    command.add_training(arguments)
    given = arguments.parse_args()

    def work() -> int:
        train_model(given.store, given.out, given.budget, given.seed)
        return command.DONE

    return command.run(
        work,
        check=lambda: command.require_published(given.store),
        server=given.out / ".prefect",
    )


if __name__ == "__main__":
    sys.exit(main())
