"""`simgen compact`: bytes that no version shows, deleted."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from simgen.terminal import say, working


def compact(
    store: Annotated[str, typer.Argument(help="The dataset: folder or URL.", metavar="STORE")],
    keep: Annotated[
        int | None, typer.Option(min=1, help="Expire all but so many of the newest versions.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Delete what no version names, and the bytes of removed episodes that none shows.

    Behind a URL nobody else may write meanwhile.

    Example: simgen compact balls.zarr --keep 1 --dry-run
    """
    from simgen.store.compact import compact as squeeze
    from simgen.store.compact import summary

    with working("compacting"):
        report = squeeze(store, keep=keep, dry_run=dry_run)
    say(asdict(report), summary(report), as_json)
