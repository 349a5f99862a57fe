"""Who may import whom, by the sources' own import statements; and registries that are complete."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simgen.engines import ENGINES
from simgen.families import FAMILIES
from simgen.renderers import RENDERERS

ROOT = Path(__file__).parents[1]
PACKAGES = ("simgen", "worldmodel", "flows")


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield node.lineno, node.module or ""
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def offenders(paths: list[Path], *names: str) -> list[str]:
    """file:line of each import of those modules or anything in them."""
    return [
        f"{path.relative_to(ROOT)}:{line} imports {found}"
        for path in paths
        for line, found in imports(path)
        if any(found == name or found.startswith(f"{name}.") for name in names)
    ]


def test_imports_are_seen():
    """The tests below would pass on a reader that finds nothing."""
    assert all(sources(package) for package in PACKAGES)
    assert offenders(sources("worldmodel"), "simgen")
    assert offenders(sources("flows"), "worldmodel")
    assert offenders([ROOT / "simgen/engines/mujoco_run.py"], "mujoco")


def test_one_direction_only():
    assert offenders(sources("simgen"), "worldmodel", "flows") == []
    assert offenders(sources("worldmodel"), "flows") == []


def test_the_simulator_stays_behind_its_store():
    """simgen.resimulate is the one door through which the verdict reaches an engine."""
    assert offenders(sources("worldmodel", "flows"), "simgen.engines") == []


def test_engines_are_imported_where_they_live():
    elsewhere = [
        path
        for path in sources(*PACKAGES)
        if not re.match(r"simgen/(engines|renderers)/", path.relative_to(ROOT).as_posix())
    ]
    assert offenders(elsewhere, "mujoco", "pybullet") == []


def test_simgen_needs_no_torch():
    """Windows that are asked for as tensors meet it, and nothing before."""
    found = {said.split(":")[0] for said in offenders(sources("simgen"), "torch")}
    assert found == {"simgen/store/ring.py", "simgen/store/windows.py"}
    code = "import sys, simgen.store.reader, simgen.store.windows; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_imports_torchvision():
    assert offenders(sources(*PACKAGES, "tests", "benchmarks"), "torchvision") == []


def test_datasets_is_no_package():
    assert list((ROOT / "datasets").rglob("*.py")) == []


def defined(path: Path) -> set[str]:
    """Top-level functions, and the methods of top-level classes."""
    tree = ast.parse(path.read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    nodes = [*tree.body, *(child for cls in classes for child in cls.body)]
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(
    ("folder", "registry", "marks"),
    [
        ("families", FAMILIES, {"sample", "outcome", "look_at"}),
        ("engines", ENGINES, {"simulate", "check"}),
        ("renderers", RENDERERS, {"render"}),
    ],
)
def test_registries_hold_every_file_of_their_folder(
    folder: str, registry: dict[str, str], marks: set[str]
):
    """A file that defines the folder's interface is registered, and what is registered exists."""
    files = [path for path in sources(f"simgen/{folder}") if path.stem != "__init__"]
    found = {f"simgen.{folder}.{path.stem}" for path in files if marks <= defined(path)}
    assert found == {target.split(":")[0] for target in registry.values()}


def test_every_metric_is_registered():
    folder = ROOT / "worldmodel/verdict/metrics"
    imported = {name for _, name in imports(folder / "__init__.py")}
    for path in folder.glob("*.py"):
        if path.stem != "__init__":
            assert f"worldmodel.verdict.metrics.{path.stem}" in imported
