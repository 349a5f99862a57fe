"""The workshop beside a dataset's bytes: the writers' lock, attempts, and costs.

Nothing in it belongs to the dataset, which is the same with it or without; deleting it while
nobody builds loses only the timings and the memory of crashes.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simgen.store.layout import WORKSHOP

ATTEMPTS = 3  # times an episode may be in hand when its process dies
STORING = "storing"  # stage after the last episode


class LockedError(RuntimeError):
    """Another process is building this dataset."""


@contextmanager
def lock(out: Path) -> Iterator[None]:
    """Hold the dataset for writing. A dead holder's lock is free: the kernel drops it.

    Raises:
        LockedError: Someone living holds it; the message names the process.
    """
    path = out / WORKSHOP / "lock"
    path.parent.mkdir(exist_ok=True)
    with open(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise LockedError(
                f"{out} is being built by process {file.read().strip() or 'unknown'}; "
                "wait for it, or stop it and run the same command again"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def clean(out: Path) -> None:
    """Remove what killed writers left half written. Only under the lock."""
    shutil.rmtree(temporary(out), ignore_errors=True)
    temporary(out).mkdir(parents=True)


def temporary(out: Path) -> Path:
    """Folder for files on their way into the dataset, on its own file system."""
    return out / WORKSHOP / "tmp"


class Attempts:
    """What was in hand in each attempt at a part; attempts that ended in good order are erased."""

    def __init__(self, out: Path, name: str):
        self.path = out / WORKSHOP / "attempts" / name

    def deaths(self) -> Counter[str]:
        """Stage (an episode index, or STORING) -> processes that died in it."""
        try:
            lines = self.path.read_text().split()
        except FileNotFoundError:
            return Counter()
        # a stage that another attempt follows was its attempt's last
        following = [*lines[1:], "attempt"][: len(lines)]
        return Counter(
            stage
            for stage, after in zip(lines, following, strict=True)
            if after == "attempt" and stage != "attempt"
        )

    @contextmanager
    def attempt(self) -> Iterator[Attempts]:
        """A try at the part: whatever raises inside is no crash and leaves no trace."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        before = self.path.read_bytes() if self.path.exists() else b""
        self.enter("attempt")
        try:
            yield self
        except BaseException:
            self.path.write_bytes(before)
            raise
        self.forget()

    def enter(self, stage: str) -> None:
        """Note what is in hand now: it survives the death of this process."""
        with open(self.path, "a") as file:
            file.write(f"{stage}\n")

    def forget(self) -> None:
        """Erase the part's attempts: it was committed."""
        self.path.unlink(missing_ok=True)


def record_costs(out: Path, name: str, costs_s: dict[str, float]) -> None:
    """CPU seconds of a part by stage."""
    folder = out / WORKSHOP / "costs"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(costs_s))


def costs(out: Path) -> Counter[str]:
    """CPU seconds by stage over all parts whose costs are known."""
    total: Counter[str] = Counter()
    for path in sorted((out / WORKSHOP / "costs").glob("*.json")):
        total.update(json.loads(path.read_text()))
    return total
