"""Fits the probe to the training split and measures it on frames it was not fitted to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from scipy import ndimage

from worldmodel.clip import Clip
from worldmodel.perception import BINS, Probe, ProbeError, bins_of

SMOOTHING_BINS = 1.0
UNKNOWN = 1e-7  # share of the background that may have any colour: odd colours are no object
PERSPECTIVE_CLIPS = 16


def fit(clips: Iterable[Clip]) -> Probe:
    """The probe for the kind of clips given; one pass, memory independent of their number.

    Args:
        clips: Of the training split only.
    Raises:
        ProbeError: No clip shows a moving object.
    """
    counts = {"": np.zeros(BINS**3)}
    pixels = {"": 0}
    kept: list[Clip] = []
    for clip in clips:
        bins = bins_of(clip.rgb)
        for number, colour in enumerate(["", *(thing.colour for thing in clip.objects)]):
            found = np.bincount(bins[clip.label == number], minlength=BINS**3)
            counts[colour] = counts.get(colour, 0) + found
            pixels[colour] = pixels.get(colour, 0) + clip.label.size
        if len(kept) < PERSPECTIVE_CLIPS:
            kept.append(clip)
    colours = tuple(sorted(colour for colour in counts if colour and counts[colour].any()))
    if not colours:
        raise ProbeError("no clip of the training split shows a moving object: nothing to fit")
    rows = ("", *colours)
    likelihood = np.stack([_density(counts[row]) for row in rows])
    likelihood[0] = (1 - UNKNOWN) * likelihood[0] + UNKNOWN / BINS**3
    share = np.array([counts[row].sum() / pixels[row] for row in rows], np.float32)
    probe = Probe(colours, share, likelihood.astype(np.float32))
    return replace(probe, perspective=_fit_perspective(probe, kept))


def calibrate(probe: Probe, clips: Iterable[Clip], *, split: str) -> Probe:
    """The probe with its figures on clips it was not fitted to, over all and by family.

    The figures, each over the object-frames that the verdict scores:
        error_px_mean, _median, _p95   distance from the simulator's centre of mass, where found
        error_px_whole    mean over objects seen whole (nothing before them, off the edge)
        bias_px           length of the mean error vector of objects seen whole
        miss_rate         share of object-frames where nothing was found
        split_rate        share found in more than one piece
        ghost_rate        share of object-frames without a visible pixel where one was found
        coverage          share of all object-frames that are scored
    """
    by_family: dict[str, list[dict]] = {}
    for clip in clips:
        by_family.setdefault(clip.family, []).append(_measure(probe, clip))
    if not by_family:
        raise ProbeError(f"split {split!r} has no clip to calibrate the probe on")
    everything = [one for parts in by_family.values() for one in parts]
    figures = {"split": split, "clips": len(everything), **_figures(everything)}
    figures["families"] = {name: _figures(parts) for name, parts in sorted(by_family.items())}
    return replace(probe, calibration=figures)


def _density(count: np.ndarray) -> np.ndarray:
    cube = ndimage.gaussian_filter(
        count.reshape(BINS, BINS, BINS).astype(np.float64), SMOOTHING_BINS, mode="nearest"
    )
    return cube.reshape(-1) / max(cube.sum(), 1e-30)


def _fit_perspective(probe: Probe, clips: list[Clip]) -> float:
    """Factor between (centre - truth) and (centre - middle) * area, over objects seen whole.

    The weighted median, which is the least absolute error: boxes show now this face and now
    that, and must not bend what is right for balls.
    """
    ratios, weights = [np.zeros(1)], [np.full(1, 1e-9)]
    for clip in clips:
        tracks = probe.track(clip.rgb, clip.objects, context=clip.context)
        use = clip.whole & (tracks.components == 1)
        height, width = clip.rgb.shape[1:3]
        reach = (tracks.centre - (width / 2, height / 2)) * tracks.area[..., None]
        reach = reach[use] / min(height, width) ** 2
        error = (tracks.centre - clip.centre)[use]
        length = np.linalg.norm(reach, axis=-1)
        ratios.append((reach * error).sum(axis=-1) / np.maximum(length**2, 1e-9))
        weights.append(length)
    ratio, weight = np.concatenate(ratios), np.concatenate(weights)
    order = np.argsort(ratio)
    halfway = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    return float(ratio[order][halfway])


def _measure(probe: Probe, clip: Clip) -> dict[str, np.ndarray]:
    tracks = probe.track(clip.rgb, clip.objects, context=clip.context)
    error = tracks.centre - clip.centre
    return {
        "error": error[clip.scored],
        "whole": clip.whole[clip.scored],
        "components": tracks.components[clip.scored],
        "ghosts": ~tracks.missing[clip.area_px == 0],
        "frames": np.array([clip.scored.size]),
    }


def _figures(parts: list[dict[str, np.ndarray]]) -> dict[str, float]:
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    found = joined["components"] > 0
    distance = np.linalg.norm(joined["error"][found], axis=-1)
    whole = joined["error"][found & joined["whole"]]
    scored = max(len(found), 1)
    return {
        "object_frames": len(found),
        "error_px_mean": _round(distance.mean() if len(distance) else np.nan),
        "error_px_median": _round(np.median(distance) if len(distance) else np.nan),
        "error_px_p95": _round(np.quantile(distance, 0.95) if len(distance) else np.nan),
        "error_px_whole": _round(np.linalg.norm(whole, axis=-1).mean() if len(whole) else np.nan),
        "bias_px": _round(np.linalg.norm(whole.mean(0)) if len(whole) else np.nan),
        "miss_rate": _round((~found).sum() / scored),
        "split_rate": _round((joined["components"] > 1).sum() / scored),
        "ghost_rate": _round(joined["ghosts"].mean() if len(joined["ghosts"]) else 0.0),
        "coverage": _round(len(found) / max(joined["frames"].sum(), 1)),
    }


def _round(value: float) -> float | None:
    """Five digits; None (JSON's null) where there was nothing to measure."""
    return round(float(value), 5) if np.isfinite(value) else None
