"""A writer that dies at any operation, and the same command again: always the undisturbed bytes.

In between a reader sees the old version whole or the new one whole, never a mixture.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import fake_episodes
import pytest
from fake_episodes import recipe
from fault_objects import Faults, Stopped
from s3_server import BUCKET, serving

import simgen
from simgen.build import build, repair
from simgen.store import compact, history, tombstones, versions
from simgen.store.layout import WORKSHOP
from simgen.store.objects import objects_at
from simgen.store.reader import UnreadableError
from simgen.store.shard import IntegrityError
from simgen.store.writer import digest

EPISODES = 4  # a part in each of two buckets; the fifth and sixth begin a new part of each


@cache
def _made(content_hash: str, index: int):
    made = fake_episodes.make(recipe(), index)
    assert recipe().content_hash == content_hash
    return made


def make(recipe, index: int):
    """Made once: what dies here is the writer."""
    return _made(recipe.content_hash, index)


def first_build(place: str) -> None:
    build(recipe(EPISODES), place, workers=1, make=make)


def addition(place: str) -> None:
    build(recipe(EPISODES + 3), place, workers=1, make=make, add=True)


@dataclass(frozen=True)
class Command:
    """Something that commits a version, and what there must be before."""

    run: Callable[[str], None]
    before: tuple[Callable[[str], None], ...] = ()


def removal(place: str) -> None:
    ids = simgen.open(place, version=1).catalog["episode_id"].to_pylist()
    tombstones.remove(place, ids[1:2], reason="out of the picture")


def restoration(place: str) -> None:
    ids = simgen.open(place, version=1).catalog["episode_id"].to_pylist()
    tombstones.restore(place, ids[1:2])


def compaction(place: str) -> None:
    compact.compact(place, keep=1)


def expiry(place: str) -> None:
    history.expire(place, keep=1)


def damage(place: str) -> None:
    """Of every kind of object one that is not as written."""
    objects = objects_at(place)
    kinds = ("/rgb/c.0", "/rgb/zarr.json", "tables/events", "parts/", "versions/000001.json")
    for kind in kinds:
        key = next(key for key in objects.list() if kind in key)
        data = bytearray(objects.get(key))
        data[len(data) // 2] ^= 1
        objects.put({key: bytes(data)})


def mending(place: str) -> None:
    report = repair.repair(place, make=make)
    assert not report.lost


COMMANDS = {
    "build": Command(first_build),
    "add": Command(addition, (first_build,)),
    "remove": Command(removal, (first_build,)),
    "restore": Command(restoration, (first_build, removal)),
    "compact": Command(compaction, (first_build, removal)),
    "expire": Command(expiry, (first_build, removal)),
    "repair": Command(mending, (first_build, damage)),
}


def contents(place: str) -> dict[str, bytes]:
    """Every object of a dataset but the workshop's."""
    objects = objects_at(place)
    return {k: objects.get(k) for k in objects.list() if not k.startswith(f"{WORKSHOP}/")}


def seen(place: str) -> dict[int, str]:
    """Digest of all that a reader gets of each version; empty where it gets none.

    The newest is opened as users do, by no number.
    """
    held = versions.numbers(objects_at(place))
    if not held:
        with pytest.raises(
            UnreadableError, match=r"run the same `simgen build` again|is no dataset"
        ):
            simgen.open(place)
        return {}
    with suppress(IntegrityError):
        assert simgen.open(place).version.version == held[-1]
    return {n: _digest(place, n) for n in held}


def _digest(place: str, version: int) -> str:
    """Of all that it holds; refusal is what a reader gets of damage."""
    try:
        return _read(simgen.open(place, version=version))
    except IntegrityError:
        return "refused"


def _read(dataset: simgen.store.reader.Dataset) -> str:
    tables = [dataset.catalog, dataset.quarantine, dataset.removed, dataset.events()]
    words = [json.dumps(table.to_pylist(), default=str) for table in tables]
    for name in dataset.catalog["episode_id"].to_pylist():
        for channel in dataset.channels(name):
            words.append(digest(dataset.read(name, channel)))
    return digest("".join(words).encode())


@dataclass(frozen=True)
class Undisturbed:
    """What a command starts from, does and leaves, if nothing happens to it."""

    base: dict[str, bytes]
    log: tuple
    contents: dict[str, bytes]
    old: dict[int, str]
    new: dict[int, str]


class Folder:
    """A place on this machine, filled and watched."""

    def __init__(self, path: Path):
        self.path, self.place = path, str(path)

    def fill(self, base: dict[str, bytes]) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        for key, data in base.items():
            (self.path / key).parent.mkdir(parents=True, exist_ok=True)
            (self.path / key).write_bytes(data)

    def faults(self, *args) -> Faults:
        return Faults(self.path, *args)

    def watched(self, faults: Faults):
        return faults.local()


