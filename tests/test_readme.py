"""README's commands name real programs, options and files; the cheap ones are run."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import simgen.cli
import worldmodel.cli
from simgen.build import build
from simgen.recipe import load

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.split("#")[0].strip()
    for line in README.splitlines()
    if line.startswith("    ") and line.strip()
]
PROGRAMS = {"simgen": simgen.cli.app, "worldmodel": worldmodel.cli.app}
CHEAP = ("recipes", "validate", "plan")


def of(program: str) -> list[str]:
    return [line for line in COMMANDS if line.split()[0] == program]


def test_every_command_is_of_a_kind_that_is_checked_here():
    known = {"make", "python", *PROGRAMS}
    assert {line.split()[0] for line in COMMANDS} <= known
    assert of("make")
    assert of("simgen")
    assert of("worldmodel")
    assert of("python")


@pytest.mark.parametrize("line", of("make"))
def test_make_targets_exist(line):
    assert re.search(rf"^{line.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("line", of("simgen") + of("worldmodel"))
def test_subcommands_and_options_exist(line):
    program, name, *arguments = shlex.split(line)
    group = typer.main.get_command(PROGRAMS[program])
    assert name in group.commands
    group.commands[name].make_context(name, arguments)  # raises on what it does not know


@pytest.mark.parametrize("line", [c for c in of("simgen") if c.split()[1] in CHEAP])
def test_cheap_commands_run(line, monkeypatch):
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(simgen.cli.app, shlex.split(line)[1:])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("line", of("python"))
def test_flows_take_their_arguments(line, monkeypatch):
    _, script, *arguments = shlex.split(line)
    monkeypatch.syspath_prepend(str(ROOT / "flows"))
    module = __import__(Path(script).stem)
    checked = []
    monkeypatch.setattr(module.command, "run", lambda work, **_: checked.append(work) or 0)
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    assert (ROOT / script).exists()
    assert module.main() == 0
    assert checked


def test_the_scene_it_shows_is_one(tmp_path):
    (scene,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    path = tmp_path / "recipe.toml"
    path.write_text(f'name = "shown"\n{scene}')
    recipe = load(path)
    assert len(recipe.buckets) == 3
    assert recipe.group_size == 3


def test_files_that_are_named_exist():
    named = set(re.findall(r"`((?:simgen|worldmodel|flows|datasets)/[\w/.]+)`", README))
    named |= set(re.findall(r"\b(?:datasets|flows)/[\w/]+\.(?:toml|py)", README))
    named |= set(re.findall(r"\]\(([\w/.]+)\)", README))
    assert len(named) > 15
    assert not sorted(name for name in named if not (ROOT / name).exists())


def test_the_python_example_runs(tmp_path, capsys):
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    small = [
        "episodes=1",
        "splits={ train = 1.0 }",
        "video.height=64",
        "video.width=64",
    ]
    store = tmp_path / "bar.zarr"
    build(load(ROOT / "datasets/high_bar/recipe.toml", small), store, workers=0)
    exec(compile(example.replace("out/bar.zarr", str(store)), "README.md", "exec"), {})
    assert "gymnast" in capsys.readouterr().out


@pytest.mark.parametrize(
    "recipe", sorted(ROOT.glob("datasets/*/recipe.toml")), ids=lambda path: path.parent.name
)
def test_every_dataset_has_a_card_that_agrees_with_its_recipe(recipe):
    card, made = (recipe.parent / "README.md").read_text(), load(recipe)
    assert f"| clips | {made.episodes} |" in card
    assert f"{made.video.frames} frames at {made.video.frame_rate_hz:g} Hz" in card
    for bucket in made.buckets:  # t64_72x128
        assert bucket.split("_")[1].replace("x", " x ") in card
    assert ", ".join(f"{name} {share:g}" for name, share in made.splits.items()) in card
    assert f"| licence | {made.licence} |" in card
