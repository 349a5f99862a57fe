"""The catalog as columns that can be filtered and sorted: JSON columns laid out, events counted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simgen.store.reader import Dataset
from simgen.store.tables import Table
from simgen.view.pictures import sheets_of, size_of, thumb_of

JSON_COLUMNS = ("parameters", "margins", "quality", "twin")
TEXTS = ("caption_short", "caption_dense")
LONG = {  # not read
    "clauses", "bodies", "hashes", "caption_timeline", "caption_false", "actions", "views",
    "wordings",
}  # fmt: skip
# what nobody sorts by: the same in every row, or only a reader's business
LEFT_OUT = {
    *JSON_COLUMNS, *TEXTS, "episode_id", "seed", "row", "group", "shots", "state_size", "channels",
    "content_hash", "simgen_version", "engine_version", "cpu",
}  # fmt: skip
VALUES_MAX, LETTERS_MAX = 60, 60  # of a category; what has more is text, not a choice
BINS = 24
GROUPS = ("episode", "events", "margins", "parameters", "twin", "quality")


@dataclass(frozen=True)
class Field:
    """One thing to filter and sort by: `margins.flight_s`, `events.contact`, `family`."""

    key: str
    group: str
    kind: str  # category or number
    values: tuple[str, ...] = ()  # of a category, most frequent first
    low: float = 0.0
    high: float = 0.0
    whole: bool = False  # every value is a whole number
    bins: tuple[int, ...] = ()  # episodes in equal steps from low to high


class Index:
    """The columns of a dataset's catalog, made once; pages of it are queries (view/query.py)."""

    def __init__(self, dataset: Dataset):
        table = dataset.table("catalog")
        catalog = read_columns(table, [name for name in table.columns if name not in LONG])
        self.count = len(catalog["episode_id"])
        self.ids = catalog["episode_id"]
        self.captions = catalog["caption_short"]
        self.texts = [pc.utf8_lower(catalog[name].fill_null("")) for name in TEXTS]
        self.groups = catalog["group"]
        columns = {
            name: _column(column)
            for name, column in catalog.items()
            if name not in LEFT_OUT and not pa.types.is_nested(column.type)
        }
        columns |= _shots(catalog["shots"].to_pylist())
        columns |= _durations(columns)
        columns |= _event_counts(catalog["index"], dataset.table("events"))
        for name in JSON_COLUMNS:
            columns |= _laid_out(name, catalog[name].to_pylist())
        described = {key: _field(key, column) for key, column in columns.items()}
        self.fields = {
            key: field
            for key, field in sorted(described.items(), key=lambda item: _order(item[0]))
            if field is not None
        }
        self.columns = {key: columns[key] for key in self.fields}

    def number(self, episode_id: str) -> int:
        """The episode's place in the catalog.

        Raises:
            KeyError: It is not there.
        """
        place = pc.index(self.ids, pa.scalar(episode_id)).as_py()
        if place < 0:
            raise KeyError(f"episode {episode_id!r} is not in the catalog")
        return place

    def siblings(self, number: int) -> list[int]:
        """Places of the episodes of the same draw, itself included."""
        if not self.groups[number].is_valid:
            return [number]
        return pc.indices_nonzero(pc.equal(self.groups, self.groups[number])).to_pylist()

    def rows(self, numbers: Iterable[int]) -> list[dict[str, Any]]:
        """What a card of the grid says of each episode."""
        wanted = pa.array(list(numbers), pa.int64())
        shown = ("family", "split", "engine", "outcome", "bucket", "possible", "twin.kind")
        taken = {
            key: self.columns[key].take(wanted).to_pylist() for key in shown if key in self.columns
        }
        captions = self.captions.take(wanted).to_pylist()
        rate = self.columns["frame_rate_hz"].take(wanted).to_pylist()
        rows = []
        for n, name in enumerate(self.ids.take(wanted).to_pylist()):
            facts = {key: column[n] for key, column in taken.items()}
            sizes = {
                "thumb": asdict(thumb_of(facts["bucket"])),
                "sheets": asdict(sheets_of(facts["bucket"])),
            }
            rows.append(
                {"id": name, "caption": captions[n] or "", "rate": rate[n], **facts, **sizes}
            )
        return rows

    def described(self) -> list[dict[str, Any]]:
        """The fields as JSON."""
        return [asdict(field) for field in self.fields.values()]


