"""What works on this machine, and what to install for the rest: `simgen doctor`."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from simgen.renderers.gl_probe import ADVICE, PLATFORMS, probe

OLDEST_PYTHON = (3, 11)
ENOUGH_DISK_GB = 5.0
_PROBE_TIMEOUT_S = 120
_RAYCAST = "import simgen.renderers.raycast_kernel"
_TINY = (
    "import pybullet as p; c = p.connect(p.DIRECT); "
    "p.getCameraImage(16, 16, renderer=p.ER_TINY_RENDERER)"
)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. Not `needed`: without it only that back end is missing."""

    name: str
    ok: bool
    detail: str
    advice: str = ""
    needed: bool = True


def diagnose(folder: Path | str = ".") -> list[Check]:
    """Every check, in the order in which people meet the parts; nothing here raises.

    Anything that could end the process (OpenGL, compiled engines) is tried in a child process.

    Args:
        folder: Where data would be written; its free space is reported.
    """
    return [
        _python(),
        _cpu(),
        _package("numba", needed=True),
        _works("renderer raycast", _RAYCAST, "reinstall numba and llvmlite", needed=True),
        _package("mujoco", needed=True),
        _package("pybullet", needed=True),
        *(_gl(name) for name in PLATFORMS),
        _works("renderer tiny", _TINY, "pip install pybullet==3.2.7", needed=False),
        _package("torch", needed=True),
        _threads(),
        _disk(Path(folder)),
    ]


def summary(checks: list[Check]) -> str:
    """The checks as lines of text: yes, no, or - for a back end that is only missing."""
    widest = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        mark = "yes" if check.ok else "no " if check.needed else "-  "
        lines.append(f"{mark}  {check.name:<{widest}}  {check.detail}")
        if not check.ok and check.advice:
            lines.append(f"{'':<{widest + 7}}to do: {check.advice}")
    return "\n".join(lines)


def _python() -> Check:
    wanted = ".".join(map(str, OLDEST_PYTHON))
    return Check(
        "Python",
        sys.version_info >= OLDEST_PYTHON,
        f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        f"install Python {wanted} or later",
    )


def _cpu() -> Check:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return Check("CPU", True, f"{model}, {_usable_cores()} cores for this process")


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _package(name: str, *, needed: bool) -> Check:
    try:
        return Check(name, True, version(name), needed=needed)
    except PackageNotFoundError:
        return Check(name, False, "not installed", f"pip install {name}", needed=needed)


def _works(name: str, code: str, advice: str, *, needed: bool) -> Check:
    """Whether a line of Python runs to its end in a child process, and how long it took."""
    start = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Check(name, False, f"no answer in {_PROBE_TIMEOUT_S} s", advice, needed=needed)
    if done.returncode == 0:
        return Check(name, True, f"works, {time.monotonic() - start:.1f} s to start", needed=needed)
    said = [line for line in done.stderr.splitlines() if line.strip()]
    detail = said[-1].strip() if said else f"ended with code {done.returncode}"
    return Check(name, False, detail, advice, needed=needed)


def _gl(name: str) -> Check:
    ok, detail = probe(name)
    return Check(f"renderer mujoco ({name})", ok, detail, ADVICE[name], needed=False)


def _threads() -> Check:
    """torch's default number of threads, read without the seconds that importing it takes."""
    chosen = os.environ.get("OMP_NUM_THREADS")
    detail = f"OMP_NUM_THREADS={chosen}" if chosen else f"one a core: {_usable_cores()}"
    return Check("torch threads", True, detail)


def _disk(folder: Path) -> Check:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free_gb = shutil.disk_usage(folder).free / 1e9
    return Check(
        "free disk",
        free_gb >= ENOUGH_DISK_GB,
        f"{free_gb:.1f} GB at {folder.resolve()}",
        f"datasets take gigabytes: free at least {ENOUGH_DISK_GB:g} GB or build elsewhere",
    )
