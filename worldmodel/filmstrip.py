"""A rollout of one stored episode, written as frames or as a picture: truth above, model below."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from einops import rearrange
from PIL import Image

import simgen
from worldmodel.data import DataError, frames_of
from worldmodel.rollout import load_predictor

COLUMNS = 16  # frames across a strip


def roll_episode(
    checkpoint: Path,
    store: Path,
    out: Path,
    *,
    episode: str | None,
    split: str,
    context: int,
    horizon: int,
    sampling_steps: int,
    seed: int,
) -> dict:
    """What was rolled out; `out` then holds frames (.npz) or a strip (.png).

    Raises:
        DataError: Unknown episode or split, too short an episode, or another ending than those.
    """  # fmt: skip
    if out.suffix not in (".npz", ".png"):
        raise DataError(f"{out}: end it in .npz (frames) or .png (a strip)")
    dataset = simgen.open(store)
    rows = dataset.catalog.to_pylist()
    chosen = [r for r in rows if (r["episode_id"] == episode if episode else r["split"] == split)]
    if not chosen:
        raise DataError(
            f"{store} has no {f'episode {episode!r}' if episode else f'split {split!r}'}"
        )
    row = chosen[0]
    if context > frames_of(row):
        raise DataError(f"context of {context} frames; {row['episode_id']} has {frames_of(row)}")
    predictor = load_predictor(checkpoint, sampling_steps=sampling_steps, seed=seed)
    rgb = dataset.read(row["episode_id"], "rgb")
    predicted = predictor(rgb[:context], horizon)
    truth = rgb[context : context + horizon]
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".npz":
        np.savez_compressed(out, context=rgb[:context], truth=truth, predicted=predicted)
    else:
        Image.fromarray(strip(truth, predicted)).save(out)
    return {"episode_id": row["episode_id"], "out": str(out), "horizon": horizon}


def strip(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Frames side by side, evenly spaced in time, truth above; grey where truth has ended."""
    shown = np.unique(np.linspace(0, len(predicted) - 1, COLUMNS).round().astype(int))
    grey = np.full_like(predicted[0], 128)
    above = np.stack([truth[i] if i < len(truth) else grey for i in shown])
    return rearrange(np.stack((above, predicted[shown])), "row t h w c -> (row h) (t w) c")
