"""Frames of a clip as one picture that a web page can show one at a time."""

from __future__ import annotations

import base64
import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image

COLUMNS = 8
LOSSLESS_UP_TO_PX = 128 * 128  # of a frame; larger ones compress well enough to look the same


def grid_of(count: int) -> tuple[int, int]:
    """Columns and lines of the picture that holds `count` frames."""
    return min(COLUMNS, count), -(-count // COLUMNS)


def data_uri(frames: UInt8[np.ndarray, "time height width 3"]) -> str:
    """All frames in reading order as one WebP data: URI; no file, no network."""
    columns, lines = grid_of(len(frames))
    height, width = frames.shape[1:3]
    sheet = np.zeros((lines * height, columns * width, 3), np.uint8)
    for t, frame in enumerate(frames):
        y, x = t // columns * height, t % columns * width
        sheet[y : y + height, x : x + width] = frame
    target = io.BytesIO()
    lossless = height * width <= LOSSLESS_UP_TO_PX
    Image.fromarray(sheet).save(target, "WEBP", lossless=lossless, quality=90, method=4)
    return "data:image/webp;base64," + base64.b64encode(target.getvalue()).decode()
