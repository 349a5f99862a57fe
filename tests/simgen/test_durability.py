"""What a power cut would leave: only what was synced, by the record of a writer's operations.

The strictest disk that POSIX allows: a file's bytes are there after fsync of the file, an entry
after fsync of its folder, and nothing by itself or in any other order.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fault_objects import Faults, Operation, Stopped
from test_crash_points import addition, first_build


@dataclass
class Disk:
    """Entries of each folder as programs see them and as a power cut would leave them."""

    root: Path
    seen: dict[Path, dict[Path, int]] = field(default_factory=lambda: defaultdict(dict))
    kept: dict[Path, dict[Path, int]] = field(default_factory=lambda: defaultdict(dict))
    unsynced: set[int] = field(default_factory=set)  # files whose bytes may be lost
    files: int = 0

    def apply(self, operation: Operation) -> None:
        name, path, to = operation
        entries = self.seen[path.parent]
        if name in ("open", "mkdir"):
            if path not in entries:
                entries[path] = self.files = self.files + 1
        elif name in ("write", "ftruncate"):
            self.unsynced.add(entries[path])
        elif name == "fsync":
            self.unsynced.discard(entries.get(path, 0))
            self.kept[path] = dict(self.seen[path])
        elif name in ("replace", "link"):
            assert entries[path] not in self.unsynced, f"{to} appears before its bytes last"
            self.seen[to.parent][to] = entries[path]
            if name == "replace":
                del entries[path]
        else:
            entries.pop(path, None)

    def lasts(self, path: Path) -> bool:
        """Whether a power cut now would leave what programs see there, if it leaves the root."""
        way = [path, *(p for p in path.parents if self.root in p.parents)]
        numbers = [self.seen[p.parent].get(p) for p in way]
        kept = [self.kept[p.parent].get(p) for p in way]
        return None not in numbers and numbers == kept and numbers[0] not in self.unsynced

    def dataset(self) -> set[Path]:
        """Every file and folder of it but the workshop."""
        workshop = self.root / ".build"
        every = [path for entries in list(self.seen.values()) for path in entries]
        return {p for p in every if p != workshop and workshop not in p.parents}


def check(disk: Disk, log: list[Operation], *, alone: bool = True) -> None:
    """What must last before a marker, and before a version, appears."""
    for operation in log:
        path = operation.to
        if path is not None and path.parent.name == "parts" and alone:
            for key in json.loads(path.read_bytes())["objects"]:
                assert disk.lasts(disk.root / key), f"{path.name} before {key}"
        if operation.name == "link" and path.parent.name == "versions":
            lost = {p for p in disk.dataset() if not disk.lasts(p)} - {path.parent}
            assert not lost, f"{path.name} before {sorted(lost)[0]}"
        disk.apply(operation)


def record(root: Path, command, stop_at: int | None = None) -> list[Operation]:
    faults = Faults(root, stop_at)
    with faults.local():
        if stop_at is None:
            command(str(root))
        else:
            with pytest.raises(Stopped):
                command(str(root))
    return faults.log


def test_nothing_is_vouched_for_before_it_lasts(tmp_path: Path):
    disk = Disk(tmp_path / "dataset.zarr")
    log = record(disk.root, first_build)
    check(disk, log)
    assert sum(op.to is not None and op.to.parent.name == "parts" for op in log) == 2
    assert disk.lasts(disk.root / "versions" / "000001.json")
    log = record(disk.root, addition)
    check(disk, log)
    assert sum(op.name == "link" for op in log) == 1
    assert all(disk.lasts(path) for path in disk.dataset())


def test_nor_by_a_writer_that_goes_on_after_a_kill(tmp_path: Path):
    """What the killed one renamed and did not sync is seen, and would be lost."""
    whole = record(tmp_path / "whole.zarr", first_build)
    renames = [n for n, op in enumerate(whole) if op.name in ("replace", "link")]
    for stop_at in [*(n + 1 for n in renames[::40]), renames[-1] + 1, len(whole) - 1]:
        disk = Disk(tmp_path / f"{stop_at}.zarr")
        killed = record(disk.root, first_build, stop_at)
        for operation in killed[:-1]:  # the last did not happen
            disk.apply(operation)
        check(disk, record(disk.root, first_build), alone=False)
        assert all(disk.lasts(path) for path in disk.dataset())


def without_syncs(log: list[Operation], root: Path, where: str) -> list[Operation]:
    return [
        operation
        for operation in log
        if operation.name != "fsync" or where not in os.path.relpath(operation.path, root)
    ]


@pytest.mark.parametrize(
    ("where", "said"),
    [(".build/tmp/", "appears before its bytes last"), ("rgb", "-000000.json before"),
     ("parts", "000001.json before"), ("..", "000001.json before .*dataset.zarr\\n")],
)  # fmt: skip
def test_the_proof_can_fail(tmp_path: Path, where: str, said: str):
    """A writer that leaves a kind of sync out is found."""
    disk = Disk(tmp_path / "dataset.zarr")
    log = without_syncs(record(disk.root, first_build), disk.root, where)
    with pytest.raises(AssertionError, match=said):
        check(disk, log)
