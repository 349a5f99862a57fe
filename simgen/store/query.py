"""Which episodes, and which moments of them: queries on the catalog and its events.

Columns are read a row group at a time and only those that a query names, so a million episodes
take a second and what is kept of each is nine bytes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float32, UInt8, UInt32

from simgen.store.tables import Table

CAPTIONS = ("caption_short", "caption_dense", "caption_timeline")


class QueryError(ValueError):
    """The query cannot be asked, or nothing answers it; the message says what there is."""


@dataclass(frozen=True)
class Selection:
    """Episodes in index order, and moments where the query named an event.

    Attributes:
        index: Of each episode, as at the end of its name.
        row: In its bucket's arrays.
        code: Its bucket, a place in `buckets`.
        moment_of: Place in `index` of each moment's episode.
        moment: When the event begins, in frames from the clip's first, not rounded.
    """

    table: Table  # the catalog
    buckets: tuple[str, ...]
    index: UInt32[np.ndarray, " episode"]
    row: UInt32[np.ndarray, " episode"]
    code: UInt8[np.ndarray, " episode"]
    moment_of: UInt32[np.ndarray, " moment"] | None = None
    moment: Float32[np.ndarray, " moment"] | None = None

    def __len__(self) -> int:
        return len(self.index)

    def __repr__(self) -> str:
        moments = "" if self.moment is None else f", {len(self.moment)} moments"
        return f"Selection({len(self)} episodes of {', '.join(self.buckets)}{moments})"

    def name(self, place: int) -> str:
        """episode_id of one of the episodes."""
        rows = self.table.where(int(self.index[place]), ("episode_id",))
        return rows["episode_id"][0].as_py()

    @cached_property
    def episode_ids(self) -> list[str]:
        """Names of all of them, in order."""
        found = []
        for rows in self.table.scan(("index", "episode_id")):
            mask = np.isin(rows["index"].to_numpy(), self.index)
            found += rows["episode_id"].filter(mask).to_pylist()
        return found


def find(
    dataset,
    *,
    words: str | Sequence[str] = (),
    channels: Sequence[str] = (),
    event: str | None = None,
    bodies: str | Sequence[str] = (),
    **where: object,
) -> Selection:
    """Episodes that meet every condition.

    Args:
        words: Words or phrases, each of which one of the captions says; case does not matter.
        channels: Arrays that the episode must have.
        event: Kind that must happen in it: contact, landing, release, occlusion, ...
        bodies: One or two bodies that the event is of: names, or names without their number
            (`ball` is every `ball_0`, `ball_1`, ...).
        **where: Catalog column = value, or a collection of values that will do: family, split,
            engine, outcome, bucket, possible, ...
    Raises:
        QueryError: No such column, or a value that it cannot have.
    """
    table: Table = dataset.table("catalog")
    known = [name for name in table.columns if name not in CAPTIONS]
    if unknown := [name for name in where if name not in known]:
        raise QueryError(
            f"the catalog has no column {unknown[0]!r}; ask by {', '.join(known)}, words, "
            "channels, event or bodies"
        )
    if bodies and event is None:
        raise QueryError(f"bodies={bodies!r} are of an event; name it: event='contact'")
    names = _texts(words), _texts(channels), _texts(bodies)
    selection, rates = _episodes(table, where, *names[:2], rates=event is not None)
    if event is None:
        return selection
    return _with_moments(selection, rates, dataset.table("events"), event, names[2])


def _episodes(
    table: Table, where: dict, words: tuple[str, ...], channels: tuple[str, ...], *, rates: bool
) -> tuple[Selection, np.ndarray]:
    """Episodes, and the frame rate of each if asked for."""
    asked = ["index", "bucket", "row", *where, *["channels"] * bool(channels),
             *["frame_rate_hz"] * rates]  # fmt: skip
    buckets: dict[str, int] = {}
    kept: list[tuple[np.ndarray, ...]] = []
    for group in range(table.groups):
        rows = table.read(group, list(dict.fromkeys(asked)))
        mask = np.ones(rows.num_rows, bool)
        for name, value in where.items():
            mask &= _is_one_of(rows[name], name, value)
        if channels:
            mask &= _by_text(rows["channels"], lambda text: set(channels) <= set(text.split()))
        if words and mask.any():
            mask[mask] = _say(table.read(group, CAPTIONS).filter(mask), words)
        if mask.any():
            code = _codes(rows["bucket"], buckets)[mask]
            columns = [rows[name].to_numpy()[mask].astype(np.uint32) for name in ("index", "row")]
            rate = rows["frame_rate_hz"].to_numpy()[mask].astype(np.float32) if rates else code
            kept.append((*columns, code, rate))
    nothing = (np.empty(0, np.uint32),) * 2 + (np.empty(0, np.uint16),) * 2
    joined = [np.concatenate(arrays) for arrays in zip(*(kept or [nothing]), strict=True)]
    index, row, code, rate = joined
    names, code = _in_order(tuple(buckets), code)
    return Selection(table, names, index, row, code), rate


def _in_order(buckets: tuple[str, ...], code: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Buckets that are used, as they come and not as the catalog happens to number them."""
    used = np.flatnonzero(np.bincount(code, minlength=len(buckets)))
    order = sorted(used.tolist(), key=lambda number: int(np.argmax(code == number)))
    numbers = np.zeros(len(buckets), np.uint8 if len(used) <= 256 else np.uint16)
    numbers[order] = np.arange(len(order))
    return tuple(buckets[number] for number in order), numbers[code]


