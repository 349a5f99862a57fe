"""From scores by clip to the table: means, misses and confidence intervals over episodes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from jaxtyping import Float64
from rich.table import Table as RichTable

from worldmodel.verdict.metric import Metric, Scores

RESAMPLES = 2000
CONFIDENCE = 0.95
SCHEMA = pa.schema(
    {
        "episode_id": pa.string(),
        "start_frame": pa.int32(),
        "family": pa.string(),
        "predictor": pa.string(),
        "metric": pa.string(),
        "horizon": pa.int32(),  # predicted frames, 1 is the first
        "value": pa.float64(),  # mean over the objects asked for; null: none was
        "objects": pa.int32(),  # asked for
        "missed": pa.int32(),  # of them
        "failed": pa.bool_(),  # the predictor made no usable frames: scored as a grey picture
    }
)


@dataclass(frozen=True)
class Cell:
    """One number of the table with its interval (95%, bootstrap over episodes)."""

    value: float
    low: float
    high: float
    objects: int  # scored, over all clips
    missed: int


def rows_of(
    scores: Scores, metric: Metric, *, episode_id: str, start: int, family: str, predictor: str,
    failed: bool,
) -> list[dict]:  # fmt: skip
    """A metrics.parquet row per step of one clip's scores; a clip-wide score has horizon = all."""
    asked = ~np.isnan(scores.value)
    rows = []
    for step in range(len(scores.value)):
        count = int(asked[step].sum())
        rows.append(
            {
                "episode_id": episode_id, "start_frame": start, "family": family,
                "predictor": predictor, "metric": metric.name, "horizon": step + 1,
                "value": float(scores.value[step][asked[step]].mean()) if count else None,
                "objects": count, "missed": int(scores.missed[step].sum()), "failed": failed,
            }
        )  # fmt: skip
    return rows


class Scoreboard:
    """metrics.parquet arranged for the table: sums, counts and misses by episode and step."""

    def __init__(self, table: pa.Table, metrics: Iterable[Metric]) -> None:
        self.metrics = {metric.name: metric for metric in metrics}
        columns = {name: table[name].to_numpy(zero_copy_only=False) for name in SCHEMA.names}
        self.episodes, episode = np.unique(columns["episode_id"], return_inverse=True)
        self.predictors = list(dict.fromkeys(columns["predictor"]))
        self.horizon = int(columns["horizon"].max(initial=1))
        total = np.nan_to_num(columns["value"].astype(np.float64)) * columns["objects"]
        self._sums: dict[tuple[str, str], np.ndarray] = {}
        for predictor in self.predictors:
            for name in self.metrics:
                rows = (columns["predictor"] == predictor) & (columns["metric"] == name)
                sums = np.zeros((3, len(self.episodes), self.horizon))
                where = (episode[rows], columns["horizon"][rows].astype(int) - 1)
                for k, part in enumerate((total, columns["objects"], columns["missed"])):
                    np.add.at(sums[k], where, part[rows].astype(np.float64))
                if self.metrics[name].mean_up_to:
                    sums = sums.cumsum(axis=2)
                self._sums[predictor, name] = sums

    def curve(self, predictor: str, metric: str) -> list[Cell]:
        """The metric at each horizon; one cell for a metric of whole clips."""
        total, count, missed = self._sums[predictor, metric]
        steps = 1 if self.metrics[metric].per_clip else self.horizon
        value = _ratio(total.sum(0), count.sum(0))
        low, high = _interval(_ratio(self._weights @ total, self._weights @ count))
        return [
            Cell(
                float(value[h]), float(low[h]), float(high[h]),
                int(count[:, h].sum()), int(missed[:, h].sum()),
            )
            for h in range(steps)
        ]  # fmt: skip

    def cell(self, predictor: str, metric: str, horizon: int) -> Cell:
        """The metric at one horizon, in predicted frames."""
        curve = self.curve(predictor, metric)
        return curve[0 if self.metrics[metric].per_clip else horizon - 1]

    def difference(self, a: str, b: str, metric: str, horizon: int) -> tuple[float, float, float]:
        """a minus b with its interval, over the same resampled episodes: the paired comparison."""
        step = 0 if self.metrics[metric].per_clip else horizon - 1
        values, samples = [], []
        for predictor in (a, b):
            total, count, _ = self._sums[predictor, metric][:, :, step]
            values.append(float(_ratio(total.sum(), count.sum())))
            samples.append(_ratio(self._weights @ total, self._weights @ count))
        low, high = _interval(samples[0] - samples[1])
        return values[0] - values[1], float(low), float(high)

    def episode_values(self, predictor: str, metric: str) -> Float64[np.ndarray, " episode"]:
        """Mean over all steps of each episode, in the order of `episodes`; NaN: never scored."""
        total, count, _ = self._sums[predictor, metric]
        return _ratio(total.sum(1), count.sum(1))

    @cached_property
    def _weights(self) -> Float64[np.ndarray, "resample episode"]:
        """How often each resample draws each episode; the same on every call."""
        n = len(self.episodes)
        return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(float)


