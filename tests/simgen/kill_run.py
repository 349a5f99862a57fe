"""python kill_run.py KILLS SEED: random kill -9 of builds, then the same command: same bytes.

Workers, parents and whole process groups die at random moments of builds of slow fake episodes,
at most twice a dataset, since an episode that is in hand at three deaths is given up. Prints one
JSON line; exits with 1 if any dataset differs from the undisturbed one.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from build_fake import environment
from fake_episodes import contents, make, recipe

from simgen.build import build

SCRIPT = Path(__file__).with_name("build_fake.py")
VICTIMS = ("parent", "worker", "group")
KILLS_A_DATASET = 2


def main(kills: str, seed: str) -> int:
    rng, begun = random.Random(int(seed)), time.perf_counter()
    told: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name) / "whole.zarr"
        build(recipe(), whole, workers=1, make=make)
        wanted = contents(whole)
        while told["kills"] < int(kills):
            out = Path(name) / "killed.zarr"
            for _ in range(KILLS_A_DATASET):
                told.update(kill_once(out, rng))
            build(recipe(), out, workers=1, make=make)
            told["datasets"] += 1
            told["wrong"] += contents(out) != wanted
            shutil.rmtree(out)
    print(json.dumps(dict(told) | {"seconds": round(time.perf_counter() - begun, 1)}))
    return bool(told["wrong"])


def kill_once(out: Path, rng: random.Random) -> dict[str, int]:
    """Start the build, kill something of it at a random moment, end the rest."""
    victim = rng.choice(VICTIMS)
    workers = rng.choice((1, 2)) if victim == "parent" else 2
    command = [sys.executable, str(SCRIPT), str(out), "make_slowly", str(workers)]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == b"begun\n"
        # a build takes a second alone, and Dask's processes seconds to start
        time.sleep(rng.uniform(0, 1.2 if workers == 1 else 6.0))
        killed = kill(process, victim, rng)
        if victim == "worker" and killed:
            process.wait(timeout=120)  # Dask starts another, and the build goes on
        end(process)
    return {"kills": killed, victim: killed, "too_late": not killed}


def kill(process: subprocess.Popen, victim: str, rng: random.Random) -> bool:
    """Whether there was still something to kill."""
    if process.poll() is not None:
        return False
    if victim == "parent":
        process.kill()
    elif victim == "group":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        children = psutil.Process(process.pid).children(recursive=True)
        spawned = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        if not spawned:
            return False
        rng.choice(spawned).kill()
    return True


def end(process: subprocess.Popen) -> None:
    """Workers whose parent was killed end by themselves; do not wait for them."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
