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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from simgen.store import processes
from simgen.store.layout import WORKSHOP, canonical_json
from simgen.store.objects import LocalObjects, Objects
from simgen.store.versions import ConflictError

ATTEMPTS = 3  # times an episode may be in hand when its process dies
STORING = "storing"  # stage after the last episode


class LockedError(RuntimeError):
    """Another process is building this dataset."""


@contextmanager
def lock(out: Objects) -> Iterator[None]:
    """Hold the dataset for writing. A dead holder's lock is free: the kernel drops it.

    What a dead holder left then lasts, for the work of this one builds upon it.

    Object stores have no such lock and need none: builders of one recipe write the same bytes to
    the same keys (see claim), and of two commits of a version the second fails.

    Raises:
        LockedError: Someone living holds it; the message names the process.
    """
    if not isinstance(out, LocalObjects):
        yield
        return
    path = out.path / WORKSHOP / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 32).decode(errors="replace").strip("\0\n ") or "unknown"
            raise LockedError(
                f"{out.url} is being built by process {holder}; "
                "wait for it, or stop it and run the same command again"
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        out.settle()
        yield
    finally:
        os.close(handle)


def clean(out: Objects) -> None:
    """Remove what killed writers left half written. Only under the lock."""
    if isinstance(out, LocalObjects):
        shutil.rmtree(out.path / out.TEMPORARY, ignore_errors=True)
        (out.path / out.TEMPORARY).mkdir(parents=True)


def claim(out: Objects, step: str, work: Mapping[str, Any]) -> None:
    """Where no lock is: see that all who build this step of the dataset build the same.

    They then write the same bytes to the same keys, so any number may, and any may finish what
    another left. A folder needs no claims; its lock keeps others out.

    Args:
        step: First build or which addition to it.
        work: All that decides what is written.
    Raises:
        ConflictError: Others have claimed it for something else.
    """
    if isinstance(out, LocalObjects):
        return
    key, data = f"{WORKSHOP}/claims/{step}.json", canonical_json(dict(work))
    if out.create(key, data) or (held := out.get(key)) == data:
        return
    theirs, ours = json.loads(held), json.loads(data)
    differing = [name for name in ours if theirs.get(name) != ours[name]]
    told = ", ".join(f"{name} {theirs.get(name)} and not {ours[name]}" for name in differing)
    raise ConflictError(
        f"{out.url} is being written by others, with {told}; wait for them or finish theirs by "
        f"their command, then run yours again. If nobody is at it, delete {out.url}/{key}"
    )


def attempts_of(out: Objects, part: str) -> Attempts:
    """What is known of attempts at that part."""
    return (Attempts if isinstance(out, LocalObjects) else SharedAttempts)(out, part)


class Attempts:
    """What was in hand in each attempt at a part; attempts that ended in good order are erased.

    In a folder an attempt is appended to the part's file: nobody else is at it.
    """

    def __init__(self, out: Any, name: str):
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
            self._restore(before)
            raise
        self.forget()

    def enter(self, stage: str) -> None:
        """Note what is in hand now: it survives the death of this process."""
        # the line before may have been cut by a full disk
        self.out.append(self.key, f"\n{stage}\n".encode())

    def forget(self) -> None:
        """Erase the part's attempts: it was committed."""
        (self.out.path / self.key).unlink(missing_ok=True)

    def _text(self) -> str:
        try:
            return self.out.get(self.key).decode(errors="replace")
        except FileNotFoundError:
            return ""

    def _restore(self, before: str) -> None:
        self.forget()
        if before:
            self.out.append(self.key, before.encode())


class SharedAttempts(Attempts):
    """Attempts where several may build at once: each process has an object of its own.

    Deaths are those that this machine knows of: of others' processes nobody here can tell.
    """

    def deaths(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for key in self.out.list(f"{self.key}/"):
            if processes.is_dead(key.rpartition("/")[2]):
                with suppress(FileNotFoundError):
                    found[self.out.get(key).decode(errors="replace")] += 1
        del found["attempt"]  # died before any episode
        return found

    def enter(self, stage: str) -> None:
        self.out.put({self._own: stage.encode()})

    def forget(self) -> None:
        self.out.delete(self.out.list(f"{self.key}/"))

    @property
    def _own(self) -> str:
        return f"{self.key}/{processes.name()}"

    def _text(self) -> str:
        return ""

    def _restore(self, before: str) -> None:
        self.out.delete([self._own])


def record_costs(out: Objects, name: str, costs_s: dict[str, float]) -> None:
    """CPU seconds of a part by stage; losing them loses nothing else."""
    key, data = f"{WORKSHOP}/costs/{name}.json", json.dumps(costs_s).encode()
    with suppress(OSError):
        if isinstance(out, LocalObjects):  # without waiting for the disk
            (out.path / key).unlink(missing_ok=True)
            out.append(key, data)
        else:
            out.put({key: data})


def costs(out: Objects) -> Counter[str]:
    """CPU seconds by stage over all parts whose costs are known."""
    total: Counter[str] = Counter()
    for key in out.list(f"{WORKSHOP}/costs/"):
        with suppress(FileNotFoundError, ValueError, TypeError):  # cut off by a crash: not known
            total.update(json.loads(out.get(key)))
    return total
