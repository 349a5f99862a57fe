"""Backfills: layers from stored motion, with every engine taken away."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import fake_episodes
import numpy as np
import pytest
import zarr
from s3_server import BUCKET, serving

import simgen
from simgen.build import add, build, layering
from simgen.build.backfill import backfill
from simgen.build.repair import repair
from simgen.cli import app
from simgen.engines import ENGINES
from simgen.episode import make_episode, picture
from simgen.recipe import Recipe
from simgen.store import arrays, layers, writer
from simgen.store.compact import compact
from simgen.store.layout import WORKSHOP
from simgen.store.objects import objects_at
from simgen.store.tombstones import remove
from simgen.store.verify import verify
from simgen.store.versions import RequestError
from simgen.stored import ForeignError, stored_clip

SMALL = layers.view_layer("small", size=(32, 32))
SIDE = layers.view_layer(
    "side",
    camera={"kind": "pan", "azimuth_deg": [-60, -30], "elevation_deg": [10, 20]},
    channels=["rgb"],
)


def recipe(episodes: int = 6, **video) -> Recipe:
    """Balls in two shots and things behind screens; each clip with two twins."""
    tables = {
        "name": "layers",
        "episodes": episodes,
        "episodes_per_part": 2,
        "seed": 11,
        "splits": {"train": 1.0},
        "video": {
            "frames": 24, "height": 32, "width": 48, "channels": ["rgb", "segmentation"],
        } | video,
        "scene": [
            {
                "family": "bouncing_balls",
                "shots": [2, 2],
                "camera": [{"kind": "static"}, {"kind": "tracking"}, {"kind": "orbit"}],
                "parameters": {"bodies": [3, 3]},
                "twins": [{"change": "gravity"}, {"change": "remove"}],
            },
            {
                "family": "permanence",
                "video": {"frames": 72, "height": 64, "width": 64},
                "camera": {
                    "kind": "orbit", "azimuth_deg": [-94, -86], "elevation_deg": [6, 10],
                    "travel": [68, 80],
                },
                "parameters": {"act": "stop"},
                "look": {"sun_azimuth_deg": [-60, -40]},
                "twins": [{"change": "vanish"}, {"change": "recolour"}],
            },
        ],
    }  # fmt: skip
    return Recipe.model_validate_json(json.dumps(tables))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be written to."""
    out = tmp_path_factory.mktemp("layers") / "clips.zarr"
    build(recipe(), out, workers=1)
    return out


@pytest.fixture
def clips(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "clips.zarr"))


