"""report.html: one file that opens offline, made from what `evaluate` left in its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import pyarrow.parquet as pq

from worldmodel.verdict.charts import curve_chart
from worldmodel.verdict.examples import Example, load_examples
from worldmodel.verdict.metrics import METRICS
from worldmodel.verdict.page_clips import example_article, script_data, sprite_rules
from worldmodel.verdict.page_tables import (
    definition,
    direction,
    probe_table,
    provenance_table,
    score_table,
)
from worldmodel.verdict.summary import sentences
from worldmodel.verdict.table import Scoreboard


class ReportError(ValueError):
    """The folder does not hold a verdict to report on."""


def write_report(folder: Path) -> Path:
    """Writes report.html from verdict.json, metrics.parquet and examples.safetensors in `folder`.

    Raises:
        ReportError: One of them is missing; the message names it.
    """
    for name in ("verdict.json", "metrics.parquet", "examples.safetensors"):
        if not (folder / name).exists():
            raise ReportError(
                f"{folder} has no {name}: run `worldmodel evaluate` with it as the output folder"
            )
    verdict = json.loads((folder / "verdict.json").read_text())
    board = Scoreboard(
        pq.read_table(folder / "metrics.parquet", use_threads=False), METRICS.values()
    )
    examples = load_examples(folder / "examples.safetensors")
    path = folder / "report.html"
    path.write_text(page(verdict, board, examples), encoding="utf-8")
    return path


def page(verdict: dict, board: Scoreboard, examples: Sequence[Example]) -> str:
    """The whole report as HTML."""
    context, horizon = verdict["context"], verdict["horizon"]
    judged = "The model" if "model" in verdict["rows"] else "Baselines"
    css = _asset("report.css").replace("$columns", str(len(verdict["rows"])))
    return Template(_asset("report.html")).substitute(
        title=escape(f"Verdict: {verdict['dataset']['name']}, {verdict['split']}"),
        headline=escape(f"{judged} against the simulator"),
        under=escape(
            f"{verdict['dataset']['name']}, split {verdict['split']}: {verdict['clips']} clips, "
            f"{context} frames given, {horizon} predicted at {verdict['frame_rate_hz']:g} frames/s"
        ),
        css=css,
        sprites=sprite_rules(examples),
        summary="\n".join(f"<p>{escape(sentence)}</p>" for sentence in sentences(verdict)),
        first=context + min(7, horizon - 1),
        last=context + horizon - 1,
        mark=f"{100 * (context - 0.5) / (context + horizon - 1):.1f}",
        examples="\n".join(example_article(verdict, k, e) for k, e in enumerate(examples)),
        legend="".join(
            f'<span><i class="row-{name}"></i>{escape(label)}</span>'
            for name, label in verdict["rows"].items()
        ),
        charts="\n".join(_charts(verdict, board)),
        table=score_table(verdict),
        definitions="\n".join(definition(about) for about in verdict["metrics"].values()),
        probe_split=escape(str(verdict["probe"].get("split", "?"))),
        probe=probe_table(verdict["probe"]),
        provenance=provenance_table(verdict),
        version=escape(verdict["software"]["physreel"]),
        data=script_data(verdict, examples),
        js=_asset("report.js"),
    )


def _asset(name: str) -> str:
    return (files("worldmodel.verdict") / name).read_text(encoding="utf-8")


def _charts(verdict: dict, board: Scoreboard) -> list[str]:
    charts = []
    for name, about in verdict["metrics"].items():
        if about["per_clip"] or name == "position_error_m":  # in pixels it is the same picture
            continue
        curves = {row: board.curve(row, name) for row in verdict["rows"]}
        if name in ("psnr_db", "ssim"):
            curves.pop("truth", None)  # equal by construction: it would only flatten the others
        chart = curve_chart(
            curves, labels=verdict["rows"], title=about["label"], unit=about["unit"]
        )
        head = f"<b>{escape(about['label'])}</b><span>{direction(about)}</span>"
        charts.append(f"<figure><figcaption>{head}</figcaption>{chart}</figure>")
    return charts
