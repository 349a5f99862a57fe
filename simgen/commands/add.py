"""`simgen add`: more episodes of a dataset's recipe, as a new version."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from simgen.terminal import QUARANTINED, ProgressBar, say


def add(
    store: Annotated[str, typer.Argument(help="The dataset: folder or URL.", metavar="STORE")],
    episodes: Annotated[
        str, typer.Argument(help="How many it shall have, or +N for N more.", metavar="EPISODES")
    ],
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 works in this one.")] = 2,
    scheduler: Annotated[str | None, typer.Option(help="A running Dask scheduler.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Add episodes of the dataset's own recipe as a new version; the old one stays readable.

    Example: simgen add balls.zarr +1000
    """
    from simgen.build import add as make_more

    if not episodes.removeprefix("+").isdecimal():
        raise typer.BadParameter(f"{episodes!r} is no number of episodes; give 2000 or +1000")
    count = int(episodes)
    with ProgressBar() as step:
        report = make_more(
            store,
            **({"more": count} if episodes.startswith("+") else {"episodes": count}),
            workers=workers,
            scheduler=scheduler,
            progress=step,
        )
    text = (
        f"{report.out} version {report.version}: {report.episodes} episodes, "
        f"{report.quarantined} quarantined, {report.bytes / 1e6:.1f} MB; "
        f"{report.parts_run} parts made in {report.seconds:.1f} s"
    )
    say(asdict(report), text, as_json)
    if report.quarantined:
        raise typer.Exit(QUARANTINED)
