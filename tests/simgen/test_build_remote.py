"""Datasets behind a URL: built by workers, killed, finished by others, read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import fake_episodes
import numpy as np
import pytest
from build_fake import environment
from fake_episodes import make, recipe
from s3_server import BUCKET, Gate, serving
from test_crash_points import contents

import simgen
from simgen.build import ConflictError, build, plan, publish, run_part, writing
from simgen.recipe import Recipe
from simgen.store import ledger, processes, versions
from simgen.store.inspect import inspect
from simgen.store.objects import objects_at
from simgen.store.remote import StorageError
from simgen.store.verify import verify

SCRIPT = Path(__file__).with_name("build_fake.py")


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    """S3 as this process's environment, and its children's, has it."""
    with serving() as (variables, gate), pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield gate


def few(episodes: int = 4) -> Recipe:
    """A part in each of two buckets."""
    return recipe(episodes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a folder would hold. Not to be written to."""
    out = tmp_path_factory.mktemp("whole") / "few.zarr"
    build(few(), out, workers=1, make=make)
    return out


@pytest.fixture
def url(gate: Gate, request: pytest.FixtureRequest) -> str:
    return f"s3://{BUCKET}/{request.node.name}.zarr"


def start(url: str, function: str, workers: int = 1) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), url, function, str(workers)], env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def local(path: Path) -> dict[str, bytes]:
    return contents(str(path))


def test_workers_build_what_a_folder_would_hold(whole: Path, url: str):
    report = build(few(), url, workers=2, make=make)
    assert (report.out, report.episodes, report.quarantined) == (url, 4, 0)
    assert contents(url) == local(whole)
    assert build(few(), url, workers=2, make=make).parts_run == 0
    assert contents(url) == local(whole)

    facts = inspect(url)
    assert (facts["complete"], facts["missing"]) == (True, 0)
    report = verify(url)
    assert report.intact
    dataset, copy = simgen.open(url, verify_on_read=True), simgen.open(whole)
    assert dataset.catalog.equals(copy.catalog)
    for name in dataset.catalog["episode_id"].to_pylist()[::3]:
        for channel in dataset.channels(name):
            np.testing.assert_array_equal(dataset.read(name, channel), copy.read(name, channel))


def test_the_command_line_takes_urls(url: str, tmp_path: Path, capsys: pytest.CaptureFixture):
    from simgen.cli import app, exit_code
    from simgen.terminal import run as run_app

    def run(*arguments: str) -> tuple[int, str]:
        code = run_app(app, "simgen", arguments, exit_code)
        said = capsys.readouterr()
        return code, said.out + said.err

    path = tmp_path / "recipe.toml"
    path.write_text('name = "few"\nepisodes = 6\n[[scene]]\nfamily = "bouncing_balls"\n')
    code, said = run("plan", str(path), url)
    assert code == 0, said
    assert f"{url}: 1 of 1 parts to make" in said
    assert "GB free" not in said
    build(few(), url, workers=1, make=make)
    assert f"{url} version 1 is complete: 4 episodes" in run("verify", url)[1]
    assert run("inspect", url)[0] == 0
    code, said = run("verify", "s3://nobody/x.zarr")
    assert code != 0
    assert "nobody" in said


def test_damage_is_named(whole: Path, url: str):
    objects = objects_at(url)
    base = local(whole)
    key = "t10_16x24/rgb/c.0.0.0.0.0"
    torn = bytearray(base[key])
    torn[20] ^= 1
    objects.put(base | {key: bytes(torn)})
    (problem,) = verify(url).problems
    assert (problem.key, problem.array) == (key, "rgb")
    objects.delete([key])
    (problem,) = verify(url).problems
    assert (problem.key, problem.what) == (key, "is missing")
    assert build(few(), url, workers=1, make=make).parts_run == 1
    assert contents(url) == base


@pytest.mark.slow
def test_kill_9_then_the_same_command(finished: Path, url: str):
    with start(url, "make_slowly", 2) as process:
        for line in process.stdout:
            if "-00000" in line:
                break
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    with pytest.raises(simgen.store.reader.UnreadableError, match="unfinished; run the same"):
        simgen.open(url)
    build(recipe(), url, workers=1, make=make)
    assert contents(url) == local(finished)


def test_two_builders_of_one_recipe_end_with_the_same_bytes(whole: Path, url: str):
    reports, barrier = [], threading.Barrier(2)

    def one() -> None:
        barrier.wait()
        reports.append(build(few(), url, workers=1, make=make))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(r.version, r.episodes, r.quarantined) for r in reports] == [(1, 4, 0)] * 2
    assert contents(url) == local(whole)


