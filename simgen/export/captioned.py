"""MP4s for people: the channels side by side, the caption and what happens underneath."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from simgen.export.clips import Clip
from simgen.export.staging import Piece
from simgen.export.video import VideoWriter
from simgen.preview import INK, MARGIN, PALE, PAPER

if TYPE_CHECKING:
    from simgen.export import Options

LIBRARIES = ("av",)
LOSES = "truth arrays and exact pixels: made to be looked at"
WIDTH_MIN, TEXT_PX, LEADING_PX = 480, 15, 20
SHOWN_S = 0.6  # an event stays on screen at least so long


def pieces(clips: Sequence[Clip], options: Options) -> list[Piece]:
    """One an episode: its MP4."""
    return [
        Piece(clip.episode_id, 1, lambda folder, c=clip: _write(c, folder, options))
        for clip in clips
    ]


def finish(folder: Path, clips: Sequence[Clip], options: Options, facts: list[dict]) -> None:
    """A film says all of itself."""


def _write(clip: Clip, folder: Path, options: Options) -> dict:
    path = folder / clip.split / f"{clip.episode_id}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = captioned(clip, options.channels)
    height, width = frames.shape[1:3]
    with VideoWriter(
        path, frame_rate=clip.frame_rate, height=height, width=width, crf=options.crf
    ) as video:
        video.add(frames)
    return {}


def captioned(clip: Clip, channels: Sequence[str]) -> UInt8[np.ndarray, "time height width 3"]:
    """The clip's pictures, small ones enlarged by whole pixels, over a strip of text."""
    pictures = np.concatenate([clip.pictures(channel) for channel in channels], 2)
    scale = max(1, -(-WIDTH_MIN // pictures.shape[2]))
    pictures = pictures.repeat(scale, 1).repeat(scale, 2)
    height, width = pictures.shape[1:3]
    font = ImageFont.load_default(size=TEXT_PX)
    caption = wrapped(clip.row["caption_short"] or clip.episode_id, width - 2 * MARGIN, font)
    strip = LEADING_PX * (len(caption) + 1) + 2 * MARGIN
    pad = (-(height + strip) % 2, -width % 2)  # half-resolution colour needs even sides
    canvas = np.empty((clip.frames, height + strip + pad[0], width + pad[1], 3), np.uint8)
    canvas[:] = PAPER
    canvas[:, :height, :width] = pictures
    events, drawn = clip.events(), {}
    for frame in range(clip.frames):
        text = _now(events, float(frame / clip.frame_rate))
        if text not in drawn:
            size = (width, strip + pad[0])
            drawn[text] = _strip(caption, text, size, font)
        canvas[frame, height:, :width] = drawn[text]
    return canvas


def wrapped(text: str, width_px: int, font: ImageFont.FreeTypeFont) -> list[str]:
    """Lines that fit."""
    characters = max(12, int(width_px / max(font.getlength(text), 1) * len(text) * 0.95))
    return textwrap.wrap(text, characters) or [""]


def _strip(
    caption: Sequence[str], now: str, size: tuple[int, int], font: ImageFont.FreeTypeFont
) -> UInt8[np.ndarray, "height width 3"]:
    block = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(block)
    for number, line in enumerate([*caption, now]):
        ink = PALE if number == len(caption) else INK
        draw.text((MARGIN, MARGIN + number * LEADING_PX), line, ink, font)
    return np.asarray(block)


def _now(events: Sequence[dict], at: float) -> str:
    """The time, and the events of this moment."""
    shown = []
    for event in events:
        start, stop = event["start_s"], event["end_s"]
        if start is not None and start <= at < max(stop or start, start + SHOWN_S):
            words = [event["kind"].replace("_", " "), event["body_a"], event["body_b"]]
            shown.append(" ".join(filter(None, words)))
    return f"{at:.2f} s  {'; '.join(dict.fromkeys(shown))}".rstrip()
