"""One contract, whatever holds the objects: a folder, memory, S3."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import BUCKET, Gate, serving

from simgen.store.objects import LocalObjects, Objects, objects_at
from simgen.store.remote import StorageError

KINDS = ("folder", "memory", "s3")


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    """S3 as this process's environment has it."""
    with serving() as (environment, gate), pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield gate


@pytest.fixture(params=KINDS)
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "folder":
        return objects_at(tmp_path / "x.zarr")
    if request.param == "memory":
        return objects_at(f"memory:///{tmp_path.name}")
    request.getfixturevalue("gate")
    return objects_at(f"s3://{BUCKET}/{tmp_path.name}/x.zarr")


def test_what_is_put_is_got(objects: Objects):
    data = {"zarr.json": b"{}", "a/b/c.0": bytes(range(256)) * 500, "a/empty": b""}
    objects.put(data)
    assert {key: objects.get(key) for key in data} == data
    objects.put({"a/empty": b"no more"})
    assert objects.get("a/empty") == b"no more"
    objects.put({})
    assert objects.list().keys() == data.keys()


@pytest.mark.parametrize(
    ("start", "length", "found"),
    [
        (0, 3, b"012"), (4, 2, b"45"), (8, 9, b"89"), (10, 1, b""), (99, 1, b""), (3, 0, b""),
        (-3, 3, b"789"), (-3, 2, b"78"), (-3, 9, b"789"), (-99, 4, b"0123"), (-2, 0, b""),
    ],
)  # fmt: skip
def test_ranges(objects: Objects, start: int, length: int, found: bytes):
    objects.put({"a/digits": b"0123456789"})
    assert objects.get_range("a/digits", start, length) == found


def test_an_empty_object_has_no_range(objects: Objects):
    objects.put({"empty": b""})
    assert objects.get_range("empty", 0, 4) == objects.get_range("empty", -4, 4) == b""


@pytest.mark.parametrize("key", ["nothing", "a", "a/b/c", "a/nothing"])
def test_what_is_not_there(objects: Objects, key: str):
    objects.put({"a/b": b"1"})
    with pytest.raises(FileNotFoundError):
        objects.get(key)
    for start in (0, -1):
        with pytest.raises(FileNotFoundError):
            objects.get_range(key, start, 1)
    assert objects.size(key) is None
    objects.delete([key] if key != "a" else [])
    assert objects.list() == {"a/b": 1}


def test_prefixes_are_of_letters_and_not_of_folders(objects: Objects):
    objects.put({"a/b": b"1", "a/bc/d": b"22", "ab": b"333", "b": b""})
    assert objects.list() == {"a/b": 1, "a/bc/d": 2, "ab": 3, "b": 0}
    assert list(objects.list()) == sorted(objects.list())
    assert objects.list("a") == {"a/b": 1, "a/bc/d": 2, "ab": 3}
    assert objects.list("a/b") == {"a/b": 1, "a/bc/d": 2}
    assert objects.list("a/bc/") == {"a/bc/d": 2}
    assert objects.list("c/") == objects.list("b/") == {}


def test_nothing_there_is_an_empty_list(objects: Objects):
    assert objects.list() == objects.list("versions/") == {}


def test_sizes_and_deletion(objects: Objects):
    objects.put({"a/b": b"12", "a/c": b"345"})
    assert (objects.size("a/b"), objects.size("a/c")) == (2, 3)
    objects.delete(["a/b", "a/never"])
    assert objects.list() == {"a/c": 3}


def test_creation_never_replaces(objects: Objects):
    assert objects.create("versions/1", b"first")
    assert not objects.create("versions/1", b"second")
    assert objects.get("versions/1") == b"first"
    objects.delete(["versions/1"])
    assert objects.create("versions/1", b"third")


def test_of_many_creators_one_wins(objects: Objects):
    names = [f"{number}".encode() for number in range(12)]
    barrier, won = threading.Barrier(len(names)), []

    def create(name: bytes) -> None:
        barrier.wait()
        if objects_at(objects.url).create("versions/1", name):
            won.append(name)

    threads = [threading.Thread(target=create, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [objects.get("versions/1")]
    assert objects.list() == {"versions/1": len(won[0])}


def test_files_on_their_way_are_no_objects(tmp_path: Path):
    objects = LocalObjects(tmp_path)
    objects.put({"a": b"1"})
    (tmp_path / ".build" / "tmp" / "left-0").write_bytes(b"half")
    assert objects.list() == {"a": 1}


def test_an_error_leaves_no_files_on_their_way(tmp_path: Path):
    objects = LocalObjects(tmp_path)
    objects.put({"a": b"1"})
    with pytest.raises(FileExistsError):
        objects.put({"b": b"2", "a/c": b"3"})
    assert os.listdir(tmp_path / ".build" / "tmp") == []
    assert objects.list() == {"a": 1}


def test_a_url_of_files_is_a_folder(tmp_path: Path):
    objects_at(f"file://{tmp_path}/x").put({"a": b"1"})
    assert (tmp_path / "x" / "a").read_bytes() == b"1"


def test_a_bucket_that_is_not_there_is_told(gate: Gate):
    objects = objects_at("s3://nobody/x.zarr")
    with pytest.raises(StorageError, match=r"s3://nobody/x\.zarr: .*check that the bucket exists"):
        objects.put({"a": b"1"})
    with pytest.raises(StorageError, match="check that the bucket exists"):
        objects.list()


def test_a_scheme_that_is_not_known_is_told():
    with pytest.raises(StorageError, match=r"ftp://there/x: .*"):
        objects_at("ftp://there/x").get("a")


def test_an_answer_that_is_lost_is_asked_for_again(gate: Gate):
    objects = objects_at(f"s3://{BUCKET}/lost")
    gate.lose_answers.add("/some/key")
    objects.put({"some/key": b"1"})
    assert not gate.lose_answers
    assert objects.get("some/key") == b"1"
    gate.lose_answers.add("/some/commit")
    assert not objects.create("some/commit", b"ours")  # who calls it must look at what is there
    assert objects.get("some/commit") == b"ours"
