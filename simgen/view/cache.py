"""Answers that were expensive to make, kept up to a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

BYTES = 96 * 2**20


class Cache:
    """The most recently used lists of bytes, at most `limit` bytes of them; safe in threads."""

    def __init__(self, limit: int = BYTES):
        self.limit, self.bytes = limit, 0
        self._held: OrderedDict[Hashable, list[bytes]] = OrderedDict()
        self._lock = Lock()
        self._making: dict[Hashable, Lock] = {}

    def get(self, key: Hashable, make: Callable[[], list[bytes]]) -> list[bytes]:
        """What is kept under that key, or what `make` makes; two who want the same wait for one."""
        with self._lock:
            making = self._making.setdefault(key, Lock())
        with making:
            with self._lock:
                if key in self._held:
                    self._held.move_to_end(key)
                    return self._held[key]
            try:
                made = make()
                self._keep(key, made)
            finally:
                with self._lock:
                    self._making.pop(key, None)
            return made

    def _keep(self, key: Hashable, made: list[bytes]) -> None:
        size = sum(map(len, made))
        with self._lock:
            if key in self._held or size > self.limit:
                return
            self._held[key] = made
            self.bytes += size
            while self.bytes > self.limit:
                _, dropped = self._held.popitem(last=False)
                self.bytes -= sum(map(len, dropped))
