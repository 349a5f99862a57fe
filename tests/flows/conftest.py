"""One embedded Prefect server for all tests of the flows, as a run of the pipeline has it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

FLOWS = Path(__file__).parents[2] / "flows"
sys.path.insert(0, str(FLOWS))

RECIPE = """
name = "tiny"
episodes = 16
episodes_per_part = 2
video = { frames = 24, frame_rate_hz = 20, height = 32, width = 32 }
splits = { train = 0.5, val = 0.25, test = 0.25 }
[[scene]]
family = "bouncing_balls"
parameters = { bodies = [2, 2] }
"""


@pytest.fixture(scope="session")
def recipe(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> str:
    """URL of a server for this process; it ends with the process."""
    import embedded

    before = dict(os.environ)
    url = embedded.start(tmp_path_factory.mktemp("prefect"))
    yield url
    if "PREFECT_API_URL" not in before:
        del os.environ["PREFECT_API_URL"]
