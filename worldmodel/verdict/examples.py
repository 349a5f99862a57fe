"""The clips that the report shows: the worst, the median and the best, with every row's frames."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from safetensors import safe_open
from safetensors.numpy import save_file

from worldmodel.clip import Clip
from worldmodel.perception import Probe
from worldmodel.verdict.rows import Row, attempt
from worldmodel.verdict.table import Scoreboard

RANKED_BY = "position_error_px"


@dataclass(frozen=True)
class Example:
    """One clip with what every row made of it; `time` is context and horizon."""

    reason: str  # worst, median, best
    episode_id: str
    caption: str
    colours: tuple[str, ...]  # of the objects
    rgb: tuple[tuple[int, int, int], ...]  # a typical pixel of each object
    context: int
    frame_rate_hz: float
    frames: dict[str, UInt8[np.ndarray, "time height width 3"]]  # by row
    scored: Bool[np.ndarray, "time object"]  # where truth shows the object well enough to ask
    centre: dict[str, Float32[np.ndarray, "time object 2"]]  # by row; "simulator": the true ones


def choose(board: Scoreboard, *, each: int = 2) -> list[tuple[str, str]]:
    """(reason, episode) of the clips to show, worst first, by the judged row's position error.

    The judged row is the model, or without one the first that is not truth. No clip twice.
    """
    judged = "model" if "model" in board.predictors else board.predictors[1]
    values = board.episode_values(judged, RANKED_BY)
    order = [i for i in np.argsort(-values, kind="stable") if np.isfinite(values[i])]
    middle = max(0, (len(order) - each) // 2)
    places = (
        [("worst", i) for i in order[:each]]
        + [("median", i) for i in order[middle : middle + each]]
        + [("best", i) for i in order[len(order) - each :]]
    )
    chosen: dict[int, str] = {}
    for reason, i in places:
        chosen.setdefault(int(i), reason)
    return [(reason, str(board.episodes[i])) for i, reason in chosen.items()]


def save_examples(
    path: Path, clips: Iterable[tuple[str, Clip]], rows: tuple[Row, ...], probe: Probe
) -> None:
    """Predicts the chosen clips again, with every row, and keeps frames and tracks in one file."""
    tensors, about = {}, []
    for k, (reason, clip) in enumerate(clips):
        tensors[f"{k}/centre/simulator"] = clip.centre.astype(np.float32)
        tensors[f"{k}/scored"] = clip.scored
        for row in rows:
            frames, _ = attempt(row, clip)
            seen = np.concatenate([clip.rgb[: clip.context], frames])
            track = probe.track(seen, clip.objects, context=clip.context)
            tensors[f"{k}/frames/{row.name}"] = seen
            tensors[f"{k}/centre/{row.name}"] = track.centre.astype(np.float32)
        about.append(
            {
                "reason": reason, "episode_id": clip.episode_id, "caption": clip.caption,
                "colours": [thing.colour for thing in clip.objects],
                "rgb": [_typical(clip, i + 1) for i in range(len(clip.objects))],
                "context": clip.context, "frame_rate_hz": clip.frame_rate_hz,
            }
        )  # fmt: skip
    # safetensors writes the raw buffer: a transposed view would come back scrambled
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    save_file(tensors, path, metadata={"examples": json.dumps(about)})


def load_examples(path: Path) -> list[Example]:
    """What `save_examples` wrote, in order."""
    with safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()["examples"])
        names = list(file.keys())

        def part(k: int, kind: str) -> dict[str, np.ndarray]:
            head = f"{k}/{kind}/"
            return {
                name.removeprefix(head): file.get_tensor(name)
                for name in names
                if name.startswith(head)
            }

        return [
            Example(
                **{
                    **words, "colours": tuple(words["colours"]),
                    "rgb": tuple(tuple(c) for c in words["rgb"]),
                },
                scored=file.get_tensor(f"{k}/scored"), frames=part(k, "frames"),
                centre=part(k, "centre"),
            )
            for k, words in enumerate(about)
        ]  # fmt: skip


def _typical(clip: Clip, label: int) -> list[int]:
    pixels = clip.rgb[clip.label == label]
    return [int(c) for c in np.median(pixels, axis=0)] if len(pixels) else [128, 128, 128]
