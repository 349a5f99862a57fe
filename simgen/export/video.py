"""MP4 files whose bytes, frame count and timestamps are exact: the one encoder and its check."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import UInt8

from simgen.exchange import ExchangeError

CRF = 18  # visually lossless for most eyes; 0..51, higher is smaller and worse
LOSSLESS = -1  # as crf: every byte of rgb comes back; few players show it
RATE_MAX = 100_000  # largest denominator of a frame rate: 30000/1001 is one
KEYFRAME_EVERY = 12


def exact_rate(frame_rate_hz: float) -> Fraction:
    """The frame rate as a fraction: 23.976 and 29.97 are meant as 24000/1001 and 30000/1001."""
    television = Fraction(round(frame_rate_hz * 1.001) * 1000, 1001)
    if abs(float(television) - frame_rate_hz) < 2e-3 and frame_rate_hz != round(frame_rate_hz):
        return television
    return Fraction(frame_rate_hz).limit_denominator(RATE_MAX)


class VideoWriter:
    """One H.264 MP4 at a constant frame rate; frame t is at exactly t / rate.

    The same frames give the same bytes: one encoder thread, because several decide by timing. No
    B-frames, so that decoding order is showing order and no reader has to mend timestamps. The
    file appears under its name when it is whole.

    Args:
        path: Written anew.
        crf: Quality 0..51, or LOSSLESS.
        keyframe_every: Frames from one that can be decoded alone to the next: small is quicker
            to read at random, and larger on disk.
    Raises:
        ExchangeError: On entering, if no such video can be.
    """

    def __init__(
        self,
        path: Path,
        *,
        frame_rate: Fraction,
        height: int,
        width: int,
        crf: int = CRF,
        keyframe_every: int = KEYFRAME_EVERY,
    ):
        if not LOSSLESS <= crf <= 51:
            raise ExchangeError(f"{path}: crf {crf}; it goes from 0 (best) to 51")
        self.path, self.frame_rate, self.crf = path, frame_rate, crf
        self.height, self.width, self.keyframe_every = height, width, keyframe_every
        self.frames = 0

    def __enter__(self) -> VideoWriter:
        import av

        self._partial = self.path.with_name(f".{self.path.name}.partial")
        self._file = av.open(
            str(self._partial), "w", format="mp4",
            options={"movflags": "+faststart", "fflags": "+bitexact"},
        )  # fmt: skip
        lossless = self.crf == LOSSLESS
        stream = self._file.add_stream(
            "libx264rgb" if lossless else "libx264", rate=self.frame_rate
        )
        even = self.height % 2 == self.width % 2 == 0
        stream.height, stream.width = self.height, self.width
        # half the colour resolution is what every player shows; it needs even sides
        stream.pix_fmt = "rgb24" if lossless else "yuv420p" if even else "yuv444p"
        stream.time_base = 1 / self.frame_rate
        stream.codec_context.time_base = 1 / self.frame_rate
        stream.codec_context.thread_count = 1
        stream.codec_context.gop_size = self.keyframe_every
        stream.codec_context.max_b_frames = 0
        stream.options = {"preset": "medium", "threads": "1", "forced-idr": "1"} | (
            {"qp": "0"} if lossless else {"crf": str(self.crf)}
        )
        if not lossless:  # said in the file, or readers guess by its size
            context = stream.codec_context
            context.color_range, context.colorspace = 1, 1
            context.color_primaries, context.color_trc = 1, 1
        self._stream = stream
        return self

    def add(self, frames: UInt8[np.ndarray, "time height width 3"]) -> None:
        """Append frames; the first of them can be decoded alone."""
        import av

        if frames.shape[1:] != (self.height, self.width, 3) or frames.dtype != np.uint8:
            raise ExchangeError(
                f"{self.path}: frames are {frames.dtype}{list(frames.shape)}, the video is uint8 "
                f"time x {self.height} x {self.width} x 3"
            )
        for number, pixels in enumerate(np.ascontiguousarray(frames)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if self.crf != LOSSLESS:
                frame = frame.reformat(
                    format=self._stream.pix_fmt, dst_colorspace="ITU709", dst_color_range="MPEG"
                )
            frame.pts, frame.time_base = self.frames, 1 / self.frame_rate
            frame.pict_type = av.video.frame.PictureType.I if number == 0 else 0
            self._file.mux(self._stream.encode(frame))
            self.frames += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._file.close()
            self._partial.unlink(missing_ok=True)
            return
        self._file.mux(self._stream.encode(None))
        self._file.close()
        check_video(self._partial, self.frames, self.frame_rate)
        os.replace(self._partial, self.path)


def timestamps(path: Path) -> list[Fraction]:
    """Seconds at which the video's frames are shown, in order, read without decoding."""
    import av

    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        packets = (packet for packet in file.demux(stream) if packet.pts is not None)
        return sorted(packet.pts * packet.time_base for packet in packets)


def check_video(path: Path, frames: int, frame_rate: Fraction) -> None:
    """Hold a written file against what was meant.

    Raises:
        ExchangeError: It has another number of frames, or one at another time.
    """
    found = timestamps(path)
    if found != [number / frame_rate for number in range(frames)]:
        raise ExchangeError(
            f"{path}: wrote {frames} frames at {frame_rate} Hz, and the file has {len(found)} "
            f"from {found[0] if found else 0} s to {found[-1] if found else 0} s"
        )
