"""Train a world model on a dataset, within a time budget.

    python flows/train_model.py out/demo/dataset.zarr --out out/demo/model --budget 8m
    python flows/train_model.py big.zarr --out runs/a --preset small --seed 1 batch=8

Goes on from the checkpoint in the output folder, to the same weights as if it had never stopped. A
finished run of the same dataset and settings is left as it is.
"""

# worldmodel is imported by the flow and not by the module: every Dask worker of a pipeline imports
# its script, and would load torch for nothing.

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import command
from prefect import flow
from terminal import counting, say

from simgen.terminal import DONE


@flow(name="train-model", flow_run_name="train {out}")
def train_model(
    store: Path,
    out: Path,
    budget_s: float = 480.0,
    seed: int = 0,
    preset: str = "tiny",
    settings: Sequence[str] = (),
) -> Path:
    """Train until the budget is spent.

    Args:
        store: A published dataset.
        out: The run's folder: checkpoint and metrics.
        budget_s: Seconds of training, over all sittings.
        seed: Of the weights and of the order of the windows.
        preset: tiny, small, base or pro.
        settings: `key=value` on the preset's keys: `batch=8`, `optimizer.muon_rate=0.01`.
    Returns:
        The checkpoint's path.
    """
    from worldmodel.train import CHECKPOINT, Run, train

    config = training_config(budget_s, seed, preset, settings)
    first_step = None
    with counting("training, %", 100) as percent:

        def show(run: Run) -> None:
            nonlocal first_step
            first_step = first_step or run.step
            share = run.step / run.steps if run.steps else run.elapsed_s / config.budget_s
            percent.reach(int(100 * share), note=f"step {run.step}, loss {run.metrics['loss']:.4f}")

        run = train(store, out, config, progress=show)
    if first_step is None:
        say(f"{out}: nothing to train, the finished run on this dataset is there")
    else:
        say(f"{out}: trained steps {first_step} to {run.step}, {run.elapsed_s:.0f} s in all")
    return out / CHECKPOINT


def training_config(budget_s: float, seed: int, preset: str, settings: Sequence[str]):
    """The preset under its changes, a worldmodel.train.TrainConfig.

    Raises:
        PresetError: Nothing has that name, or a value is of the wrong type.
    """
    from worldmodel.presets import configure

    return configure(preset, [f"budget_s={budget_s}", f"seed={seed}", *settings])


def main() -> int:
    arguments = command.parser(__doc__)
    arguments.add_argument("store", type=Path, help="a published dataset, NAME.zarr")
    arguments.add_argument("settings", nargs="*", metavar="key=value", help="on the preset's keys")
    arguments.add_argument("--out", type=Path, required=True, help="the run's folder")
    command.add_training(arguments)
    given = arguments.parse_intermixed_args()

    def work() -> int:
        train_model(given.store, given.out, given.budget, given.seed, given.preset, given.settings)
        return DONE

    def check() -> None:
        training_config(given.budget, given.seed, given.preset, given.settings)
        command.require_published(given.store)

    return command.run(
        work,
        check=check,
        server=given.out / ".prefect",
    )


if __name__ == "__main__":
    sys.exit(main())
