"""WebDataset: tar shards by split, one sample an episode.

A sample is rgb.mp4 (rgb.npy if lossless), every other channel as exact NAME.npy, txt (the short
caption), json (captions, outcome, bodies, events) and npz (every truth array).
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simgen.export.clips import Clip
from simgen.export.staging import Piece, write_whole
from simgen.export.video import VideoWriter
from simgen.store.layout import canonical_json

if TYPE_CHECKING:
    from simgen.export import Options

LIBRARIES = ("av",)
LOSES = "exact rgb pixels unless lossless; nothing else"
SHARD_FRAMES = 8192  # 400 MB of raw rgb at 128 x 128


def pieces(clips: Sequence[Clip], options: Options) -> list[Piece]:
    """One a shard."""
    made = []
    for split in dict.fromkeys(clip.split for clip in clips):
        for number, block in enumerate(_shards([clip for clip in clips if clip.split == split])):
            name = f"{split}-{number:06d}"

            def write(folder: Path, name=name, block=block) -> dict:
                return _write(folder, f"{name}.tar", block, options)

            made.append(Piece(name, len(block), write))
    return made


def _shards(clips: Sequence[Clip]) -> Iterator[list[Clip]]:
    block: list[Clip] = []
    for clip in clips:
        if block and sum(c.frames for c in block) + clip.frames > SHARD_FRAMES:
            yield block
            block = []
        block.append(clip)
    yield block


def _write(folder: Path, name: str, clips: Sequence[Clip], options: Options) -> dict:
    partial = folder / f".{name}.partial"
    with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as file:
        for clip in clips:
            key = clip.episode_id.replace(".", "_")  # all after the first dot names the field
            for ending, data in _fields(clip, options):
                told = tarfile.TarInfo(f"{key}.{ending}")  # no clock, no owner: the same bytes
                told.size = len(data)
                file.addfile(told, io.BytesIO(data))
    os.replace(partial, folder / name)
    return {"url": name, "nsamples": len(clips), "split": clips[0].split}


def _fields(clip: Clip, options: Options) -> Iterator[tuple[str, bytes]]:
    for channel in options.channels:
        if channel == "rgb" and not options.lossless:
            yield "rgb.mp4", _video(clip, options)
        else:
            yield f"{channel}.npy", _npy(clip.channel(channel))
    yield "txt", clip.row["caption_short"].encode()
    yield "json", canonical_json(clip.facts())
    if truth := clip.truth():
        file = io.BytesIO()
        np.savez(file, **truth)
        yield "npz", file.getvalue()


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _video(clip: Clip, options: Options) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rgb.mp4"
        with VideoWriter(
            path, frame_rate=clip.frame_rate, height=clip.height, width=clip.width,
            crf=options.crf,
        ) as video:  # fmt: skip
            video.add(clip.channel("rgb"))
        return path.read_bytes()


def finish(folder: Path, clips: Sequence[Clip], options: Options, facts: list[dict]) -> None:
    """SPLIT.json beside the shards: the index that webdataset's random access (wids) reads."""
    for split in dict.fromkeys(clip.split for clip in clips):
        shards = [
            {key: told[key] for key in ("url", "nsamples")}
            for told in facts
            if told["split"] == split
        ]
        index = {
            "__kind__": "wids-shard-index-v1", "wids_version": 1, "name": split,
            "shardlist": shards,
        }  # fmt: skip
        write_whole(folder / f"{split}.json", json.dumps(index, indent=1) + "\n")
