"""The report's clips: players, filmstrips, and the pictures they share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

import numpy as np

from worldmodel.verdict.examples import Example
from worldmodel.verdict.sprites import data_uri, grid_of

STRIP_FRAMES = 7


def sprite_rules(examples: Sequence[Example]) -> str:
    """One CSS class a clip and row, so that player and filmstrip share one picture."""
    rules = []
    for k, example in enumerate(examples):
        for row, frames in example.frames.items():
            columns, lines = grid_of(len(frames))
            height, width = frames.shape[1:3]
            rules.append(
                f".s{k}-{row}{{background-image:url({data_uri(frames)});"
                f"background-size:{columns * 100}% {lines * 100}%;aspect-ratio:{width}/{height}}}"
            )
    return "\n".join(rules)


def example_article(verdict: dict, k: int, example: Example) -> str:
    height, width = next(iter(example.frames.values())).shape[1:3]
    views = "".join(
        f'<figure class="view"><div class="frame s{k}-{row}" role="img" '
        f'aria-label="{escape(label)}" data-example="{k}" data-row="{row}">'
        f'<svg viewBox="0 0 {width} {height}"></svg></div>'
        f"<figcaption><b>{escape(label)}</b><span></span></figcaption></figure>"
        for row, label in _short(verdict).items()
    )
    return (
        f'<article class="example"><h3>{escape(example.reason.capitalize())} '
        f"<code>{escape(example.episode_id)}</code></h3>"
        f'<p class="caption" title="{escape(example.caption)}">{escape(example.caption)}</p>'
        f'<div class="views">{views}</div>{_filmstrip(verdict, k, example)}</article>'
    )


def _filmstrip(verdict: dict, k: int, example: Example) -> str:
    horizon = verdict["horizon"]
    steps = sorted(
        {0, *np.linspace(1, horizon, min(STRIP_FRAMES, horizon)).round().astype(int).tolist()}
    )
    cells = ["<span></span>"]
    cells += [f'<span class="head">{"given" if h == 0 else f"+{h}"}</span>' for h in steps]
    for row, label in _short(verdict).items():
        cells.append(f"<span>{escape(label)}</span>")
        cells += [
            f'<div class="frame s{k}-{row}" data-t="{example.context - 1 + h}"></div>'
            for h in steps
        ]
    columns = f"minmax(3.6rem,6.5rem) repeat({len(steps)},minmax(0,1fr))"
    return f'<div class="strip" style="grid-template-columns:{columns}">{"".join(cells)}</div>'


def _short(verdict: dict) -> dict[str, str]:
    return {row: label.split(" (")[0] for row, label in verdict["rows"].items()}


def script_data(verdict: dict, examples: Sequence[Example]) -> str:
    """What the page's script reads, as JSON that is safe inside a <script> element."""
    columns, lines = grid_of(verdict["context"] + verdict["horizon"])
    words = {
        "context": verdict["context"],
        "rate": verdict["frame_rate_hz"],
        "sprite": {"columns": columns, "lines": lines},
        "examples": [
            {
                "centre": {row: _places(track) for row, track in example.centre.items()},
                "scored": example.scored.astype(int).tolist(),
            }
            for example in examples
        ],
    }
    return json.dumps(words, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _places(track: np.ndarray) -> list:
    """(time, object, 2) with tenths of a pixel; null where there is nothing."""
    return [
        [[round(float(x), 1) for x in c] if np.isfinite(c).all() else None for c in frame]
        for frame in track
    ]