def _with_moments(
    episodes: Selection, rates: np.ndarray, table: Table, event: str, bodies: tuple[str, ...]
) -> Selection:
    """Of those episodes the ones in which it happens, and when."""
    places, moments = [], []
    seen: set[str] = set()
    columns = ["index", "kind", "start_s", *["body_a", "body_b"] * bool(bodies)]
    for rows in table.scan(columns):
        seen.update(pc.unique(rows["kind"]).to_pylist())
        mask = _is_one_of(rows["kind"], "kind", event)
        if bodies:
            mask &= _between(rows, bodies)
        index = rows["index"].to_numpy()[mask].astype(np.uint32)
        start_s = rows["start_s"].to_numpy()[mask]
        place = np.searchsorted(episodes.index, index)
        place[place == len(episodes)] = 0  # beyond the last: compared, and found to be another
        held = np.isfinite(start_s) & (len(episodes) > 0)
        held[held] &= episodes.index[place[held]] == index[held]
        places.append(place[held].astype(np.uint32))
        moments.append((start_s[held] * rates[place[held]]).astype(np.float32))
    if event not in seen:
        raise QueryError(f"no event {event!r}; the dataset has {', '.join(sorted(seen)) or 'none'}")
    place, moment = np.concatenate(places), np.concatenate(moments)
    happen, of = np.unique(place, return_inverse=True)
    buckets, code = _in_order(episodes.buckets, episodes.code[happen])
    return Selection(
        episodes.table, buckets, episodes.index[happen], episodes.row[happen], code,
        of.astype(np.uint32), moment,
    )  # fmt: skip


def _texts(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _is_one_of(column: pa.ChunkedArray, name: str, value: object) -> Bool[np.ndarray, " row"]:
    several = isinstance(value, Collection) and not isinstance(value, str | bytes)
    kind = column.type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    try:
        wanted = pa.array(list(value) if several else [value], kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise QueryError(f"{name}={value!r}: the column is of type {kind}") from error
    if pa.types.is_dictionary(column.type):
        allowed = set(wanted.to_pylist())
        return _by_text(column, allowed.__contains__)
    return pc.is_in(column, value_set=wanted).to_numpy()


def _by_text(column: pa.ChunkedArray, holds) -> Bool[np.ndarray, " row"]:
    """A condition on a text that repeats, asked once of each that there is."""
    masks = []
    for chunk in column.chunks:
        table = np.array([bool(holds(text)) for text in chunk.dictionary.to_pylist()], bool)
        masks.append(table[chunk.indices.to_numpy()])
    return np.concatenate(masks)


def _codes(column: pa.ChunkedArray, buckets: dict[str, int]) -> np.ndarray:
    codes = []
    for chunk in column.chunks:
        names = chunk.dictionary.to_pylist()
        table = np.array([buckets.setdefault(name, len(buckets)) for name in names], np.uint16)
        codes.append(table[chunk.indices.to_numpy()])
    return np.concatenate(codes)


def _say(captions: pa.Table, words: tuple[str, ...]) -> Bool[np.ndarray, " row"]:
    """Whether each word stands in one of the row's captions."""
    mask = np.ones(captions.num_rows, bool)
    for word in words:
        pattern = rf"\b{re.escape(word)}\b"
        said = np.zeros(captions.num_rows, bool)
        for name in captions.column_names:
            found = pc.match_substring_regex(captions[name], pattern, ignore_case=True)
            said |= found.fill_null(False).to_numpy()
        mask &= said
    return mask


def _between(rows: pa.Table, bodies: tuple[str, ...]) -> Bool[np.ndarray, " row"]:
    """Whether the event is of all of them."""
    if len(bodies) > 2:
        raise QueryError(f"bodies={bodies}: an event is of one body or two")
    a, b = ([_by_text(rows[side], lambda name, body=body: _is_body(name, body)) for body in bodies]
            for side in ("body_a", "body_b"))  # fmt: skip
    if len(bodies) == 1:
        return a[0] | b[0]
    return (a[0] & b[1]) | (a[1] & b[0])


def _is_body(name: str, wanted: str) -> bool:
    return name == wanted or re.sub(r"_\d+$", "", name) == wanted
