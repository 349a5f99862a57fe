"""The verdict as a whole: rows, intervals, failures, leaks, and the files it leaves."""

import io
import json
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawn_clips import CONTEXT, HORIZON, clip_of, random_clip
from drawn_dataset import SPLITS, DrawnDataset
from rich.console import Console

from worldmodel.checkpoint import Lineage
from worldmodel.dynamics.baselines import ConstantVelocity, copy_last
from worldmodel.evaluate import EvaluationError, evaluate, refuse_leak
from worldmodel.verdict.metric import Sample
from worldmodel.verdict.metrics import METRICS
from worldmodel.verdict.rows import GREY, Row, attempt
from worldmodel.verdict.table import SCHEMA, Scoreboard, as_rich, rows_of


def test_rows_columns_and_cells(judged):
    _, verdict = judged
    assert list(verdict["rows"]) == ["truth", "model", "constant_velocity", "copy_last"]
    assert verdict["horizons"] == [1, 4, 8, 16]
    for row in verdict["rows"]:
        assert set(verdict["table"][row]) == set(METRICS)
        for cells in verdict["table"][row].values():
            for cell in cells.values():
                assert cell["low"] <= cell["value"] <= cell["high"]


def test_truth_is_best_and_the_lag_is_measured(judged):
    _, verdict = judged
    at = {row: verdict["table"][row]["position_error_px"]["8"]["value"] for row in verdict["rows"]}
    assert at["truth"] < 0.1 < at["model"] < at["copy_last"]
    assert 2.0 < at["model"] < 5.0  # two frames of 1 to 2.5 px, less what bounces hide


def test_metrics_parquet_has_a_row_per_clip_horizon_metric_and_predictor(judged):
    folder, _ = judged
    table = pq.read_table(folder / "metrics.parquet")
    assert table.schema.equals(SCHEMA)
    steps = sum(1 if metric.per_clip else HORIZON for metric in METRICS.values())
    assert table.num_rows == SPLITS["test"] * 4 * steps


def test_same_input_same_verdict(judged, tmp_path):
    folder, verdict = judged
    model = type("Late", (), {"__call__": lambda self, c, h, *, clip: clip.rgb[4 : 4 + h]})()
    again = evaluate(None, DrawnDataset(), tmp_path, model=model, command="worldmodel <x>")
    assert again == verdict
    for name in ("verdict.json", "metrics.parquet", "report.html"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_json_on_disk_is_the_verdict(judged):
    folder, verdict = judged
    assert json.loads((folder / "verdict.json").read_text()) == json.loads(json.dumps(verdict))


def test_failures_stay_in_the_denominator(tmp_path):
    def broken(context, horizon, *, clip):
        if clip.episode_id.endswith("7"):
            raise RuntimeError("out of ideas")
        return clip.rgb[clip.context :]

    verdict = evaluate(None, DrawnDataset(), tmp_path, model=broken, clips=2)
    assert [f["reason"] for f in verdict["failures"]] == ["RuntimeError: out of ideas"]
    cells = verdict["table"]["model"]["position_error_px"]
    assert cells["1"]["objects"] == verdict["table"]["truth"]["position_error_px"]["1"]["objects"]
    assert cells["1"]["missed"] > 0
    assert cells["1"]["value"] > 1.0


def test_a_failed_clip_has_no_object_even_where_one_is_as_grey_as_its_picture(tmp_path):
    dataset = DrawnDataset()
    for clip in dataset.clips.values():
        clip.rgb[clip.label == 1] = GREY
    calls = iter(range(100))

    def broken(context, horizon, *, clip):
        raise RuntimeError(f"call {next(calls)}")

    verdict = evaluate(None, dataset, tmp_path, model=broken)
    for name in ("position_error_px", "objects_kept"):
        for cell in verdict["table"]["model"][name].values():
            assert cell["missed"] == cell["objects"] > 0


def test_a_clip_without_objects_to_judge_counts_nothing():
    clip = random_clip(0).only(())
    assert clip.area_px.shape == clip.scored.shape == clip.whole.shape == (CONTEXT + HORIZON, 0)


def test_a_predictor_that_draws_on_its_context_spoils_no_other_row():
    def vandal(context, horizon, *, clip):
        context[:] = 0
        return copy_last(context, horizon)

    clip = random_clip(0)
    before = clip.rgb.copy()
    attempt(Row("model", "model", vandal), clip)
    assert (clip.rgb == before).all()


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((3, 64, 64, 3), np.uint8),
        np.zeros((HORIZON, 64, 64, 3), np.float32),
        np.full((HORIZON, 64, 64, 3), np.nan),
    ],
)
def test_unusable_frames_are_a_failure(frames):
    made, reason = attempt(Row("model", "model", lambda c, h, *, clip: frames), random_clip(0))
    assert "asked for uint8 (16, 64, 64, 3)" in reason
    assert made.shape == (HORIZON, 64, 64, 3)
    assert (made == made[0, 0, 0, 0]).all()


