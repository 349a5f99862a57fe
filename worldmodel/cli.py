"""The `worldmodel` command line; each command is thin over a plain function."""

# Our modules that need torch are imported by the command that uses them: --help is then instant.

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from simgen.terminal import FAILED, INTEGRITY, USAGE, run

app = typer.Typer(
    name="worldmodel",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
EXITS = "Exit codes: 0 done, 1 failure, 2 usage or data, 4 integrity, 130 interrupted."
UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")]


def seconds(text: str) -> float:
    """A duration such as 90s, 8m or 1.5h in seconds.

    >>> seconds("8m")
    480.0
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if not match or float(match[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no duration; write 90s, 8m or 1.5h")
    return float(match[1]) * UNITS_S[match[2]]


@app.callback(epilog=EXITS)
def worldmodel(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Train a world model on a dataset, roll it out, and hold it against the simulator."""


@app.command()
def train(
    store: Annotated[Path, typer.Argument(help="A finished dataset (`simgen build` makes one).")],
    out: Annotated[Path, typer.Argument(help="The run's folder; a run in it goes on.")],
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="preset=tiny|small|base|pro, and changes."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Train for about this long: 90s, 8m, 1.5h. Default: 8m.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a world model on a dataset's train split.

    Interrupt it and give the same command again: it goes on and ends with the same weights.

    \b
    worldmodel train demo.zarr runs/a                       the tiny preset, 8 minutes
    worldmodel train demo.zarr runs/b --budget 30m seed=1   longer, another seed
    worldmodel train demo.zarr runs/c steps=2000 optimizer.muon_rate=0.01
    """
    from worldmodel.presets import configure
    from worldmodel.progress import watch
    from worldmodel.train import CHECKPOINT
    from worldmodel.train import train as run_training

    changes = list(changes or [])
    preset = next((c.removeprefix("preset=") for c in changes if c.startswith("preset=")), "tiny")
    changes = [c for c in changes if not c.startswith("preset=")]
    if budget:
        changes.append(f"budget_s={seconds(budget)}")
    config = configure(preset, changes)
    with watch(quiet=as_json) as progress:
        done = run_training(store, out, config, progress=progress)
    result = {"checkpoint": str(out / CHECKPOINT), "step": done.step, "steps": done.steps}
    result |= {"elapsed_s": round(done.elapsed_s, 1)} | done.metrics
    text = f"{result['checkpoint']}: {done.step} steps, {done.elapsed_s:.0f} s of training"
    print(json.dumps(result) if as_json else text)


@app.command()
def rollout(
    checkpoint: Annotated[Path, typer.Argument(help="A run's checkpoint.safetensors.")],
    store: Annotated[Path, typer.Argument(help="A finished dataset that gives the context.")],
    out: Annotated[Path, typer.Argument(help="Where to write: a .npz of frames, or a .png strip.")],
    episode: Annotated[
        str | None, typer.Option(help="Episode id; default: first of --split.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split to take the episode from.")] = "test",
    context: Annotated[int, typer.Option(min=2, help="Frames given.")] = 6,
    horizon: Annotated[int, typer.Option(min=1, help="Frames predicted; any number.")] = 16,
    sampling_steps: Annotated[
        int, typer.Option(min=1, help="1: deterministic; more: a sample of what may happen.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Of the samples.")] = 0,
    as_json: Json = False,
) -> None:
    """Predict what follows the first frames of an episode.

    \b
    worldmodel rollout runs/a/checkpoint.safetensors demo.zarr strip.png
    worldmodel rollout runs/a/checkpoint.safetensors demo.zarr far.npz --horizon 200
    """
    from worldmodel.filmstrip import roll_episode

    result = roll_episode(
        checkpoint, store, out, episode=episode, split=split, context=context, horizon=horizon,
        sampling_steps=sampling_steps, seed=seed,
    )  # fmt: skip
    print(
        json.dumps(result) if as_json else f"{out}: {horizon} frames after {result['episode_id']}"
    )


@app.command()
def evaluate(
    store: Annotated[Path, typer.Argument(help="A finished dataset with train, val and --split.")],
    out: Annotated[Path, typer.Argument(help="Folder for verdict.json, metrics and report.html.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="A run's checkpoint.safetensors; none: the baselines alone.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split to judge on.")] = "test",
    clips: Annotated[
        int | None, typer.Option(min=1, help="The split's first so many episodes.")
    ] = None,
    context: Annotated[int, typer.Option(min=2, help="Frames given.")] = 6,
    horizon: Annotated[int, typer.Option(min=1, help="Frames predicted.")] = 16,
    probe: Annotated[
        Path | None, typer.Option(help="A probe.safetensors to reuse; default: fit one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Hold a model's rollouts, and the baselines', against the simulator.

    \b
    worldmodel evaluate demo.zarr runs/a/verdict --checkpoint runs/a/checkpoint.safetensors
    worldmodel evaluate demo.zarr baselines --horizon 32          without a model
    """
    from worldmodel.evaluate import evaluate as judge
    from worldmodel.progress import watch_clips
    from worldmodel.verdict.summary import sentences
    from worldmodel.verdict.table import as_rich

    with watch_clips(quiet=as_json) as progress:
        verdict = judge(
            checkpoint, store, out, split=split, clips=clips, context=context, horizon=horizon,
            probe=probe, command=shlex.join(["worldmodel", *sys.argv[1:]]), progress=progress,
        )  # fmt: skip
    if as_json:
        print(json.dumps(verdict))
        return
    console = Console(soft_wrap=True, highlight=False)
    console.print(as_rich(verdict))
    console.print("\n".join(sentences(verdict)), markup=False)
    console.print(f"report: {out / 'report.html'}", markup=False)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="What `worldmodel evaluate` wrote.")],
    as_json: Json = False,
) -> None:
    """Write report.html again from a verdict's files, without predicting anything.

    \b
    worldmodel report runs/a/verdict
    """
    from worldmodel.verdict.report import write_report

    path = write_report(folder)
    print(json.dumps({"report": str(path)}) if as_json else path)


# by name: importing the classes would import torch for every --help
EXIT_CODES = {
    "PresetError": USAGE,
    "DataError": USAGE,
    "OtherRunError": USAGE,
    "FileNotFoundError": USAGE,
    "FrameSizeError": USAGE,
    "ClipError": USAGE,
    "EvaluationError": USAGE,
    "ProbeError": USAGE,
    "ReportError": USAGE,
    "TrainingError": FAILED,
    "UnreadableError": INTEGRITY,  # no dataset there, or an unfinished one
    "CheckpointError": INTEGRITY,
    "IntegrityError": INTEGRITY,
}


def exit_code(error: Exception) -> int:
    """What an exception means for the shell."""
    return EXIT_CODES.get(type(error).__name__, FAILED)


def main() -> None:
    """Run the command line and exit with the documented code."""
    sys.exit(run(app, "worldmodel", sys.argv[1:], exit_code))


if __name__ == "__main__":
    main()