class Prefix(Folder):
    """A place behind a URL."""

    def __init__(self, url: str):
        self.place = url

    def fill(self, base: dict[str, bytes]) -> None:
        objects = objects_at(self.place)
        objects.delete(objects.list())
        objects.put(base)

    def faults(self, *args) -> Faults:
        return Faults(Path("/"), *args)

    def watched(self, faults: Faults):
        return faults.remote()


def undisturbed(storage: Folder, command: Command) -> Undisturbed:
    storage.fill({})
    for earlier in command.before:
        earlier(storage.place)
    base = contents(storage.place)
    storage.fill(base)
    old = seen(storage.place)
    faults = storage.faults()
    with storage.watched(faults):
        command.run(storage.place)
    check_that_nothing_escapes(faults)
    return Undisturbed(base, tuple(faults.log), contents(storage.place), old, seen(storage.place))


def check_that_nothing_escapes(faults: Faults) -> None:
    """What python's own audit saw happen to files is what we can stop."""
    names = {"replace": "rename", "unlink": "remove", "ftruncate": "truncate"}
    ours = Counter(names.get(operation.name, operation.name) for operation in faults.log)
    for name in ("fsync", "write", "put", "create", "delete"):
        del ours[name]
    assert ours == Counter(faults.seen_by_python)


def check_point(storage: Folder, command: Command, whole: Undisturbed, at: int, mode: str) -> None:
    """Die there, look, run again, look."""
    storage.fill(whole.base)
    faults = storage.faults(at, mode)
    with storage.watched(faults), pytest.raises(Stopped):
        command.run(storage.place)
    check_seen(seen(storage.place), whole.old, whole.new)
    with storage.watched(storage.faults()):
        command.run(storage.place)
    after = contents(storage.place)
    assert after.keys() == whole.contents.keys()
    assert after == whole.contents
    assert seen(storage.place) == whole.new


def check_seen(now: dict[int, str], old: dict[int, str], new: dict[int, str]) -> None:
    """Each version as it was or as it will be; the newest one of the two; none lost that stays."""
    assert now.items() <= {*old.items(), *new.items()}
    assert max(now, default=0) in (max(old, default=0), max(new))
    assert old.keys() & new.keys() <= now.keys() <= old.keys() | new.keys()


def points(log: tuple, modes: dict[str, tuple[str, ...]]) -> list[tuple[int, str]]:
    """Every way to die: before each operation, and in what else each can be stopped."""
    return [(n, m) for n, op in enumerate(log) for m in ("before", *modes.get(op.name, ()))]


def sample(log: tuple, every: list[tuple[int, str]], count: int) -> list[tuple[int, str]]:
    """About `count` of them, the last of each kind and mode among them."""
    last = {(log[n].name, mode): (n, mode) for n, mode in every}
    step = max(1, len(every) // max(1, count - len(last)))
    return sorted({*every[step // 2 :: step], *last.values()})


HALF = {"write": ("half",)}
AFTER = {"put": ("after",), "create": ("after",), "delete": ("after",)}


@pytest.mark.parametrize("name", ["build", "compact"])
def test_some_deaths_in_a_folder(tmp_path: Path, name: str):
    run_points(Folder(tmp_path / "dataset.zarr"), name, HALF, 12)


@pytest.mark.parametrize("name", ["add", "repair"])
def test_some_deaths_in_an_object_store(name: str):
    run_points(Prefix(f"memory:///some-{name}"), name, AFTER, 8)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_every_death_in_a_folder(tmp_path: Path, name: str):
    run_points(Folder(tmp_path / "dataset.zarr"), name, HALF, None)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_every_death_in_an_object_store(name: str):
    run_points(Prefix(f"memory:///every-{name}"), name, AFTER, None)


@pytest.mark.slow
def test_every_death_on_s3(monkeypatch: pytest.MonkeyPatch):
    """One part with few arrays: each request goes through moto's server."""
    plain = [{"family": "bouncing_balls", "video": {"channels": ["rgb"]}}]
    few = partial(fake_episodes.recipe, scene=plain)
    monkeypatch.setitem(globals(), "recipe", few)
    monkeypatch.setitem(globals(), "EPISODES", 2)
    with serving() as (environment, _):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        run_points(Prefix(f"s3://{BUCKET}/every"), "build", AFTER, None)


def run_points(storage: Folder, name: str, modes: dict, count: int | None) -> None:
    """Die at `count` points; None: at all."""
    command = COMMANDS[name]
    whole = undisturbed(storage, command)
    assert whole.new != whole.old
    assert "refused" not in whole.new.values()
    chosen = every = points(whole.log, modes)
    if count is not None:
        chosen = sample(whole.log, every, count)
    for at, mode in chosen:
        try:
            check_point(storage, command, whole, at, mode)
        except BaseException as error:
            error.add_note(f"{mode} operation {at} of {len(whole.log)}: {whole.log[at]}")
            raise
    print(f"{storage.place} {name}: {len(chosen)} of {len(every)} points")