@pytest.fixture
def no_physics(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(ENGINES):
        monkeypatch.delitem(ENGINES, name)


def ids(place: Path) -> list[str]:
    return simgen.open(place).catalog["episode_id"].to_pylist()


def twins(place: Path) -> dict[str, str]:
    """Episode by the change that was made to it."""
    rows = simgen.open(place).catalog.to_pylist()
    return {json.loads(row["twin"])["kind"]: row["episode_id"] for row in rows if row["twin"]}


def test_what_is_stored_is_drawn_again_to_the_byte(built: Path, no_physics: None) -> None:
    dataset, of = simgen.open(built), recipe()
    assert set(twins(built)) == {"gravity", "remove", "vanish", "recolour"}
    for row in dataset.catalog.to_pylist():
        clip = stored_clip(dataset, row["episode_id"])
        video = of.video_of(of.assign(row["index"]).scene_index)
        frames = picture(clip.scene, clip.motion, clip.shots, video, video.channels)
        for channel in video.channels:
            again = writer.digest(arrays.converted(channel, frames[channel]))
            assert again == json.loads(row["hashes"])[channel], (row["episode_id"], channel)


def test_another_scene_than_the_stored_one_is_refused(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = simgen.open(built)
    row = dataset.row(ids(built)[0])
    bodies = json.loads(row["bodies"])
    bodies[-1]["size"] = [9.0]
    monkeypatch.setattr(dataset, "row", lambda _: row | {"bodies": json.dumps(bodies)})
    with pytest.raises(ForeignError, match="gives other bodies than are stored"):
        stored_clip(dataset, row["episode_id"])


def test_a_channel_is_what_the_recipe_would_have_given(
    clips: Path, no_physics: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ids(clips)
    report = backfill(clips, layers.channel_layer(["normals", "backward_flow"]), workers=1)
    assert (report.version, report.episodes, report.parts_run) == (2, 6, report.parts)
    assert ids(clips) == before
    assert verify(clips).intact
    old = simgen.open(clips, version=1)
    assert "normals" not in old.channels(before[0])
    assert verify(clips, version=1).intact
    assert len(simgen.open(clips).find(channels=("backward_flow",))) == 6
    monkeypatch.undo()
    episode = make_episode(recipe(channels=["normals", "backward_flow"]), 0)
    for channel in ("normals", "backward_flow"):
        wanted = arrays.converted(channel, episode.frames[channel])
        assert np.array_equal(simgen.open(clips).read(before[0], channel), wanted, equal_nan=True)


def test_interrupted_and_run_again_gives_the_undisturbed_bytes(clips: Path, tmp_path: Path) -> None:
    whole = Path(shutil.copytree(clips, tmp_path / "whole.zarr"))
    backfill(whole, SMALL, workers=1)

    def stop(done, number, parts) -> None:
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backfill(clips, SMALL, workers=1, progress=stop)
    assert simgen.open(clips).version.version == 1
    assert verify(clips).intact
    report = backfill(clips, SMALL, workers=1)
    assert report.parts_run == report.parts - 2
    assert fake_episodes.contents(clips) == fake_episodes.contents(whole)
    assert backfill(clips, SMALL, workers=1).parts == 0  # nothing is left, and no version made
    assert simgen.open(clips).version.version == 2


@pytest.mark.slow
def test_workers_make_the_same_bytes(clips: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(clips, tmp_path / "other.zarr"))
    backfill(clips, SIDE, workers=1)
    backfill(other, SIDE, workers=2)
    assert fake_episodes.contents(clips) == fake_episodes.contents(other)


def test_another_size_is_the_same_clip_through_the_same_lens(clips: Path, no_physics: None) -> None:
    assert not backfill(clips, SMALL, workers=1).refused
    dataset = simgen.open(clips, verify_on_read=True)
    for name in ids(clips):
        told = dataset.views(name)["small"]
        large, small = dataset.read(name, "rgb"), dataset.read(name, "rgb", view="small")
        assert small.shape == (len(large), 32, 32, 3)
        assert dataset.channels(name, "small")[0] == "area"
        lens = dataset.read(name, "camera_intrinsics", view="small")
        scale = 32 / min(large.shape[1:3])
        assert np.allclose(lens[:, :2], scale * dataset.read(name, "camera_intrinsics")[:, :2])
        assert np.all(lens[:, 2:] == 16)
        pose = dataset.read(name, "camera_pose", view="small")
        assert np.array_equal(pose, dataset.read(name, "camera_pose"))
        assert told["shots"] == json.loads(dataset.row(name)["shots"])
        # the middle of the picture, where the squares of both agree, has about the same colours
        middle = large[:, :, (large.shape[2] - large.shape[1]) // 2 :][:, :, : large.shape[1]]
        assert abs(middle.mean() - small.mean()) < 6
    assert verify(clips).intact
    foreign = zarr.open_group(clips, mode="r")["t24_32x48~small/rgb"]
    assert np.array_equal(foreign[0], dataset.read(ids(clips)[0], "rgb", view="small"))


def test_another_camera_sees_other_things_and_twins_share_it(clips: Path, no_physics: None) -> None:
    report = backfill(clips, SIDE, workers=1)
    dataset, changed = simgen.open(clips), twins(clips)
    assert {changed["vanish"], changed["recolour"]} <= {name for name, _ in report.refused}
    assert all("may not hide it" in reason for _, reason in report.refused)
    first = ids(clips)[0]
    told = dataset.views(first)["side"]
    assert set(told["hashes"]) == {"rgb", *layers.VIEW_ARRAYS}
    assert len(told["shots"]) == 1
    assert not any(event["kind"] == "cut" for event in told["events"])
    contacts = [e for e in dataset.events(first).to_pylist() if e["kind"] == "contact"]
    assert sum(event["kind"] == "contact" for event in told["events"]) == len(contacts)
    pose = dataset.read(first, "camera_pose", view="side")
    assert not np.array_equal(pose, dataset.read(first, "camera_pose"))
    twin = dataset.read(changed["gravity"], "camera_pose", view="side")
    assert np.array_equal(pose, twin)
    with pytest.raises(KeyError, match="no view 'side': view: what hides"):
        dataset.read(changed["vanish"], "rgb", view="side")
    assert dataset.views(changed["vanish"]) == {}
    assert "pans" in told["captions"]["short"] or "turns" in told["captions"]["short"]


def test_a_view_without_its_subject_is_refused_and_the_episode_stays(clips: Path) -> None:
    report = backfill(clips, layers.view_layer("tiny", size=(16, 16)), workers=1)
    refused = dict(report.refused)
    assert twins(clips)["vanish"] in refused
    assert all("no moving object is in sight" in reason for reason in refused.values())
    assert len(ids(clips)) == report.episodes == 6
    assert not simgen.open(clips).views(twins(clips)["vanish"])
    assert verify(clips).intact


def test_another_wording_tells_the_same_facts(clips: Path, no_physics: None) -> None:
    backfill(clips, layers.caption_layer("seed=1"), workers=1)
    backfill(clips, layers.caption_layer("seed=2"), workers=1)
    dataset = simgen.open(clips)
    others = 0
    for name in ids(clips):
        row, told = dataset.row(name), dataset.wordings(name)
        assert set(told) == {"seed1", "seed2"}
        dense = [told[seed]["captions"]["dense"] for seed in told]
        others += len({row["caption_dense"], *dense}) == 3
        assert all(told[seed]["captions"]["false"] for seed in told)
        cited = {e for clause in told["seed1"]["clauses"] for e in clause["evidence"]}
        assert cited & {event["event_id"] for event in dataset.events(name).to_pylist()} or (
            not any(e.startswith("e") and e[1:].isdigit() for e in cited)
        )
    assert others >= 4
    assert verify(clips).intact


def test_damage_in_a_view_is_named(clips: Path) -> None:
    backfill(clips, SMALL, workers=1)
    key = "t24_32x48~small/rgb/c.0.0.0.0.0"
    (clips / key).write_bytes(b"\0" + (clips / key).read_bytes()[1:])
    (problem,) = verify(clips).problems
    assert (problem.key, problem.array) == (key, "rgb")
    assert problem.episodes == (ids(clips)[0],)


@pytest.mark.slow
def test_damage_in_layers_is_repaired(clips: Path) -> None:
    backfill(clips, layers.channel_layer(["normals"]), workers=1)
    backfill(clips, SMALL, workers=1)
    good = fake_episodes.contents(clips)
    keys = ["t24_32x48~small/rgb/c.0.0.0.0.0", "t24_32x48/normals/c.0.0.0.0.0"]
    for key in keys:
        (clips / key).write_bytes(b"\0" + good[key][1:])
    found = verify(clips)
    first, second = ids(clips)[:2]
    assert [(p.key, p.array) for p in found.problems] == [
        (key, key.split("/")[1]) for key in sorted(keys)
    ]
    assert all(set(p.episodes) <= {first, second} and p.episodes for p in found.problems)
    (clips / "parts/normals+small/t24_32x48-000000.json").unlink()
    report = repair(clips)
    assert not report.lost
    assert fake_episodes.contents(clips) == good
    marker = clips / "parts/normals/t24_32x48-000001.json"
    marker.write_bytes(b"{}")
    assert [one.how for one in repair(clips).mended] == ["from the tables"]
    assert fake_episodes.contents(clips) == good


@pytest.mark.slow
def test_a_twin_without_its_original_is_repaired_as_it_was_filmed(clips: Path) -> None:
    remove(clips, ids(clips)[:1], reason="to test")
    along = layers.view_layer("along", camera={"kind": "tracking"}, channels=["rgb"])
    backfill(clips, along, workers=1)
    good = fake_episodes.contents(clips)
    assert simgen.open(clips).views(ids(clips)[0])["along"]["filmed_in"] == 1
    (clips / "t24_32x48~along/rgb/c.0.0.0.0.0").unlink()
    assert not repair(clips).lost
    assert fake_episodes.contents(clips) == good


def test_what_is_added_later_lacks_the_layer_until_it_is_run_again(clips: Path) -> None:
    backfill(clips, SMALL, workers=1)
    held = fake_episodes.contents(clips)
    add(clips, 7, workers=1)
    dataset = simgen.open(clips)
    assert dataset.version.version == 3
    known, late = ids(clips)[:6], ids(clips)[6:]
    assert late
    assert all("small" in dataset.views(name) for name in known)
    assert not any(dataset.views(name) for name in late)
    assert verify(clips).intact
    assert backfill(clips, SMALL, workers=1).episodes == len(late)
    assert all("small" in simgen.open(clips).views(name) for name in ids(clips))
    after = fake_episodes.contents(clips)
    assert all(after[key] == held[key] for key in held if not key.endswith("zarr.json"))
    assert verify(clips).intact


def test_compaction_takes_layers_along(clips: Path) -> None:
    backfill(clips, SMALL, workers=1)
    gone, kept = ids(clips)[:2]
    wanted = simgen.open(clips).read(kept, "rgb", view="small")
    remove(clips, [gone], reason="to test")
    assert compact(clips, keep=1).moved >= 1
    dataset = simgen.open(clips, verify_on_read=True)
    assert np.array_equal(dataset.read(kept, "rgb", view="small"), wanted)
    assert verify(clips).intact


def test_requests_that_cannot_be(clips: Path, dataset: Path) -> None:
    with pytest.raises(RequestError, match="unknown channel 'colour'; known: rgb, depth"):
        layers.channel_layer(["colour"])
    with pytest.raises(RequestError, match="without a size or a camera"):
        layers.view_layer("side")
    with pytest.raises(RequestError, match="view 'side': height"):
        layers.view_layer("side", size=(15, 16))
    with pytest.raises(RequestError, match="view 'side': kind"):
        layers.view_layer("side", camera={"kind": "pam"})
    with pytest.raises(RequestError, match="give seed=N"):
        layers.caption_layer("terse")
    backfill(clips, SMALL, workers=1)
    with pytest.raises(RequestError, match="has another layer called 'small'"):
        backfill(clips, layers.view_layer("small", size=(16, 16)), workers=1)
    with pytest.raises(ForeignError):  # made-up episodes have other bodies than sampling gives
        backfill(dataset, SMALL, workers=1)


def test_the_command_says_what_it_would_do_and_does_it(clips: Path) -> None:
    from typer.testing import CliRunner

    asked = ["backfill", str(clips), "--view", "small", "--size", "32x32", "--workers", "0"]
    before = fake_episodes.contents(clips)
    told = CliRunner().invoke(app, [*asked, "--dry-run"])
    assert told.exit_code == 0
    assert "would give small to 6 episodes" in told.output
    assert fake_episodes.contents(clips) == before
    told = CliRunner().invoke(app, [*asked, "--json"])
    assert told.exit_code == 0
    assert json.loads(told.stdout)["version"] == 2
    assert CliRunner().invoke(app, ["backfill", str(clips)]).exit_code == 2


def test_a_part_that_holds_the_array_for_others_cannot_get_it() -> None:
    with_depth = {"hashes": json.dumps({"rgb": "0", "depth": "1"}), "views": ""}
    without = {"hashes": json.dumps({"rgb": "0"}), "views": ""}
    marker = {"bucket": "t8_16x16", "objects": {"t8_16x16/depth/c.0": {}, "t8_16x16/rgb/c.0": {}}}
    layer = layers.channel_layer(["depth", "normals"])
    assert layering.blocks(layer, marker, [with_depth, without])
    assert not layering.blocks(layer, marker, [with_depth])
    assert not layering.blocks(SMALL, marker, [without])
    marker["objects"]["t8_16x16~small/rgb/c.0"] = {}
    assert layering.blocks(SMALL, marker, [without])


@pytest.mark.slow
def test_behind_a_url_it_is_what_it_is_in_a_folder(clips: Path) -> None:
    with serving() as (variables, _), pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        there = objects_at(f"s3://{BUCKET}/layers.zarr")
        there.put(fake_episodes.contents(clips))
        backfill(clips, SMALL, workers=1)
        report = backfill(there.url, SMALL, workers=2)
        assert report.parts_run == report.parts
        here = fake_episodes.contents(clips)
        assert {k: there.get(k) for k in there.list() if not k.startswith(WORKSHOP)} == here
        assert verify(there.url).intact
