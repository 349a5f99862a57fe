"""Predictors without a model: what any model must beat.

They share the model's interface, `predict(context, horizon, clip=clip)`, and draw frames, so that
the same probe reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, UInt8
from scipy import ndimage

from worldmodel.clip import Clip
from worldmodel.perception import Probe


def copy_last(
    context: UInt8[np.ndarray, "time height width 3"], horizon: int, *, clip: Clip | None = None
) -> UInt8[np.ndarray, "horizon height width 3"]:
    """The last context frame, `horizon` times."""
    return np.repeat(context[-1:], horizon, axis=0)


@dataclass(frozen=True)
class ConstantVelocity:
    """Every object moved on with the velocity it had at the context's end, over the background.

    Strong on purpose: the probe that judges finds the objects, their velocity is a least-squares
    line through the last frames, their look is the last frame's, moved by fractions of a pixel,
    and the background is what the context showed where no object was. It knows no walls and no
    gravity.
    """

    probe: Probe
    frames: int = 2  # that the velocity is fitted to; under gravity more lag behind and score worse

    def __call__(
        self, context: UInt8[np.ndarray, "time height width 3"], horizon: int, *, clip: Clip
    ) -> UInt8[np.ndarray, "horizon height width 3"]:
        """The objects of the last context frame on straight paths."""
        probability = self.probe.probabilities(context, clip.objects)
        mask = probability.argmax(0)[:, None] == 1 + np.arange(len(clip.objects))[:, None, None]
        background = _background(context, mask.any(1))
        tracks = self.probe.track(context, clip.objects, context=len(context))
        velocity = _velocities(tracks.centre[-self.frames :])
        last = [(mask[-1, i], mask[-1].any(0) & ~mask[-1, i]) for i in range(len(clip.objects))]
        layers = [_layer(context[-1], own, others, background) for own, others in last]
        out = np.empty((horizon, *context.shape[1:]), np.uint8)
        for h in range(horizon):
            frame = background.copy()
            for (colour, alpha), v in zip(layers, velocity, strict=True):
                shift = (v[1] * (h + 1), v[0] * (h + 1))
                moved = ndimage.shift(alpha, shift, order=1)[..., None]
                paint = ndimage.shift(colour, (*shift, 0), order=1, mode="nearest")
                frame += moved * (paint - frame)
            out[h] = np.clip(np.round(frame), 0, 255)
        return out


def _background(
    context: UInt8[np.ndarray, "time height width 3"],
    covered: Bool[np.ndarray, "time height width"],
) -> Float64[np.ndarray, "height width 3"]:
    """Median of each pixel over the frames that showed it; from its neighbours if none did."""
    edge = ndimage.binary_dilation(covered, np.ones((1, 3, 3), bool))  # mixed pixels
    seen = np.where(edge[..., None], np.nan, context.astype(np.float64))
    never = edge.all(0)
    background = np.zeros(context.shape[1:])
    background[~never] = np.nanmedian(seen[:, ~never], axis=0)
    if never.all():
        return np.median(context, axis=0).astype(np.float64)
    nearest = ndimage.distance_transform_edt(never, return_distances=False, return_indices=True)
    return background[tuple(nearest)]


def _velocities(
    centre: Float64[np.ndarray, "time object 2"],
) -> Float64[np.ndarray, "object 2"]:
    """Least-squares velocity of each object, px a frame; 0 for one seen less than twice."""
    velocity = np.zeros(centre.shape[1:])
    for i in range(centre.shape[1]):
        seen = np.isfinite(centre[:, i, 0])
        if seen.sum() >= 2:
            velocity[i] = np.polyfit(np.flatnonzero(seen), centre[seen, i], 1)[0]
    return velocity


def _layer(frame, mask, others, background):
    """An object cut out: its colours spread past its edge, and its coverage of each pixel."""
    if not mask.any():
        return frame.astype(np.float64), np.zeros(mask.shape)
    inner = ndimage.binary_erosion(mask) if ndimage.binary_erosion(mask).any() else mask
    nearest = ndimage.distance_transform_edt(~inner, return_distances=False, return_indices=True)
    colour = frame[tuple(nearest)].astype(np.float64)
    contrast = colour - background
    share = ((frame - background) * contrast).sum(-1) / np.maximum((contrast**2).sum(-1), 1.0)
    near = ndimage.binary_dilation(mask, np.ones((3, 3), bool)) & ~others
    return colour, np.where(mask & inner, 1.0, np.where(near, np.clip(share, 0, 1), 0.0))
