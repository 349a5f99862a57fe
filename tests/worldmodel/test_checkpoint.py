"""Checkpoints: what is saved comes back; what was damaged is refused by name; never pickle."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import worldmodel
from worldmodel.checkpoint import Checkpoint, CheckpointError, Lineage, load, save


@pytest.fixture
def saved(tmp_path):
    checkpoint = Checkpoint(
        model={"a": torch.randn(3, 4), "b": torch.tensor(2.5)},
        training={"momentum/a": torch.randn(3, 4)},
        config={"seed": 1},
        lineage=Lineage(dataset_name="demo", split="train", episodes=("e0", "e1")),
        step=7, steps=9, seed=1, metrics={"loss": 0.1},
    )  # fmt: skip
    save(checkpoint, tmp_path / "run" / "checkpoint.safetensors")
    return tmp_path / "run" / "checkpoint.safetensors", checkpoint


def test_a_checkpoint_comes_back_whole(saved):
    path, was = saved
    now = load(path)
    assert torch.equal(now.model["a"], was.model["a"])
    assert torch.equal(now.model["b"], was.model["b"])
    assert torch.equal(now.training["momentum/a"], was.training["momentum/a"])
    same = ("config", "lineage", "step", "steps", "seed", "metrics")
    assert all(getattr(now, name) == getattr(was, name) for name in same)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_saving_twice_gives_the_same_bytes(saved):
    path, was = saved
    first = path.read_bytes()
    for _ in range(20):  # an order that is left to chance shows within a few
        save(was, path)
        assert path.read_bytes() == first


@pytest.mark.parametrize("place", [0.05, 0.3, 0.6, 0.95, 0.999])
def test_a_flipped_bit_is_refused(saved, place):
    path, _ = saved
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors"):
        load(path)


def test_a_damaged_tensor_is_named(saved):
    path, _ = saved
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    said = r"tensor (model|training)/.* does not match its hash"
    with pytest.raises(CheckpointError, match=said):
        load(path)


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.99])
def test_a_torn_file_is_refused(saved, keep):
    path, _ = saved
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(CheckpointError, match="torn or no checkpoint"):
        load(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="not a physreel checkpoint"):
        load(path)
    with pytest.raises(FileNotFoundError, match="worldmodel train"):
        load(tmp_path / "none.safetensors")


def test_nothing_in_the_package_unpickles():
    for path in Path(worldmodel.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text())
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not names & {"pickle", "joblib", "dill", "cloudpickle", "shelve"}, path
        calls = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
        assert not calls & {"torch.load", "torch.save", "np.load"}, path
