"""Storage as it would be: for dry runs, which do everything but write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from simgen.store.objects import Objects


class Pending:
    """What is written stays in memory, of shards their sizes alone; what is deleted is hidden."""

    def __init__(self, objects: Objects):
        self.objects, self.url = objects, objects.url
        self.written: dict[str, bytes] = {}
        self.sizes: dict[str, int | None] = {}  # of what was written; None: deleted

    def get(self, key: str) -> bytes:
        if key not in self.sizes:
            return self.objects.get(key)
        if self.sizes[key] is None:
            raise FileNotFoundError(key)
        return self.written[key]

    def get_range(self, key: str, start: int, length: int) -> bytes:
        if key not in self.sizes:
            return self.objects.get_range(key, start, length)
        data = self.get(key)
        start = max(start + len(data), 0) if start < 0 else start
        return data[start : start + length]

    def put(self, objects: Mapping[str, bytes]) -> None:
        for key, data in objects.items():
            self.sizes[key] = len(data)
            if "/c." not in key:
                self.written[key] = data

    def create(self, key: str, data: bytes) -> bool:
        if self.size(key) is not None:
            return False
        self.put({key: data})
        return True

    def list(self, prefix: str = "") -> dict[str, int]:
        mine = {key: size for key, size in self.sizes.items() if key.startswith(prefix)}
        every = self.objects.list(prefix) | mine
        return {key: every[key] for key in sorted(every) if every[key] is not None}

    def size(self, key: str) -> int | None:
        return self.sizes[key] if key in self.sizes else self.objects.size(key)

    def delete(self, keys: Iterable[str]) -> None:
        self.sizes |= dict.fromkeys(keys)
