"""The flows as scripts: exit codes, quiet ends, nothing left behind."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import command
import pytest
from cluster import Cluster

from simgen.recipe import RecipeError
from worldmodel.checkpoint import CheckpointError
from worldmodel.train import TrainingError

ROOT = Path(__file__).parents[2]


def start(script: str, *arguments: str) -> subprocess.Popen:
    """A flow's script in a process group of its own, as a shell starts it."""
    env = {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"}
    env["PYTHONPATH"] = str(ROOT)
    return subprocess.Popen(
        [sys.executable, str(ROOT / "flows" / script), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env,
        start_new_session=True,
    )  # fmt: skip


def test_interrupting_ends_quietly_within_seconds_and_leaves_no_process(recipe, tmp_path):
    out = tmp_path / "interrupted.zarr"
    run = start("build_dataset.py", str(recipe), "--out", str(out), "episodes=4000")
    while not list((out / "parts").glob("*")):
        assert run.poll() is None, run.stdout.read()
        time.sleep(0.1)
    began = time.monotonic()
    os.killpg(run.pid, signal.SIGINT)
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 130
    assert time.monotonic() - began < 20
    assert "the same command goes on from here" in said
    for noise in ("Traceback", "Error logging to API", "database is locked", "ERROR"):
        assert noise not in said
    assert not running(str(tmp_path))


def test_a_bad_recipe_is_refused_before_anything_starts(recipe, tmp_path):
    out = tmp_path / "bad.zarr"
    run = start("build_dataset.py", str(recipe), "--out", str(out), "video.hieght=64")
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 2
    assert "hieght" in said
    assert "height" in said
    assert "starting" not in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("error", "code", "said", "traced"),
    [
        (FileNotFoundError("no checkpoint at x"), 2, "error: no checkpoint at x", False),
        (RecipeError("unknown key 'hieght'"), 2, "error: unknown key 'hieght'", False),
        (CheckpointError("x does not match its hash"), 4, "error: x does not match", False),
        (TrainingError("step 3: loss nan"), 1, "error: step 3: loss nan", False),
        (ZeroDivisionError("ours"), 1, "ZeroDivisionError: ours", True),
    ],
)
def test_errors_have_their_code_and_only_our_mistakes_a_traceback(
    error, code, said, traced, capsys
):
    assert command.explain(error) == code
    printed = capsys.readouterr().err
    assert said in printed
    assert ("ZeroDivisionError" in printed) == traced


def test_a_checkpoint_that_is_not_there_is_refused_with_the_next_step(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*; flows/train_model.py makes"):
        command.require_checkpoint(tmp_path / "checkpoint.safetensors")


def running(word: str) -> list[str]:
    """Command lines and environments of living processes that name `word`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if word.encode() in text and int(process.name) != os.getpid():
            found.append(text.decode(errors="replace"))
    return found


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("8m", 480), ("1.5h", 5400)])
def test_durations(text, seconds):
    assert command.seconds(text) == seconds


def test_a_duration_that_is_none_is_refused():
    with pytest.raises(argparse.ArgumentTypeError, match="write 90s, 8m"):
        command.seconds("soon")


def test_a_cluster_is_either_running_or_new():
    with pytest.raises(ValueError, match="not both"):
        Cluster(scheduler="tcp://10.0.0.5:8786", cluster_class="distributed.LocalCluster")
