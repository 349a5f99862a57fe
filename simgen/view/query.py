"""What the grid asks for: filters, an order and a page, as the part of an address after `?`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simgen.view.index import Field, Index

LIMIT, LIMIT_MAX = 48, 200
WORDS_MAX = 12


@dataclass(frozen=True)
class Query:
    """Episodes whose captions have all words (or that are so named), and whose fields are so.

    `sort` is a field's key, with a minus for the largest first; "" is the catalog's order.
    """

    words: tuple[str, ...] = ()
    among: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    between: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    sort: str = ""
    offset: int = 0
    limit: int = LIMIT


def parse(text: str, fields: Mapping[str, Field]) -> Query:
    """The query of an address.

        text=red+ball&is.split=test&is.split=val&in.margins.flight_s=1.2,&sort=-index&offset=48

    Raises:
        ValueError: A part is unknown or malformed; the message says which and what is allowed.
    """
    words: tuple[str, ...] = ()
    among: dict[str, tuple[str, ...]] = {}
    between: dict[str, tuple[float, float]] = {}
    rest: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=200):
        if name == "text":
            words = tuple(value.lower().split())[:WORDS_MAX]
        elif name.startswith("is."):
            key = _known(name[3:], fields, "category")
            among[key] = (*among.get(key, ()), value)
        elif name.startswith("in."):
            between[_known(name[3:], fields, "number")] = _range(name, value)
        elif name == "sort":
            if value:
                _known(value.removeprefix("-"), fields)
            rest["sort"] = value
        elif name in ("offset", "limit"):
            rest[name] = _whole(name, value, LIMIT_MAX if name == "limit" else 2**62)
        else:
            raise ValueError(
                f"unknown part {name!r} of a query; "
                "known: text, is.FIELD, in.FIELD, sort, offset, limit"
            )
    return Query(words, among, between, **rest)


def find(index: Index, query: Query) -> pa.Array:
    """Places in the catalog of all that the query asks for, in its order (int64)."""
    return _ordered(index, query, _masks(index, query))


def _ordered(index: Index, query: Query, masks: Mapping[str, pa.Array]) -> pa.Array:
    found = _all_of(list(masks.values()), index.count)
    places = pc.indices_nonzero(found).cast(pa.int64())
    if not query.sort:
        return places
    column = index.columns[query.sort.removeprefix("-")].take(places)
    order = "descending" if query.sort.startswith("-") else "ascending"
    return places.take(pc.array_sort_indices(column, order=order, null_placement="at_end"))


def page(index: Index, query: Query) -> dict[str, Any]:
    """One page: how many there are, its rows, and what else could be filtered by."""
    masks = _masks(index, query)
    places = _ordered(index, query, masks)
    shown = places[query.offset : query.offset + query.limit]
    rows = index.rows(shown.to_pylist())
    if query.sort:
        values = index.columns[query.sort.removeprefix("-")].take(shown).to_pylist()
        rows = [row | {"value": value} for row, value in zip(rows, values, strict=True)]
    return {
        "total": len(places), "offset": query.offset, "rows": rows, "facets": facets(index, masks),
    }  # fmt: skip


def facets(index: Index, masks: Mapping[str, pa.Array]) -> dict[str, dict[str, int]]:
    """Episodes for each value of each category, under all filters but its own."""
    counts = {}
    for key, known in index.fields.items():
        if known.kind == "category" and len(known.values) > 1:
            others = [mask for name, mask in masks.items() if name != key]
            found = index.columns[key].filter(_all_of(others, index.count))
            counted = pc.value_counts(found.drop_null()).to_pylist()
            counts[key] = {item["values"]: item["counts"] for item in counted}
    return counts


def _masks(index: Index, query: Query) -> dict[str, pa.Array]:
    """One mask a filter, by its field's key; words under their own."""
    masks = {}
    for word in query.words:
        found = pc.equal(pc.utf8_lower(index.ids), word)
        for text in index.texts:
            found = pc.or_(found, pc.match_substring(text, word))
        masks[f"text {word}"] = found
    for key, values in query.among.items():
        masks[key] = pc.is_in(index.columns[key], value_set=pa.array(values, pa.string()))
    for key, (low, high) in query.between.items():
        column = index.columns[key]
        inside = pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high))
        masks[key] = inside.fill_null(False)
    return masks


def _all_of(masks: list[pa.Array], count: int) -> pa.Array:
    found = pa.array(np.ones(count, bool))
    for mask in masks:
        found = pc.and_(found, mask)
    return found


def _known(key: str, fields: Mapping[str, Field], kind: str = "") -> str:
    if key not in fields:
        near = difflib.get_close_matches(key, fields, n=3) or sorted(fields)
        raise ValueError(f"unknown field {key!r}; known: {', '.join(near)}")
    if kind and fields[key].kind != kind:
        other = "in." if kind == "category" else "is."
        raise ValueError(f"{key} is a {fields[key].kind}; ask for it with {other}{key}=")
    return key


def _range(name: str, value: str) -> tuple[float, float]:
    low, comma, high = value.partition(",")
    try:
        ends = float(low or "-inf"), float(high or "inf")
    except ValueError:
        ends = (1.0, 0.0)
    if not comma or not ends[0] <= ends[1]:
        raise ValueError(f"{name}={value!r} is no range; give LOW,HIGH, either of them empty")
    return ends


def _whole(name: str, value: str, most: int) -> int:
    if not value.isdecimal() or int(value) > most:
        raise ValueError(f"{name}={value!r} is not a whole number from 0 to {most}")
    return int(value)
