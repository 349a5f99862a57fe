"""What command lines share: output, progress, and exceptions turned into exit codes."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import typer

DONE, FAILED, USAGE, QUARANTINED, INTEGRITY, INTERRUPTED = 0, 1, 2, 3, 4, 130
# click's ClickException; newer typers bring a click of their own that has no public name
COMMAND_LINE_ERROR = typer.BadParameter.__mro__[2]


def run(
    app: typer.Typer,
    name: str,
    arguments: Sequence[str],
    exit_code: Callable[[Exception], int],
) -> int:
    """The exit code of the command line; an exception is one line on stderr unless --debug.

    Args:
        exit_code: What the program's own exceptions mean.
    """
    debug = "--debug" in arguments
    given = [argument for argument in arguments if argument != "--debug"]
    try:
        code = app(given, prog_name=name, standalone_mode=False) or DONE
    except COMMAND_LINE_ERROR as error:
        error.show()
        return USAGE
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(f"{name}: {str(error) or type(error).__name__}", file=sys.stderr)
        return exit_code(error)
    if code == INTERRUPTED:
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
    return code


def say(facts: dict, text: str, as_json: bool) -> None:
    """The result, the only thing on stdout."""
    print(json.dumps(facts, indent=2, default=str) if as_json else text)


def working(what: str) -> Any:
    """A spinner on a terminal's stderr; nothing elsewhere."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(what)


class ProgressBar:
    """Parts done on a terminal's stderr; nothing elsewhere. Enters as build's `progress`."""

    def __init__(self, doing: str = "building"):
        self.doing = doing

    def __enter__(self) -> Any:
        if not sys.stderr.isatty():
            return None
        from rich.console import Console
        from rich.progress import Progress

        self.bar = Progress(console=Console(stderr=True), transient=True)
        self.bar.start()
        self.task = self.bar.add_task("starting (the first time compiles)", total=None)
        return self.step

    def step(self, report: Any, done: int, parts: int) -> None:
        self.bar.update(self.task, completed=done, total=parts, description=self.doing)

    def __exit__(self, *error: object) -> None:
        if hasattr(self, "bar"):
            self.bar.stop()
