"""Storage that counts every operation that changes it, and dies at the one that it is told to.

A process that is killed does nothing more: from that operation on every other one raises too, in
every thread, so no `finally` tidies up what a real kill would have left.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import obstore

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Stopped(BaseException):
    """The process is dead."""


class Operation(NamedTuple):
    """`name` as in os, or put, create and delete of an object store; `to` of a rename or link."""

    name: str
    path: Path
    to: Path | None = None


class Faults:
    """What happens to a folder or a prefix, up to the operation with the number `stop_at`.

    Args:
        root: The dataset's folder, or for an object store any path: only for `log`.
        stop_at: From 0; None: never.
        mode: before: nothing of it happens. half: half of the bytes of a write are written.
            after: all of it happens, and the caller never hears.
    """

    def __init__(self, root: Path, stop_at: int | None = None, mode: str = "before"):
        self.root, self.stop_at, self.mode = root, stop_at, mode
        self.log: list[Operation] = []
        self.seen_by_python: list[str] = []  # by its audit hook, whoever did it
        self.dead = False
        self._paths: dict[int, Path] = {}  # open handles
        self._lock = threading.Lock()

    @contextmanager
    def local(self) -> Iterator[Faults]:
        """Every operation on files and folders under `root`, and the syncing of its parent."""
        names = ("mkdir", "rmdir", "unlink", "replace", "link", "fsync", "write", "ftruncate",
                 "open", "close")  # fmt: skip
        real = {name: getattr(os, name) for name in names}
        with mock.patch.multiple(os, **{name: self._wrap(name, real[name]) for name in names}):
            _watching.append(self)
            try:
                yield self
            finally:
                _watching.remove(self)

    @contextmanager
    def remote(self) -> Iterator[Faults]:
        """Every PUT and DELETE of this process."""

        def put(store: Any, key: str, data: bytes, *, mode: str = "overwrite", **options: Any):
            name = "create" if mode == "create" else "put"
            call = partial(real_put, store, key, data, mode=mode, **options)
            return self._do(Operation(name, self.root / key), call)

        def delete(store: Any, key: str):
            return self._do(Operation("delete", self.root / key), partial(real_delete, store, key))

        real_put, real_delete = obstore.put, obstore.delete
        with mock.patch.multiple(obstore, put=put, delete=delete):
            yield self

    def holds(self, path: Path | None) -> bool:
        return path is not None and (path == self.root or self.root in path.parents)

    def _wrap(self, name: str, real: Any) -> Any:
        def wrapped(first: Any, *more: Any, **options: Any) -> Any:
            path = self._path(first, options.get("dir_fd"))
            around = name in ("open", "close", "fsync") and path == self.root.parent
            if not around and not self.holds(path):
                return real(first, *more, **options)
            if name == "close":
                del self._paths[first]
                return real(first)
            call = partial(real, first, *more, **options)
            if name == "open":
                return self._open(path, more[0] if more else options["flags"], call)
            to = Path(more[0]) if name in ("replace", "link") else None
            if name == "fsync":
                call = bool  # nothing: no test cuts the power
            half = partial(real, first, more[0][: len(more[0]) // 2]) if name == "write" else None
            return self._do(Operation(name, path, to), call, half)

        return wrapped

    def _open(self, path: Path, flags: int, call: Any) -> int:
        handle = self._do(Operation("open", path), call) if flags & WRITING else call()
        self._paths[handle] = path
        return handle

    def _path(self, given: Any, folder: int | None) -> Path | None:
        if isinstance(given, int):
            return self._paths.get(given)
        if folder is not None:
            return self._paths[folder] / os.fspath(given) if folder in self._paths else None
        return Path(os.path.abspath(os.fsdecode(given)))

    def _do(self, operation: Operation, call: Any, half: Any = None) -> Any:
        with self._lock:
            if self.dead:
                raise Stopped
            last = len(self.log) == self.stop_at
            self.log.append(operation)
            if last:
                self.dead = True
                if self.mode == "after":
                    call()
                elif self.mode == "half" and half:
                    half()
                raise Stopped
            return call()


_watching: list[Faults] = []
_AUDITED = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}


def _audit(event: str, arguments: tuple) -> None:
    if not _watching or event not in _AUDITED:
        return
    for faults in _watching:
        given = arguments[0]
        folder = {"os.remove": 1, "os.rmdir": 1, "os.mkdir": 2}.get(event)
        handle = arguments[folder] if folder else -1
        path = faults._path(given, handle if handle != -1 else None) if given is not None else None
        changes = event != "open" or arguments[2] & WRITING
        if changes and faults.holds(path):
            faults.seen_by_python.append(event.removeprefix("os."))


sys.addaudithook(_audit)
