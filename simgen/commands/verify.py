"""`simgen verify`: every byte against the hashes taken when it was written."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from simgen.terminal import INTEGRITY, ProgressBar, say

MEND = "to do: `simgen repair` makes exactly these anew, bit for bit"


def verify(
    store: Annotated[str, typer.Argument(help="The dataset: folder or URL.", metavar="STORE")],
    sample: Annotated[
        str, typer.Option(help="Share to simulate again and compare: 1% or 0.01.")
    ] = "0",
    version: Annotated[int | None, typer.Option(min=1, help="The newest by default.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="That read and hash.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Check every byte of a dataset against the hashes taken when it was written.

    Example: simgen verify balls.zarr --sample 1%
    """
    from simgen.episode import make_episode
    from simgen.store.verify import verify as check

    fraction = share(sample)
    with ProgressBar("checking") as step:
        progress = (lambda done, parts: step(None, done, parts)) if step else None
        report = check(
            store, version=version, sample=fraction, make=make_episode, threads=threads,
            progress=progress,
        )  # fmt: skip
    again = f", {len(report.resimulated)} simulated again" if report.resimulated else ""
    text = (
        f"{report.url} version {report.version} is complete: {report.episodes} episodes, "
        f"{report.objects} objects, {report.bytes / 1e6:.1f} MB, every hash as written{again}"
    )
    problems = "\n".join([*map(str, report.problems), MEND])
    say(asdict(report) | {"intact": report.intact}, text if report.intact else problems, as_json)
    if not report.intact:
        raise typer.Exit(INTEGRITY)


def share(text: str) -> float:
    """A share from 0 to 1 as people write it.

    >>> share("1%"), share("0.5")
    (0.01, 0.5)
    """
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise typer.BadParameter(f"{text!r} is no share; give 1% or a number from 0 to 1")
    return value
