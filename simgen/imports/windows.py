"""Which frames of which clips become episodes; what is lost on the way is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import xxhash
from jaxtyping import UInt8
from PIL import Image

from simgen.exchange import ExchangeError
from simgen.imports.sources import Source

SHARES = (("train", 0.8), ("val", 0.9), ("test", 1.0))  # upper ends
SHAPES_MAX = 16  # buckets that a person can have meant


@dataclass(frozen=True)
class Choice:
    """How clips are cut and scaled.

    Attributes:
        size: Height and width to crop to the middle of and scale to; None keeps each clip's own.
        frames: Length of every episode; None: each clip whole.
        frame_rate_hz: Frames are dropped down to it; None keeps each clip's own.
        seed: Of the splits.
        keep_splits: Splits are the source's where it names them.
    """

    size: tuple[int, int] | None = None
    frames: int | None = None
    frame_rate_hz: float | None = None
    seed: int = 0
    keep_splits: bool = False


@dataclass(frozen=True)
class Window:
    """One episode to be: frames of one source."""

    source: Source
    group: int  # the source's number: its windows belong together
    frames: tuple[int, ...]  # of the source
    frame_rate: Fraction
    height: int
    width: int
    split: str

    @property
    def bucket(self) -> str:
        return f"t{len(self.frames)}_{self.height}x{self.width}"

    def rgb(self) -> UInt8[np.ndarray, "time height width 3"]:
        """Its pictures at the wanted size."""
        return scaled(self.source.read(self.frames), self.height, self.width)


@dataclass
class Losses:
    """What of the sources is in no episode, or changed."""

    clips_too_short: int = 0
    frames_cut_off: int = 0  # after a clip's last whole window, or of clips too short
    frames_dropped: int = 0  # by a lower frame rate
    clips_scaled: int = 0
    clips_without_caption: int = 0
    unreadable: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = {name.replace("_", " "): value for name, value in asdict(self).items()}
        told["unreadable"] = len(self.unreadable)
        return ", ".join(f"{value} {name}" for name, value in told.items() if value) or "nothing"


def cut(sources: Sequence[Source], choice: Choice) -> tuple[list[Window], Losses]:
    """The episodes of these sources, and what is lost.

    Raises:
        ExchangeError: Nothing is left, a higher frame rate was asked for than there is, or clips
            are of too many shapes.
    """
    losses, windows = Losses(), []
    for group, source in enumerate(sources):
        if reason := source.facts.get("unreadable"):
            losses.unreadable.append(reason)
            continue
        rate, kept = resampled(source, choice)
        losses.frames_dropped += source.frames - len(kept)
        length = choice.frames or len(kept)
        whole = len(kept) // length if length else 0
        losses.clips_too_short += not whole
        losses.frames_cut_off += len(kept) - whole * length
        losses.clips_without_caption += not source.caption
        height, width = choice.size or (source.height, source.width)
        losses.clips_scaled += (height, width) != (source.height, source.width)
        split = source.split if choice.keep_splits else ""
        split = split or hashed_split(source.source_id, choice.seed)
        windows += [
            Window(source, group, tuple(kept[n * length : (n + 1) * length]), rate, height, width,
                   split)
            for n in range(whole)
        ]  # fmt: skip
    if not windows:
        raise ExchangeError(f"no clip gives an episode ({losses}); ask for fewer --frames")
    if len(shapes := {window.bucket for window in windows}) > SHAPES_MAX:
        raise ExchangeError(
            f"the clips have {len(shapes)} shapes ({', '.join(sorted(shapes)[:3])}, ...), and "
            f"{SHAPES_MAX} are allowed; cut them alike with --frames and --size"
        )
    return windows, losses


def resampled(source: Source, choice: Choice) -> tuple[Fraction, list[int]]:
    """Frame rate, and which of the source's frames show it: the last at or before each moment.

    Raises:
        ExchangeError: A higher rate than the source's: frames would have to be invented.
    """
    rate = Fraction(choice.frame_rate_hz or 0).limit_denominator(100_000) or source.frame_rate
    if rate > source.frame_rate:
        raise ExchangeError(
            f"{source.source_id} has {float(source.frame_rate):g} frames a second, and "
            f"{float(rate):g} were asked for; give at most that"
        )
    count = -(-source.frames * rate // source.frame_rate)
    return rate, [int(n * source.frame_rate / rate) for n in range(count)]


def hashed_split(source_id: str, seed: int) -> str:
    """The split of a source: of its name and the seed alone, so new clips move no old ones."""
    share = xxhash.xxh3_64_intdigest(f"{seed}:{source_id}".encode()) / 2**64
    return next(name for name, upto in SHARES if share < upto)


def scaled(
    frames: UInt8[np.ndarray, "time height width 3"], height: int, width: int
) -> UInt8[np.ndarray, "time tall wide 3"]:
    """The middle of the frames in the wanted shape, scaled by area."""
    tall, wide = frames.shape[1:3]
    if (tall, wide) == (height, width):
        return np.ascontiguousarray(frames)
    scale = min(tall / height, wide / width)
    left, top = (wide - width * scale) / 2, (tall - height * scale) / 2
    box = (left, top, left + width * scale, top + height * scale)
    pictures = (Image.fromarray(frame) for frame in frames)
    return np.stack([
        np.asarray(p.resize((width, height), Image.Resampling.BOX if scale > 1
                            else Image.Resampling.BICUBIC, box))
        for p in pictures
    ])  # fmt: skip


def identity(windows: Sequence[Window]) -> str:
    """Hash of everything that the episodes are made of: their sources' bytes and the cuts."""
    files = {window.source.path for window in windows}
    hashes = {path: _file_hash(path) for path in files}
    state = xxhash.xxh3_128()
    for window in windows:
        source = window.source
        told = (
            source.source_id, hashes[source.path], source.first, source.caption, window.frames,
            str(window.frame_rate), window.height, window.width, window.split, source.facts,
        )  # fmt: skip
        state.update(repr(told).encode())
        for series in (source.action, source.observation):
            if series:
                state.update(repr(series.names).encode() + series.values.tobytes())
    return state.hexdigest()


def _file_hash(path: Path) -> str:
    state = xxhash.xxh3_128()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            state.update(block)
    return state.hexdigest()
