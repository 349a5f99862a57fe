"""Trains a small model on the store in memory; torchrun starts it twice in a test."""

from __future__ import annotations

import sys
from pathlib import Path

from stores import FakeStore

import simgen
from worldmodel.dynamics.model import ModelConfig
from worldmodel.train import TrainConfig, train

CONFIG = TrainConfig(
    model=ModelConfig(width=16, depth=1, heads=4, window=3, fine_width=8, fine_depth=1),
    steps=6, batch=2, length=5, threads=1, log_every=1, device="cpu",
)  # fmt: skip

if __name__ == "__main__":
    simgen.open = lambda path: FakeStore()
    train(Path("demo.zarr"), Path(sys.argv[1]), CONFIG)