@pytest.mark.slow
def test_a_builder_that_slept_through_it_all_changes_nothing(whole: Path, url: str):
    with writing(few(), url) as todo:
        build(few(), url, workers=1, make=make)
        for part in todo.todo:
            run_part(few(), part, url, make=make)
        assert publish(few(), url)["version"] == 1
    assert contents(url) == local(whole)


@pytest.mark.slow
def test_two_additions_cannot_mix(url: str):
    """Their parts would have the same keys."""
    build(few(), url, workers=1, make=make)
    with (
        writing(few(6), url, add=True),
        pytest.raises(ConflictError, match=r"growth \[4, 6\] and not \[4, 8\]; wait .*delete s3:"),
    ):
        build(few(8), url, workers=1, make=make, add=True)
    assert build(few(6), url, workers=1, make=make, add=True).version == 2
    assert build(few(8), url, workers=1, make=make, add=True).version == 3
    assert verify(url).intact


def test_two_recipes_that_begin_at_once_cannot_mix(url: str):
    planned = plan(few(), url)
    ledger.claim(objects_at(url), planned.step, planned.work)  # and nothing else yet
    with pytest.raises(ConflictError, match="is being written by others, with content_hash"):
        build(recipe(4, seed=1), url, workers=1, make=make)
    assert list(objects_at(url).list()) == [f".build/claims/{planned.step}.json"]


def test_of_two_commits_one_wins_and_the_other_is_told(url: str, tmp_path: Path):
    """An addition meets another change that is committed while it works."""
    build(few(), url, workers=1, make=make)
    objects = objects_at(url)
    before = versions.read(objects)
    other = versions.Version(**vars(before) | {"version": 2, "change": {"kind": "other"}})
    with writing(few(7), url, add=True) as todo:
        for part in todo.todo:
            run_part(todo.recipe, part, url, make=make)
        real, said = objects.create, []

        def create(self, key: str, data: bytes) -> bool:
            if key == other.key and not said:
                said.append(real(key, other.to_bytes()))
            return real(key, data)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(objects), "create", create)
            with pytest.raises(ConflictError, match=r"version 2 from another .* run your command"):
                publish(few(7), url, add=True)
    assert said == [True]
    assert versions.read(objects) == other
    again = build(few(7), url, workers=1, make=make, add=True)
    assert (again.version, again.parts_run) == (3, 0)
    assert verify(url).intact


def test_a_conflict_is_a_failure_for_the_shell():
    from simgen.cli import exit_code

    assert exit_code(ConflictError("x")) == exit_code(StorageError("x")) == 1


def test_a_commit_whose_answer_is_lost_is_a_commit(whole: Path, url: str, gate: Gate):
    gate.lose_answers |= {"/versions/000001.json", "/parts/t10_16x24-000000.json"}
    build(few(), url, workers=1, make=make)
    assert not gate.lose_answers
    assert contents(url) == local(whole)


@pytest.mark.slow
def test_an_episode_that_kills_its_worker_is_given_up(url: str):
    report = build(recipe(), url, workers=2, make=fake_episodes.make_poison)
    assert report.quarantined == 2
    reasons = {r["index"]: r["reasons"] for r in simgen.open(url).quarantine.to_pylist()}
    assert reasons[4] == ["crashed the worker 3 times"]
    left = objects_at(url).list(".build/attempts/")
    assert left == {}


def test_living_and_foreign_processes_are_not_taken_for_dead(gate: Gate, url: str):
    objects = objects_at(url)
    attempts = ledger.attempts_of(objects, "part")
    attempts.enter("3")
    machine = processes.name().split(".")[0]
    others = {"elsewhere.1.2": b"5", f"{machine}.{os.getppid()}.1": b"7", "garbage": b"\xff"}
    objects.put({f".build/attempts/part/{name}": stage for name, stage in others.items()})
    assert attempts.deaths() == {"7": 1}  # that id is another process's by now
    attempts.forget()
    assert objects.list() == {}


def test_a_process_is_dead_when_it_is():
    child = subprocess.Popen(
        [sys.executable, "-c", "from simgen.store import processes as p; print(p.name()); input()"],
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with child:
        name = child.stdout.readline().strip()
        assert not processes.is_dead(name)
        child.kill()
        deadline = time.monotonic() + 20
        while not processes.is_dead(name) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert processes.is_dead(name)  # even before its parent has asked for it
    assert processes.is_dead(name)
    assert not processes.is_dead(processes.name())
