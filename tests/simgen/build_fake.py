"""python build_fake.py OUT MAKE WORKERS [FILE_BYTES_MAX]: a build that tests kill or starve."""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

import fake_episodes

from simgen.build import build


def environment() -> dict[str, str]:
    """What a process needs to import what this one can."""
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    return os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


def main(out: str, make: str, workers: str, file_bytes: str = "") -> None:
    if file_bytes:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(file_bytes), int(file_bytes)))
    chosen = getattr(fake_episodes, make)
    print("begun", flush=True)
    report = build(
        fake_episodes.recipe(),
        out,
        workers=int(workers),
        make=chosen,
        progress=lambda part, done, parts: print(part.part.name, done, parts, flush=True),
    )
    print("made", report.parts_run, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
