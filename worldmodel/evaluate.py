"""Evaluate: every row over a split's clips, through one probe, to verdict.json and the report.

Clips are read, predicted, scored and forgotten one at a time, so memory does not grow with their
number; only their scores are kept, on disk.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import simgen
from simgen.store import reader
from worldmodel import calibration, perception
from worldmodel.checkpoint import Lineage
from worldmodel.clip import Clip, read_clip
from worldmodel.perception import Probe
from worldmodel.rollout import load_predictor
from worldmodel.verdict.examples import choose, save_examples
from worldmodel.verdict.metric import Sample
from worldmodel.verdict.metrics import METRICS
from worldmodel.verdict.report import write_report
from worldmodel.verdict.rows import Predict, Row, attempt, standard_rows
from worldmodel.verdict.table import SCHEMA, Scoreboard, as_json, digits, rows_of

FIT_EPISODES = 64  # of the training split: every colour in every light
CALIBRATION_EPISODES = 32
COLUMNS = (1, 4, 8)  # of the printed table, with the last predicted frame
BASELINES = ("constant_velocity", "copy_last")
VERDICT_VERSION = 2


class EvaluationError(ValueError):
    """What was asked for cannot be judged, or must not be."""


@dataclass(frozen=True)
class Window:
    """Which frames of an episode are given and which are predicted."""

    context: int = 6
    horizon: int = 16

    @property
    def frames(self) -> int:
        return self.context + self.horizon


def evaluate(
    checkpoint: Path | None,
    store,
    out_dir: Path,
    *,
    split: str = "test",
    clips: int | None = None,
    context: int = 6,
    horizon: int = 16,
    probe: Path | None = None,
    model: Predict | None = None,
    command: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict:
    """The verdict on a checkpoint, also written to out_dir with metrics.parquet and report.html.

    Args:
        checkpoint: A trained model's, or None: the baselines alone.
        store: Path or URL of a complete dataset, or one that is already open.
        out_dir: Made if it is not there; an older verdict in it is replaced.
        split: To judge on. Each episode gives one window, from its first frame, where the motion
            is liveliest.
        clips: The first so many episodes of the split; all if None.
        context: Frames given.
        horizon: Frames predicted.
        probe: A fitted probe to reuse; otherwise one is fitted on the training split.
        model: A predictor to use in place of a checkpoint.
        command: The command line to print in the report's provenance.
        progress: Called with (clips done, clips in all).
    Raises:
        EvaluationError: Unknown or empty split, or the model was trained on what is to be judged.
        ClipError: Context and horizon do not fit an episode, or a channel was not stored.
    """
    dataset = reader.open(store) if isinstance(store, str | Path) else store
    window = Window(context, horizon)
    episodes = _episodes(dataset, split, clips)
    if checkpoint is not None:
        model = load_predictor(checkpoint)
    lineage = getattr(model, "lineage", None)
    if lineage:
        refuse_leak(lineage, split, episodes)
    out_dir.mkdir(parents=True, exist_ok=True)
    ruler = perception.load(probe) if probe else fit_probe(dataset, window)
    ruler.save(out_dir / "probe.safetensors")
    rows = standard_rows(ruler, model)
    notes = _score(dataset, episodes, window, ruler, rows, out_dir / "metrics.parquet", progress)
    board = Scoreboard(
        pq.read_table(out_dir / "metrics.parquet", use_threads=False), METRICS.values()
    )
    verdict = {
        **_what_was_judged(dataset, episodes, window, split, rows),
        **notes,
        "horizons": [*(h for h in COLUMNS if h < horizon), horizon],
        "probe": ruler.calibration,
        "lineage": asdict(lineage) | {"episodes": len(lineage.episodes)} if lineage else {},
        "command": command or "",
        "table": as_json(board),
        **_rivalry(board),
    }
    (out_dir / "verdict.json").write_text(json.dumps(verdict, indent=1, allow_nan=False) + "\n")
    _keep_examples(out_dir, dataset, episodes, window, rows, ruler, board)
    write_report(out_dir)
    return verdict


def fit_probe(dataset, window: Window) -> Probe:
    """A probe fitted on the training split and measured on the validation split."""
    train = _spread(_episodes(dataset, "train", None), FIT_EPISODES)
    held_out = _spread(_episodes(dataset, "val", None), CALIBRATION_EPISODES)
    fitted = calibration.fit(_clip(dataset, episode, window) for episode in train)
    clips = (_clip(dataset, episode, window, fitted) for episode in held_out)
    return calibration.calibrate(fitted, clips, split="val")


def refuse_leak(lineage: Lineage, split: str, episodes: Sequence[dict]) -> None:
    """Raises EvaluationError if the model was trained on any of the episodes.

    Two episodes are the same if their ids or their seeds are: a recipe that differs in its splits
    alone deals the same episodes to other splits. Seeds are compared with those of the training
    store where it can still be read, ids with those that the lineage keeps.
    """
    if lineage.recipe_hash == episodes[0]["content_hash"] and lineage.split == split:
        raise EvaluationError(
            f"the model was trained on split {split!r} of this dataset; judge it on another split"
        )
    ids, seeds = set(lineage.episodes), set()
    if lineage.dataset_path and (Path(lineage.dataset_path) / "zarr.json").exists():
        catalog = reader.open(lineage.dataset_path).catalog
        theirs = catalog.filter(pc.equal(catalog["split"], lineage.split))
        seeds = set(theirs["seed"].to_pylist())
    shared = [e["episode_id"] for e in episodes if e["episode_id"] in ids or e["seed"] in seeds]
    if shared:
        raise EvaluationError(
            f"the model was trained on {len(shared)} of the {len(episodes)} episodes of split "
            f"{split!r} (first: {shared[0]}); judge it on a split it has not seen, or on a dataset "
            "whose recipe has another seed"
        )


def _score(dataset, episodes, window, probe, rows, path, progress) -> dict:
    """Streams all rows over all clips into metrics.parquet; returns what else must be told."""
    failures, unknown = [], 0
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for done, episode in enumerate(episodes, start=1):
            whole = _clip(dataset, episode, window)
            clip = whole.only(probe.colours)
            unknown += len(whole.objects) - len(clip.objects)
            records = []
            for row in rows:
                scored, reason = _judge(row, clip, probe)
                records += scored
                if reason:
                    failures.append(
                        {"episode_id": clip.episode_id, "row": row.name, "reason": reason}
                    )
            writer.write_table(pa.Table.from_pylist(records, SCHEMA))
            if progress:
                progress(done, len(episodes))
    picture = list(clip.rgb.shape[1:3])
    return {"picture": picture, "failures": failures, "objects_of_unknown_colour": unknown}


def _judge(row: Row, clip: Clip, probe: Probe) -> tuple[list[dict], str | None]:
    frames, reason = attempt(row, clip)
    seen = np.concatenate([clip.rgb[: clip.context], frames])
    tracks = probe.track(seen, clip.objects, context=clip.context)
    if reason:  # nor may an object that is as grey as the picture pass for found
        tracks = tracks.lost_after(clip.context)
    sample = Sample(clip, frames, tracks)
    records = []
    for metric in METRICS.values():
        records += rows_of(
            metric.measure(sample), metric, episode_id=clip.episode_id, start=clip.start,
            family=clip.family, predictor=row.name, failed=reason is not None,
        )  # fmt: skip
    return records, reason


def _clip(dataset, episode: dict, window: Window, probe: Probe | None = None) -> Clip:
    clip = read_clip(dataset, episode, context=window.context, horizon=window.horizon)
    return clip.only(probe.colours) if probe else clip


def _episodes(dataset, split: str, limit: int | None) -> list[dict]:
    catalog = dataset.catalog
    known = sorted(pc.unique(catalog["split"]).to_pylist())
    if split not in known:
        raise EvaluationError(f"unknown split {split!r}; this dataset has: {', '.join(known)}")
    rows = catalog.filter(pc.equal(catalog["split"], split)).sort_by("index").to_pylist()
    return rows[:limit]


def _spread(episodes: list[dict], count: int) -> list[dict]:
    """At most `count` of the episodes, evenly spaced."""
    return episodes[:: max(1, -(-len(episodes) // count))]


def _keep_examples(out_dir, dataset, episodes, window, rows, probe, board) -> None:
    by_id = {episode["episode_id"]: episode for episode in episodes}
    shown = ((why, _clip(dataset, by_id[ident], window, probe)) for why, ident in choose(board))
    save_examples(out_dir / "examples.safetensors", shown, rows, probe)


def _what_was_judged(dataset, episodes, window: Window, split: str, rows) -> dict:
    return {
        "verdict_version": VERDICT_VERSION,
        "split": split,
        "clips": len(episodes),
        "context": window.context,
        "horizon": window.horizon,
        "frame_rate_hz": episodes[0]["frame_rate_hz"],
        "rows": {row.name: row.label for row in rows},
        "metrics": {name: _about(metric) for name, metric in METRICS.items()},
        "dataset": _provenance(dataset.attrs),
        "software": {"physreel": simgen.__version__, "numpy": np.__version__},
    }


def _about(metric) -> dict:
    words = ("label", "unit", "better", "definition", "floor", "mean_up_to", "per_clip")
    ideal = metric.ideal if np.isfinite(metric.ideal) else None
    return {**{word: getattr(metric, word) for word in words}, "ideal": ideal}


def _provenance(attrs: dict) -> dict:
    known = {"name": attrs["recipe"]["name"], "seed": attrs["recipe"]["seed"], **attrs}
    return {key: value for key, value in known.items() if key not in ("recipe", "format")}


def _rivalry(board: Scoreboard) -> dict:
    """The model beside each baseline in position error, at every predicted frame.

    Returns:
        against: baseline -> horizon -> [model minus baseline, low, high], px, paired.
        beats: baseline -> horizons at which the whole interval lies below zero.
    """
    if "model" not in board.predictors:
        return {"against": {}, "beats": {}}
    steps = range(1, board.horizon + 1)
    apart = {
        other: {h: board.difference("model", other, "position_error_px", h) for h in steps}
        for other in BASELINES
    }
    return {
        "against": {
            other: {str(h): [digits(x) for x in three] for h, three in rows.items()}
            for other, rows in apart.items()
        },
        "beats": {
            other: [h for h, (_, _, high) in rows.items() if high < 0]
            for other, rows in apart.items()
        },
    }
