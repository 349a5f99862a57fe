"""Repair: exactly what is wrong is made again, compared with its hash, and only then written.

Each kind of object comes from what is nearest: a commit from its copy, a marker from the tables, a
table from the markers, metadata from the table of it; a shard, and what is left, from the recipe.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from simgen.build import rebuilding
from simgen.build.part import Make
from simgen.store import audit, layout, ledger, mending, reader, stats, survey, versions, writer
from simgen.store.audit import Problem
from simgen.store.objects import Objects, objects_at
from simgen.store.pending import Pending
from simgen.store.shard import IntegrityError
from simgen.store.versions import Version

THREADS = 4
REMADE = "made again from the recipe"


@dataclass(frozen=True)
class Mended:
    """An object that was wrong, and what it was made from."""

    key: str
    how: str
    bytes: int

    def __str__(self) -> str:
        return f"{self.key}: {self.how}, {self.bytes:,} bytes"


@dataclass(frozen=True)
class Report:
    """`lost` empty: the dataset is whole, or would be."""

    url: str
    versions: tuple[int, ...]
    mended: tuple[Mended, ...]
    lost: tuple[Problem, ...]
    dry_run: bool

    @property
    def bytes(self) -> int:
        """Written, or to write."""
        return sum(one.bytes for one in self.mended)


def repair(
    place: str | Path,
    *,
    make: Make | None = None,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Mend every version of a dataset, and write nothing but what is wrong.

    Args:
        place: The dataset's folder or URL.
        make: Stands in for simgen.episode.make_episode.
        dry_run: Only say what would be written; episodes are not made.
        progress: Called with the parts done and those in all.
    Raises:
        UnreadableError: No finished dataset of this format there.
        IntegrityError: No version's commit is left, nor a copy of one.
        LockedError: Another process writes there.
    """
    out = objects_at(place)
    if not out.list(f"{layout.VERSIONS}/"):
        reader.open(place)  # says what is there instead
    with ledger.lock(out):
        work = _Repair(Pending(out) if dry_run else out, make, dry_run=dry_run)
        work.run(progress)
    return Report(out.url, tuple(work.found), tuple(work.mended), tuple(work.lost), dry_run)


