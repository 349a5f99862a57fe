"""Progress of training and judging: a bar on a terminal, nothing anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from worldmodel.train import Run


@contextmanager
def watch(*, quiet: bool = False) -> Iterator[Callable[[Run], None] | None]:
    """A callback for `train`; None where nobody looks."""
    with _bar("training", quiet=quiet) as update:

        def show(run: Run) -> None:
            share = run.step / run.steps if run.steps else run.elapsed_s / run.config.budget_s
            text = f"step {run.step}  loss {run.metrics['loss']:.4f}"
            update(total=1.0, completed=share, description=text)

        yield show if update else None


@contextmanager
def watch_clips(*, quiet: bool = False) -> Iterator[Callable[[int, int], None] | None]:
    """A callback for `evaluate`; None where nobody looks."""
    with _bar("fitting the probe", quiet=quiet) as update:

        def show(done: int, total: int) -> None:
            update(total=total, completed=done, description=f"clip {done} of {total}")

        yield show if update else None


@contextmanager
def _bar(begins_as: str, *, quiet: bool) -> Iterator[Callable[..., None] | None]:
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield partial(bar.update, bar.add_task(begins_as, total=None))
