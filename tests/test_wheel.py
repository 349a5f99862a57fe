"""What is shipped, and that a fresh install of what is pinned can start."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """The wheel of this tree, built without the network and without touching the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git checkout: cannot tell the sources from what was built beside them")
    source = folder / "source"
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--wheel-dir", str(folder), str(source)],
        check=True,
    )  # fmt: skip
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_ships_two_packages_and_nothing_that_shadows_others(wheel):
    """`datasets` and `flows` at the top level would hide Hugging Face's and people's own."""
    tops = {name.split("/")[0] for name in wheel.namelist()}
    info = {top for top in tops if top.endswith(".dist-info")}
    assert len(info) == 1
    assert tops - info == {"simgen", "worldmodel"}


def test_the_wheel_ships_every_source_file(wheel):
    names = set(wheel.namelist())
    sources = [p for top in ("simgen", "worldmodel") for p in (ROOT / top).rglob("*.py")]
    missing = [str(p.relative_to(ROOT)) for p in sources if str(p.relative_to(ROOT)) not in names]
    assert not missing


def test_the_wheel_ships_the_report_s_page(wheel):
    pages = {p.name for p in (ROOT / "worldmodel/verdict").glob("report.*")} - {"report.py"}
    shipped = {Path(name).name for name in wheel.namelist() if "/verdict/report." in name}
    assert pages
    assert pages <= shipped


def test_the_wheel_ships_the_viewer_s_page(wheel):
    pages = {p.name for p in (ROOT / "simgen/view/static").iterdir()}
    shipped = {Path(name).name for name in wheel.namelist() if "simgen/view/static/" in name}
    assert "index.html" in pages
    assert pages == shipped


def test_prefect_s_server_imports_under_the_pinned_fastapi(tmp_path):
    """FastAPI 0.155 and later break it at import; a fresh install must not get one of those."""
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert any(pin.startswith("fastapi<0.15") for pin in pins["flows"])
    code = (
        "import fastapi, prefect.server.api.server\n"
        "assert tuple(map(int, fastapi.__version__.split('.')[:2])) < (0, 155)"
    )
    home = {**os.environ, "PREFECT_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=home)
    assert done.returncode == 0, done.stderr
