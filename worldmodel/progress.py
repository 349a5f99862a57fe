"""Progress of a training run: a bar on a terminal, nothing anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from worldmodel.train import Run


@contextmanager
def watch(*, quiet: bool = False) -> Iterator[Callable[[Run], None] | None]:
    """A callback for `train`; None where nobody looks."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("training", total=None)

        def show(run: Run) -> None:
            share = run.step / run.steps if run.steps else run.elapsed_s / run.config.budget_s
            text = f"step {run.step}  loss {run.metrics['loss']:.4f}"
            bar.update(task, total=1.0, completed=share, description=text)

        yield show
