"""Taking episodes out of a dataset with a reason, and back in, each as a new version.

Nothing is deleted: older versions show what they showed. simgen.store.compact deletes, once no
version shows it any more.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simgen.store import catalog, commits, versions
from simgen.store.objects import Objects
from simgen.store.versions import REMOVED_SCHEMA, RequestError, Version

NAMED = 3  # episodes that a message tells by name


def remove(
    place: str | Path, episode_ids: Sequence[str], *, reason: str, dry_run: bool = False
) -> Version:
    """A version without those episodes, or the newest if it has none of them.

    Args:
        place: The dataset's folder or URL.
        episode_ids: Those that are removed already are left as they are.
        reason: Kept in the table `removed`.
        dry_run: Only say which version it would be.
    Raises:
        RequestError: Nothing is committed there, or an id is of no episode.
        LockedError, ConflictError: Another process writes there.
        IntegrityError: What is published is damaged.
    """
    if not reason.strip():
        raise RequestError("removing episodes needs a reason that says why; give --reason TEXT")
    with commits.committing(place, dry_run=dry_run) as (out, before):
        shown = versions.table(out, before, "catalog")
        removed = versions.table(out, before, "removed")
        columns = (shown[name].to_pylist() for name in ("episode_id", "index"))
        index_of = dict(zip(*columns, strict=True))
        _require_known(out, episode_ids, {*index_of, *removed["episode_id"].to_pylist()})
        gone = [name for name in dict.fromkeys(episode_ids) if name in index_of]
        if not gone:
            return before
        rows = [
            {"episode_id": name, "index": index_of[name], "reason": reason,
             "version": before.version + 1}
            for name in gone
        ]  # fmt: skip
        added = pa.Table.from_pylist(rows, REMOVED_SCHEMA)
        return commits.commit(
            out,
            before,
            change={"kind": "remove", "episodes": len(gone), "reason": reason},
            tables={
                "catalog": _without(shown, gone),
                "events": _without(versions.table(out, before, "events"), gone),
                "removed": _in_order(pa.concat_tables([removed, added])),
            },
        )


def restore(place: str | Path, episode_ids: Sequence[str], *, dry_run: bool = False) -> Version:
    """A version that shows those removed episodes again, or the newest if it does.

    Raises:
        RequestError: An id is of no episode, or compaction has deleted its bytes.
        LockedError, ConflictError, IntegrityError: As remove().
    """
    with commits.committing(place, dry_run=dry_run) as (out, before):
        shown = versions.table(out, before, "catalog")
        removed = versions.table(out, before, "removed")
        known = {*shown["episode_id"].to_pylist(), *removed["episode_id"].to_pylist()}
        _require_known(out, episode_ids, known)
        back = [n for n in removed["episode_id"].to_pylist() if n in set(episode_ids)]
        if not back:
            return before
        found = _of_markers(out, before, back)
        if missing := sorted(set(back) - set(found["catalog"]["episode_id"].to_pylist())):
            raise RequestError(
                f"{_named(missing)}: compaction has deleted the bytes; no version of {out.url} "
                "can show them again"
            )
        events = versions.table(out, before, "events")
        return commits.commit(
            out,
            before,
            change={"kind": "restore", "episodes": len(back)},
            tables={
                "catalog": _in_order(pa.concat_tables([shown, found["catalog"]])),
                "events": _in_order(pa.concat_tables([events, found["events"]])),
                "removed": _without(removed, back),
            },
        )


def _of_markers(out: Objects, version: Version, names: Collection[str]) -> dict[str, pa.Table]:
    """Rows of catalog and events of those episodes, from the parts that hold them."""
    wanted, found = set(names), []
    for row in versions.table(out, version, "parts").to_pylist():
        marker = json.loads(out.get(row["key"]))
        if here := {r["episode_id"] for r in marker["episodes"]} & wanted:
            others = {r["episode_id"] for r in marker["episodes"]} - here
            found.append(catalog.tables([marker], without=others))
            wanted -= here
        if not wanted:
            break
    empty = catalog.tables([])
    return {name: pa.concat_tables([empty[name], *(t[name] for t in found)]) for name in empty}


def _require_known(out: Objects, given: Iterable[str], known: Collection[str]) -> None:
    if unknown := [name for name in given if name not in known]:
        raise RequestError(
            f"{out.url} has no episode {_named(unknown)}; ids are in its catalog, such as "
            f"{min(known, default='none')!r}"
        )


def _named(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(map(repr, names[:NAMED])) + (f" and {more} more" if more > 0 else "")


def _without(table: pa.Table, names: Collection[str]) -> pa.Table:
    gone = pc.is_in(table["episode_id"], value_set=pa.array(sorted(names), pa.string()))
    return table.filter(pc.invert(gone))


def _in_order(table: pa.Table) -> pa.Table:
    """By index; the rows of one episode keep their order."""
    return table.take(np.argsort(table["index"].to_numpy(), kind="stable"))
