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

from simgen.store.layout import WORKSHOP
from simgen.store.objects import LocalObjects, Objects

ATTEMPTS = 3  # times an episode may be in hand when its process dies
STORING = "storing"  # stage after the last episode


class LockedError(RuntimeError):
    """Another process is building this dataset."""


@contextmanager
def lock(out: Objects) -> Iterator[None]:
    """Hold the dataset for writing. A dead holder's lock is free: the kernel drops it.

    Object stores have no such lock and need none: builders of one recipe write the same bytes to
    the same keys, and of two commits of a version the second fails.

    Raises:
        LockedError: Someone living holds it; the message names the process.
    """
    if not isinstance(out, LocalObjects):
        yield
        return
    path = out.path / WORKSHOP / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise LockedError(
                f"{out.url} is being built by process {file.read().strip() or 'unknown'}; "
                "wait for it, or stop it and run the same command again"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def clean(out: Objects) -> None:
    """Remove what killed writers left half written. Only under the lock."""
    if isinstance(out, LocalObjects):
        shutil.rmtree(out.path / out.TEMPORARY, ignore_errors=True)
        (out.path / out.TEMPORARY).mkdir(parents=True)


class Attempts:
    """What was in hand in each attempt at a part; attempts that ended in good order are erased."""

    def __init__(self, out: Objects, name: str):
        self.out, self.key = out, f"{WORKSHOP}/attempts/{name}"

    @property
    def place(self) -> str:
        return f"{self.out.url}/{self.key}"

    def deaths(self) -> Counter[str]:
        """Stage (an episode index, or STORING) -> processes that died in it."""
        lines = self._text().split()
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
        before = self._text()
        self.enter("attempt")
        try:
            yield self
        except BaseException:
            _note(self.out, self.key, before)
            raise
        self.forget()

    def enter(self, stage: str) -> None:
        """Note what is in hand now: it survives the death of this process."""
        if isinstance(self.out, LocalObjects):  # appended: a kill meanwhile loses no earlier line
            path = self.out.path / self.key
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "a") as file:
                file.write(f"{stage}\n")
        else:
            _note(self.out, self.key, f"{self._text()}{stage}\n")

    def forget(self) -> None:
        """Erase the part's attempts: it was committed."""
        if isinstance(self.out, LocalObjects):
            (self.out.path / self.key).unlink(missing_ok=True)
        else:
            self.out.delete([self.key])

    def _text(self) -> str:
        try:
            return self.out.get(self.key).decode()
        except FileNotFoundError:
            return ""


def record_costs(out: Objects, name: str, costs_s: dict[str, float]) -> None:
    """CPU seconds of a part by stage."""
    _note(out, f"{WORKSHOP}/costs/{name}.json", json.dumps(costs_s))


def costs(out: Objects) -> Counter[str]:
    """CPU seconds by stage over all parts whose costs are known."""
    total: Counter[str] = Counter()
    for key in out.list(f"{WORKSHOP}/costs/"):
        total.update(json.loads(out.get(key)))
    return total


def _note(out: Objects, key: str, text: str) -> None:
    """Write without waiting for the disk: losing a note in a power cut costs a repetition."""
    if isinstance(out, LocalObjects):
        path = out.path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    else:
        out.put({key: text.encode()})
