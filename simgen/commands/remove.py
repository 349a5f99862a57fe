"""`simgen remove` and `simgen restore`: episodes out of a dataset, and back in."""

from __future__ import annotations

from typing import Annotated

import typer

from simgen.terminal import say, working

Store = Annotated[str, typer.Argument(help="The dataset: folder or URL.", metavar="STORE")]
Ids = Annotated[list[str], typer.Argument(help="Episode ids.", metavar="ID...")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def remove(
    store: Store,
    ids: Ids,
    reason: Annotated[str, typer.Option(help="Why; kept in the dataset.")],
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take episodes out, as a new version; older versions still show them.

    Their bytes stay until `simgen compact` finds that no version shows them any more.

    Example: simgen remove balls.zarr 3f2a9c01-000012 --reason "ball leaves the picture"
    """
    from simgen.store import history, tombstones

    with working("removing"):
        version = tombstones.remove(store, ids, reason=reason, dry_run=dry_run)
    told = history.entry(version)
    say(told | {"dry_run": dry_run}, _text(store, told, dry_run=dry_run), as_json)


def restore(store: Store, ids: Ids, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Show removed episodes again, as a new version.

    Example: simgen restore balls.zarr 3f2a9c01-000012
    """
    from simgen.store import history, tombstones

    with working("restoring"):
        version = tombstones.restore(store, ids, dry_run=dry_run)
    told = history.entry(version)
    say(told | {"dry_run": dry_run}, _text(store, told, dry_run=dry_run), as_json)


def _text(store: str, told: dict, *, dry_run: bool) -> str:
    has = "would have" if dry_run else "has"
    return (
        f"{store} version {told['version']} {has} {told['episodes']} episodes, "
        f"{told['removed']} removed"
    )
