"""A finished dataset of made-up episodes, built once; `dataset` is a copy to damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import fake_episodes
import pytest

from simgen.build import build


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be written to."""
    out = tmp_path_factory.mktemp("store") / "fake.zarr"
    build(fake_episodes.recipe(), out, workers=1, make=fake_episodes.make)
    return out


@pytest.fixture
def dataset(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy.zarr"))
