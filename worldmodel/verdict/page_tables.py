"""The report's tables: scores, definitions, the ruler's figures, provenance."""

from __future__ import annotations

from html import escape

from worldmodel.verdict.table import number

PROBE_WORDS = {
    "error_px_mean": "error, px",
    "error_px_median": "median, px",
    "error_px_p95": "95th percentile, px",
    "error_px_whole": "objects seen whole, px",
    "bias_px": "bias, px",
    "miss_rate": "missed",
    "split_rate": "split",
    "ghost_rate": "ghosts",
    "coverage": "coverage",
    "object_frames": "object-frames",
}


def direction(about: dict) -> str:
    unit = f"{about['unit']}, " if about["unit"] else ""
    return escape(f"{unit}{about['better']} is better")


def score_table(verdict: dict) -> str:
    horizons = [str(h) for h in verdict["horizons"]]
    head = "".join(f"<th>{h} frame{'s' if h != '1' else ''}</th>" for h in horizons)
    parts = [f"<table><thead><tr><th></th>{head}</tr></thead>"]
    for name, about in verdict["metrics"].items():
        parts.append(
            f'<tbody><tr class="metric"><td colspan="{len(horizons) + 1}">'
            f"{escape(about['label'])}<span>{direction(about)}</span></td></tr>"
        )
        for row, label in verdict["rows"].items():
            cells = verdict["table"][row][name]
            tds = (
                "<td></td>" * (len(horizons) - 1) + _cell(cells["all"])
                if "all" in cells
                else "".join(_cell(cells[h]) for h in horizons)
            )
            judged = ' class="judged"' if row == "model" else ""
            parts.append(f"<tr{judged}><td>{escape(label)}</td>{tds}</tr>")
        parts.append("</tbody>")
    return "".join([*parts, "</table>"])


def _cell(cell: dict) -> str:
    if cell["value"] is None:
        return "<td>–</td>"
    missed = f"<br>{cell['missed']} of {cell['objects']} missed" if cell["missed"] else ""
    return (
        f"<td>{number(cell['value'])}<small>{number(cell['low'])} to {number(cell['high'])}"
        f"{missed}</small></td>"
    )


def definition(about: dict) -> str:
    unit = f", {about['unit']}" if about["unit"] else ""
    return (
        f"<dt>{escape(about['label'] + unit)}</dt>"
        f"<dd>{escape(about['definition'])}<em>Floor: {escape(about['floor'])}</em></dd>"
    )


def probe_table(probe: dict) -> str:
    """The probe's held-out figures, all clips first, then by family where there are several."""
    columns = {"all clips": probe}
    if len(probe.get("families", {})) > 1:
        columns |= probe["families"]
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    lines = []
    for key, words in PROBE_WORDS.items():
        cells = "".join(
            f"<td>{_figure(key, figures.get(key))}</td>" for figures in columns.values()
        )
        lines.append(f"<tr><td>{words}</td>{cells}</tr>")
    return f'<table class="plain"><tr><th></th>{head}</tr>{"".join(lines)}</table>'


def _figure(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    if key in ("miss_rate", "split_rate", "ghost_rate", "coverage"):
        return f"{100 * value:.2f}%"
    return f"{value:d}" if isinstance(value, int) else number(value)


def provenance_table(verdict: dict) -> str:
    """Data, model, software and the command that makes this verdict again."""
    lines = {f"dataset {key}": value for key, value in verdict["dataset"].items()}
    lines |= {f"model {key}": value for key, value in verdict["lineage"].items()}
    lines |= {f"software {key}": value for key, value in verdict["software"].items()}
    lines["command"] = verdict["command"]
    body = "".join(
        f'<tr><td class="key">{escape(key.replace("_", " "))}</td>'
        f'<td class="words"><code>{escape(_words(value))}</code></td></tr>'
        for key, value in lines.items()
    )
    return f'<table class="plain">{body}</table>'


def _words(value) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_words(inner) for inner in value)
    return str(value)
