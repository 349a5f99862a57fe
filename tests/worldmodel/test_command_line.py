"""The command line on a real dataset: build, train, evaluate, report, and every exit code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

import worldmodel.evaluate
import worldmodel.train
from simgen.build import build
from simgen.recipe import load
from simgen.store import reader
from simgen.terminal import DONE, FAILED, INTEGRITY, INTERRUPTED, USAGE, run
from worldmodel.checkpoint import CheckpointError
from worldmodel.cli import app, exit_code
from worldmodel.progress import watch_clips
from worldmodel.train import CHECKPOINT, TrainingError
from worldmodel.verdict.metrics import METRICS

SMOKE = Path(__file__).parents[2] / "datasets" / "smoke" / "recipe.toml"
SMALL = ["model.width=16", "model.depth=1", "model.fine_width=8", "batch=2", "length=5", "steps=3"]


def worldmodel_says(*words: object) -> int:
    """The exit code of a `worldmodel` command line."""
    return run(app, "worldmodel", list(map(str, words)), exit_code)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("store") / "smoke.zarr"
    build(load(SMOKE, ["video.frames=24", "episodes=14"]), path, workers=0)
    return path


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    assert worldmodel_says("train", store, folder, "--json", *SMALL, "threads=1") == DONE
    torch.use_deterministic_algorithms(False)
    return folder / CHECKPOINT


@pytest.fixture(scope="module")
def judged(store, trained, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("verdict")
    assert worldmodel_says("evaluate", store, folder, "--checkpoint", trained) == DONE
    return folder


def test_a_verdict_on_a_built_dataset_holds_every_clip_row_and_horizon(judged, store):
    verdict = json.loads((judged / "verdict.json").read_text())
    table = pq.read_table(judged / "metrics.parquet")
    catalog = reader.open(store).catalog
    asked = catalog.filter(pc.equal(catalog["split"], "test"))["episode_id"].to_pylist()
    assert verdict["clips"] == len(asked) > 0
    assert set(table["episode_id"].to_pylist()) == set(asked)
    assert not verdict["failures"]
    assert verdict["lineage"]["split"] == "train"
    every = [str(h) for h in range(1, 17)]
    for row in ("truth", "model", "constant_velocity", "copy_last"):
        for name, metric in METRICS.items():
            cells = verdict["table"][row][name]
            assert list(cells) == (["all"] if metric.per_clip else every)
    truth = verdict["table"]["truth"]
    assert truth["psnr_db"]["16"]["value"] == pytest.approx(58.9, abs=0.05)
    error = {row: cells["position_error_px"] for row, cells in verdict["table"].items()}
    assert all(error["truth"][h]["value"] < error["copy_last"][h]["value"] for h in every[3:])
    assert len({cells["8"]["objects"] for cells in error.values()}) == 1  # the same for every row


def test_a_report_is_written_again_to_the_same_bytes(judged):
    before = (judged / "report.html").read_bytes()
    assert worldmodel_says("report", judged) == DONE
    assert (judged / "report.html").read_bytes() == before


def test_a_verdict_is_printed(judged, store, trained, capsys, tmp_path):
    probe = judged / "probe.safetensors"
    given = ("--checkpoint", trained, "--probe", probe, "--clips", 1, "--horizon", 5)
    assert worldmodel_says("evaluate", store, tmp_path / "v", *given) == DONE
    said = capsys.readouterr().out
    assert "position error, px" in said
    assert "The model puts objects" in said
    assert str(tmp_path / "v" / "report.html") in said
    assert worldmodel_says("evaluate", store, tmp_path / "v", *given, "--json") == DONE
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["horizons"] == [1, 4, 5]
    assert set(verdict["against"]["copy_last"]) == set("12345")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--split", "train"], USAGE, "judge it on another split"),
        (["--split", "ood"], USAGE, "unknown split 'ood'; this dataset has: test, train, val"),
        (["--horizon", "60"], USAGE, "6 given and 60 predicted frames does not fit"),
        (["--probe", "none.safetensors"], USAGE, "none.safetensors is no probe"),
        (["--checkpoint", "none.safetensors"], USAGE, "no checkpoint at none.safetensors"),
        (["--clips", "0"], USAGE, "--clips"),
    ],
)
def test_what_cannot_be_judged_is_refused(store, trained, words, code, message, tmp_path, capsys):
    given = ("evaluate", store, tmp_path / "v", "--checkpoint", trained, *words)
    assert worldmodel_says(*given) == code
    said = capsys.readouterr()
    assert message in said.err
    assert "Traceback" not in said.err
    assert not said.out


def test_a_damaged_checkpoint_is_an_integrity_error(store, trained, tmp_path, capsys):
    torn = Path(shutil.copy(trained, tmp_path))
    data = bytearray(torn.read_bytes())
    data[-1] ^= 1
    torn.write_bytes(data)
    assert worldmodel_says("evaluate", store, tmp_path, "--checkpoint", torn) == INTEGRITY
    assert "does not match its hash" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), INTERRUPTED, "interrupted; the same command goes on"),
        (TrainingError("step 3: loss nan"), FAILED, "step 3: loss nan"),
        (CheckpointError("torn"), INTEGRITY, "torn"),
        (ZeroDivisionError("ours"), FAILED, "ours"),
    ],
)
def test_how_training_ends_is_its_exit_code(error, code, message, monkeypatch, capsys):
    def end(*_, **__):
        raise error

    monkeypatch.setattr(worldmodel.train, "train", end)
    assert worldmodel_says("train", "a.zarr", "run") == code
    assert message in capsys.readouterr().err


def test_progress_is_shown_on_a_terminal_and_nowhere_else(monkeypatch, capsys):
    with watch_clips() as progress:
        assert progress is None
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes stderr for a terminal
    with watch_clips() as progress:
        progress(3, 7)
    assert "clip 3 of 7" in capsys.readouterr().err
    with watch_clips(quiet=True) as progress:
        assert progress is None


@pytest.mark.parametrize("command", ["train", "rollout", "evaluate", "report"])
def test_help_of_every_command_has_an_example(command, capsys):
    assert worldmodel_says(command, "--help") == DONE
    # in its usage, and in an example
    assert capsys.readouterr().out.count(f"worldmodel {command} ") >= 2
