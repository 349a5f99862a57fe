"""What the page asks for, by name: the same answers over HTTP and as files of a folder."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from simgen.store.reader import Dataset
from simgen.view.index import Index
from simgen.view.pictures import palette

SCRIPTS = (
    "dom.js", "source.js", "sheets.js", "filters.js", "grid.js", "player.js", "stage.js",
    "timeline.js", "captions.js", "plots.js", "facts.js", "clip.js", "main.js",
)  # fmt: skip
STATIC = ("style.css", *SCRIPTS)
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8"}  # fmt: skip


def static(name: str) -> bytes:
    """A file of the page."""
    return (files("simgen.view") / "static" / name).read_bytes()


def index_html(data: str = "") -> bytes:
    """The page itself.

    Args:
        data: Address of the script that holds a folder's data; "" asks the server.
    """
    *parts, main = (f"static/{name}" for name in SCRIPTS)
    scripts = [*parts, *([data] if data else []), main]
    tags = "\n".join(f'<script src="{source}" defer></script>' for source in scripts)
    return static("index.html").replace(b"<!-- scripts -->", tags.encode())


def dataset_facts(dataset: Dataset, index: Index) -> dict[str, Any]:
    """The head of the page, and what can be filtered by."""
    attrs = dataset.attrs
    told = attrs.get("recipe") or {}
    source = attrs.get("source") or {}
    named = source if isinstance(source, dict) else {"name": str(source)}
    return {
        "name": told.get("name") or named.get("name") or "dataset",
        "description": told.get("description") or named.get("description") or "",
        "licence": attrs.get("licence") or "",
        "version": attrs.get("simgen_version") or "",
        "recipe_hash": attrs.get("recipe_hash") or "",
        "episodes": index.count,
        "quarantined": dataset.quarantine.num_rows,
        "fields": index.described(),
        "palette": palette(),
    }


def as_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
