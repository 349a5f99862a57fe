"""Pictures of a recipe before anything is built: contact sheets, and one episode in motion."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from einops import rearrange
from jaxtyping import Float32, UInt8
from PIL import Image, ImageDraw, ImageFont

from simgen.episode import Episode, make_episode
from simgen.recipe import Recipe

MARGIN, TILE_MIN = 6, 96  # px
PAPER, INK, PALE, ALARM = (250, 250, 248), (30, 30, 34), (110, 110, 118), (170, 30, 30)
NEAR, FAR = np.float32([250, 236, 130]), np.float32([40, 24, 90])  # depth's colours
GOLDEN = 0.61803398875  # hues of neighbouring labels far apart
TEXT_PX = 13
STILL_PX = 1 / 64  # a frame: slower is rounding


def make_place(picture: Path) -> None:
    """The folder of a picture that can be written, before minutes go into drawing it.

    Raises:
        ValueError: No format has that suffix, or the file cannot be written.
    """
    known = {end for end, name in Image.registered_extensions().items() if name in Image.SAVE}
    if picture.suffix.lower() not in known:
        raise ValueError(f"{picture}: no picture format {picture.suffix!r}; .png, .webp or .gif")
    try:
        picture.parent.mkdir(parents=True, exist_ok=True)
        new = not picture.exists()
        with picture.open("ab"):
            pass
        if new:
            picture.unlink()
    except OSError as error:
        raise ValueError(
            f"{picture} cannot be written: {error.strerror}; give another file with -o"
        ) from None


def contact_sheet(
    recipe: Recipe, indices: Sequence[int], *, columns: int = 6, all_channels: bool = False
) -> Image.Image:
    """A row an episode: frames over time, then what it is and its short caption.

    Args:
        indices: Episode indices of the recipe.
        columns: Frames shown of each, evenly spaced from the first to the last.
        all_channels: A row for each channel of each episode instead.
    """
    rows = [row for index in indices for row in episode_rows(recipe, index, columns, all_channels)]
    width = max(row.width for row in rows) + 2 * MARGIN
    height = sum(row.height for row in rows) + MARGIN * (len(rows) + 1)
    sheet, top = Image.new("RGB", (width, height), PAPER), MARGIN
    for row in rows:
        sheet.paste(row, (MARGIN, top))
        top += row.height + MARGIN
    return sheet


def animation(recipe: Recipe, index: int, path: Path) -> Path:
    """One episode's rgb as an animated WebP or GIF (by the suffix), at its own frame rate.

    Raises:
        ValueError: The episode has no rgb.
    """
    episode = make_episode(recipe, index)
    if "rgb" not in episode.frames:
        raise ValueError(f"{episode.episode_id} has no rgb: {'; '.join(episode.reasons)}")
    frames = [Image.fromarray(frame) for frame in episode.frames["rgb"]]
    step_ms = round(1000 / episode.scene.frame_rate_hz)
    options = {"lossless": True} if path.suffix.lower() == ".webp" else {}
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=step_ms, loop=0, **options
    )
    return path


def episode_rows(recipe: Recipe, index: int, columns: int, all_channels: bool) -> list[Image.Image]:
    """The pictures and the text of one episode."""
    episode = make_episode(recipe, index)
    shown = list(episode.frames) if all_channels else list(episode.frames)[:1]
    strips = [filmstrip(coloured(channel, episode.frames[channel]), columns) for channel in shown]
    width = max((strip.width for strip in strips), default=columns * (TILE_MIN + 2))
    return [*strips, caption_block(episode, width)]


def filmstrip(video: UInt8[np.ndarray, "time height width 3"], columns: int) -> Image.Image:
    """Evenly spaced frames side by side, small ones enlarged by whole pixels."""
    at = np.linspace(0, len(video) - 1, min(columns, len(video))).round().astype(int)
    scale = max(1, -(-TILE_MIN // min(video.shape[1:3])))
    tiles = video[at].repeat(scale, 1).repeat(scale, 2)
    tiles = np.pad(tiles, ((0, 0), (0, 0), (0, 2), (0, 0)), constant_values=PAPER[0])
    return Image.fromarray(rearrange(tiles, "time h w c -> h (time w) c"))


def caption_block(episode: Episode, width: int) -> Image.Image:
    """Who, how it ended, and the short caption or the reasons for quarantine."""
    font = ImageFont.load_default(size=TEXT_PX)
    ended = f", {episode.outcome.label}" if episode.outcome else ""
    head = f"{episode.index}  {episode.family}, {episode.engine}, {episode.split}{ended}"
    if episode.reasons:
        text, ink = f"QUARANTINED: {'; '.join(episode.reasons)}", ALARM
    else:
        text, ink = episode.captions["short"], INK
    characters = max(20, int(width / font.getlength(text) * len(text) * 0.96))
    lines = textwrap.wrap(text, characters)
    step = TEXT_PX + 4
    block = Image.new("RGB", (width, step * (len(lines) + 1) + MARGIN), PAPER)
    draw = ImageDraw.Draw(block)
    draw.text((0, 0), head, PALE, font)
    for i, line in enumerate(lines):
        draw.text((0, step * (i + 1)), line, ink, font)
    return block


def coloured(channel: str, frames: np.ndarray) -> UInt8[np.ndarray, "time height width 3"]:
    """Any channel as colours for the eye."""
    return PAINTERS[channel](frames)


def paint_depth(
    depth: Float32[np.ndarray, "time height width 1"],
) -> UInt8[np.ndarray, "time height width 3"]:
    """Near bright, far dark by inverse depth over the clip; sky white."""
    finite = np.isfinite(depth)
    inverse = 1 / np.where(finite, depth, 1).astype(np.float32)
    near, far = depth_range(depth)
    share = (inverse - 1 / far) / max(1 / near - 1 / far, 1e-9)
    colours = FAR + (NEAR - FAR) * np.where(finite, share, 0).astype(np.float32)
    return np.where(finite, colours, 255).astype(np.uint8)


def depth_range(depth: Float32[np.ndarray, "time height width 1"]) -> tuple[float, float]:
    """Metres that the brightest and the darkest of paint_depth's colours stand for."""
    seen = depth[np.isfinite(depth)]
    return (float(seen.min()), float(seen.max())) if len(seen) else (1.0, 1.0)


