"""A run's journal: metrics by step, one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path


class Journal:
    """Lines of a run; those past the step that a resumed run starts from are cut off first."""

    def __init__(self, path: Path, step: int):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        path.write_text("".join(f"{line}\n" for line in kept))

    def add(self, line: dict[str, float]) -> None:
        """Appends a line."""
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
