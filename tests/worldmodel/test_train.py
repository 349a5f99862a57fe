"""Training: it learns, it resumes bit for bit, and it stops rather than learn nonsense."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from stores import FakeStore
from two_ranks import CONFIG

import simgen
from worldmodel import checkpoint
from worldmodel import train as training
from worldmodel.data import Windows
from worldmodel.dynamics import flow_matching
from worldmodel.dynamics.model import ModelConfig, WorldModel
from worldmodel.optimizer import Optimizer, OptimizerConfig, orthogonal, schedule
from worldmodel.presets import PRESETS, PresetError, configure
from worldmodel.train import CHECKPOINT, METRICS, OtherRunError, TrainConfig, TrainingError, train

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(simgen.__file__).parents[1])}
SMALL = TrainConfig(
    model=ModelConfig(width=16, depth=1, heads=4, window=3, fine_width=8, fine_depth=1),
    steps=12, batch=2, length=5, threads=1, log_every=1, device="cpu",
)  # fmt: skip


@pytest.fixture(autouse=True)
def store(monkeypatch):
    fake = FakeStore()
    monkeypatch.setattr(simgen, "open", lambda path: fake, raising=False)
    yield fake
    torch.use_deterministic_algorithms(False)


def losses(out: Path) -> list[dict]:
    lines = [json.loads(line) for line in (out / METRICS).read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "elapsed_s"} for line in lines]


def stop_after(step):
    def progress(run):
        if run.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return progress


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path):
    whole = train(Path("demo.zarr"), tmp_path / "whole", SMALL)
    with pytest.raises(KeyboardInterrupt):
        train(Path("demo.zarr"), tmp_path / "cut", SMALL, progress=stop_after(4))
    assert checkpoint.load(tmp_path / "cut" / CHECKPOINT).step == 5
    resumed = train(Path("demo.zarr"), tmp_path / "cut", SMALL)
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == 12
    for name, tensor in whole.optimizer.state().items():
        assert torch.equal(tensor, resumed.optimizer.state()[name]), name


def test_a_killed_run_resumes_from_its_last_checkpoint(tmp_path):
    def crash(run):
        if run.step == 9:
            raise RuntimeError("power cut")

    config = replace(SMALL, save_every_s=0.0)
    train(Path("demo.zarr"), tmp_path / "whole", config)
    with pytest.raises(RuntimeError, match="power cut"):
        train(Path("demo.zarr"), tmp_path / "cut", config, progress=crash)
    train(Path("demo.zarr"), tmp_path / "cut", config)
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")


def test_a_finished_run_is_left_alone(tmp_path):
    train(Path("demo.zarr"), tmp_path, SMALL)
    before = (tmp_path / CHECKPOINT).read_bytes()
    assert train(Path("demo.zarr"), tmp_path, SMALL).step == 12
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_a_checkpoint_of_another_config_or_store_is_refused(tmp_path, store):
    train(Path("demo.zarr"), tmp_path, SMALL)
    with pytest.raises(OtherRunError, match="another seed"):
        train(Path("demo.zarr"), tmp_path, replace(SMALL, seed=1))
    store.rows[0]["seed"] = 77
    with pytest.raises(OtherRunError, match="whose episodes differ"):
        train(Path("demo.zarr"), tmp_path, SMALL)


def test_the_checkpoint_says_what_it_was_trained_on(tmp_path):
    train(Path("data/demo.zarr"), tmp_path, SMALL)
    lineage = checkpoint.load(tmp_path / CHECKPOINT).lineage
    assert lineage.dataset_name == "demo"
    assert lineage.recipe_hash == "abc"
    assert (lineage.split, lineage.episodes) == ("train", tuple(f"e{i}" for i in range(6)))


def test_a_loss_that_is_not_finite_stops_and_names_the_batch(tmp_path, monkeypatch):
    def poison(run):
        if run.step == 6:
            with torch.no_grad():
                run.model.stem.bias[0] = float("nan")

    with pytest.raises(TrainingError, match=r"step 6: loss nan.*\('e\d', \d+\)"):
        train(Path("demo.zarr"), tmp_path, replace(SMALL, save_every_s=0.0), progress=poison)
    saved = checkpoint.load(tmp_path / CHECKPOINT)
    assert saved.step == 6
    assert all(t.isfinite().all() for t in saved.training.values())


def test_a_budget_decides_the_steps_before_the_rate_falls(tmp_path, monkeypatch):
    clock = iter(range(0, 10**9, 1))  # every look at the clock is a second later
    monkeypatch.setattr(training.time, "monotonic", lambda: float(next(clock)))
    config = replace(SMALL, steps=0, budget_s=20.0, save_every_s=1e9)
    seen = []
    run = train(Path("demo.zarr"), tmp_path, config, progress=lambda r: seen.append(r.steps))
    assert run.steps == run.step == len(seen) == 20
    assert seen[:7] == [0] * 7
    assert seen[7:] == [20] * 13


def test_a_small_batch_is_learnt_by_heart():
    torch.manual_seed(0)
    model = WorldModel(SMALL.model)
    optimizer = Optimizer(model, OptimizerConfig(muon_rate=0.02, adamw_rate=5e-3))
    batch = Windows(FakeStore(), "train", length=5).batch(0, 2)
    objective = flow_matching.ObjectiveConfig(regression_share=1.0, corrupted_share=0.0)
    draws = flow_matching.draw(batch["rgb"].shape, objective, torch.Generator().manual_seed(0))
    course = []
    for step in range(150):
        total, parts = flow_matching.loss(model, batch, draws, objective)
        total.backward()
        optimizer.clip()
        optimizer.step(step, 150)
        course.append(float(parts["pixel"]))
    assert course[-1] < 0.1 * course[0]


def test_parts_of_a_batch_average_to_the_whole():
    model = WorldModel(SMALL.model)
    torch.nn.init.normal_(model.head.weight, std=0.2)
    batch = Windows(FakeStore(), "train", length=5).batch(0, 4)
    config = flow_matching.ObjectiveConfig()
    draws = flow_matching.draw(batch["rgb"].shape, config, torch.Generator().manual_seed(0))
    whole, _ = flow_matching.loss(model, batch, draws, config)
    halves = [
        flow_matching.loss(
            model, {k: v.chunk(2)[r] for k, v in batch.items()}, draws.share(r, 2), config
        )[0]
        for r in range(2)
    ]
    torch.testing.assert_close((halves[0] + halves[1]) / 2, whole)


def test_two_processes_make_the_run_of_one(tmp_path):
    alone = train(Path("demo.zarr"), tmp_path / "one", CONFIG)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         str(Path(__file__).with_name("two_ranks.py")), str(tmp_path / "two")],
        capture_output=True, text=True, env=ENVIRONMENT | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for one, two in zip(losses(tmp_path / "one"), losses(tmp_path / "two"), strict=True):
        assert two == pytest.approx(one, rel=1e-3)
    both = checkpoint.load(tmp_path / "two" / CHECKPOINT).model
    for name, tensor in alone.optimizer.average.items():
        torch.testing.assert_close(both[name], tensor, atol=1e-3, rtol=1e-2)


def test_muon_steps_are_nearly_orthogonal():
    x = torch.randn(3, 24, 10, generator=torch.Generator().manual_seed(0))
    for matrix in (x, x.mT):
        values = torch.linalg.svdvals(orthogonal(matrix))
        assert values.min() > 0.6
        assert values.max() < 1.3


def test_the_rate_warms_up_stays_and_falls():
    config = OptimizerConfig(warmup_steps=10, flat_share=0.4, final_share=0.03)
    assert schedule(0, 100, config) == pytest.approx(0.1)
    assert schedule(10, 100, config) == schedule(40, 100, config) == 1.0
    assert schedule(70, 100, config) == pytest.approx(1 - 0.97 / 2)
    assert schedule(100, 100, config) == pytest.approx(0.03)
    assert schedule(5000, 0, config) == 1.0


def test_presets_are_changed_by_key_and_unknown_keys_are_refused():
    config = configure("tiny", ["steps=5", "optimizer.muon_rate=1", "device=cpu"])
    assert (config.steps, config.optimizer.muon_rate, config.device) == (5, 1.0, "cpu")
    assert replace(configure("tiny", ["seed=3"]), seed=0) == PRESETS["tiny"]
    with pytest.raises(PresetError, match=r"unknown key 'optimizer.muon_rat'; did you mean"):
        configure("tiny", ["optimizer.muon_rat=1"])
    with pytest.raises(PresetError, match="unknown preset 'tinny'; did you mean 'tiny'"):
        configure("tinny")
    with pytest.raises(PresetError, match="steps=many: must be int"):
        configure("tiny", ["steps=many"])
    with pytest.raises(PresetError, match=r"set one of: model\.patch"):
        configure("tiny", ["model=1"])


@pytest.mark.parametrize(
    ("name", "millions"), [("tiny", 0.34), ("small", 2.2), ("base", 27), ("pro", 209)]
)
def test_every_preset_builds_and_its_loss_reaches_every_weight(name, millions):
    """On the meta device, where shapes are worked out and nothing is computed."""
    config = PRESETS[name]
    shape = (2, config.length, 3, 32, 48)
    draws = flow_matching.draw(shape, config.objective, torch.Generator().manual_seed(0))
    with torch.device("meta"):
        model = WorldModel(config.model)
        batch = {
            "rgb": torch.empty(shape), "flow": torch.empty(2, config.length, 2, 32, 48),
            "segmentation": torch.empty(2, config.length, 32, 48, dtype=torch.uint8),
        }  # fmt: skip
    total, _ = flow_matching.loss(model, batch, draws.to(torch.device("meta")), config.objective)
    total.backward()
    parameters = list(model.parameters())
    assert all(p.grad is not None and p.grad.shape == p.shape for p in parameters)
    assert sum(p.numel() for p in parameters) / 1e6 == pytest.approx(millions, rel=0.05)


def test_the_small_preset_takes_a_step(tmp_path):
    config = replace(PRESETS["small"], steps=1, batch=1, length=4, threads=1, device="cpu")
    assert train(Path("demo.zarr"), tmp_path, config).metrics["loss"] > 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["train", "none.zarr", "run"], 4, "none.zarr"),
        (["train", "none.zarr", "run", "steps=x"], 2, "steps=x: must be int"),
        (["train", "none.zarr", "run", "--budget", "soon"], 2, "write 90s, 8m or 1.5h"),
        (["rollout", "none", "none.zarr", "out.gif"], 2, "end it in .npz"),
    ],
)
def test_the_command_line_explains_mistakes(words, code, message, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "worldmodel.cli", *words], cwd=tmp_path, capture_output=True,
        text=True, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
