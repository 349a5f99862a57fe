"""Statistics of an episode's columns and pictures, as LeRobot names and shapes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}


def number_stats(values: np.ndarray) -> dict[str, list]:
    """Of each column of (time, column), lists; NaN is left out, and a column of it alone is 0."""
    known = np.asarray(values, np.float64)
    known = np.where(np.isfinite(known), known, np.nan)
    empty = np.isnan(known).all(0)
    known = np.where(empty, 0.0, known)
    whole = values.dtype.kind in "iub"
    least, most = np.nanmin(known, 0), np.nanmax(known, 0)
    stats = {
        "min": least.astype(np.int64).tolist() if whole else least.tolist(),
        "max": most.astype(np.int64).tolist() if whole else most.tolist(),
        "mean": np.nanmean(known, 0).tolist(),
        "std": np.nanstd(known, 0).tolist(),
        "count": [len(values)],
    }
    shares = np.nanquantile(known, list(QUANTILES.values()), axis=0)
    return stats | {name: row.tolist() for name, row in zip(QUANTILES, shares, strict=True)}


def picture_stats(frames: UInt8[np.ndarray, "time height width 3"]) -> dict[str, list]:
    """Of each colour, from 0 to 1, shape (3, 1, 1); every pixel of every frame is counted."""
    counts = np.stack([np.bincount(frames[..., c].ravel(), minlength=256) for c in range(3)])
    level = np.arange(256) / 255
    total = counts.sum(1)
    mean = counts @ level / total
    std = np.sqrt(np.maximum(counts @ level**2 / total - mean**2, 0))
    held, below = counts > 0, counts.cumsum(1) / total[:, None]
    stats = {
        "min": level[held.argmax(1)],
        "max": level[255 - held[:, ::-1].argmax(1)],
        "mean": mean,
        "std": std,
    } | {name: level[(below >= share).argmax(1)] for name, share in QUANTILES.items()}
    shaped = {name: row.reshape(3, 1, 1).tolist() for name, row in stats.items()}
    return shaped | {"count": [len(frames)]}


def together(stats: Sequence[dict[str, list]]) -> dict[str, list]:
    """Of all episodes from those of each; quantiles are weighted means, as LeRobot has them."""
    every = {name: np.stack([np.array(s[name]) for s in stats]) for name in stats[0]}
    count = every.pop("count")
    weight = count.reshape(-1, *[1] * (every["mean"].ndim - 1)) / count.sum()
    mean = (every["mean"] * weight).sum(0)
    spread = every["std"] ** 2 + (every["mean"] - mean) ** 2
    found = {
        "min": every["min"].min(0),
        "max": every["max"].max(0),
        "mean": mean,
        "std": np.sqrt((spread * weight).sum(0)),
        "count": count.sum(0),
    } | {name: (every[name] * weight).sum(0) for name in QUANTILES}
    return {name: value.tolist() for name, value in found.items()}
