"""`simgen repair`: exactly what is wrong, made again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from simgen.terminal import INTEGRITY, ProgressBar, say


def repair(
    store: Annotated[str, typer.Argument(help="The dataset: folder or URL.", metavar="STORE")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be written.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Make again what `simgen verify` finds wrong, in every version, bit for bit.

    What cannot be made again is named, and the exit code is 4.

    Example: simgen repair balls.zarr --dry-run
    """
    from simgen.build.repair import repair as mend

    with ProgressBar("checking") as step:
        progress = (lambda done, parts: step(None, done, parts)) if step else None
        report = mend(store, dry_run=dry_run, progress=progress)
    would = "would write" if dry_run else "wrote"
    lines = [
        *map(str, report.mended),
        *map(str, report.lost),
        f"{report.url}: {would} {len(report.mended)} objects, {report.bytes:,} bytes; "
        f"{len(report.lost)} cannot be mended"
        if report.mended or report.lost
        else f"{report.url} is whole: nothing to mend in {len(report.versions)} versions",
    ]
    say(asdict(report) | {"bytes": report.bytes}, "\n".join(lines), as_json)
    if report.lost:
        raise typer.Exit(INTEGRITY)
