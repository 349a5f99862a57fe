"""The flows end to end, on a recipe of 16 tiny clips."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import build_dataset
import evaluate_model
import pipeline
import pytest
from cluster import Cluster
from prefect.artifacts import Artifact

from simgen.build import build
from simgen.build.planning import plan
from simgen.recipe import load

SETTINGS = {"settings": ["steps=3", "model.width=32"], "cluster": Cluster(workers=2)}


@pytest.fixture(scope="module")
def finished(server, recipe, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "run"
    pipeline.pipeline(recipe, out, clips=2, **SETTINGS)
    return out


def test_pipeline_leaves_dataset_model_and_verdict(finished, recipe):
    assert plan(load(recipe), finished / "dataset.zarr").complete
    verdict = json.loads((finished / "verdict/verdict.json").read_text())
    assert verdict["clips"] == 2
    assert {"truth", "model", "constant_velocity", "copy_last"} <= set(verdict["table"])
    assert "<html" in (finished / "verdict/report.html").read_text()


def test_the_report_is_linked_as_an_artifact(finished):
    link = Artifact.get(key="verdict-report")
    assert (finished / "verdict/report.html").resolve().as_uri() in link.data
    assert "copy last" in Artifact.get(key="verdict-table").data


def test_a_second_run_does_nothing_and_says_so(finished, recipe, capsys):
    before = contents(finished)
    pipeline.pipeline(recipe, finished, clips=2, **SETTINGS)
    said = capsys.readouterr().err
    assert contents(finished) == before
    for stage in ("build", "train", "judge"):
        assert f"nothing to {stage}" in said


def test_a_verdict_is_renewed_when_its_inputs_change(finished):
    store, checkpoint = finished / "dataset.zarr", finished / "model/checkpoint.safetensors"
    asked = json.loads((finished / "verdict/inputs.json").read_text())
    settings = {name: asked[name] for name in ("split", "clips", "version")}
    same = evaluate_model.inputs_of(store, checkpoint, **settings)
    other = evaluate_model.inputs_of(store, checkpoint, **settings | {"clips": 3})
    assert evaluate_model.is_judged(finished / "verdict", same)
    assert not evaluate_model.is_judged(finished / "verdict", other)


def test_a_killed_worker_costs_no_clip(server, recipe, tmp_path):
    """Its group runs again elsewhere, and the bytes are those of an undisturbed build."""
    store = tmp_path / "killed.zarr"
    killed = []
    killer = threading.Thread(target=lambda: killed.append(kill_a_worker(store)))
    killer.start()
    build_dataset.build_dataset(recipe, store, cluster=Cluster(workers=2))
    killer.join()
    assert killed == [True]
    calm = tmp_path / "calm.zarr"
    build(load(recipe), calm, workers=0)
    assert contents(store) == contents(calm)


def kill_a_worker(store: Path) -> bool:
    """SIGKILL the process that has a part in hand, as soon as one has; False if none had."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any((store / ".build").glob("attempts/*")):
            for status in Path("/proc").glob("[0-9]*/stat"):
                if is_worker(status):
                    os.kill(int(status.parent.name), signal.SIGKILL)
                    return True
        time.sleep(0.01)
    return False


def is_worker(status: Path) -> bool:
    """Whether this is a process of Dask's, started by this one."""
    try:
        parent = int(status.read_text().rpartition(")")[2].split()[1])
        return parent == os.getpid() and b"spawn_main" in (status.parent / "cmdline").read_bytes()
    except OSError:
        return False


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the build's own notes."""
    files = (p for p in folder.rglob("*") if p.is_file() and ".build" not in p.parts)
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}
