"""Clips drawn by hand for the tests: soft-edged discs on known paths over a plain gradient."""

from __future__ import annotations

import numpy as np

from worldmodel.clip import Clip, ClipObject

PALETTE = {
    "red": (210, 50, 45),
    "blue": (50, 80, 205),
    "yellow": (225, 200, 50),
    "green": (45, 160, 75),
}
SIZE = 64
CONTEXT = 6
HORIZON = 16
RATE_HZ = 20.0
FOCAL_PX = 80.0
DEPTH_M = 4.0


def draw(centre, radius_px, colours, *, noise=0.0, rng=None, size=SIZE):
    """Frames and labels of discs (time, object, 2); a NaN centre draws nothing; later ones hide."""
    y, x = np.mgrid[0:size, 0:size] + 0.5
    backdrop = np.stack([150 + 0.8 * y, 165 + 0.5 * y, 180 - 0.2 * x], axis=-1)
    frames, labels = [], []
    for places in centre:
        image, label = backdrop.copy(), np.zeros((size, size), np.uint8)
        for i, (cx, cy) in enumerate(places):
            if np.isnan(cx):
                continue
            distance = np.hypot(x - cx, y - cy)
            cover = np.clip(radius_px[i] + 0.5 - distance, 0, 1)
            shade = 0.75 + 0.25 * np.clip((cy - y) / radius_px[i] + 0.5, 0, 1)
            paint = np.array(PALETTE[colours[i]]) * shade[..., None]
            image = image * (1 - cover[..., None]) + paint * cover[..., None]
            label[cover > 0.5] = i + 1
        if noise:
            image = image + rng.normal(0, noise, image.shape)
        frames.append(np.clip(np.rint(image), 0, 255).astype(np.uint8))
        labels.append(label)
    return np.stack(frames), np.stack(labels)


def clip_of(centre, radius_px, colours, *, context=CONTEXT, name="drawn-0", noise=0.0, rng=None):
    """A Clip of discs with the given true centres, all at DEPTH_M."""
    centre = np.asarray(centre, np.float64)
    rgb, label = draw(centre, radius_px, colours, noise=noise, rng=rng)
    whole = np.pi * np.asarray(radius_px) ** 2
    seen = np.stack([(label == i + 1).sum(axis=(1, 2)) for i in range(len(colours))], axis=1)
    inside = ((centre > 0) & (centre < SIZE)).all(axis=-1)
    return Clip(
        episode_id=name, family="drawn", start=0, context=context, frame_rate_hz=RATE_HZ,
        rgb=rgb, label=label,
        objects=tuple(ClipObject(f"ball{i}", colour) for i, colour in enumerate(colours)),
        centre=centre, depth_m=np.full(centre.shape[:2], DEPTH_M),
        visibility=np.where(inside, np.minimum(seen / whole * 1.03, 1.0), np.nan),
        focal_px=np.full(len(centre), FOCAL_PX), caption="balls",
    )  # fmt: skip


def random_clip(seed, *, balls=2, frames=CONTEXT + HORIZON, straight=False, noise=0.0):
    """Balls that bounce off the picture's edges (or `straight`, slow enough to stay inside)."""
    rng = np.random.default_rng(seed)
    colours = tuple(rng.permutation(list(PALETTE))[:balls])
    radius = rng.uniform(4.5, 7.0, balls)
    lanes = (np.arange(balls) + 0.5) * SIZE / balls  # one lane each: nobody hides anybody
    start = np.stack([rng.uniform(12, 20, balls), lanes], axis=-1)
    reach = 1.5 if straight else 2.5
    velocity = np.stack([rng.uniform(1.0, reach, balls), np.zeros(balls)], axis=-1)
    path = start + np.arange(frames)[:, None, None] * velocity
    if not straight:
        low, high = radius + 0.5, SIZE - radius - 0.5
        span = high - low
        path[..., 0] = low + span - np.abs((path[..., 0] - low) % (2 * span) - span)
    return clip_of(path, radius, colours, name=f"drawn-{seed}", noise=noise, rng=rng)
