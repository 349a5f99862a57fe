"""A clip as it comes: where its frames are, and what is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from simgen.exchange import ExchangeError
from simgen.export.video import exact_rate, timestamps

SLACK_S = 1e-3  # container clocks tick in milliseconds at worst
MARGIN_FRAMES = 2  # decoded before the first wanted one


class DamagedError(ExchangeError):
    """A clip does not hold what its container says; the message names the file."""


@dataclass(frozen=True)
class Series:
    """Numbers beside the frames: actions or states."""

    values: Float[np.ndarray, "time column"]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A clip: frames first to first + frames of a video file.

    Attributes:
        source_id: Names it among its dataset's; the same wherever the folder lies.
        split: As the source says, or "".
        facts: Whatever else is known of it, plain JSON.
    """

    source_id: str
    path: Path
    first: int
    frames: int
    frame_rate: Fraction
    height: int
    width: int
    caption: str = ""
    split: str = ""
    facts: dict = field(default_factory=dict)
    action: Series | None = None
    observation: Series | None = None

    def read(self, wanted: Sequence[int]) -> UInt8[np.ndarray, "time height width 3"]:
        """Those of its frames, rising.

        Raises:
            DamagedError: The file ends earlier, or a frame stands at another time.
        """
        return decode(self.path, [self.first + n for n in wanted], self.frame_rate)


@dataclass(frozen=True)
class Probe:
    """What a video file says of itself. `frames` is its header's promise, or a count."""

    frames: int
    frame_rate: Fraction
    height: int
    width: int


def probe(path: Path) -> Probe:
    """Size, length and rate of a video.

    Raises:
        DamagedError: It cannot be opened, or its frames are not evenly spaced.
    """
    import av

    try:
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            promised, given = stream.frames, stream.average_rate
            height, width = stream.height, stream.width
            turned = next(file.decode(stream)).rotation % 180
        times = timestamps(path)
    except (av.FFmpegError, IndexError, StopIteration, UnicodeDecodeError) as error:
        raise DamagedError(f"{path} cannot be read as a video: {error}") from None
    rate = exact_rate(float(given or 0)) if given else Fraction(0)
    if len(times) > 1:
        rate = rate or exact_rate(float((len(times) - 1) / (times[-1] - times[0])))
        off = max(abs(float(t - times[0] - n / rate)) for n, t in enumerate(times))
        if off > max(SLACK_S, float(0.25 / rate)):
            raise DamagedError(
                f"{path}: frames are up to {off:.3f} s away from {float(rate):g} Hz; make its rate "
                "constant first (ffmpeg -i IN -fps_mode cfr -r RATE OUT)"
            )
    sides = (width, height) if turned else (height, width)
    return Probe(max(promised, len(times)), rate or Fraction(1), *sides)


def decode(
    path: Path, wanted: Sequence[int], rate: Fraction
) -> UInt8[np.ndarray, "time height width 3"]:
    """Frames of a video by number, rising, turned as its container says.

    Raises:
        DamagedError: It lacks one of them.
    """
    import av

    found: dict[int, np.ndarray] = {}
    try:
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            stream.thread_type = "AUTO"
            start = stream.start_time or 0
            early = max(wanted[0] - MARGIN_FRAMES, 0) / rate
            file.seek(start + int(early / stream.time_base), stream=stream)
            asked = set(wanted)
            for frame in file.decode(stream):
                number = round((frame.pts - start) * frame.time_base * rate)
                if number in asked:
                    pixels = frame.to_ndarray(format="rgb24")
                    found[number] = np.rot90(pixels, frame.rotation // 90 % 4)
                if number >= wanted[-1]:
                    break
    except av.FFmpegError as error:
        raise DamagedError(
            f"{path} breaks off in frames {wanted[0]}..{wanted[-1]}: {error}"
        ) from None
    if lacking := [number for number in wanted if number not in found]:
        raise DamagedError(
            f"{path}: frame {lacking[0]} is not there; {len(found)} of the {len(wanted)} wanted are"
        )
    return np.stack([found[number] for number in wanted])