def read_columns(table: Table, names: list[str]) -> dict[str, pa.Array]:
    """Columns of a stored table, whole, their text plain: nothing else of it is read."""
    groups = list(table.scan(names))
    made = {}
    for name in names:
        joined = pa.chunked_array([chunk for group in groups for chunk in group[name].chunks])
        if pa.types.is_dictionary(joined.type):
            joined = joined.cast(joined.type.value_type)
        made[name] = joined.combine_chunks()
    return made


def _column(column: pa.Array) -> pa.Array:
    """Numbers as float64, the rest as text; what is not a number is null."""
    if pa.types.is_boolean(column.type):
        return pc.if_else(column, "yes", "no")
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return _numbers(column.cast(pa.float64()))
    return column.cast(pa.string())


def _numbers(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_finite(column), column, pa.scalar(None, pa.float64()))


def _laid_out(name: str, texts: list[str | None]) -> dict[str, pa.Array]:
    """A JSON column as one column a key: numbers where all values are, else categories."""
    columns: dict[str, list[Any]] = {}
    for row, text in enumerate(texts):
        if text:
            for key, value in json.loads(text).items():
                if key not in columns:
                    columns[key] = [None] * len(texts)
                columns[key][row] = value
    if name == "twin" and columns:
        columns["kind"] = [kind or "original" for kind in columns["kind"]]
        columns.pop("possible", None)  # a column of its own
    made = {f"{name}.{key}": _values(values) for key, values in columns.items()}
    return {key: column for key, column in made.items() if column is not None}


def _values(values: list[Any]) -> pa.Array | None:
    values = [None if value == "" else value for value in values]
    kinds = {type(value) for value in values} - {type(None)}
    if not kinds or kinds & {list, dict}:
        return None
    if kinds <= {int, float}:
        return _numbers(pa.array(values, pa.float64()))
    words = {True: "yes", False: "no"}
    return pa.array(
        [None if v is None else words[v] if isinstance(v, bool) else str(v) for v in values]
    )


def _shots(texts: list[str | None]) -> dict[str, pa.Array]:
    """How many shots, and which camera moves they have."""
    lists = [json.loads(text) if text else [] for text in texts]
    moves = [" + ".join(dict.fromkeys(shot["move"] for shot in shots)) for shots in lists]
    return {
        "shots": pa.array([len(shots) for shots in lists], pa.float64()),
        "camera": pa.array(moves, pa.string()),
    }


def _durations(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    frames = {name: size_of(name)[0] for name in pc.unique(columns["bucket"]).to_pylist()}
    counts = pa.array([frames[name] for name in columns["bucket"].to_pylist()], pa.float64())
    return {"duration_s": pc.divide(counts, columns["frame_rate_hz"])}


def _event_counts(indices: pa.Array, events: Table) -> dict[str, pa.Array]:
    """Events of every kind in each episode, both tables in the order of `index`."""
    if not events.rows:
        return {}
    found = read_columns(events, ["index", "kind"])
    kinds = found["kind"].dictionary_encode()
    rows = np.searchsorted(np.asarray(indices), np.asarray(found["index"]))
    names = kinds.dictionary.to_pylist()
    flat = rows * len(names) + np.asarray(kinds.indices)
    counts = np.bincount(flat, minlength=len(indices) * len(names)).reshape(-1, len(names))
    return {f"events.{kind}": pa.array(counts[:, n].astype(float)) for n, kind in enumerate(names)}


def _field(key: str, column: pa.Array) -> Field | None:
    """The field of a column; None for text with too many values."""
    group = key.split(".")[0] if "." in key else "episode"
    if pa.types.is_string(column.type):
        counts = pc.value_counts(column.drop_null())
        if not 0 < len(counts) <= VALUES_MAX:
            return None
        ranked = sorted(counts.to_pylist(), key=lambda item: (-item["counts"], item["values"]))
        if max(len(item["values"]) for item in ranked) > LETTERS_MAX:
            return None
        return Field(key, group, "category", tuple(item["values"] for item in ranked))
    found = np.asarray(column.drop_null())
    if not len(found):
        return None
    bins, _ = np.histogram(found, bins=BINS)
    ends = float(found.min()), float(found.max())
    whole = bool((found == np.round(found)).all())
    return Field(key, group, "number", (), *ends, whole, tuple(bins.tolist()))


def _order(key: str) -> tuple[int, int]:
    first = (
        "family",
        "outcome",
        "split",
        "engine",
        "camera",
        "shots",
        "possible",
        "bucket",
        "index",
    )
    group = key.split(".")[0] if "." in key else "episode"
    return GROUPS.index(group), first.index(key) if key in first else len(first)
