"""Crashes for real: processes are killed, interrupted, starved of disk; nothing is lost."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from build_fake import environment
from fake_episodes import REJECTED, contents, make, make_broken, recipe

import simgen
from simgen.build import LockedError, build, part, plan, run_part
from simgen.store import ledger
from simgen.store.inspect import inspect
from simgen.store.objects import objects_at

SCRIPT = Path(__file__).with_name("build_fake.py")


@contextmanager
def start(out: Path, function: str, workers: int = 1, *more: str) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(out), function, str(workers), *more], env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def finish(process: subprocess.Popen) -> str:
    """Wait for its end; what it said on stderr."""
    return process.communicate(timeout=120)[1]


def wait_for_line(process: subprocess.Popen, word: str) -> None:
    for line in process.stdout:
        if word in line:
            return
    raise AssertionError(f"the build ended before {word!r}: {process.stderr.read()}")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


@pytest.mark.parametrize(
    ("after", "delay_s"), [("begun", 0.02), ("begun", 0.5), ("-00000", 0.0), ("-00000", 0.06)]
)
def test_kill_9_then_the_same_command(finished: Path, tmp_path: Path, after: str, delay_s: float):
    out = tmp_path / "killed.zarr"
    with start(out, "make_slowly") as process:
        wait_for_line(process, after)
        time.sleep(delay_s)
        process.kill()
    assert not (out / "versions").exists()
    build(recipe(), out, workers=1, make=make)
    assert contents(out) == contents(finished)


def test_kill_9_of_all_workers(finished: Path, tmp_path: Path):
    out = tmp_path / "killed.zarr"
    with start(out, "make_slowly", 2) as process:
        wait_for_line(process, "-00000")
        os.killpg(process.pid, signal.SIGKILL)
    build(recipe(), out, workers=1, make=make)
    assert contents(out) == contents(finished)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_finishes_what_is_in_hand(finished: Path, tmp_path: Path, workers: int):
    out = tmp_path / "stopped.zarr"
    with start(out, "make_slowly", workers) as process:
        wait_for_line(process, "-00000")
        begun = set(names(out / ".build" / "attempts"))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it too
        errors = finish(process)
    assert "finishing what is in hand" in errors
    assert "KeyboardInterrupt" in errors
    assert not (out / "versions").exists()
    assert names(out / ".build" / "attempts") == []
    assert begun <= {name.removesuffix(".json") for name in names(out / "parts")}
    assert inspect(out)["missing"] == 0 or workers == 1  # four parts are in hand of two workers
    build(recipe(), out, workers=1, make=make)
    assert contents(out) == contents(finished)


def test_a_second_interrupt_drops_it(finished: Path, tmp_path: Path):
    out = tmp_path / "dropped.zarr"
    with start(out, "make_hang") as process:
        wait_for_line(process, "begun")
        while not names(out / ".build" / "attempts"):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        for line in process.stderr:
            if "Ctrl-C again drops it" in line:
                break
        process.send_signal(signal.SIGINT)
        finish(process)
    assert process.returncode == -signal.SIGINT
    assert names(out / ".build" / "attempts") == []  # it is not taken for a crash
    build(recipe(), out, workers=1, make=make)
    assert contents(out) == contents(finished)


def test_a_bug_in_one_part_lets_the_others_finish(tmp_path: Path):
    """Cut off, they would count as crashes, and three of those give an episode up."""
    out = tmp_path / "bug.zarr"
    with start(out, "make_broken_beside_slow", 2) as process:
        errors = finish(process)
    assert "a bug of ours" in errors
    assert process.returncode == 1
    place, held = objects_at(out), names(out / ".build" / "attempts")
    left = [ledger.Attempts(place, name).deaths() for name in held]
    assert not any(left)
    assert inspect(out)["parts"] == 3  # all but the one with the bug


def test_an_episode_that_hangs_ends_its_process(tmp_path: Path):
    out = tmp_path / "hang.zarr"
    code = (
        "from pathlib import Path; import fake_episodes as f; from simgen.build import part, plan; "
        f"out = Path({str(out)!r}); part.EPISODE_TIMEOUT_S = 0.2; "
        "part.run_part(f.recipe(), plan(f.recipe(), out).parts[0], out, make=f.make_hang, "
        "watchdog=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Timeout" in done.stderr
    assert "make_hang" in done.stderr  # where it hung
    (left,) = names(out / ".build" / "attempts")
    assert ledger.Attempts(objects_at(out), left).deaths() == {"0": 1}


def test_the_limit_of_a_broken_episode_does_not_outlive_it(tmp_path: Path, monkeypatch):
    armed = []
    monkeypatch.setattr(part.faulthandler, "dump_traceback_later", lambda *a, **k: armed.append(1))
    monkeypatch.setattr(part.faulthandler, "cancel_dump_traceback_later", armed.clear)
    first = plan(recipe(), tmp_path / "x").parts[0]
    with pytest.raises(ZeroDivisionError):
        run_part(recipe(), first, tmp_path / "x", make=make_broken, watchdog=True)
    assert armed == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_episode_that_kills_its_process_is_given_up(tmp_path: Path, workers: int):
    """Only that one: its neighbours in the part are kept. And it can be tried again."""
    out = tmp_path / "poison.zarr"
    codes = []
    for _ in range(4):
        with start(out, "make_poison", workers) as process:
            finish(process)
        codes.append(process.returncode)
        if process.returncode == 0:
            break
    assert codes == ([11, 11, 11, 0] if workers == 1 else [0])
    rows = simgen.open(out).quarantine.to_pylist()
    reasons = {row["index"]: row["reasons"] for row in rows}
    assert set(reasons) == {4, REJECTED}
    assert reasons[4] == ["crashed the worker 3 times"]

    assert build(recipe(), out, workers=1, make=make).parts_run == 0
    again = build(recipe(), out, workers=1, make=make, retry_quarantined=True)
    assert (again.parts_run, again.quarantined) == (1, 1)


def test_two_writers_are_not_let_in(tmp_path: Path):
    out = tmp_path / "shared.zarr"
    with start(out, "make_slowly") as process:
        wait_for_line(process, "-00000")
        with pytest.raises(LockedError, match=f"being built by process {process.pid}; wait"):
            build(recipe(), out, workers=1, make=make)
        finish(process)
    assert process.returncode == 0
    assert build(recipe(), out, workers=1, make=make).parts_run == 0


def test_a_dead_writers_lock_is_free(finished: Path, tmp_path: Path):
    out = tmp_path / "stale.zarr"
    with start(out, "make_slowly") as process:
        wait_for_line(process, "-00000")
        process.kill()
    assert (out / ".build" / "lock").read_text() == str(process.pid)
    build(recipe(), out, workers=1, make=make)
    assert contents(out) == contents(finished)


def test_the_lock_is_held_by_the_kernel(tmp_path: Path):
    with ledger.lock(objects_at(tmp_path)), open(tmp_path / ".build" / "lock") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert file.read() == str(os.getpid())


def test_a_full_disk_stops_the_build_and_room_resumes_it(finished: Path, tmp_path: Path):
    """A limit on file sizes stands in for the full disk: writes fail for real."""
    out = tmp_path / "full.zarr"
    with start(out, "make", 1, "30000") as process:
        errors = finish(process)
    assert process.returncode == 1
    assert "DiskFullError" in errors
    assert "make room and run the same command again" in errors
    assert list((out / ".build" / "tmp").iterdir()) == []
    build(recipe(), out, workers=1, make=make)
    assert contents(out) == contents(finished)


def test_deaths_are_counted_by_what_was_in_hand(tmp_path: Path):
    out = tmp_path / "attempts"
    attempts = ledger.Attempts(objects_at(out), "part")
    assert attempts.deaths() == {}
    for stage in ("4", "4", ledger.STORING):
        attempts.enter("attempt")
        attempts.enter("3")
        attempts.enter(stage)
    attempts.enter("attempt")  # died before any episode
    assert attempts.deaths() == {"4": 2, ledger.STORING: 1}
    with attempts.attempt():
        attempts.enter("3")
    assert attempts.deaths() == {}


@pytest.mark.slow
def test_a_hundred_random_kills():
    """Of parents, workers and whole groups; a few minutes."""
    script = Path(__file__).with_name("kill_run.py")
    done = subprocess.run(
        [sys.executable, str(script), "100", "0"], env=environment(),
        capture_output=True, text=True, timeout=3000, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["wrong"] == 0
    assert told["kills"] >= 100
    assert min(told[victim] for victim in ("parent", "worker", "group")) > 0
