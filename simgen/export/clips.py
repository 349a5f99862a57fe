"""What an export carries: episodes chosen from a dataset, each with its frames, truth and facts."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, UInt8

from simgen.exchange import ExchangeError
from simgen.export.video import exact_rate
from simgen.preview import coloured
from simgen.store.layout import ArraySpec
from simgen.store.metadata import stored_specs
from simgen.store.reader import Dataset

JSON_COLUMNS = ("shots", "clauses", "parameters", "margins", "bodies", "actions", "quality", "twin")
COMPARISONS = {
    "!=": operator.ne, ">=": operator.ge, "<=": operator.le, "=": operator.eq,
    ">": operator.gt, "<": operator.lt, "~": lambda text, part: part.lower() in text.lower(),
}  # fmt: skip
CONDITION = re.compile(r"\s*(\w+)\s*(!=|>=|<=|=|>|<|~)(.*)")


@dataclass(frozen=True)
class Clip:
    """One episode. Nothing is read before it is asked for."""

    dataset: Dataset
    row: dict  # of the catalog, JSON columns decoded
    specs: dict[str, ArraySpec]  # of its bucket

    @property
    def episode_id(self) -> str:
        return self.row["episode_id"]

    @property
    def split(self) -> str:
        return self.row["split"]

    @cached_property
    def frame_rate(self) -> Fraction:
        return exact_rate(self.row["frame_rate_hz"])

    @property
    def frames(self) -> int:
        return self._picture.shape[0]

    @property
    def height(self) -> int:
        return self._picture.shape[1]

    @property
    def width(self) -> int:
        return self._picture.shape[2]

    @property
    def bodies(self) -> list[dict]:
        return self.row["bodies"]

    @property
    def _picture(self) -> ArraySpec:
        return next(spec for spec in self.specs.values() if spec.is_video)

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Names of those that it has."""
        held = self.dataset.channels(self.episode_id)
        return tuple(name for name in held if self.specs[name].is_video)

    def channel(self, name: str) -> np.ndarray:
        """Frames of a channel as stored (time, height, width, channel)."""
        return self.dataset.read(self.episode_id, name)

    def pictures(self, name: str) -> UInt8[np.ndarray, "time height width 3"]:
        """A channel as people look at it: rgb as it is, any other in colours, not its values."""
        frames = self.channel(name)
        if name == "normals":
            frames = frames.astype(np.float32) / 127
        return coloured(name, frames)

    def truth(self) -> dict[str, np.ndarray]:
        """Every array but the channels, exact, without the padding of absent bodies and joints."""
        arrays = {}
        for name in self.dataset.channels(self.episode_id):
            spec = self.specs[name]
            if spec.is_video:
                continue
            if name == "state":
                frames, arrays["state"] = self.dataset.state(self.episode_id)
                arrays["state_frames"] = np.array(frames, np.int32)
                continue
            array = self.dataset.read(self.episode_id, name)
            for axis, dim in enumerate(spec.dims):
                if dim == "body":
                    array = array.take(range(len(self.bodies)), axis)
                elif dim == "action":
                    array = array.take(range(len(self.row["actions"])), axis)
                elif dim == "joint":
                    array = array[..., : _filled(array)]
            if array.size:
                arrays[name] = array
        return arrays

    def events(self) -> list[dict]:
        """Rows of events.parquet, in order."""
        return self.dataset.events(self.episode_id).to_pylist()

    def facts(self) -> dict:
        """Captions, outcome, parameters, bodies and events, as plain JSON."""
        row = self.row
        told = {
            key: row[key]
            for key in (
                "episode_id", "index", "seed", "split", "family", "engine", "possible", "twin",
                "frame_rate_hz", "outcome", "margins", "parameters", "gravity_m_s2", "bodies",
                "actions", "shots", "visible_fraction", "quality",
            )
        }  # fmt: skip
        captions = {
            kind: row[f"caption_{kind}"]
            for kind in ("short", "dense", "timeline", "false")
            if row[f"caption_{kind}"]
        }
        size = {"frames": self.frames, "height": self.height, "width": self.width}
        return told | size | {
            "captions": captions, "clauses": row["clauses"], "events": self.events()
        }  # fmt: skip


def _filled(array: np.ndarray) -> int:
    """Columns of (time, column) up to the last that holds a number."""
    held = np.flatnonzero(np.isfinite(array).any(0))
    return int(held[-1]) + 1 if len(held) else 0


def choose(
    dataset: Dataset,
    *,
    splits: Sequence[str] = (),
    where: Sequence[str] = (),
    channels: Sequence[str] = ("rgb",),
    limit: int | None = None,
) -> list[Clip]:
    """Episodes of a dataset in index order.

    Args:
        splits: Only of these; none: of all.
        where: Conditions on the catalog that must all hold: `family=ramp`,
            `visible_fraction>0.5`, `caption_short~red`.
        channels: What every one of them must have.
        limit: At most so many.
    Raises:
        ExchangeError: No such split, column or channel, or nothing is left.
    """
    table = dataset.catalog
    known = sorted(set(table["split"].to_pylist()))
    if strange := [name for name in splits if name not in known]:
        raise ExchangeError(f"no split {strange[0]!r} in {dataset.url}; it has {', '.join(known)}")
    kept = np.ones(table.num_rows, bool)
    if splits:
        kept &= np.isin(table["split"].to_pylist(), list(splits))
    for text in where:
        kept &= holds(text, table)
    rows = table.filter(pa.array(kept)).slice(0, limit).to_pylist()
    if not rows:
        raise ExchangeError(
            f"no episode of {dataset.url} is {' and '.join([*splits, *where]) or 'there'}; "
            "ask for less"
        )
    specs = {row["bucket"]: stored_specs(dataset.objects, row["bucket"]) for row in rows}
    clips = [Clip(dataset, _decoded(row), specs[row["bucket"]]) for row in rows]
    for clip in clips:
        if lacking := [name for name in channels if name not in clip.channels]:
            raise ExchangeError(
                f"episode {clip.episode_id} has no channel {lacking[0]!r}; "
                f"it has {', '.join(clip.channels)}"
            )
    return clips


def holds(text: str, table: pa.Table) -> Bool[np.ndarray, " row"]:
    """Where a condition holds: `column=value` with = != < > <= >= or ~ (contains).

    Raises:
        ExchangeError: It is not of that form, or no column is called that.
    """
    found = CONDITION.fullmatch(text)
    if not found:
        raise ExchangeError(f"condition {text!r}; write family=ramp, seed>3 or caption_short~red")
    name, sign, value = found[1], found[2], found[3].strip()
    if name not in table.column_names:
        raise ExchangeError(
            f"condition {text!r}: the catalog has no {name!r}; it has "
            f"{', '.join(table.column_names)}"
        )
    kind, column = table.schema.field(name).type, table[name].to_pylist()
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    wanted: bool | float | str = value
    if pa.types.is_boolean(kind):
        wanted = {"true": True, "false": False}.get(value.lower(), value)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        wanted = _number(value)
    right = {bool: pa.types.is_boolean(kind), str: pa.types.is_string(kind)}
    if not right.get(type(wanted), True) or (sign == "~" and not isinstance(wanted, str)):
        raise ExchangeError(f"condition {text!r}: {name} is {kind}")
    compare = COMPARISONS[sign]
    return np.array([x is not None and compare(x, wanted) for x in column], bool)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _decoded(row: dict) -> dict:
    decoded = {key: json.loads(row[key]) if row[key] else None for key in JSON_COLUMNS}
    lists = {key: decoded[key] or [] for key in ("shots", "clauses", "bodies", "actions")}
    return row | decoded | lists
