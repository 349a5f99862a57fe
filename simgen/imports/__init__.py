"""Ways in: other people's clips as a dataset of the same contract. docs/export.md is the guide.

An importer is a module with `sources`, and a line in IMPORTERS.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from simgen.exchange import ExchangeError, require
from simgen.imports.sources import Source

IMPORTERS = {
    "lerobot": "simgen.imports.lerobot",
    "videofolder": "simgen.imports.videofolder",
}


def sources(folder: Path, format: str, *, camera: str = "") -> list[Source]:
    """The clips of a folder in that format, in order.

    Args:
        camera: Which of several, where the format has them.
    Raises:
        ExchangeError: The message says what is wrong with the folder, or which formats there are.
    """
    if format not in IMPORTERS:
        raise ExchangeError(f"unknown format {format!r}; known: {', '.join(IMPORTERS)}")
    if not folder.is_dir():
        raise ExchangeError(f"{folder} is no folder; give the one that holds the {format} dataset")
    require(["av"], f"format {format!r}")
    found = import_module(IMPORTERS[format]).sources(folder, camera)
    if not found:
        raise ExchangeError(f"{folder} holds no clips as {format}")
    return found
