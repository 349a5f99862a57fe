"""Parts of a published dataset made again: markers from the tables, all of it from the recipe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from simgen.build import layering, planning
from simgen.build.part import CRASHED, Make, make_part
from simgen.episode import make_episode
from simgen.recipe import Recipe
from simgen.store import (
    catalog,
    commits,
    layers,
    layout,
    mending,
    metadata,
    reader,
    versions,
    writer,
)
from simgen.store.objects import Objects
from simgen.store.shard import IntegrityError
from simgen.store.versions import Version

DERIVED = {"catalog": "channels", "events": "index"}  # columns that markers do not have


class UnmendableError(RuntimeError):
    """It cannot be made again here; the message says what to do."""


class Rebuilder:
    """Makes the parts of a dataset's versions again; nothing is written."""

    def __init__(
        self, out: Objects, attrs: dict, found: dict[int, Version], make: Make | None = None
    ):
        self.out, self.attrs, self.found, self.make = out, attrs, found, make
        self._part = lru_cache(maxsize=1)(self._made)  # asked for its marker, then its objects
        self._layout = lru_cache(self._planned)

    def markers(self, version: Version) -> Sequence[str]:
        """Keys of the version's markers in order."""
        entry = version.tables["parts"]
        if not mending.difference(self.out, entry["key"], entry):
            return versions.table(self.out, version, "parts")["key"].to_pylist()
        if version.recipe is None:  # imported at once; nothing is left over there
            return list(self.out.list(f"{layout.PARTS}/"))
        known = {layer.name for layer in layers.layers_of(version.moves)}
        held = list(self.out.list(f"{layout.PARTS}/"))
        return [
            max(
                (key for key in held if layers.plain_key(key) == plain
                 and set(layers.names_in(key)) <= known),
                key=lambda key: len(layers.names_in(key)), default=plain,
            )
            for plain in self._layout(version.version)
        ]  # fmt: skip

    def require_recipe(self, version: Version) -> Recipe:
        """The recipe, which makes the same bytes here.

        Raises:
            UnmendableError: There is none, or other versions or another CPU made the dataset.
        """
        if version.recipe is None:
            raise UnmendableError(
                "an imported dataset has no recipe to make it from; import it again from "
                f"{(self.attrs.get('source') or {}).get('name', 'its source')}"
            )
        recipe = Recipe.model_validate_json(json.dumps(version.recipe))
        if other := metadata.made_elsewhere(self.attrs, recipe):
            raise UnmendableError(
                f"it was made with {other}; simulating here gives other bytes: run `simgen "
                "repair` there, or install those versions"
            )
        return recipe

    def part(self, key: str, version: Version) -> tuple[dict[str, bytes], bytes]:
        """Shards by key, and the marker, of the part with that marker.

        Raises:
            UnmendableError: As require_recipe.
        """
        return self._part(key, version.version)

    def _made(self, key: str, version: int) -> tuple[dict[str, bytes], bytes]:
        recipe = self.require_recipe(self.found[version])
        part = self._layout(version)[layers.plain_key(key)]
        crashed, told = self._crashed(), self.found[version]
        rows = [row for index in part.indices if (row := self._row(index, told))]
        put = [
            (layer, {row["index"] for row in rows if layering.has(row, layer)})
            for layer in layers.layers_of(told.moves)
        ]
        if not any(on for _, on in put):
            return make_part(recipe, part, make=self.make, crashed=crashed)
        again = layering.Again(recipe, self.make or make_episode)
        shards, data = make_part(recipe, part, make=again.make, crashed=crashed)
        for layer, on in put:
            if on:
                filmed = {row["index"]: layers.views_of(row).get(layer.name, {}) for row in rows}
                more, data = layering.layered(
                    recipe, layer, json.loads(data), again.clip, on=on,
                    alone={i for i, view in filmed.items() if view.get("filmed_in") == i},
                )  # fmt: skip
                shards |= more
        return shards, data

    def _row(self, index: int, version: Version) -> dict | None:
        """The episode's row as that version has it, or any if it has none."""
        for dataset in reversed(self._datasets(("catalog",), version)):
            for row in dataset.table("catalog").where(index).to_pylist():
                return row
        return None

    def marker_of_tables(self, key: str, version: Version) -> bytes | None:
        """The marker as the tables tell it, for its objects as they are; None: they do not."""
        name, _, number = key.rpartition("/")[2].removesuffix(".json").rpartition("-")
        episodes, events, rejected = {}, {}, {}
        for dataset in self._datasets(("catalog", "events", "quarantine"), version):
            for index in self._indices(dataset, key, name, int(number), version):
                for row in dataset.table("catalog").where(index).to_pylist():
                    if _is_in(row, name, int(number), self.attrs):
                        episodes[index] = _plain("catalog", row)
                        told = dataset.table("events").where(index).to_pylist()
                        events[index] = [_plain("events", event) for event in told]
                for row in dataset.table("quarantine").where(index).to_pylist():
                    rejected[index] = row
        if not episodes and not rejected:
            return None
        held = {
            (group, array)
            for row in episodes.values()
            for group, hashes in layers.held(row)
            for array in hashes
        }
        try:
            shards = {key: self.out.get(key) for key in self._shards(int(number), held)}
        except FileNotFoundError:
            return None
        marker = {
            "format_version": version.format_version,
            "content_hash": self.attrs["content_hash"],
            "bucket": name,
            "part": int(number),
            "episodes": [episodes[index] for index in sorted(episodes)],
            "events": [event for index in sorted(episodes) for event in events[index]],
            "quarantined": [rejected[index] for index in sorted(rejected)],
        }
        return writer.sealed(marker, shards)

    def parts_and_markers(self, version: Version) -> dict[str, bytes]:
        """The version's table of parts, and the markers that are damaged with it, by key.

        Raises:
            IntegrityError: What the tables tell of the markers does not make it either.
        """
        files: dict[str, bytes] = {}
        rows = []
        for key in self.markers(version):
            data = self.marker_of_tables(key, version)
            try:
                stored = self.out.get(key)
            except FileNotFoundError:
                stored = b""
            if data is not None and data != stored:
                files[key] = data
            rows.append((key, data or stored, json.loads(data or stored)))
        table = commits.encode("parts", commits.parts_table(rows))
        told = version.tables["parts"]
        mending.require_same(version, told["key"], table, told)
        return files | {told["key"]: table}

    def _planned(self, version: int) -> dict[str, planning.Part]:
        """Parts by the key of their marker."""
        told = self.found[version]
        recipe = Recipe.model_validate_json(json.dumps(told.recipe))
        parts = planning.parts_of(layout.buckets(recipe, told.growth, told.moves))
        return {layout.marker_path(part.bucket, part.number): part for part in parts}

    def _datasets(
        self, tables: Sequence[str], wanted: Version | None = None
    ) -> list[reader.Dataset]:
        """Every version with those tables intact, the wanted one last.

        An older one may show what was removed since.
        """
        whole = []
        for version in sorted(self.found.values(), key=lambda version: version == wanted):
            entries = [version.tables[name] for name in tables]
            if not any(mending.difference(self.out, told["key"], told) for told in entries):
                whole.append(reader.Dataset(self.out, self.attrs, version))
        return whole

    def _indices(
        self, dataset: reader.Dataset, key: str, bucket: str, number: int, version: Version
    ) -> Sequence[int]:
        """Episodes that the part may hold, rejected ones included."""
        if version.recipe is not None:
            return self._layout(version.version)[layers.plain_key(key)].indices
        held = [
            row["index"]
            for rows in dataset.table("catalog").scan(("index", "bucket", "row"))
            for row in rows.to_pylist()
            if _is_in(row, bucket, number, self.attrs)
        ]
        rejected = [row["index"] for row in dataset.quarantine.to_pylist()]
        between = [index for index in rejected if held and held[0] < index < held[-1]]
        return [*held, *between]

    def _shards(self, number: int, held: set[tuple[str, str]]) -> list[str]:
        """Keys of a part's objects, by group and array."""
        found = []
        for group in sorted({group for group, _ in held}):
            try:
                specs = metadata.stored_specs(self.out, group)
                names = [name for of, name in held if of == group]
                found += [layout.shard_path(group, specs[name], number) for name in names]
            except (FileNotFoundError, ValueError, KeyError, TypeError):
                raise IntegrityError(f"{group}/zarr.json is damaged too") from None
        return found

    def _crashed(self) -> dict[int, list[str]]:
        """Episodes that were given up because they kill their process, and what was said."""
        found = {}
        for dataset in self._datasets(("quarantine",)):
            for row in dataset.quarantine.to_pylist():
                if any(reason.startswith(CRASHED) for reason in row["reasons"]):
                    found[row["index"]] = row["reasons"]
        return found


def _is_in(row: dict, bucket: str, number: int, attrs: dict) -> bool:
    return row["bucket"] == bucket and row["row"] // attrs["episodes_per_part"] == number


def _plain(table: str, row: dict) -> dict:
    """A table's row as markers have it."""
    names = {"catalog": catalog.CATALOG_SCHEMA, "events": catalog.EVENTS_SCHEMA}[table].names
    return {name: row[name] for name in names if name != DERIVED[table]}
