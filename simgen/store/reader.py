"""Reading a finished dataset: rows of the catalog, and windows of their arrays."""

from __future__ import annotations

import json
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from simgen.store import layout, metadata, stats, versions
from simgen.store.checked import Checked
from simgen.store.layers import views_of
from simgen.store.layout import ArraySpec, base_of, part_keys
from simgen.store.objects import Objects, objects_at
from simgen.store.query import Selection, find
from simgen.store.shard import IntegrityError, Shard
from simgen.store.tables import Table, open_table
from simgen.store.versions import Version
from simgen.store.windows import OPTIONS, Windows

SHARDS_OPEN = 1024  # indices kept in memory, at most
PLACES_KEPT = 4096  # of episodes that are read by name


class UnreadableError(RuntimeError):
    """There is no finished dataset of a known format; the message says what to do."""


def open(place: str | Path, *, version: int | None = None, verify_on_read: bool = False) -> Dataset:
    """The finished dataset in that folder or behind that URL.

    Args:
        place: A folder, or s3://bucket/name.zarr and the like.
        version: Its number; None: the newest.
        verify_on_read: Also compare every object's hash with its marker at first use.
    Raises:
        UnreadableError: No dataset, an unfinished one, or another format.
        UnknownVersionError: No such version.
        IntegrityError: The version's commit is damaged.
    """
    objects = objects_at(place)
    attrs = root_attributes(objects)
    found = versions.read(objects, version)
    if found is None:
        raise UnreadableError(
            f"{objects.url} is unfinished; run the same `simgen build` again to finish it"
        )
    return Dataset(objects, attrs, found, verify_on_read=verify_on_read)


def root_attributes(objects: Objects) -> dict:
    """Attributes of the dataset there, finished or not.

    Raises:
        UnreadableError: None of ours, or of another format.
    """
    try:
        attrs = json.loads(objects.get("zarr.json"))["attributes"]
        known = attrs["format"] == "physreel" and isinstance(attrs["format_version"], int)
    except (FileNotFoundError, NotADirectoryError):
        raise UnreadableError(
            f"{objects.url} is no dataset (there is no zarr.json in it); give a built folder"
        ) from None
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise UnreadableError(
            f"{objects.url}/zarr.json is not of a physreel dataset; give a built folder"
        )
    if (told := attrs["format_version"]) > layout.FORMAT_VERSION:
        raise UnreadableError(
            f"{objects.url} has format version {told}; this physreel reads "
            f"{layout.FORMAT_VERSION}; update physreel"
        )
    if told < layout.FORMAT_VERSION:
        raise UnreadableError(
            f"{objects.url} has format version {told}; this physreel reads "
            f"{layout.FORMAT_VERSION}; build its recipe again into a new folder"
        )
    return attrs


