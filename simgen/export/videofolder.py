"""A folder of MP4s by split with metadata.csv, as Hugging Face's `datasets` opens it.

Layout: https://huggingface.co/docs/datasets/video_load#videofolder
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simgen.export.clips import Clip
from simgen.export.staging import Piece, write_whole
from simgen.export.video import VideoWriter

if TYPE_CHECKING:
    from simgen.export import Options

LIBRARIES = ("av",)
LOSES = "truth arrays, and exact pixels unless lossless; depth and the like become colours"
COLUMNS = (
    "episode_id", "split", "family", "engine", "frames", "frame_rate_hz", "height", "width",
    "caption", "caption_dense", "caption_timeline", "caption_false", "outcome", "possible",
    "parameters", "bodies", "events",
)  # fmt: skip


def pieces(clips: Sequence[Clip], options: Options) -> list[Piece]:
    """One an episode: its MP4s."""
    return [
        Piece(clip.episode_id, 1, lambda folder, c=clip: _write(c, folder, options))
        for clip in clips
    ]


def video_path(clip: Clip, channel: str) -> str:
    """Where a channel's MP4 is, below the split's folder."""
    return f"{clip.episode_id}.mp4" if channel == "rgb" else f"{channel}/{clip.episode_id}.mp4"


def _write(clip: Clip, folder: Path, options: Options) -> dict:
    for channel in options.channels:
        path = folder / clip.split / video_path(clip, channel)
        path.parent.mkdir(parents=True, exist_ok=True)
        with VideoWriter(
            path, frame_rate=clip.frame_rate, height=clip.height, width=clip.width,
            crf=options.crf,
        ) as video:  # fmt: skip
            video.add(clip.pictures(channel))
    return {}


def finish(folder: Path, clips: Sequence[Clip], options: Options, facts: list[dict]) -> None:
    """metadata.csv in every split's folder, and a card that names the splits."""
    splits = list(dict.fromkeys(clip.split for clip in clips))
    files = {name: f"{name}_file_name" for name in options.channels}
    files[options.channels[0]] = "file_name"  # becomes the column `video`, others are NAME
    for split in splits:
        text = io.StringIO()
        table = csv.DictWriter(text, [*files.values(), *COLUMNS], lineterminator="\n")
        table.writeheader()
        for clip in clips:
            if clip.split == split:
                paths = {column: video_path(clip, name) for name, column in files.items()}
                table.writerow(paths | _row(clip))
        write_whole(folder / split / "metadata.csv", text.getvalue())
    write_whole(folder / "README.md", _card(clips, splits))


def _row(clip: Clip) -> dict:
    told = clip.facts()
    captions = told["captions"]
    told |= {f"caption_{kind}": captions.get(kind, "") for kind in ("dense", "timeline", "false")}
    told["caption"] = captions.get("short", "")
    return {
        name: json.dumps(told[name], sort_keys=True) if isinstance(told[name], list | dict)
        else told[name]
        for name in COLUMNS
    }  # fmt: skip


def _card(clips: Sequence[Clip], splits: Sequence[str]) -> str:
    """`datasets` guesses train, validation and test from folders; the card names every split."""
    files = "".join(f"  - split: {name}\n    path: {name}/**\n" for name in splits)
    attrs = clips[0].dataset.attrs
    recipe = attrs.get("recipe") or {}
    return (
        f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}"
        f"license: {str(attrs.get('licence') or 'other').lower()}\n---\n\n"
        f"# {recipe.get('name', 'imported clips')}\n\n"
        f"{len(clips)} clips with captions, exported by physreel.\n"
    )