def test_copy_last_repeats():
    clip = random_clip(0)
    frames = copy_last(clip.rgb[:CONTEXT], 3, clip=clip)
    assert all((frame == clip.rgb[CONTEXT - 1]).all() for frame in frames)


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_constant_velocity_is_exact_on_straight_paths(probe, seed):
    clip = random_clip(seed, balls=3, straight=True)
    frames = ConstantVelocity(probe)(clip.rgb[:CONTEXT], HORIZON, clip=clip)
    seen = np.concatenate([clip.rgb[:CONTEXT], frames])
    sample = Sample(clip, frames, probe.track(seen, clip.objects, context=CONTEXT))
    assert np.nanmax(METRICS["position_error_px"].measure(sample).value[:8]) < 0.5
    assert np.nanmin(METRICS["objects_kept"].measure(sample).value) == 1.0


def test_constant_velocity_lets_things_leave_the_picture(probe):
    path = np.stack([40 + 4.0 * np.arange(22), np.full(22, 32.0)], -1)[:, None]
    clip = clip_of(path, [5.0], ("red",))
    frames = ConstantVelocity(probe)(clip.rgb[:CONTEXT], HORIZON, clip=clip)
    seen = np.concatenate([clip.rgb[:CONTEXT], frames])
    assert probe.track(seen, clip.objects, context=CONTEXT).missing[-8:].all()


@dataclass
class Stub:
    """A predictor that says what it was trained on."""

    lineage: Lineage
    calls: list = field(default_factory=list)

    def __call__(self, context, horizon, *, clip):
        self.calls.append(clip.episode_id)
        return copy_last(context, horizon)


@pytest.mark.parametrize(
    ("lineage", "words"),
    [
        (Lineage(recipe_hash="d" * 64, split="test"), "trained on split 'test' of this dataset"),
        (
            Lineage(recipe_hash="other", split="train", episodes=("drawn-17",)),
            "trained on 1 of the 5",
        ),
    ],
)
def test_a_model_is_not_judged_on_what_it_was_trained_on(lineage, words, tmp_path):
    stub = Stub(lineage)
    with pytest.raises(EvaluationError, match=words):
        evaluate(None, DrawnDataset(), tmp_path, model=stub)
    assert not stub.calls


def test_other_splits_are_no_leak():
    episodes = DrawnDataset().catalog.to_pylist()[-3:]
    refuse_leak(
        Lineage(recipe_hash="d" * 64, split="train", episodes=("drawn-1",)), "test", episodes
    )


def test_unknown_split_is_refused_with_what_there_is(tmp_path):
    with pytest.raises(EvaluationError, match="unknown split 'ood'; this dataset has: test, train"):
        evaluate(None, DrawnDataset(), tmp_path, split="ood")


def test_a_window_longer_than_the_clip_is_refused(tmp_path):
    with pytest.raises(ValueError, match="6 given and 40 predicted frames does not fit"):
        evaluate(None, DrawnDataset(), tmp_path, horizon=40)


def board_of(values, counts):
    """A Scoreboard of one predictor and metric, two horizons, from (episode, step) means."""
    rows = []
    for e, (row, n) in enumerate(zip(values, counts, strict=True)):
        for h, value in enumerate(row):
            rows.append(
                {"episode_id": f"e{e:03d}", "start_frame": 0, "family": "f", "predictor": "model",
                 "metric": "position_error_px", "horizon": h + 1, "value": value, "objects": n,
                 "missed": 0, "failed": False}
            )  # fmt: skip
    metric = METRICS["position_error_px"]
    return Scoreboard(pa.Table.from_pylist(rows, SCHEMA), [metric])


def test_means_weigh_objects_and_skip_what_was_not_asked_for():
    cell = board_of([[1.0, 5.0], [4.0, None]], [3, 1]).cell("model", "position_error_px", 1)
    assert cell.value == pytest.approx((3 * 1.0 + 4.0) / 4)
    assert cell.objects == 4


def test_interval_covers_the_mean_as_often_as_it_says():
    """95% intervals of normal samples hold the true mean 0.88 to 1 of the time (n = 40)."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        values = rng.normal(10.0, 2.0, (40, 1))
        cell = board_of(values.tolist(), [1] * 40).cell("model", "position_error_px", 1)
        hits += cell.low <= 10.0 <= cell.high
        assert cell.high - cell.low == pytest.approx(4 * 2.0 / np.sqrt(40), rel=0.4)
    assert hits >= 53


def test_an_unscored_step_is_a_null_and_not_a_zero(judged):
    board = board_of([[None, 1.0]], [0])
    cell = board.cell("model", "position_error_px", 1)
    assert np.isnan(cell.value)
    assert np.isnan(cell.low)


def test_velocity_column_is_the_mean_up_to_the_horizon(probe):
    metric = METRICS["velocity_error_m_s"]
    clip = random_clip(1)
    frames = copy_last(clip.rgb[:CONTEXT], HORIZON)
    seen = np.concatenate([clip.rgb[:CONTEXT], frames])
    scores = metric.measure(Sample(clip, frames, probe.track(seen, clip.objects, context=CONTEXT)))
    rows = rows_of(scores, metric, episode_id="e", start=0, family="f", predictor="model",
                   failed=False)  # fmt: skip
    board = Scoreboard(pa.Table.from_pylist(rows, SCHEMA), [metric])
    expected = np.nanmean(scores.value[:4])
    assert board.cell("model", metric.name, 4).value == pytest.approx(expected)


def test_terminal_table_fits_eighty_columns(judged):
    screen = io.StringIO()
    Console(width=80, file=screen).print(as_rich(judged[1]))
    text = screen.getvalue()
    assert "constant velocity" in text
    assert "…" not in text
