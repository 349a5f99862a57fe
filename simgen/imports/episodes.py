"""What an imported clip is in the store: its arrays, and its row of the catalog."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simgen import __version__
from simgen.imports.sources import Series
from simgen.imports.windows import Window
from simgen.store.codecs import ZSTD
from simgen.store.specs import ArraySpec, video_specs

FAMILY, ENGINE = "imported", "none"
SERIES = {
    "action": "as the source has it; names in catalog.actions",
    "observation": "state of the source's robot; names in catalog.parameters",
}


@dataclass(frozen=True)
class Shape:
    """What a bucket's arrays follow from."""

    frames: int
    height: int
    width: int


def specs(windows: Sequence[Window]) -> dict[str, ArraySpec]:
    """Arrays of the bucket that these windows make."""
    first = windows[0]
    shape = Shape(len(first.frames), first.height, first.width)
    found = video_specs(shape, {"rgb"})
    for name, text in SERIES.items():
        held = [series for w in windows if (series := getattr(w.source, name))]
        if held:
            size = (shape.frames, max(len(series.names) for series in held))
            found.append(
                ArraySpec(
                    name, np.dtype("f4"), ("time", name), size, size, "as the source", text,
                    ZSTD._replace(group=4), (1, 0),
                )
            )  # fmt: skip
    return {spec.name: spec for spec in found}


def arrays(window: Window, specs: dict[str, ArraySpec]) -> dict[str, np.ndarray]:
    """What the window has of the bucket's arrays; columns that it lacks are NaN."""
    arrays = {"rgb": window.rgb()}
    for name in SERIES:
        series: Series | None = getattr(window.source, name)
        if series:
            held = np.full(specs[name].shape, np.nan, np.float32)
            held[:, : len(series.names)] = series.values[list(window.frames)]
            arrays[name] = held
    return arrays


def row(index: int, window: Window, attributes: dict) -> dict:
    """The catalog row without its place and hashes: what footage has no answer to is empty."""
    source = window.source
    parameters = source.facts | {"source": source.source_id, "first_frame": window.frames[0]}
    if source.observation:
        parameters["observation_names"] = list(source.observation.names)
    shot = {"first_frame": 0, "frames": len(window.frames), "move": "", "setting": ""}
    return {
        "episode_id": f"{attributes['content_hash'][:8]}-{index:06d}",
        "index": index,
        "seed": None,
        "family": FAMILY,
        "engine": ENGINE,
        "split": window.split,
        "bucket": window.bucket,
        "group": window.group,
        "twin": "",
        "possible": True,
        "shots": json.dumps([shot]),
        "frame_rate_hz": float(window.frame_rate),
        "caption_short": source.caption,
        "caption_dense": "",
        "caption_timeline": "",
        "caption_false": "",
        "clauses": "[]",
        "parameters": json.dumps(parameters, sort_keys=True),
        "outcome": "",
        "margins": "{}",
        "gravity_m_s2": [],
        "bodies": "[]",
        "actions": json.dumps(list(source.action.names) if source.action else []),
        "state_frames": [],
        "state_size": 0,
        "visible_fraction": None,
        "quality": "{}",
        "views": "",
        "wordings": "",
        "content_hash": attributes["content_hash"],
        "simgen_version": __version__,
        "engine_version": "",
        "cpu": attributes["cpu"],
    }
