"""Which OpenGL platform works here, found out in a child process.

A missing library makes `import mujoco` itself fail when MUJOCO_GL names it, and a broken driver can
end the process, so nothing is tried in this one, and MUJOCO_GL is never set.
"""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache

PLATFORMS = ("egl", "osmesa", "glfw")
ADVICE = {
    "egl": "apt-get install libegl1 libgl1 (Debian, Ubuntu), or a GPU driver with EGL",
    "osmesa": "apt-get install libosmesa6 (gone from Mesa 25.1 on: prefer egl)",
    "glfw": "needs a display: use egl on machines without one",
}
_TIMEOUT_S = 60
_SCRIPT = """
import importlib, os, sys
os.environ.pop("MUJOCO_GL", None)
os.environ.pop("PYOPENGL_PLATFORM", None)
import mujoco
context = importlib.import_module("mujoco." + sys.argv[1]).GLContext(64, 64)
context.make_current()
model = mujoco.MjModel.from_xml_string("<mujoco/>")
mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
from OpenGL import GL
print("simgen-gl-ok", GL.glGetString(GL.GL_RENDERER).decode())
"""


@lru_cache
def probe(platform: str) -> tuple[bool, str]:
    """Whether MuJoCo can draw through a platform, and its renderer's name or what went wrong."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, platform],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer in {_TIMEOUT_S} s"
    for line in done.stdout.splitlines():
        if line.startswith("simgen-gl-ok "):
            return True, line.removeprefix("simgen-gl-ok ")
    said = [line for line in done.stderr.splitlines() if line.strip()]
    return False, said[-1].strip() if said else f"the probe ended with code {done.returncode}"


def working_platform() -> str | None:
    """The first platform that can draw here, or None."""
    return next((name for name in PLATFORMS if probe(name)[0]), None)


def explanation() -> str:
    """Why no platform works, each with what to install."""
    return "; ".join(f"{name}: {probe(name)[1]} ({ADVICE[name]})" for name in PLATFORMS)
