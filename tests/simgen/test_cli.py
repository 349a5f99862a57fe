"""The command line: exit codes, what goes to stdout, and a --help that loads nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from simgen import cli, terminal
from simgen.families import FAMILIES
from simgen.motion import SimulationError
from simgen.store import ledger
from simgen.store.objects import objects_at

RECIPE = """
name = "toy"
episodes = 12
[video]
frames = 6
height = 32
width = 32
[[scene]]
family = "toy"
"""


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(FAMILIES, "toy", "toy_family:Toy")


@pytest.fixture
def path(tmp_path: Path) -> str:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    return str(recipe)


def simgen(*arguments: object) -> int:
    return terminal.run(cli.app, "simgen", [str(a) for a in arguments], cli.exit_code)


def test_help_is_light():
    """Nothing heavy may be imported before a command runs."""
    code = (
        "import sys, simgen, simgen.cli; heavy = {'numpy', 'numba', 'mujoco', 'pybullet', 'torch', "
        "'zarr', 'pyarrow', 'dask'}; print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command",
    ["recipes", "schema", "validate", "plan", "preview", "build", "inspect", "verify", "doctor"],
)
def test_every_command_explains_itself(command: str, capsys):
    assert simgen(command, "--help") == 0
    said = capsys.readouterr().out
    assert f"Example: simgen {command}" in said.replace("\n", " ")


def test_build_verify_inspect_plan(path: str, tmp_path: Path, capsys):
    out = tmp_path / "toy.zarr"
    assert simgen("build", path, out, "--workers", 0, "--episodes", 10, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["episodes"], report["quarantined"], report["parts_run"]) == (10, 0, 1)
    assert simgen("build", path, out, "--workers", 0, "episodes=10", "--json") == 0
    assert json.loads(capsys.readouterr().out)["parts_run"] == 0
    assert simgen("verify", out, "--sample", "10%") == 0
    assert "is complete: 10 episodes" in capsys.readouterr().out
    assert simgen("inspect", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["by"]["family"] == {"toy": 10}
    assert simgen("plan", path, out, "episodes=10", "--json") == 0
    assert json.loads(capsys.readouterr().out)["todo"] == 0

    shards = [p for p in (out / "t6_32x32/rgb").rglob("*") if p.is_file()]
    rgb = max(shards, key=lambda p: p.stat().st_size)
    data = bytearray(rgb.read_bytes())
    data[len(data) // 2] ^= 1
    rgb.write_bytes(data)
    assert simgen("verify", out) == 4
    said = capsys.readouterr().out
    assert "array rgb, episode" in said
    assert "`simgen repair` makes exactly these anew" in said
    assert simgen("build", path, out, "--workers", 0, "seed=1") == 2
    assert "holds another recipe" in capsys.readouterr().err


def test_quarantined_episodes_are_exit_code_3(path: str, tmp_path: Path, monkeypatch, capsys):
    def explode(*args: object, **kwargs: object):
        raise SimulationError("the state is not finite")

    monkeypatch.setattr("simgen.episode.simulate", explode)
    assert simgen("build", path, tmp_path / "q.zarr", "--workers", 0) == 3
    assert "12 quarantined" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["build", "RECIPE"], 2, "Missing argument 'OUT'"),
        (["nothing"], 2, "No such command 'nothing'"),
        (["validate", "RECIPE", "hieght=3"], 2, "did you mean 'height'?"),
        (["validate", "none.toml"], 2, "none.toml: no such recipe"),
        (["verify", "nowhere"], 4, "is no dataset"),
        (["verify", "nowhere", "--sample", "lots"], 2, "'lots' is no share"),
        (["inspect", "nowhere"], 4, "is no dataset"),
        (["recipes", "nowhere"], 2, "'nowhere' does not exist"),
        (["preview", "RECIPE", "-o", "sheet.xyz"], 2, "no picture format '.xyz'"),
        (["preview", "RECIPE", "-o", "RECIPE/sheet.png"], 2, "cannot be written: "),
        (["build", "RECIPE", "RECIPE/out"], 2, "out cannot be used: Not a directory"),
    ],
)
def test_errors_are_one_line_with_the_right_code(
    path: str, arguments: list[str], code: int, said: str, capsys
):
    assert simgen(*(a.replace("RECIPE", path) for a in arguments)) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_a_build_beside_another_is_exit_code_1(path: str, tmp_path: Path, capsys):
    (tmp_path / "l.zarr").mkdir()
    with ledger.lock(objects_at(tmp_path / "l.zarr")):
        assert simgen("build", path, tmp_path / "l.zarr", "--workers", 0) == 1
    assert "is being built by process" in capsys.readouterr().err


def test_debug_shows_the_traceback(capsys):
    assert simgen("validate", "none.toml", "--debug") == 2
    assert "Traceback" in capsys.readouterr().err


def test_interrupt_is_130(path: str, tmp_path: Path, monkeypatch, capsys):
    def interrupt(*args: object, **kwargs: object):
        raise KeyboardInterrupt

    monkeypatch.setattr("simgen.build.build", interrupt)
    assert simgen("build", path, tmp_path / "i.zarr") == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_validate_schema_recipes(path: str, tmp_path: Path, capsys, monkeypatch):
    assert simgen("validate", path, "height=64") == 0
    assert "is valid" in capsys.readouterr().out
    assert simgen("schema") == 0
    assert "scene" in json.loads(capsys.readouterr().out)["properties"]
    assert simgen("recipes", tmp_path, "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [r["name"] for r in listed["recipes"]] == ["toy"]
    assert "toy" in listed["families"]


def test_preview_says_where_the_picture_is(path: str, tmp_path: Path, capsys):
    sheet = tmp_path / "deep" / "sheet.png"
    assert simgen("preview", path, "-o", sheet, "--episodes", 2, "--columns", 3) == 0
    assert capsys.readouterr().out.strip() == str(sheet)
    small = opened(sheet).height
    assert simgen("preview", path, "-o", sheet, "--episodes", 2, "--all-channels") == 0
    assert opened(sheet).height > 3 * small  # five rows of pictures an episode
    moving = tmp_path / "one.webp"
    assert simgen("preview", path, "-o", moving, "--first", 1) == 0
    assert opened(moving).n_frames == 6


def opened(picture: Path) -> Image.Image:
    return Image.open(BytesIO(picture.read_bytes()))
