"""What a flow says while it runs: one console on stderr, plain lines where there is no terminal."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

console = Console(stderr=True, highlight=False)
LINE_EVERY_S = 30.0  # of progress, off a terminal
WIDTH = 120  # of results, off a terminal


def say(message: str) -> None:
    """Print a message as it stands: markup characters in it are text."""
    console.print(message, markup=False, soft_wrap=True)


def show_result(*results: RenderableType) -> None:
    """Print what was asked for, on stdout."""
    out = Console(highlight=False, markup=False)
    if not out.is_terminal:
        out.width = WIDTH
    for result in results:
        out.print(result)


class Counter:
    """How far one stage is."""

    def __init__(self, label: str, total: int, bar: Progress | None = None):
        self.label, self.total, self.bar, self.done = label, total, bar, 0
        self.said_at = time.monotonic()
        self.row = bar.add_task(label, total=total or None) if bar else None

    def reach(self, done: int, total: int = 0, note: str = "") -> None:
        """Show that so much is done, of a total that may only be known by now."""
        self.done, self.total = done, total or self.total
        label = f"{self.label} ({note})" if note else self.label
        if self.bar:
            self.bar.update(self.row, completed=done, total=self.total, description=label)
        elif time.monotonic() - self.said_at > LINE_EVERY_S:
            self.said_at = time.monotonic()
            say(f"{label}: {done} of {self.total}")

    def advance(self, by: int = 1) -> None:
        self.reach(self.done + by)


@contextmanager
def counting(label: str, total: int) -> Iterator[Counter]:
    """A progress bar on a terminal; off one, a plain line now and then. Total 0: not yet known."""
    if not console.is_terminal:
        yield Counter(label, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as bar:
        yield Counter(label, total, bar)


def share_console() -> None:
    """Let Prefect's log lines go through our console, so that they never cut a progress bar."""
    for name in ("prefect", "prefect.flow_runs", "prefect.task_runs"):
        for handler in logging.getLogger(name).handlers:
            if hasattr(handler, "console"):
                handler.console = console