def as_json(board: Scoreboard) -> dict:
    """The table for verdict.json: predictor -> metric -> horizon -> cell (null: nothing scored).

    Every predicted frame is there; a metric of whole clips has one cell, `all`.
    """
    table: dict = {}
    for predictor in board.predictors:
        table[predictor] = {}
        for name, metric in board.metrics.items():
            curve = board.curve(predictor, name)
            names = ["all"] if metric.per_clip else map(str, range(1, board.horizon + 1))
            table[predictor][name] = {
                key: {
                    "value": digits(cell.value), "low": digits(cell.low),
                    "high": digits(cell.high), "objects": cell.objects, "missed": cell.missed,
                }
                for key, cell in zip(names, curve, strict=True)
            }  # fmt: skip
    return table


def as_rich(verdict: dict) -> RichTable:
    """The table of a verdict.json for the terminal, 80 columns wide: a line a metric and row."""
    horizons = [str(h) for h in verdict["horizons"]]
    grid = RichTable(
        title=f"{verdict['dataset']['name']}, {verdict['split']}: {verdict['clips']} clips",
        caption="± half the 95% interval over episodes; a missing object scores its penalty",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
        header_style="dim",
    )
    grid.add_column("at frame", no_wrap=True)
    for h in horizons:
        grid.add_column(h, justify="right", no_wrap=True, min_width=12)
    for name, about in verdict["metrics"].items():
        unit = f", {about['unit']}" if about["unit"] else ""
        grid.add_row(f"{about['label']}{unit}", style="bold")
        for row, label in verdict["rows"].items():
            cells = verdict["table"][row][name]
            texts = [cell_text(cells[h]) for h in horizons if h in cells]
            padding = [""] * (len(horizons) - 1) + [cell_text(cells["all"])] if not texts else []
            style = "cyan" if row == "model" else None
            grid.add_row(f"  {label.split(' (')[0]}", *texts, *padding, style=style)
        grid.add_row()
    return grid


def cell_text(cell: dict) -> str:
    """A cell in words, e.g. `1.42 ±0.13`; a dash where nothing was scored."""
    if cell["value"] is None:
        return "–"
    return f"{number(cell['value'])} ±{number((cell['high'] - cell['low']) / 2)}"


def number(value: float | None) -> str:
    """Three significant digits, never in scientific notation.

    >>> [number(v) for v in (58.923, 3.14159, 0.0712, 0.0)]
    ['58.9', '3.14', '0.071', '0']
    """
    if value is None or not np.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    decimals = max(0, min(3, 2 - int(np.floor(np.log10(abs(value))))))
    return f"{value:.{decimals}f}"


def _ratio(total, count):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.asarray(count) > 0, np.asarray(total) / np.asarray(count), np.nan)


def _interval(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval along the first axis, over the resamples that had anything to score."""
    tail = (1 - CONFIDENCE) / 2
    empty = np.isnan(samples).all(axis=0)
    filled = np.where(empty, 0.0, samples)
    # nanquantile is a hundred times slower, and seldom needed
    quantile = np.nanquantile if np.isnan(filled).any() else np.quantile
    low, high = quantile(filled, [tail, 1 - tail], axis=0)
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def digits(value: float) -> float | None:
    """Rounded for JSON, which has no NaN: None where nothing was scored."""
    return round(value, 6) if np.isfinite(value) else None
