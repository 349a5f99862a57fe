"""Error curves as inline SVG: a line and a confidence band for each row, coloured by CSS."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from worldmodel.verdict.table import Cell

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 14, 34


def curve_chart(
    curves: dict[str, Sequence[Cell]], *, labels: dict[str, str], title: str, unit: str
) -> str:
    """One metric over the horizon as an <svg>; classes row-<name> take the row's colour."""
    steps = max(len(curve) for curve in curves.values())
    everything = [v for curve in curves.values() for c in curve for v in (c.low, c.high, c.value)]
    finite = [v for v in everything if np.isfinite(v)]
    if not finite:
        return ""
    from_zero = min(finite) < max(finite) / 2
    ticks = nice_ticks(min(0.0, *finite) if from_zero else min(finite), max(finite))
    low, high = ticks[0], ticks[-1]

    def x(step: float) -> float:
        return LEFT + (step - 1) / max(steps - 1, 1) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)} over the horizon">'
    ]
    parts += _axes(ticks, steps, x, y, unit)
    for name, curve in curves.items():
        points = [(x(i + 1), c) for i, c in enumerate(curve) if np.isfinite(c.value)]
        band = [(px, y(c.high)) for px, c in points] + [(px, y(c.low)) for px, c in points[::-1]]
        line = [(px, y(c.value)) for px, c in points]
        parts.append(f'<polygon class="band row-{name}" points="{_points(band)}"/>')
        parts.append(
            f'<polyline class="line row-{name}" points="{_points(line)}">'
            f"<title>{escape(labels[name])}</title></polyline>"
        )
    return "".join([*parts, "</svg>"])


def nice_ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Round numbers that span low..high, about `count` of them.

    >>> nice_ticks(0.0, 23.0)
    [0.0, 5.0, 10.0, 15.0, 20.0, 25.0]
    """
    span = max(high - low, 1e-9)
    raw = span / count
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999))
    first, last = np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9)
    return [float(round(k * step, 10)) for k in np.arange(first, max(last, first + 1) + 1)]


def _axes(ticks, steps, x, y, unit) -> list[str]:
    parts = []
    for tick in ticks:
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" '
            f'y2="{y(tick):.1f}"/><text class="tick" x="{LEFT - 7}" y="{y(tick) + 3.5:.1f}" '
            f'text-anchor="end">{tick:g}</text>'
        )
    for step in _steps(steps):
        parts.append(
            f'<text class="tick" x="{x(step):.1f}" y="{HEIGHT - BOTTOM + 17}" '
            f'text-anchor="middle">{step}</text>'
        )
    parts.append(
        f'<text class="tick" x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" text-anchor="end">'
        f"predicted frames{escape(f' · {unit}' if unit else '')}</text>"
    )
    return parts


def _steps(steps: int) -> list[int]:
    """Marks on the horizon's axis: 1, then multiples of a round number, never crowded."""
    gap = next((g for g in (1, 2, 4, 8, 16, 32, 64, 128) if steps / g <= 8), steps)
    return sorted({1, *range(gap, steps + 1, gap)} - ({gap} if gap == 2 and steps > 12 else set()))


def _points(points) -> str:
    return " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
