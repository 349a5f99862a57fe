"""Counts, extremes, means and deviations of an array's components, that can be put together.

Numbers of one byte are counted by value, so theirs are exact. Others go by Chan, Golub and LeVeque,
"Updating formulae and a pairwise algorithm for computing sample variances" (1979). Putting together
in one order gives the same bits whoever measured what.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np

from simgen.store.specs import ArraySpec

COMPONENTS = ("channel", "value", "xyz", "xy", "wxyz", "pose", "intrinsics", "joint", "action")
VALUES = 256


@dataclass(frozen=True)
class Moments:
    """Of one array, each field by component; components are the axis of that name, or one."""

    count: np.ndarray  # finite numbers
    non_finite: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    squares: np.ndarray  # sum of squared distances from the mean
    histogram: np.ndarray | None = None  # (component, 256) how often each value of one byte


def measure(values: np.ndarray) -> Moments:
    """Moments of numbers (number, component)."""
    if values.dtype.itemsize == 1:
        return _counted(values)
    numbers = values.astype(np.float64)
    finite = np.isfinite(numbers)
    count = finite.sum(0)
    seen = np.where(finite, numbers, 0.0)
    mean = seen.sum(0) / np.maximum(count, 1)
    squares = np.where(finite, numbers - mean, 0.0) ** 2
    return Moments(
        count,
        len(numbers) - count,
        np.where(finite, numbers, np.inf).min(0, initial=np.inf),
        np.where(finite, numbers, -np.inf).max(0, initial=-np.inf),
        mean,
        squares.sum(0),
    )


def _counted(values: np.ndarray) -> Moments:
    kind = values.dtype
    bytes_ = np.ascontiguousarray(values.T).view(np.uint8)
    histogram = np.stack([np.bincount(column, minlength=VALUES) for column in bytes_])
    return _of_histogram(histogram, kind)


def _of_histogram(histogram: np.ndarray, kind: np.dtype) -> Moments:
    """Exact moments; places of the histogram are the bytes of values of that type."""
    of_byte = np.arange(VALUES, dtype=np.uint8).view(np.int8 if kind == np.int8 else np.uint8)
    number = of_byte.astype(np.int64)
    count = histogram.sum(1)
    total, square = histogram @ number, histogram @ number**2
    there = histogram > 0
    return Moments(
        count,
        np.zeros_like(count),
        np.where(there, number, np.inf).min(1),
        np.where(there, number, -np.inf).max(1),
        total / np.maximum(count, 1),
        # in whole numbers: the difference of two large sums
        np.array([(n * s - t * t) / max(n, 1) for n, s, t in _whole(count, square, total)]),
        histogram,
    )


def _whole(*columns: np.ndarray) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in columns), strict=True))


def merge(found: Sequence[Moments], kind: np.dtype) -> Moments:
    """Moments of all of them; the order decides the last bits of what is not of one byte."""
    width = max(len(one.count) for one in found)
    if kind.itemsize == 1:
        return _of_histogram(
            np.sum([_wide(one.histogram, width, 0) for one in found], axis=0), kind
        )
    count = np.stack([_wide(one.count, width, 0) for one in found])
    mean = np.stack([_wide(one.mean, width, 0.0) for one in found])
    squares = np.stack([_wide(one.squares, width, 0.0) for one in found])
    whole = count.sum(0)
    centre = _sum(count * mean) / np.maximum(whole, 1)
    return Moments(
        whole,
        np.sum([_wide(one.non_finite, width, 0) for one in found], axis=0),
        np.min([_wide(one.low, width, np.inf) for one in found], axis=0),
        np.max([_wide(one.high, width, -np.inf) for one in found], axis=0),
        centre,
        _sum(squares + count * (mean - centre) ** 2),
    )


def _wide(values: np.ndarray, width: int, fill: float) -> np.ndarray:
    """Buckets differ in joints and servos."""
    rows = np.full((width, *values.shape[1:]), fill, values.dtype)
    rows[: len(values)] = values
    return rows


def _sum(rows: np.ndarray) -> np.ndarray:
    return np.array([fsum(column) for column in rows.T])


def summary(found: Moments) -> dict:
    """Plain JSON values; null where no number is finite."""
    every = found.count + found.non_finite
    some = found.count > 0

    def told(values: np.ndarray) -> list[float | None]:
        return [float(v) if known else None for v, known in zip(values, some, strict=True)]

    return {
        "count": every.tolist(),
        "non_finite": [float(x) for x in found.non_finite / np.maximum(every, 1)],
        "min": told(found.low),
        "max": told(found.high),
        "mean": told(found.mean),
        "std": told(np.sqrt(found.squares / np.maximum(found.count, 1))),
    }


def values(data: np.ndarray, spec: ArraySpec, row: Mapping) -> np.ndarray:
    """An episode's numbers (number, component) without the padding of what it lacks.

    Args:
        data: The array as stored.
        row: The episode's catalog row.
    """
    sizes = {
        "body": _length(row["bodies"]), "action": _length(row["actions"]),
        "shot": _length(row["shots"]), "keyframe": len(row["state_frames"]),
        "state": row["state_size"], "joint": _joints(data, spec),
    }  # fmt: skip
    cut = data[tuple(slice(sizes.get(name)) for name in spec.dims)]
    width = cut.shape[-1] if spec.dims[-1] in COMPONENTS else 1
    return cut.reshape(-1, width) if cut.size else np.empty((0, width), data.dtype)


def _length(text: str) -> int:
    return len(json.loads(text or "[]"))


def _joints(data: np.ndarray, spec: ArraySpec) -> int | None:
    """The catalog does not count joints: those that are never there are padding."""
    if "joint" not in spec.dims:
        return None
    (there,) = np.nonzero(~np.isnan(data).all(axis=0))
    return int(there[-1]) + 1 if len(there) else 0
