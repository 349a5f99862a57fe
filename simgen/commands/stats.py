"""`simgen stats`: a dataset in numbers."""

from __future__ import annotations

from typing import Annotated

import typer

from simgen.terminal import say, working


def stats(
    store: Annotated[str, typer.Argument(help="The dataset: folder or URL.", metavar="STORE")],
    version: Annotated[int | None, typer.Option(min=1, help="Of the dataset.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Threads.")] = 2,
    scheduler: Annotated[str | None, typer.Option(help="A running Dask scheduler.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Least, largest, mean and deviation of every channel, and counts of episodes and events.

    Computed once for each version and stored in the dataset.

    Example: simgen stats balls.zarr --json
    """
    from simgen.store.survey import compute, summary

    with working("reading every part (only the first time)"):
        told = compute(store, version=version, workers=workers, scheduler=scheduler)
    say(told, summary(told), as_json)
