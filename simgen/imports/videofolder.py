"""A folder of video files with captions: metadata.csv or .jsonl beside them, or NAME.txt each.

Layout: https://huggingface.co/docs/datasets/video_load#videofolder
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from simgen.exchange import ExchangeError
from simgen.imports.sources import DamagedError, Source, probe

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
CAPTIONS = ("caption", "caption_short", "text", "description", "prompt")
SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": "test", "testing": "test", "eval": "test",
}  # fmt: skip


def sources(folder: Path, camera: str = "") -> list[Source]:
    """Every video that the metadata list, or every one there is, by path."""
    if camera:
        raise ExchangeError("a folder of videos has no cameras; leave --camera out")
    listed = dict(_listed(folder))
    paths = sorted(listed) or sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in VIDEOS and not path.name.startswith(".")
    )
    return [_source(folder, path, listed.get(path, {})) for path in paths]


def _listed(folder: Path) -> Iterator[tuple[Path, dict]]:
    """Each file that metadata name, and its row.

    Raises:
        ExchangeError: A row names no file, or one that is not there.
    """
    tables = [*folder.rglob("metadata.csv"), *folder.rglob("metadata.jsonl")]
    for table in sorted(tables):
        text = table.read_text(encoding="utf-8-sig")
        lines = text.splitlines()
        rows = csv.DictReader(lines) if table.suffix == ".csv" else map(json.loads, lines)
        for number, row in enumerate(rows, 1):
            name = row.pop("file_name", None) or row.pop("video", None)
            path = (table.parent / name).resolve() if name else None
            if path is None or not path.is_file() or folder.resolve() not in path.parents:
                raise ExchangeError(
                    f"{table}, row {number}: file_name {name!r} is no file below {folder}"
                )
            yield folder / path.relative_to(folder.resolve()), row


def _source(folder: Path, path: Path, row: dict) -> Source:
    caption = next((row[name] for name in CAPTIONS if row.get(name)), "")
    beside = path.with_suffix(".txt")
    if not caption and beside.is_file():
        caption = beside.read_text(encoding="utf-8").strip()
    place = path.relative_to(folder)
    given = str(row.get("split", "")) or place.parts[0] * (len(place.parts) > 1)
    common = {
        "source_id": place.as_posix(), "path": path, "first": 0, "caption": caption,
        "split": SPLITS.get(given.lower(), ""),
        "facts": {key: value for key, value in row.items() if key not in CAPTIONS},
    }  # fmt: skip
    try:
        return Source(**common, **vars(probe(path)))
    except DamagedError as error:
        return Source(
            **common | {"facts": {"unreadable": str(error)}},
            frames=0, frame_rate=Fraction(1), height=0, width=0,
        )  # fmt: skip
