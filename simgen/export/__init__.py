"""Ways out: episodes of a dataset as files that other libraries open. docs/export.md is the guide.

An exporter is a module with LIBRARY, LOSES, `pieces` and `finish`, and a line in EXPORTERS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType

from simgen import __version__
from simgen.exchange import ExchangeError, require
from simgen.export.clips import choose
from simgen.export.staging import Progress, stage
from simgen.export.video import CRF, LOSSLESS
from simgen.store.reader import Dataset

__all__ = ["EXPORTERS", "LOSSLESS", "ExchangeError", "Options", "Report", "export", "exporter"]

EXPORTERS = {
    "lerobot": "simgen.export.lerobot",
    "webdataset": "simgen.export.webdataset",
    "videofolder": "simgen.export.videofolder",
    "rerun": "simgen.export.rerun",
    "mp4": "simgen.export.captioned",
}


@dataclass(frozen=True)
class Options:
    """What exporters share. `crf` is the quality of MP4s, LOSSLESS for every byte."""

    channels: tuple[str, ...] = ("rgb",)
    crf: int = CRF

    @property
    def lossless(self) -> bool:
        return self.crf == LOSSLESS


@dataclass(frozen=True)
class Report:
    """What an export did."""

    out: Path
    format: str
    episodes: int
    frames: int
    splits: dict[str, int]
    pieces: int
    pieces_made: int
    bytes: int
    loses: str
    channels: list[str] = field(default_factory=list)


def exporter(name: str) -> ModuleType:
    """The exporter of that format.

    Raises:
        ExchangeError: There is none, or a library that it writes with is not installed.
    """
    if name not in EXPORTERS:
        raise ExchangeError(f"unknown format {name!r}; known: {', '.join(EXPORTERS)}")
    module = import_module(EXPORTERS[name])
    require(module.LIBRARIES, f"format {name!r}")
    return module


def export(
    dataset: Dataset,
    out: str | Path,
    *,
    format: str,
    splits: Sequence[str] = (),
    where: Sequence[str] = (),
    options: Options | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Write episodes of a dataset in another format; the same call goes on where it was stopped.

    Args:
        dataset: From simgen.open.
        out: A folder: absent, empty, or this same export.
        format: A name of EXPORTERS.
        splits, where, limit: Which episodes; see simgen.export.clips.choose.
        progress: Called after each piece.
    Raises:
        ExchangeError: The message says what to do.
        IntegrityError: The dataset is damaged.
    """
    options, module = options or Options(), exporter(format)
    if not options.channels:
        raise ExchangeError("no channel to export; name one, rgb for example")
    clips = choose(dataset, splits=splits, where=where, channels=options.channels, limit=limit)
    request = {
        "format": format,
        "dataset_version": dataset.version.version,
        "content_hash": dataset.attrs["content_hash"],
        "episodes": [clip.episode_id for clip in clips],
        "options": asdict(options),
        "simgen_version": __version__,
    }
    done = stage(
        Path(out),
        request,
        module.pieces(clips, options),
        lambda folder, facts: module.finish(folder, clips, options, facts),
        progress=progress,
    )
    return Report(
        out=Path(out).absolute(),
        format=format,
        episodes=len(clips),
        frames=sum(clip.frames for clip in clips),
        splits={name: sum(c.split == name for c in clips) for name in _splits(clips)},
        loses=module.LOSES,
        channels=list(options.channels),
        **asdict(done),
    )


def _splits(clips: Sequence) -> list[str]:
    return list(dict.fromkeys(clip.split for clip in clips))