class _Repair:
    def __init__(self, out: Objects, make: Make | None, *, dry_run: bool):
        self.out, self.make, self.dry_run = out, make, dry_run
        self.mended: list[Mended] = []
        self.lost: list[Problem] = []
        self.found: dict[int, Version] = {}

    def run(self, progress: Callable[[int, int], None] | None) -> None:
        self._commits()
        newest = self.found[max(self.found)]
        self.attrs = mending.attributes(self.out, newest)
        self.again = rebuilding.Rebuilder(self.out, self.attrs, self.found, self.make)
        for version in self.found.values():
            self._tables(version, ("removed",), "from its copy")
        with self._keeping("zarr.json"):
            files = mending.metadata(self.out, newest, leave=self._ahead(newest))
            self._write(files, "from the table of metadata")
        for version in self.found.values():
            self._tables(version, ("metadata",), "from the metadata")
            self._tables(version, ("parts",), "from the markers")
        rows = self._parts()
        with ThreadPoolExecutor(THREADS) as pool:
            for number, (row, version) in enumerate(rows, 1):
                with self._keeping(row["key"]):
                    self._part(row, version, pool)
                if progress:
                    progress(number, len(rows))
        for version in self.found.values():
            self._tables(version, mending.MERGED, "from the markers")
        self._strays(newest)
        for version in self.found.values():
            self._stats(version)

    @contextmanager
    def _keeping(self, key: str) -> Iterator[None]:
        """What cannot be mended is told, and the rest goes on."""
        try:
            yield
        except (IntegrityError, rebuilding.UnmendableError) as error:
            self.lost.append(Problem(key, f"cannot be mended: {error}"))

    def _write(self, files: Mapping[str, bytes], how: str) -> None:
        if files:
            self.out.put(files)
            self.mended += [Mended(key, how, len(data)) for key, data in files.items()]

    def _commits(self) -> None:
        self.found, wrong = versions.survey(self.out)
        for damage in wrong:
            if damage.good is not None:
                other = "commit" if damage.key.count("/") > 1 else "copy"
                self._write({damage.key: damage.good}, f"from its {other}")
            else:
                what = f"cannot be mended: it {damage.what}, and its twin is damaged too"
                self.lost.append(Problem(damage.key, what))
        if not self.found:
            raise IntegrityError(
                f"{self.out.url} has lost every commit and its copy; `simgen build` with its "
                "recipe commits what is there as version 1 again"
            )

    def _tables(self, version: Version, names: tuple[str, ...], how: str) -> None:
        markers = self.again.markers(version)
        for name in names:
            with self._keeping(version.tables[name]["key"]):
                try:
                    files = mending.tables(self.out, version, markers, only=(name,))
                except IntegrityError:
                    if name != "parts":
                        raise
                    files = self.again.parts_and_markers(version)
                self._write(files, how)

    def _parts(self) -> list[tuple[dict, Version]]:
        """Every part that a version names, once, with a version that does."""
        rows = {}
        for version in self.found.values():
            entry = version.tables["parts"]
            if not mending.difference(self.out, entry["key"], entry):
                for row in versions.table(self.out, version, "parts").to_pylist():
                    rows[row["key"], row["xxh3"]] = (row, version)
        return list(rows.values())

    def _part(self, row: dict, version: Version, pool: ThreadPoolExecutor) -> None:
        """A part's marker, then its objects."""
        if mending.difference(self.out, row["key"], row):
            data = self.again.marker_of_tables(row["key"], version)
            if data is not None and not _other(data, row):
                self._write({row["key"]: data}, "from the tables")
            elif self.dry_run:
                self.again.require_recipe(version)
                self.mended.append(Mended(row["key"], REMADE, row["bytes"]))
                return  # its objects are unknown until then
            else:
                _, data = self.again.part(row["key"], version)
                mending.require_same(version, row["key"], data, row)
                self._write({row["key"]: data}, REMADE)
        told = json.loads(self.out.get(row["key"]))["objects"]
        found = pool.map(lambda key: mending.difference(self.out, key, told[key]), told)
        if wrong := [key for key, what in zip(told, found, strict=True) if what]:
            self._objects(row["key"], wrong, told, version)

    def _objects(self, marker: str, wrong: list[str], told: dict, version: Version) -> None:
        if self.dry_run:
            self.again.require_recipe(version)
            self.mended += [Mended(key, REMADE, told[key]["bytes"]) for key in wrong]
            return
        try:
            shards, _ = self.again.part(marker, version)
            for key in wrong:
                mending.require_same(version, key, shards.get(key, b""), told[key])
        except (IntegrityError, rebuilding.UnmendableError) as error:
            found = json.loads(self.out.get(marker))
            for key in wrong:
                array = key.split("/")[1]
                holders = tuple(audit.holders(array, found, key.split("/")[0]))
                self.lost.append(Problem(key, f"cannot be mended: {error}", array, holders))
            return
        self._write({key: shards[key] for key in wrong}, REMADE)

    def _strays(self, newest: Version) -> None:
        """Metadata that no version names would show readers arrays that are none."""
        ahead = self._ahead(newest)
        for key in self.out.list():
            if key.endswith("zarr.json") and key not in {*newest.metadata, *ahead}:
                self.out.delete([key])
                self.mended.append(Mended(key, "deleted, for no version names it", 0))

    def _ahead(self, newest: Version) -> set[str]:
        """Metadata of a commit that did not come: no damage, and no version's either."""
        other = [
            key
            for key in self.out.list()
            if key.endswith("zarr.json")
            and (told := newest.metadata.get(key, {"bytes": -1, "xxh3": ""}))
            and mending.difference(self.out, key, told)
        ]
        return {key for key in other if mending.is_ahead(self.out, key, self.found.values())}

    def _stats(self, version: Version) -> None:
        key = layout.stats_path(version.version)
        try:
            stats.stored(self.out, version)
        except IntegrityError:
            with self._keeping(key):
                data = b"" if self.dry_run else survey.measured(
                    reader.Dataset(self.out, self.attrs, version)
                )  # fmt: skip
                self._write({key: data}, "computed again")


def _other(data: bytes, told: dict) -> bool:
    return writer.describe(data) != {"bytes": told["bytes"], "xxh3": told["xxh3"]}
