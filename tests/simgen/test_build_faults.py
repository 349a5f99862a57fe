"""Disks that fill up, folders that vanish, clocks that jump, notes that are cut off."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fake_episodes import contents, make, make_broken, recipe
from fault_objects import Faults

from simgen.build import BuildError, DiskFullError, build, run_part, writing
from simgen.store import ledger
from simgen.store.inspect import inspect
from simgen.store.objects import objects_at
from simgen.store.writer import GoneError


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for half a dataset."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=420k", "tmpfs", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount a small disk here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_disk_that_fills_up_keeps_what_is_committed(finished: Path, small_disk: Path):
    out = small_disk / "dataset.zarr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simgen.build.planning._free_bytes", lambda out: None)
        with pytest.raises(DiskFullError, match=r"no room for the [\d,]+ bytes of \d+ objects"):
            build(recipe(), out, workers=1, make=make)
    assert os.listdir(out / ".build" / "tmp") == []
    done = inspect(out)["parts"] if (out / "zarr.json").exists() else 0
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    assert build(recipe(), out, workers=1, make=make).parts_run == 4 - done
    assert contents(out) == contents(finished)


def test_a_dataset_deleted_amid_a_build_is_told_and_built_anew(finished: Path, tmp_path: Path):
    out = tmp_path / "gone.zarr"

    def deleting(recipe, index):
        shutil.rmtree(out, ignore_errors=True)
        return make(recipe, index)

    with pytest.raises(GoneError, match=r"was deleted while .* run the same command again"):
        build(recipe(), out, workers=1, make=deleting)
    build(recipe(), out, workers=1, make=make)
    assert contents(out) == contents(finished)


def test_what_a_deletion_left_of_a_dataset_is_built_upon(finished: Path, dataset: Path):
    for name in ("zarr.json", "versions", "tables"):
        path = dataset / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    build(recipe(), dataset, workers=1, make=make)
    assert contents(dataset) == contents(finished)


def test_parts_of_something_else_are_not_built_upon(tmp_path: Path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "engine.step").write_text("precious")
    with pytest.raises(BuildError, match=r"not empty \(it has 'parts/engine\.step'\)"):
        build(recipe(), tmp_path, workers=1, make=make)


def test_a_read_only_dataset_cannot_be_added_to(dataset: Path):
    before, user = contents(dataset), os.geteuid()
    for folder in (dataset, *dataset.rglob("*/")):
        os.chmod(folder, 0o555 if folder.is_dir() else 0o444)
    os.chmod(dataset.parent, 0o755)
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        copy = shutil.move(dataset, Path(name) / "x.zarr")
        if user == 0:
            os.seteuid(65534)  # root may write anywhere
        try:
            with pytest.raises(BuildError, match="cannot be used: Permission denied"):
                build(recipe(14), copy, workers=1, make=make, add=True)
        finally:
            os.seteuid(user)
        assert contents(copy) == before
        for folder in (copy, *copy.rglob("*/")):
            os.chmod(folder, 0o755)


@pytest.mark.parametrize(
    "left", [b"", b"att", b"\0\0\0\0", b"\xff\xfe3\n", b"attempt\n3", b"3\nattempt\n"]
)
def test_notes_that_are_cut_off_change_nothing(finished: Path, tmp_path: Path, left: bytes):
    out = tmp_path / "notes.zarr"
    with writing(recipe(), out) as todo:
        name = todo.parts[0].name
        for kind in (f"attempts/{name}", f"costs/{name}.json", "tmp/0-0", "lock"):
            path = out / ".build" / kind
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(left)
        assert max(ledger.attempts_of(objects_at(out), name).deaths().values(), default=0) < 2
    inspect(out)
    build(recipe(), out, workers=1, make=make)
    assert contents(out) == contents(finished)
    assert os.listdir(out / ".build" / "tmp") == []


def test_costs_that_are_cut_off_are_not_known(dataset: Path):
    (dataset / ".build" / "costs" / "x.json").write_bytes(b'{"simulate": 1')
    (dataset / ".build" / "costs" / "y.json").write_bytes(b"[1]")
    assert build(recipe(), dataset, workers=1, make=make).parts_run == 0


def test_a_clock_that_jumps_changes_nothing(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out, now = tmp_path / "clock.zarr", iter(range(2**31, 0, -86400))
    for name in ("time", "monotonic", "perf_counter", "process_time"):
        monkeypatch.setattr(time, name, lambda: float(next(now)))
    with pytest.raises(ZeroDivisionError):
        build(recipe(), out, workers=1, make=make_broken)
    with writing(recipe(), out) as todo:
        run_part(recipe(), todo.parts[1], out, make=make)
    for number, path in enumerate(sorted(out.rglob("*"))):
        moment = datetime(1970 + number % 130, 1, 1, tzinfo=UTC).timestamp()
        os.utime(path, (moment, moment))
    assert build(recipe(), out, workers=1, make=make).parts_run == 3
    assert contents(out) == contents(finished)


def test_a_disk_that_fills_up_says_so_of_a_note_too(tmp_path: Path, monkeypatch):
    with writing(recipe(), tmp_path / "x.zarr") as todo:
        real = os.write

        def full(handle: int, data) -> int:
            if bytes(data).strip() == b"attempt":
                raise OSError(28, "No space left on device")
            return real(handle, data)

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(DiskFullError, match=r"\.build/attempts/.* make room and run"):
            run_part(recipe(), todo.parts[0], todo.out, make=make)


def test_writes_that_come_in_pieces_are_whole(tmp_path: Path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:7]))
    objects_at(tmp_path).put({"a": bytes(range(100))})
    assert (tmp_path / "a").read_bytes() == bytes(range(100))


def test_nothing_is_written_that_is_not_counted(tmp_path: Path):
    faults = Faults(tmp_path / "x")
    with faults.local():
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "by another way").write_bytes(b"1")
    assert [op.name for op in faults.log] == ["mkdir"]
    assert faults.seen_by_python == ["mkdir", "open"]
