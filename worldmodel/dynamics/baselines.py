"""Predictors without learning, the least that a model must beat.

Every predictor has one interface: predict(context, horizon, *, clip) -> horizon frames, where
`clip` tells what a model is also told (caption, actions, camera) and the names and colours of
the objects. Only the truth row looks at the clip's future.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8
from scipy import ndimage

from worldmodel.clip import Clip
from worldmodel.perception import Probe

VELOCITY_FRAMES = 4  # of the context's end; more average the noise, fewer see the last bounce


def copy_last(
    context: UInt8[np.ndarray, "time height width 3"], horizon: int, *, clip: Clip | None = None
) -> UInt8[np.ndarray, "horizon height width 3"]:
    """The last context frame, again and again."""
    return np.repeat(context[-1:], horizon, axis=0)


@dataclass(frozen=True)
class ConstantVelocity:
    """Each object slides on as it moved at the context's end; walls and gravity are not known.

    The probe finds the objects; their velocity is the least-squares slope of the last
    VELOCITY_FRAMES centres; their pixels are cut from the last context frame and drawn, shifted by
    fractions of a pixel, over a background in which each pixel is the median of the context frames
    that show it bare. What slides out of the picture is gone. The background of a moving
    camera stays as it was last seen.
    """

    probe: Probe
    frames: int = VELOCITY_FRAMES

    def __call__(
        self, context: UInt8[np.ndarray, "time height width 3"], horizon: int, *, clip: Clip
    ) -> UInt8[np.ndarray, "horizon height width 3"]:
        objects = [thing for thing in clip.objects if thing.colour in self.probe.colours]
        probability = self.probe.probabilities(context, objects)
        tracks = self.probe.track(context, objects, context=len(context))
        velocity = slope(tracks.centre[-self.frames :])
        cover = probability[1:, -1]
        background = bare_background(context, probability[0])
        frames = np.repeat(background[None], horizon, axis=0)
        for i in np.argsort(tracks.area[-1]):  # the largest, likely the nearest, is drawn last
            if tracks.missing[-1, i]:
                continue
            alpha = _one_piece(cover[i], tracks.centre[-1, i])
            cut = np.concatenate([alpha[..., None], alpha[..., None] * context[-1]], axis=-1)
            for h in range(horizon):
                _draw(frames[h], cut, velocity[i] * (h + 1))
        return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def slope(centre: Float64[np.ndarray, "time object 2"]) -> Float64[np.ndarray, "object 2"]:
    """Least-squares velocity, px a frame; missing frames are left out, under two give rest."""
    velocity = np.zeros(centre.shape[1:])
    for i in range(centre.shape[1]):
        t = np.flatnonzero(np.isfinite(centre[:, i, 0]))
        if len(t) > 1:
            from_mean = t - t.mean()
            velocity[i] = from_mean @ centre[t, i] / (from_mean @ from_mean)
    return velocity


def bare_background(
    context: UInt8[np.ndarray, "time height width 3"],
    bare: Float64[np.ndarray, "time height width"],
) -> Float64[np.ndarray, "height width 3"]:
    """Median of each pixel over the frames in which no object covers it.

    A pixel that was always covered takes the value of the nearest that was not.
    """
    covered = ndimage.binary_dilation(bare < 0.5, np.ones((1, 3, 3), bool))
    frames = np.ma.masked_array(context, np.repeat(covered[..., None], 3, axis=-1))
    middle = np.ma.median(frames, axis=0)
    holes = covered.all(axis=0)
    if holes.all():
        return context[-1].astype(np.float64)
    y, x = ndimage.distance_transform_edt(holes, return_distances=False, return_indices=True)
    return middle.filled(0.0)[y, x].astype(np.float64)


def _one_piece(cover, centre):
    """The cover of the connected piece nearest to the centre, with its soft edge, 0 elsewhere."""
    labels, _ = ndimage.label(cover > 0.05, np.ones((3, 3), bool))
    y, x = np.nonzero(labels)
    nearest = np.argmin((x + 0.5 - centre[0]) ** 2 + (y + 0.5 - centre[1]) ** 2)
    return np.where(labels == labels[y[nearest], x[nearest]], cover, 0.0)


def _draw(frame, cut, shift):
    """Lays a cut-out (alpha, alpha * rgb) over the frame in place, moved by (x, y) px."""
    height, width = frame.shape[:2]
    if abs(shift[0]) > width or abs(shift[1]) > height:
        return
    moved = ndimage.shift(cut, (shift[1], shift[0], 0), order=1, mode="constant")
    frame *= 1 - moved[..., :1]
    frame += moved[..., 1:]
