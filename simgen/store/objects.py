"""Objects by key, in a folder or behind a URL: the only place that knows which.

A dataset needs five things of its storage: whole objects, ranges of them, a list, replacement
that shows the old or the new and never a mixture, and creation that fails where there is one
already. A folder does the last two by rename and link after fsync; object stores do them by PUT.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from simgen.store.remote import REQUESTS, RemoteObjects

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DiskFullError(OSError):
    """There is no room for an object; the message says how many bytes it needs."""


class Objects(Protocol):
    """Keys are relative, with `/`; they never end in one."""

    url: str

    def get(self, key: str) -> bytes:
        """A whole object. Raises FileNotFoundError."""

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Bytes start to start + length; a negative start counts from the end.

        Shorter where the object ends before. Raises FileNotFoundError.
        """

    def put(self, objects: Mapping[str, bytes]) -> None:
        """Write or replace objects: each appears whole or not at all, and all last after.

        Raises DiskFullError; what is already whole then stays.
        """

    def create(self, key: str, data: bytes) -> bool:
        """Write an object that was not there; False, and nothing done, if it was.

        Whatever was written before by anybody lasts before it appears.
        """

    def list(self, prefix: str = "") -> dict[str, int]:
        """Every key that begins with `prefix`, sorted, and its bytes."""

    def size(self, key: str) -> int | None:
        """Bytes of an object; None: there is none."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; what is not there is no error."""


def objects_at(place: str | Path) -> Objects:
    """Storage at a folder or a URL: s3://, gs://, az://, http(s)://, file://, memory://.

    Credentials and endpoints come from the usual environment variables (AWS_ENDPOINT, ...).
    """
    text = str(place)
    scheme = text.split("://")[0] if "://" in text else ""
    if scheme in ("", "file"):
        return LocalObjects(Path(text.removeprefix("file://")).absolute())
    return RemoteObjects(text)


class LocalObjects:
    """A folder. Files on their way in wait in `.build/tmp`, on the same file system."""

    TEMPORARY = ".build/tmp"

    def __init__(self, path: Path):
        self.path, self.url = path, str(path)

    def get(self, key: str) -> bytes:
        with _no_object():
            return (self.path / key).read_bytes()

    def get_range(self, key: str, start: int, length: int) -> bytes:
        with _no_object():  # every window goes this way: a Path and a file object take 20 us more
            handle = os.open(f"{self.url}/{key}", os.O_RDONLY)
            try:
                if start < 0:
                    start = max(os.fstat(handle).st_size + start, 0)
                return os.pread(handle, length, start)
            finally:
                os.close(handle)

    def put(self, objects: Mapping[str, bytes]) -> None:
        with self._arriving(objects) as waiting:
            folders = self._make_folders(objects)
            for key, path in waiting.items():
                os.replace(path, self.path / key)
        _sync(folders)

    def create(self, key: str, data: bytes) -> bool:
        with self._arriving({key: data}) as waiting:
            folders = self._make_folders([key])
            self.settle()
            try:
                os.link(waiting[key], self.path / key)  # unlike a rename, refuses to replace
                created = True
            except FileExistsError:
                created = False
            os.unlink(waiting[key])
        _sync(folders)
        return created

    def list(self, prefix: str = "") -> dict[str, int]:
        found: dict[str, int] = {}
        waiting = [prefix.rpartition("/")[0]]
        while waiting:
            folder = waiting.pop()
            with suppress(FileNotFoundError, NotADirectoryError):
                for entry in list(os.scandir(self.path / folder)):
                    key = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        waiting += [key] if key != self.TEMPORARY else []
                    elif (size := _file_bytes(entry)) is not None:
                        found[key] = size
        return {key: found[key] for key in sorted(found) if key.startswith(prefix)}

    def size(self, key: str) -> int | None:
        return _file_bytes(self.path / key)

    def delete(self, keys: Iterable[str]) -> None:
        folders = set()
        for key in keys:
            with suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(self.path / key)
                folders.add((self.path / key).parent)
        _sync(folders)

    def append(self, key: str, data: bytes) -> None:
        """Lengthen a file of the workshop, without waiting for the disk."""
        with self._room({key: data}):
            self._make_folders([key])
            _write(self.path / key, data, os.O_APPEND)

    @contextmanager
    def _arriving(self, objects: Mapping[str, bytes]) -> Iterator[dict[str, Path]]:
        """The objects' bytes on the disk under temporary names, gone if there is an error."""
        waiting: dict[str, Path] = {}
        try:
            with self._room(objects):
                folder = self.path / self.TEMPORARY
                folder.mkdir(parents=True, exist_ok=True)
                # Process ids repeat across machines that share the folder
                token = secrets.token_hex(8)
                for number, (key, data) in enumerate(objects.items()):
                    waiting[key] = folder / f"{token}-{number}"
                    _write(waiting[key], data, os.O_EXCL)
                _sync(waiting.values())
                yield waiting
        except OSError:
            for path in waiting.values():
                with suppress(OSError):
                    path.unlink()
            raise

    @contextmanager
    def _room(self, objects: Mapping[str, bytes]) -> Iterator[None]:
        """Say it in words if the disk is full."""
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL or isinstance(error, DiskFullError):
                raise
            needed = sum(map(len, objects.values()))
            raise DiskFullError(
                error.errno,
                f"no room for the {needed:,} bytes of {len(objects)} objects "
                f"({next(iter(objects))} first); make room and run the same command again: "
                "what is committed is kept",
                self.url,
            ) from error

    def _make_folders(self, keys: Iterable[str]) -> set[Path]:
        """Make the keys' folders; returns those whose entries change, up to the dataset's own."""
        changed = {self.path}
        for folder in {(self.path / key).parent for key in keys}:
            folder.mkdir(parents=True, exist_ok=True)
            while folder != self.path:
                changed.add(folder)
                folder = folder.parent
        return changed

    def settle(self) -> None:
        """Wait until every folder of the dataset, and its own place, is on the disk.

        A writer that was killed may have renamed what it did not wait for.
        """
        workshop = self.path / Path(self.TEMPORARY).parent
        folders = []
        for folder, below, _ in os.walk(self.path):
            below[:] = [name for name in below if Path(folder, name) != workshop]
            folders.append(Path(folder))
        _sync(folders)
        with suppress(PermissionError):  # then it is not we who made the folder
            _sync_one(self.path.parent)


@contextmanager
def _no_object() -> Iterator[None]:
    """A folder at a key, or a file on the way to it, is no object."""
    try:
        yield
    except (IsADirectoryError, NotADirectoryError) as error:
        raise FileNotFoundError(errno.ENOENT, error.strerror, error.filename) from None


def _file_bytes(path: str | os.PathLike) -> int | None:
    try:
        told = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return told.st_size if stat.S_ISREG(told.st_mode) else None


def _write(path: Path, data: bytes, flag: int) -> None:
    """Write a file, or its end, through to the system."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | flag, 0o666)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]
    finally:
        os.close(handle)


def _sync(paths: Iterable[Path]) -> None:
    """Wait until files or folders are on disk; together they share the journal's commits."""
    paths = list(paths)
    if len(paths) < 3:
        for path in paths:
            _sync_one(path)
        return
    with ThreadPoolExecutor(min(REQUESTS, len(paths))) as pool:
        list(pool.map(_sync_one, paths))


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
