"""A dataset's versions: what each changed, and expiring those that nobody needs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from simgen.store import commits, compact, reader, versions
from simgen.store.objects import objects_at
from simgen.store.versions import RequestError, UnknownVersionError, Version


def history(place: str | Path) -> list[dict]:
    """Every version, oldest first, as plain JSON values.

    Raises:
        UnreadableError: No dataset of ours there.
        IntegrityError: A commit is damaged.
    """
    out = objects_at(place)
    reader.root_attributes(out)
    return [entry(versions.read(out, number)) for number in versions.numbers(out)]


def entry(version: Version) -> dict:
    """A version's line of the history."""
    names = ("version", "change", "episodes", "quarantined", "removed", "bytes")
    return {name: getattr(version, name) for name in names}


def summary(told: list[dict]) -> str:
    """The history as lines of text."""
    return "\n".join(
        f"{one['version']:>4}  {_change(one['change']):<40} {one['episodes']:>9} episodes, "
        f"{one['quarantined']} quarantined, {one['removed']} removed, {one['bytes']:,} bytes"
        for one in told
    )


def _change(change: dict) -> str:
    told = (change["kind"], change.get("layer"), change.get("episodes"))
    said = " ".join(str(word) for word in told if word is not None)
    return f"{said}: {change['reason']}" if change.get("reason") else said


def expire(
    place: str | Path,
    numbers: Iterable[int] = (),
    *,
    keep: int | None = None,
    dry_run: bool = False,
) -> tuple[list[int], int]:
    """Drop versions, never the newest; their bytes stay until simgen.store.compact.

    Args:
        numbers: Those to drop; those that are gone already are no error.
        keep: Instead: drop all but this many of the newest.
        dry_run: Only say which.
    Returns:
        The versions that were dropped, and the bytes that none of the others names.
    Raises:
        RequestError: The newest is among them, or nothing was asked.
        UnknownVersionError: A number is of a version to come.
        LockedError: Another process writes there.
    """
    asked = list(numbers)
    if (keep is None) != bool(asked) or (keep is not None and keep < 1):
        raise RequestError("say which versions to expire, or how many to keep (1 or more)")
    with commits.committing(place, dry_run=dry_run) as (out, newest):
        held = versions.numbers(out)
        if keep is not None:
            asked = held[:-keep]
        if newest.version in asked:
            raise RequestError(
                f"version {newest.version} is the newest of {out.url} and cannot be expired; "
                "commit another first, or delete the dataset"
            )
        if unknown := [number for number in asked if not 0 < number < newest.version]:
            known = ", ".join(map(str, held))
            raise UnknownVersionError(f"{out.url} has no version {unknown[0]}; it has {known}")
        dropped = [number for number in held if number in asked]
        old = [versions.read(out, number) for number in dropped]
        staying = [versions.read(out, number) for number in held if number not in dropped]
        freed = compact.held(out, old, staying)
        for number in dropped:
            versions.forget(out, number)
    return dropped, freed
