"""Objects by key, in a folder or behind a URL: the only place that knows which.

A dataset needs five things of its storage: whole objects, ranges of them, a list, replacement
that shows the old or the new and never a mixture, and creation that fails where there is one
already. A folder does the last two by rename and link after fsync; object stores do them by PUT.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REQUESTS = 16  # in flight at once


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
        """Write an object that was not there; False, and nothing done, if it was."""

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
        return (self.path / key).read_bytes()

    def get_range(self, key: str, start: int, length: int) -> bytes:
        with open(self.path / key, "rb", buffering=0) as file:
            if start < 0:
                start = max(os.fstat(file.fileno()).st_size + start, 0)
            return os.pread(file.fileno(), length, start)

    def put(self, objects: Mapping[str, bytes]) -> None:
        waiting: dict[str, Path] = {}
        try:
            for number, (key, data) in enumerate(objects.items()):
                waiting[key] = self._temporary(number)
                waiting[key].write_bytes(data)
            _sync(waiting.values())
            for key, path in waiting.items():
                (self.path / key).parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, self.path / key)
        except OSError as error:
            for path in waiting.values():
                path.unlink(missing_ok=True)
            if error.errno in _FULL:
                raise _full(error, objects, self.url) from error
            raise
        _sync({(self.path / key).parent for key in objects})

    def create(self, key: str, data: bytes) -> bool:
        path, target = self._temporary(0), self.path / key
        try:
            path.write_bytes(data)
            _sync([path])
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, target)  # unlike a rename, refuses to replace
            except FileExistsError:
                return False
        except OSError as error:
            if error.errno in _FULL:
                raise _full(error, {key: data}, self.url) from error
            raise
        finally:
            path.unlink(missing_ok=True)
        _sync([target.parent])
        return True

    def list(self, prefix: str = "") -> dict[str, int]:
        folder = self.path / prefix.rpartition("/")[0]
        found = {
            path.relative_to(self.path).as_posix(): path.stat().st_size
            for path in folder.rglob("*")
            if path.is_file()
        }
        return {key: found[key] for key in sorted(found) if key.startswith(prefix)}

    def size(self, key: str) -> int | None:
        try:
            return (self.path / key).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def delete(self, keys: Iterable[str]) -> None:
        folders = set()
        for key in keys:
            (self.path / key).unlink(missing_ok=True)
            folders.add((self.path / key).parent)
        _sync([folder for folder in folders if folder.exists()])

    def _temporary(self, number: int) -> Path:
        folder = self.path / self.TEMPORARY
        folder.mkdir(parents=True, exist_ok=True)
        # Process ids repeat across machines that share the folder
        return folder / f"{secrets.token_hex(8)}-{number}"


class RemoteObjects:
    """An object store's prefix, through obstore: PUT and conditional PUT are atomic there."""

    def __init__(self, url: str):
        self.url = url

    @cached_property
    def store(self) -> Any:
        from obstore.store import from_url

        return from_url(self.url)

    def __reduce__(self) -> tuple:
        return RemoteObjects, (self.url,)  # workers connect for themselves

    def get(self, key: str) -> bytes:
        import obstore

        return bytes(obstore.get(self.store, key).bytes())

    def get_range(self, key: str, start: int, length: int) -> bytes:
        import obstore

        if start >= 0:
            return bytes(obstore.get_range(self.store, key, start=start, length=length))
        found = obstore.get(self.store, key, options={"range": {"suffix": -start}})
        return bytes(found.bytes())[:length]

    def put(self, objects: Mapping[str, bytes]) -> None:
        import obstore

        with ThreadPoolExecutor(REQUESTS) as pool:
            list(pool.map(lambda item: obstore.put(self.store, *item), objects.items()))

    def create(self, key: str, data: bytes) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            obstore.put(self.store, key, data, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def list(self, prefix: str = "") -> dict[str, int]:
        import obstore

        # stores list by whole path segments
        folder = prefix.rpartition("/")[0] or None
        found = {o["path"]: o["size"] for page in obstore.list(self.store, folder) for o in page}
        return {key: found[key] for key in sorted(found) if key.startswith(prefix)}

    def size(self, key: str) -> int | None:
        import obstore

        try:
            return obstore.head(self.store, key)["size"]
        except FileNotFoundError:
            return None

    def delete(self, keys: Iterable[str]) -> None:
        import obstore

        for key in keys:
            try:
                obstore.delete(self.store, key)
            except FileNotFoundError:
                continue


def _full(error: OSError, objects: Mapping[str, bytes], url: str) -> DiskFullError:
    needed = sum(map(len, objects.values()))
    return DiskFullError(
        error.errno,
        f"no room for the {needed:,} bytes of {len(objects)} objects "
        f"({next(iter(objects))} first); make room and run the same command again: "
        "what is committed is kept",
        url,
    )


def _sync(paths: Collection[Path]) -> None:
    """Wait until files or folders are on disk; together they share the journal's commits."""
    if not paths:
        return
    with ThreadPoolExecutor(min(REQUESTS, len(paths))) as pool:
        list(pool.map(_sync_one, paths))


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
