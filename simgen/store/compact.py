"""Deleting what no living version shows.

What no version names is swept. A part that holds removed episodes beside others is squeezed
(simgen.store.squeeze) as a new version, and swept when the versions before that have expired.
Nothing that is committed is ever rewritten, so a crash at any moment leaves each living version as
it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from simgen.store import commits, layout, mending, squeeze, versions
from simgen.store.objects import Objects
from simgen.store.versions import ConflictError, RequestError, Version

BUCKET = re.compile(r"t\d+_\d+x\d+")
FOLDERS = (layout.PARTS, layout.TABLES, layout.STATS)  # beside the buckets


@dataclass(frozen=True)
class Report:
    """What compaction did, or would do."""

    url: str
    version: int  # the newest afterwards
    expired: tuple[int, ...]
    swept: int  # objects
    swept_bytes: int
    squeezed: int  # parts
    dropped: int  # episodes that are in no part of the newest version any more
    moved: int  # episodes that got new rows
    moved_bytes: int  # of their new parts
    held_bytes: int  # that only older living versions name
    held_by: tuple[int, ...]
    dry_run: bool


def compact(place: str | Path, *, keep: int | None = None, dry_run: bool = False) -> Report:
    """Sweep what no living version names, and move episodes out of parts with removed ones.

    Only removed episodes that no living version shows lose their bytes.

    Args:
        place: The dataset's folder or URL. Behind a URL nobody else may write meanwhile.
        keep: Let all versions but this many of the newest expire, the one that this makes
            included.
        dry_run: Only say what would be done.
    Raises:
        RequestError: Nothing is committed there, or `keep` is less than 1.
        ConflictError: Another writer committed meanwhile.
        IntegrityError: Something that has to move is damaged; repair it first.
    """
    if keep is not None and keep < 1:
        raise RequestError(f"cannot keep {keep} versions; keep 1 or more")
    with commits.committing(place, dry_run=dry_run) as (out, newest):
        living = [versions.read(out, number) for number in versions.numbers(out)]
        commits.write_missing(out, mending.metadata(out, newest))  # as no commit came
        swept = _sweep(out, living)  # first, for leftovers may lie where new parts go
        found = squeeze.find(out, newest, living if keep is None else living[-keep:])
        moved_bytes = 0
        if found.parts:
            newest, moved_bytes = squeeze.commit(out, newest, found)
            living.append(newest)
        expired = living[:-keep] if keep is not None else []
        for version in expired:
            versions.forget(out, version.version)
        living = living[len(expired) :]
        swept |= _sweep(out, living)
        held_bytes = held(out, living[:-1], living[-1:])
    return Report(
        url=out.url,
        version=newest.version,
        expired=tuple(version.version for version in expired),
        swept=len(swept),
        swept_bytes=sum(swept.values()),
        squeezed=len(found.parts),
        dropped=len(found.dropped),
        moved=len(found.moved),
        moved_bytes=moved_bytes,
        held_bytes=held_bytes,
        held_by=tuple(version.version for version in living[:-1]) if held_bytes else (),
        dry_run=dry_run,
    )


def summary(told: Report) -> str:
    """The report as lines of text."""
    would = "would delete" if told.dry_run else "deleted"
    lines = [f"{told.url}: {would} {told.swept} objects, {told.swept_bytes:,} bytes"]
    if told.expired:
        lines.append(f"  expired versions {', '.join(map(str, told.expired))}")
    if told.squeezed:
        lines.append(
            f"  version {told.version}: {told.dropped} removed episodes left {told.squeezed} "
            f"parts, {told.moved} others moved to new parts of {told.moved_bytes:,} bytes"
        )
    if told.held_bytes:
        numbers = ", ".join(map(str, told.held_by))
        lines.append(
            f"  {told.held_bytes:,} bytes are only of older versions ({numbers}); "
            f"`simgen compact {told.url} --keep 1` lets those expire and deletes the bytes"
        )
    return "\n".join(lines)


def _named(out: Objects, living: Iterable[Version]) -> set[str]:
    """Keys of objects that those versions name, themselves included."""
    named: set[str] = set()
    for version in living:
        tables = {entry["key"] for entry in version.tables.values()}
        new = version.tables["parts"]["key"] not in named
        named |= {version.key, *version.metadata, *tables, layout.stats_path(version.version)}
        named |= {layout.copy_path(version.tables["removed"]["key"])}
        for key, _, marker in squeeze.markers(out, version) if new else ():
            named |= {key, *marker["objects"]}
    return named


def _sweep(out: Objects, living: list[Version]) -> dict[str, int]:
    """Delete what those versions do not name: keys and their bytes."""
    named = _named(out, living)
    swept = {k: n for k, n in out.list().items() if k not in named and _ours(k)}
    if swept:
        if versions.numbers(out)[-1] != living[-1].version:
            raise ConflictError(
                f"{out.url} got another version meanwhile; nothing was deleted; run it again"
            )
        out.delete(swept)
    return swept


def _ours(key: str) -> bool:
    """Whether it is of a kind that physreel writes: nothing else is ever deleted."""
    first, _, rest = key.partition("/")
    return bool(rest) and (first in FOLDERS or BUCKET.fullmatch(first) is not None)


def held(out: Objects, old: list[Version], staying: list[Version]) -> int:
    """Bytes that only the old versions name, their commits and statistics apart."""
    if not old:
        return 0
    only, sizes = _named(out, old) - _named(out, staying), out.list()
    apart = (f"{layout.VERSIONS}/", f"{layout.STATS}/")
    return sum(sizes[key] for key in only if key in sizes and not key.startswith(apart))
