"""Names for processes that tell, later and on the same machine, whether they still live.

Process ids alone do not: they repeat, and containers have their own. No clock is asked.
"""

from __future__ import annotations

import os
import uuid
from functools import cache
from pathlib import Path


def name() -> str:
    """This process: where its id means something, its id, and when it began."""
    return f"{_machine()}.{os.getpid()}.{_began(os.getpid())}"


def is_dead(name: str) -> bool:
    """Whether that process ran here and is gone; False where nobody here can tell."""
    machine, number, began = (*name.split("."), "", "")[:3]
    return machine == _machine() and number.isdigit() and _began(int(number)) != began


@cache
def _machine() -> str:
    """The running system, and the container's own numbering of processes if there is one."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        numbering = os.readlink("/proc/self/ns/pid")
    except OSError:
        return f"{uuid.getnode():x}"
    return f"{boot}-{''.join(filter(str.isdigit, numbering))}"


def _began(number: int) -> str:
    """Clock ticks since the system's start at which the process began; empty: it is gone."""
    try:
        told = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        return "" if told[0] == "Z" else told[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return ""
    try:  # not Linux
        os.kill(number, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "0"
