"""A clip's channels as pictures that a browser plays: all frames in one grid, drawn one by one.

Sheets of frames step exactly, and several channels together, which video elements do not.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from simgen.preview import PAINTERS, coloured, depth_range, flow_top_px, paint_segmentation
from simgen.store.reader import Dataset

SHEET_PX = 2048 * 2048  # of a sheet at most; browsers decode it to four bytes each
THUMB_FRAMES, THUMB_PX = 32, 144
LOSSLESS_UP_TO_PX = 128 * 128  # of an rgb frame; larger ones look the same
BUCKET = re.compile(r"t(\d+)_(\d+)x(\d+)$")
CHANNELS = tuple(PAINTERS)


@dataclass(frozen=True)
class Sheets:
    """How a clip's frames lie on its sheets: in reading order, `per_sheet` on each."""

    frames: int
    width: int
    height: int
    columns: int
    per_sheet: int
    every: int = 1  # of the clip's frames, so many apart

    @property
    def count(self) -> int:
        return -(-self.frames // self.per_sheet)


def sheets_of(bucket: str) -> Sheets:
    """The sheets of every full-size channel of a bucket's clips."""
    frames, height, width = size_of(bucket)
    per_sheet = max(1, min(frames, SHEET_PX // (height * width)))
    columns = max(1, min(per_sheet, round((per_sheet * height / width) ** 0.5)))
    return Sheets(frames, width, height, columns, per_sheet)


def thumb_of(bucket: str) -> Sheets:
    """The one sheet of a bucket's thumbnails: fewer and smaller frames."""
    frames, height, width = size_of(bucket)
    every = -(-frames // THUMB_FRAMES)
    scale = min(1.0, THUMB_PX / max(height, width))
    kept = -(-frames // every)
    columns = min(8, kept)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return Sheets(kept, *size, columns, kept, every)


def size_of(bucket: str) -> tuple[int, int, int]:
    """Frames, height and width of a bucket by its name.

    Raises:
        ValueError: It is not the name of a bucket.
    """
    if (match := BUCKET.search(bucket)) is None:
        raise ValueError(f"bucket {bucket!r} does not say its size; it should be like t64_128x128")
    frames, height, width = map(int, match.groups())
    return frames, height, width


def sheets(dataset: Dataset, episode_id: str, channel: str) -> list[bytes]:
    """All sheets of one channel of an episode, WebP.

    Raises:
        KeyError: The episode has no such channel, or none that can be shown.
    """
    layout = sheets_of(dataset.row(episode_id)["bucket"])
    video = painted(dataset, episode_id, channel)
    lossless = channel != "rgb" or layout.width * layout.height <= LOSSLESS_UP_TO_PX
    # exact colours let the page read values back; level 1 is as small as 4 for flat pictures
    options = {"lossless": True, "quality": 0 if channel == "rgb" else 20}
    options |= {"method": 0 if channel == "rgb" else 1}
    if not lossless:
        options = {"quality": 90, "method": 2}
    starts = range(0, len(video), layout.per_sheet)
    return [webp(grid(video[at : at + layout.per_sheet], layout.columns), options) for at in starts]


def thumbnail(dataset: Dataset, episode_id: str) -> bytes:
    """The small moving picture of an episode, WebP.

    Raises:
        KeyError: It has no rgb.
    """
    layout = thumb_of(dataset.row(episode_id)["bucket"])
    video = dataset.read(episode_id, "rgb")[:: layout.every]
    if video.shape[1:3] != (layout.height, layout.width):
        size = layout.width, layout.height
        video = np.stack([Image.fromarray(f).resize(size, Image.Resampling.BOX) for f in video])
    return webp(grid(video, layout.columns), {"quality": 78, "method": 1})


def painted(
    dataset: Dataset, episode_id: str, channel: str
) -> UInt8[np.ndarray, "time height width 3"]:
    """A channel of an episode in colours for the eye."""
    if channel not in PAINTERS:
        raise KeyError(f"channel {channel!r} cannot be shown; known: {', '.join(PAINTERS)}")
    stored = dataset.read(episode_id, channel)
    if channel == "normals":
        stored = stored.astype(np.float32) / 127
    return coloured(channel, stored.astype(np.float32) if stored.dtype == np.float16 else stored)


def legend(dataset: Dataset, episode_id: str, channels: tuple[str, ...]) -> dict[str, list[float]]:
    """What the ends of a channel's colours stand for: metres near and far, pixels a frame."""
    ends: dict[str, list[float]] = {}
    if "depth" in channels:
        depth = dataset.read(episode_id, "depth").astype(np.float32)
        ends["depth"] = [round(end, 4) for end in depth_range(depth)]
    for channel in ("flow", "backward_flow"):
        if channel in channels:
            ends[channel] = [round(flow_top_px(dataset.read(episode_id, channel)), 4)]
    return ends


def palette() -> list[str]:
    """The colour of every label of a segmentation, as the page reads it back."""
    colours = paint_segmentation(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1))
    return ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours.reshape(-1, 3).tolist()]


def grid(
    video: UInt8[np.ndarray, "time height width 3"], columns: int
) -> UInt8[np.ndarray, "height width 3"]:
    """The frames in reading order; the last line may end early."""
    frames, height, width, _ = video.shape
    lines = -(-frames // columns)
    sheet = np.zeros((lines, height, columns, width, 3), np.uint8)
    for at, frame in enumerate(video):
        sheet[at // columns, :, at % columns] = frame
    return sheet.reshape(lines * height, columns * width, 3)


def webp(picture: UInt8[np.ndarray, "height width 3"], options: dict) -> bytes:
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "WEBP", **options)
    return target.getvalue()