def paint_segmentation(
    labels: UInt8[np.ndarray, "time height width 1"],
) -> UInt8[np.ndarray, "time height width 3"]:
    """One hue a label, sky dark."""
    palette = hues(np.arange(256) * GOLDEN, np.full(256, 0.65), np.full(256, 0.95))
    palette[0] = (24, 24, 28)
    return palette[labels[..., 0]]


def paint_normals(
    normals: Float32[np.ndarray, "time height width 3"],
) -> UInt8[np.ndarray, "time height width 3"]:
    """x, y, z as red, green, blue."""
    return ((normals + 1) * 127.5).clip(0, 255).astype(np.uint8)


def paint_flow(
    flow: Float32[np.ndarray, "time height width 2"],
) -> UInt8[np.ndarray, "time height width 3"]:
    """Direction as hue, speed as saturation up to flow_top_px."""
    flow = finite_flow(flow)
    speed = np.hypot(flow[..., 0], flow[..., 1])
    moving = speed > STILL_PX
    angle = np.arctan2(flow[moving, 1], flow[moving, 0]) / np.float32(2 * np.pi)
    share = (speed[moving] / flow_top_px(flow)).clip(0, 1)
    picture = np.full((*speed.shape, 3), 255, np.uint8)
    picture[moving] = hues(angle, share, np.ones_like(share))
    return picture


def flow_top_px(flow: Float32[np.ndarray, "time height width 2"]) -> float:
    """Pixels a frame that paint_flow's fullest colours stand for, and all that is faster.

    Nine tenths of what moves is slower: a small ball on a still floor has colours too.
    """
    flow = finite_flow(flow)
    speed = np.hypot(flow[..., 0], flow[..., 1])
    moving = speed[speed > STILL_PX]
    return float(np.percentile(moving, 90)) if len(moving) else 1.0


def finite_flow(
    flow: Float32[np.ndarray, "time height width 2"],
) -> Float32[np.ndarray, "time height width 2"]:
    """Points behind the camera as still, points that pass it as fast as float16 can say."""
    return np.nan_to_num(np.asarray(flow, np.float32), posinf=65504, neginf=-65504)


def hues(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """HSV in 0..1 (hue in turns, any) to RGB bytes."""
    # each channel is the value less what its distance from the hue takes away
    offset = np.array([5.0, 3.0, 1.0], np.float32)
    k = (offset + hue[..., None] * 6) % 6
    taken = np.minimum(k, 4 - k).clip(0, 1)
    rgb = value[..., None] * (1 - saturation[..., None] * taken)
    return (rgb * 255).round().astype(np.uint8)


PAINTERS = {
    "rgb": lambda frames: frames,
    "depth": paint_depth,
    "segmentation": paint_segmentation,
    "normals": paint_normals,
    "flow": paint_flow,
    "backward_flow": paint_flow,
}
