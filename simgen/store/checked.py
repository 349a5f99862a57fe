"""What a loader that was asked to check compares: each link from the commit down to an object."""

from __future__ import annotations

import json
from functools import cached_property, lru_cache

from simgen.store import versions, writer
from simgen.store.objects import Objects
from simgen.store.shard import IntegrityError
from simgen.store.versions import Version


class Checked:
    """A version's objects against the hashes that its commit vouches for. Safe in threads."""

    def __init__(self, objects: Objects, version: Version):
        self.objects, self.version = objects, version
        self._objects_of = lru_cache(maxsize=256)(self._told)

    def require(self, marker: str, key: str) -> None:
        """Raise IntegrityError unless the object is the one that its marker was committed with."""
        told = self._objects_of(marker).get(key)
        if told is None or not self._is(key, told):
            raise IntegrityError(f"object {key} is not the one that was committed")

    def require_metadata(self, key: str) -> None:
        """Raise IntegrityError unless that zarr.json is the newest version's."""
        newest = versions.read(self.objects)
        told = newest.metadata.get(key) if newest else None
        if told is None or not self._is(key, told):
            raise IntegrityError(f"{key} is not the one that was committed; {versions.MEND}")

    def _told(self, marker: str) -> dict[str, dict]:
        """What an intact marker says of its objects."""
        told = self._markers.get(marker)
        if told is None or not self._is(marker, told):
            raise IntegrityError(f"marker {marker} is not the one that was committed")
        return json.loads(self.objects.get(marker))["objects"]

    @cached_property
    def _markers(self) -> dict[str, dict]:
        rows = versions.table(self.objects, self.version, "parts").to_pylist()
        return {row["key"]: row for row in rows}

    def _is(self, key: str, told: dict) -> bool:
        try:
            found = writer.describe(self.objects.get(key))
        except FileNotFoundError:
            return False
        return found == {"bytes": told["bytes"], "xxh3": told["xxh3"]}
