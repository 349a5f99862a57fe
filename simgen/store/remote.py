"""Objects behind a URL, through obstore: PUT and conditional PUT are atomic there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import Any

REQUESTS = 16  # in flight at once


class StorageError(OSError):
    """An object store refused or did not answer; the message says what to look at."""


class RemoteObjects:
    """An object store's prefix; see simgen.store.objects.Objects for what each method does."""

    def __init__(self, url: str):
        self.url = url.rstrip("/")

    @cached_property
    def store(self) -> Any:
        with self._explained():
            return _in_memory(self.url) if self.url.startswith("memory:") else _connect(self.url)

    def __reduce__(self) -> tuple:
        return RemoteObjects, (self.url,)  # workers connect for themselves

    def get(self, key: str) -> bytes:
        import obstore

        with self._explained():
            return bytes(obstore.get(self.store, key).bytes())

    def get_range(self, key: str, start: int, length: int) -> bytes:
        import obstore
        from obstore.exceptions import BaseError

        try:
            if start >= 0:
                return bytes(obstore.get_range(self.store, key, start=start, length=length))
            found = obstore.get(self.store, key, options={"range": {"suffix": -start}})
            return bytes(found.bytes())[:length]
        except FileNotFoundError:
            raise
        except (BaseError, ValueError):  # stores refuse a range of no bytes
            size = self.size(key)
            if size is not None and (length == 0 or start >= size or size == 0):
                return b""
            with self._explained():
                raise

    def put(self, objects: Mapping[str, bytes]) -> None:
        import obstore

        def put(item: tuple[str, bytes]) -> None:
            obstore.put(self.store, *item)

        self._each(put, objects.items())

    def create(self, key: str, data: bytes) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with self._explained(writing=True):
            try:
                obstore.put(self.store, key, data, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def list(self, prefix: str = "") -> dict[str, int]:
        import obstore

        # stores list by whole path segments
        folder = prefix.rpartition("/")[0] or None
        with self._explained(writing=True):
            pages = list(obstore.list(self.store, folder))
        found = {told["path"]: told["size"] for page in pages for told in page}
        return {key: found[key] for key in sorted(found) if key.startswith(prefix)}

    def size(self, key: str) -> int | None:
        import obstore

        try:
            with self._explained():
                return obstore.head(self.store, key)["size"]
        except FileNotFoundError:
            return None

    def delete(self, keys: Iterable[str]) -> None:
        import obstore

        def delete(key: str) -> None:
            try:
                obstore.delete(self.store, key)
            except FileNotFoundError:
                return

        self._each(delete, keys)

    def _each(self, do: Callable[[Any], None], items: Iterable[Any]) -> None:
        with self._explained(writing=True), ThreadPoolExecutor(REQUESTS) as pool:
            list(pool.map(do, items))

    @contextmanager
    def _explained(self, *, writing: bool = False) -> Iterator[None]:
        """Say what a store's error means. Not found, in writing: the bucket."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError, PermissionError) as error:
            if isinstance(error, FileNotFoundError) and not writing:
                raise
            what = str(error).split("<?xml")[0].split("\n")[0].strip(" :")
            raise StorageError(
                f"{self.url}: {what}; check that the bucket exists, and AWS_ENDPOINT (or your "
                "store's like), region and credentials"
            ) from error


def _connect(url: str) -> Any:
    from obstore.store import from_url

    return from_url(url)


@lru_cache(maxsize=64)
def _in_memory(url: str) -> Any:
    """One memory:// store for each URL in a process, as long as it runs."""
    return _connect(url)
