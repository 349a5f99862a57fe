"""The doctor finds what works, explains what does not, and never dies of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from simgen import doctor
from simgen.doctor import Check, diagnose, summary
from simgen.renderers import gl_probe


@pytest.fixture(scope="module")
def checks():
    return diagnose()


def test_everything_needed_works_here(checks):
    assert [c for c in checks if c.needed and not c.ok] == []


def test_every_part_is_looked_at(checks):
    names = " ".join(c.name for c in checks)
    for part in ("Python", "CPU", "mujoco", "pybullet", "raycast", "egl", "osmesa", "glfw", "tiny",
                 "torch threads", "free disk"):  # fmt: skip
        assert part in names


def test_what_is_missing_says_what_to_install(checks):
    assert all(c.advice for c in checks if not c.ok)


def test_a_probe_that_crashes_is_a_failed_check():
    check = doctor._works("part", "import os; os.abort()", "install it", needed=False)
    assert not check.ok
    assert "code" in check.detail


def test_a_probe_reports_the_error(monkeypatch):
    monkeypatch.setattr(gl_probe, "_SCRIPT", "raise OSError('no libEGL here')")
    gl_probe.probe.cache_clear()
    try:
        assert gl_probe.probe("egl") == (False, "OSError: no libEGL here")
        assert gl_probe.working_platform() is None
        assert "libegl1" in gl_probe.explanation()
    finally:
        gl_probe.probe.cache_clear()


def test_summary_tells_needed_from_optional():
    text = summary(
        [Check("a", True, "1"), Check("b", False, "gone", "get b"),
         Check("c", False, "gone", "get c", needed=False)]
    )  # fmt: skip
    lines = text.splitlines()
    assert [line[:3] for line in lines if not line.startswith(" ")] == ["yes", "no ", "-  "]
    assert "to do: get b" in text


def test_looking_imports_no_engine():
    code = "import sys, simgen.doctor; print('mujoco' in sys.modules, 'pybullet' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
