"""`simgen versions` and `simgen expire`: a dataset's history, and its end."""

from __future__ import annotations

from typing import Annotated

import typer

from simgen.terminal import say, working

Store = Annotated[str, typer.Argument(help="The dataset: folder or URL.", metavar="STORE")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def versions(store: Store, as_json: AsJson = False) -> None:
    """List a dataset's versions and what each changed.

    Example: simgen versions balls.zarr --json
    """
    from simgen.store import history

    told = history.history(store)
    say({"versions": told}, history.summary(told), as_json)


def expire(
    store: Store,
    numbers: Annotated[
        list[int] | None, typer.Argument(help="Versions to drop.", metavar="[VERSION]...")
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Instead: keep so many of the newest.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Drop old versions; the newest stays. `simgen compact` then deletes what only they held.

    Example: simgen expire balls.zarr --keep 2
    """
    from simgen.store import history

    with working("expiring"):
        dropped, freed = history.expire(store, numbers or (), keep=keep, dry_run=dry_run)
    would = "would expire" if dry_run else "expired"
    listed = ", ".join(map(str, dropped)) or "none"
    text = (
        f"{store}: {would} {listed}; `simgen compact {store}` then deletes {freed:,} bytes that "
        "no version names"
    )
    say({"expired": dropped, "bytes": freed, "dry_run": dry_run}, text, as_json)