class Dataset:
    """One version of a finished dataset. Reads check checksums; safe in forked and threaded
    loaders.

    Attributes:
        objects: Its storage.
        attrs: Root attributes; recipe and growth are the version's.
        version: What was committed.
    """

    def __init__(
        self, objects: Objects, attrs: dict, version: Version, *, verify_on_read: bool = False
    ):
        self.objects, self.version, self.verify_on_read = objects, version, verify_on_read
        self.attrs = attrs | {"recipe": version.recipe, "growth": list(version.growth)}
        self._groups: dict[str, dict[str, ArraySpec]] = {}
        self._tables: dict[str, Table] = {}
        self._place = lru_cache(maxsize=PLACES_KEPT)(self._find)
        self._shard = lru_cache(maxsize=SHARDS_OPEN)(self._open_shard)
        self._checked = Checked(objects, version)

    @property
    def url(self) -> str:
        """Folder or URL."""
        return self.objects.url

    def __repr__(self) -> str:
        told = self.version
        return f"Dataset({self.url!r}, version {told.version}, {told.episodes} episodes)"

    @cached_property
    def catalog(self) -> pa.Table:
        """A row an episode; columns in docs/format.md.

        Raises:
            IntegrityError: It is not the one that was published. So do quarantine and events.
        """
        return self._table("catalog")

    @cached_property
    def removed(self) -> pa.Table:
        """A row an episode that was taken out, and why."""
        return self._table("removed")

    @cached_property
    def quarantine(self) -> pa.Table:
        """A row an episode that was rejected."""
        return self._table("quarantine")

    def stats(self) -> dict:
        """Statistics of every channel, as `simgen stats` stored them.

        Raises:
            RequestError: It has not been run for this version.
            IntegrityError: They are damaged.
        """
        return stats.read(self.objects, self.version)

    def table(self, name: str) -> Table:
        """catalog, events or quarantine, to be read in pieces: what a million episodes need.

        Raises:
            IntegrityError: As `catalog`, for the pieces that are read.
        """
        if name not in self._tables:
            self._tables[name] = open_table(self.objects, self.version.tables[name])
        return self._tables[name]

    def events(self, episode_id: str | None = None) -> pa.Table:
        """Events in order: of one episode, or of all."""
        if episode_id is None:
            return self._table("events")
        self._place(episode_id)
        return self.table("events").where(_index(episode_id))

    def row(self, episode_id: str) -> dict:
        """The episode's catalog row, its JSON columns still text.

        Raises:
            KeyError: It is not in the catalog.
        """
        return self._row(episode_id, None)

    def _row(self, episode_id: str, columns: tuple[str, ...] | None) -> dict:
        rows = self.table("catalog").where(_index(episode_id), columns).to_pylist()
        if not rows or rows[0]["episode_id"] != episode_id:
            raise KeyError(
                f"episode {episode_id!r} is not in the catalog of {self.url}; it was quarantined, "
                "removed, or is of another dataset"
            )
        return rows[0]

    def bodies(self, episode_id: str) -> list[dict]:
        """The episode's bodies, in the order of every `body` axis."""
        return json.loads(self.row(episode_id)["bodies"])

    def views(self, episode_id: str) -> dict[str, dict]:
        """What backfills added to see the episode by: name -> shots, captions, events, ...

        A view that was refused, for it does not show the episode, is not among them.
        """
        told = views_of(self._row(episode_id, ("episode_id", "views")))
        return {name: view for name, view in told.items() if "hashes" in view}

    def wordings(self, episode_id: str) -> dict[str, dict]:
        """Captions that backfills told again: name -> captions, clauses."""
        return json.loads(self._row(episode_id, ("episode_id", "wordings"))["wordings"] or "{}")

    def channels(self, episode_id: str, view: str = "") -> tuple[str, ...]:
        """Arrays that hold the episode, or a view of it."""
        return self._place(episode_id, view)[2]

    def read(
        self, episode_id: str, channel: str, start: int = 0, stop: int | None = None,
        *, view: str = "",
    ) -> np.ndarray:  # fmt: skip
        """Frames start..stop of one array of an episode, as stored (dtype and padding).

        Normals are int8, a unit vector times 127.

        Args:
            channel: Array name, `rgb` or `position` for example.
            start: First entry along the array's first axis: time, or keyframe for `state`.
            stop: One past the last; None: to the end.
            view: One of views(): its array instead of the clip's own.
        Raises:
            KeyError: The episode is not in the catalog, or has no such array or view.
            IndexError: The range is not inside the clip.
            IntegrityError: Bytes are missing or damaged; the message names episode and array.
        """
        bucket, row, names = self._place(episode_id, view)
        if channel not in names:
            raise KeyError(f"episode {episode_id!r} has no {channel!r}; it has {', '.join(names)}")
        spec = self.specs(bucket)[channel]
        stop = spec.shape[0] if stop is None else stop
        if not 0 <= start <= stop <= spec.shape[0]:
            raise IndexError(
                f"{channel} {start}..{stop} of episode {episode_id!r}; it has 0..{spec.shape[0]}"
            )
        out = np.empty((stop - start, *spec.shape[1:]), spec.dtype)
        try:
            self.read_into(out, bucket, row, channel, start)
        except IntegrityError as error:
            raise IntegrityError(
                f"episode {episode_id!r}, array {channel!r}: {error}; "
                f"run `simgen verify {self.url}`"
            ) from None
        return out

    def read_into(self, out: np.ndarray, bucket: str, row: int, channel: str, start: int) -> None:
        """Fill `out` with entries from `start` of a row of a bucket's array: the loader's way in.

        Raises:
            IntegrityError: Bytes are missing or damaged, or the row holds no episode.
        """
        number, inside = divmod(row, self._rows_per_part)
        self._shard(bucket, channel, number).read_into(out, inside, start)

    def find(self, **query) -> Selection:
        """Episodes by family, split, caption words, events, ...: see simgen.store.query.find."""
        return find(self, **query)

    def windows(self, length: int, **asked) -> Windows:
        """Batches of windows of `length` frames, for ever.

        >>> simgen.open(place).windows(16, batch=8, split="train", event="contact")

        Args:
            **asked: Options of simgen.store.windows.Windows; everything else is the query.
        Raises:
            QueryError: Nothing answers, or it cannot be asked.
        """
        options = {name: asked.pop(name) for name in OPTIONS & asked.keys()}
        channels = options.setdefault("channels", ("rgb",))
        return Windows(self, find(self, channels=channels, **asked), length, **options)

    def state(self, episode_id: str) -> tuple[list[int], np.ndarray]:
        """Frames of the restorable states, and the states without padding (keyframe, state)."""
        row = self.row(episode_id)
        state = self.read(episode_id, "state")
        return row["state_frames"], state[: len(row["state_frames"]), : row["state_size"]]

    def _find(self, episode_id: str, view: str = "") -> tuple[str, int, tuple[str, ...]]:
        """Group, row in its arrays, and array names of an episode or a view of it."""
        if view:
            told = self._row(episode_id, ("episode_id", "row", "views"))
            found = views_of(told).get(view, {"reason": "there is none of that name"})
            if "hashes" not in found:
                raise KeyError(f"episode {episode_id!r} has no view {view!r}: {found['reason']}")
            return found["bucket"], told["row"], tuple(found["hashes"])
        row = self._row(episode_id, ("episode_id", "bucket", "row", "channels"))
        return row["bucket"], row["row"], tuple(row["channels"].split())

    @property
    def _rows_per_part(self) -> int:
        return self.attrs["episodes_per_part"]

    def specs(self, bucket: str) -> dict[str, ArraySpec]:
        """A bucket's arrays by name."""
        if bucket not in self._groups:
            if self.verify_on_read:
                self._checked.require_metadata(f"{bucket}/zarr.json")
            self._groups[bucket] = metadata.stored_specs(self.objects, bucket)
        return self._groups[bucket]

    def _open_shard(self, bucket: str, channel: str, number: int) -> Shard:
        spec = self.specs(bucket)[channel]
        key = layout.shard_path(bucket, spec, number)
        if self.verify_on_read:
            self._checked.require(self._markers[base_of(bucket), number], key)
        return Shard(self.objects, key, spec, self._rows_per_part)

    @cached_property
    def _markers(self) -> dict[tuple[str, int], str]:
        """Key of each part's marker by bucket and number."""
        return part_keys(self._table("parts")["key"].to_pylist())

    def _table(self, name: str) -> pa.Table:
        return versions.table(self.objects, self.version, name)


def _index(episode_id: str) -> int:
    """Where an episode stands in the catalog's order; -1: that is no episode's name."""
    digits = episode_id.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else -1
