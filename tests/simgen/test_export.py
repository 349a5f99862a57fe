"""Ways out: each read back by the library that it is for; counts, timestamps and pixels exact."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

import simgen
import simgen.export
from simgen.exchange import ExchangeError
from simgen.export import EXPORTERS, LOSSLESS, Options, export
from simgen.export.clips import choose
from simgen.export.video import VideoWriter, check_video, exact_rate, timestamps
from simgen.store.reader import Dataset

GUIDE = Path(__file__).parents[2] / "docs/export.md"
CLOCKED = ("rerun",)  # recordings hold the time at which they were made
RATE = Fraction(24)


@pytest.fixture(scope="module")
def store(finished: Path) -> Dataset:
    return simgen.open(finished)


@pytest.fixture(scope="module")
def exported(store: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every format, lossless, rgb and depth."""
    folder = tmp_path_factory.mktemp("exports")
    for name in EXPORTERS:
        export(store, folder / name, format=name, options=Options(("rgb", "depth"), LOSSLESS))
    return {name: folder / name for name in EXPORTERS}


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def episodes(store: Dataset) -> Iterator[tuple[str, str, np.ndarray]]:
    """Split, id and rgb of every episode."""
    for row in store.catalog.to_pylist():
        yield row["split"], row["episode_id"], store.read(row["episode_id"], "rgb")


def test_every_exporter_is_registered_and_in_the_guide() -> None:
    package = simgen.export
    names = [f"{package.__name__}.{found.name}" for found in iter_modules(package.__path__)]
    exporters = {name for name in names if hasattr(import_module(name), "pieces")}
    assert exporters == set(EXPORTERS.values())
    for name, module in EXPORTERS.items():
        assert f"## {name}" in GUIDE.read_text()
        assert import_module(module).LOSES


@pytest.mark.parametrize("name", EXPORTERS)
def test_the_same_again_does_nothing_and_other_things_are_refused(
    name: str, store: Dataset, exported: dict[str, Path], tmp_path: Path
) -> None:
    options = Options(("rgb", "depth"), LOSSLESS)
    again = export(store, exported[name], format=name, options=options)
    assert (again.pieces_made, again.episodes) == (0, store.catalog.num_rows)
    assert again.frames == 10 * again.episodes
    with pytest.raises(ExchangeError, match="holds another export; give another folder"):
        export(store, exported[name], format=name, options=options, limit=1)
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ExchangeError, match="holds something else"):
        export(store, tmp_path, format=name)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", EXPORTERS)
def test_a_killed_export_goes_on_to_the_bytes_of_one_run(
    name: str, store: Dataset, exported: dict[str, Path], tmp_path: Path
) -> None:
    options, out = Options(("rgb", "depth"), LOSSLESS), tmp_path / "out"

    def stop(piece: object, done: int, pieces: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(store, out, format=name, options=options, progress=stop)
    assert not out.exists()
    (tmp_path / ".out.exporting/.half.partial").write_bytes(b"torn")
    report = export(store, out, format=name, options=options)
    assert report.pieces_made == report.pieces - 1
    if name not in CLOCKED:
        assert contents(out) == contents(exported[name])
    assert sorted(contents(out)) == sorted(contents(exported[name]))
    assert not list(tmp_path.glob(".out*"))


def test_videofolder_opens_in_datasets(
    store: Dataset, exported: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code = (
        "import datasets, json, sys\n"
        "datasets.config.TORCHCODEC_AVAILABLE = False\n"  # may be there without its FFmpeg
        "found = datasets.load_dataset(sys.argv[1], cache_dir=sys.argv[2])\n"
        "plain = datasets.Video(decode=False)\n"
        "print(json.dumps([[split, row['episode_id'], row['video']['path'], row['depth']['path'],"
        " row['caption'], row['frames']] for split, rows in found.items()"
        " for row in rows.cast_column('video', plain).cast_column('depth', plain)]))\n"
        "named = datasets.load_dataset("
        "'videofolder', data_dir=sys.argv[1], cache_dir=sys.argv[2])\n"
        "print(json.dumps({split: len(rows) for split, rows in named.items()}))"
    )
    rows, named = read_apart(code, exported["videofolder"], tmp_path)
    wanted = {name: (split, rgb) for split, name, rgb in episodes(store)}
    assert {name: split for split, name, *_ in rows} == {n: s for n, (s, _) in wanted.items()}
    for _, name, video, depth, caption, frames in rows:
        rgb = wanted[name][1]
        np.testing.assert_array_equal(decoded(Path(video)), rgb)
        assert timestamps(Path(video)) == [t / RATE for t in range(len(rgb))]
        assert len(timestamps(Path(depth))) == len(rgb) == int(frames)
        assert caption == store.row(name)["caption_short"]
    assert sum(named.values()) == len(wanted)  # val is called validation there


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # leaves tars open
def test_webdataset_reads_every_sample(store: Dataset, exported: dict[str, Path]) -> None:
    import webdataset

    shards = sorted(map(str, exported["webdataset"].glob("*.tar")))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode())
    assert [s["__key__"] for s in samples] != []
    wanted = {name: (split, rgb) for split, name, rgb in episodes(store)}
    assert {s["__key__"]: s["json"]["split"] for s in samples} == {
        name: split for name, (split, _) in wanted.items()
    }
    for sample in samples:
        name, truth = sample["__key__"], sample["npz"]
        np.testing.assert_array_equal(sample["rgb.npy"], wanted[name][1])
        np.testing.assert_array_equal(sample["depth.npy"], store.read(name, "depth"))
        bodies = len(store.bodies(name))
        np.testing.assert_array_equal(truth["position"], store.read(name, "position")[:, :bodies])
        np.testing.assert_array_equal(truth["state"], store.state(name)[1])
        assert sample["txt"] == store.row(name)["caption_short"]
        assert sample["json"]["events"] == store.events(name).to_pylist()
    listed = [json.loads(path.read_text()) for path in exported["webdataset"].glob("[!.]*.json")]
    assert sum(shard["nsamples"] for index in listed for shard in index["shardlist"]) == len(wanted)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_has_mp4s_unless_lossless(store: Dataset, tmp_path: Path) -> None:
    import webdataset

    export(store, tmp_path / "out", format="webdataset", limit=2)
    shards = sorted(map(str, (tmp_path / "out").glob("*.tar")))
    for sample in webdataset.WebDataset(shards, shardshuffle=False):
        video = tmp_path / "one.mp4"
        video.write_bytes(sample["rgb.mp4"])
        assert timestamps(video) == [t / RATE for t in range(10)]
        assert len(decoded(video)) == 10


def test_rerun_recordings_verify_and_hold_every_pixel(
    store: Dataset, exported: dict[str, Path], tmp_path: Path
) -> None:
    from rerun.chunk import RrdReader

    paths = sorted(exported["rerun"].rglob("*.rrd"))
    config = tmp_path / "config/rerun/analytics.json"  # the command line would send statistics
    config.parent.mkdir(parents=True)
    config.write_text(
        json.dumps(
            {
                "analytics_enabled": False,
                "analytics_id": "",
                "metadata": {},
                "config_file_path": str(config),
                "data_dir_path": str(tmp_path / "data"),
            }
        )
    )
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    verify = [sys.executable, "-m", "rerun_cli", "rrd", "verify", *map(str, paths)]
    done = subprocess.run(verify, env=os.environ | home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(paths) == store.catalog.num_rows
    for path in paths[:3]:
        chunks: dict[str, list] = {}
        for chunk in RrdReader(path).stream():
            chunks.setdefault(str(chunk.entity_path), []).append(chunk.to_record_batch())
        rgb, depth = store.read(path.stem, "rgb"), store.read(path.stem, "depth")
        for entity, wanted in (("rgb", rgb), ("depth", depth)):
            (rows,) = chunks[f"/world/camera/{entity}"]
            assert rows["frame"].to_pylist() == list(range(len(wanted)))
            times = rows["time"].cast("int64").to_pylist()
            assert times == [round(t * 10**9 / RATE) for t in range(len(wanted))]
            column = next(name for name in rows.schema.names if name.endswith("Image:buffer"))
            data = [bytes(row[0]) for row in rows[column].to_pylist()]
            assert data == [frame.tobytes() for frame in wanted]
        camera = next(b for b in chunks["/world/camera"] if "Pinhole:resolution" in b.schema.names)
        fx, fy, cx, cy = store.read(path.stem, "camera_intrinsics").astype(np.float32)[3]
        matrix = camera["Pinhole:image_from_camera"].to_pylist()[3][0]
        np.testing.assert_array_equal(matrix, [fx, 0, 0, 0, fy, 0, cx, cy, 1])  # by columns
        body = store.bodies(path.stem)[0]["name"]
        poses = next(
            b for b in chunks[f"/world/bodies/{body}"] if "Transform3D:quaternion" in b.schema.names
        )
        w, x, y, z = store.read(path.stem, "quaternion")[4, 0].astype(np.float32)
        np.testing.assert_array_equal(
            poses["Transform3D:quaternion"].to_pylist()[4][0], [x, y, z, w]
        )
        events = sum(batch.num_rows for batch in chunks["/events"])
        assert events == store.events(path.stem).num_rows


def test_films_have_the_clips_frames_above_their_captions(
    store: Dataset, exported: dict[str, Path]
) -> None:
    for split, name, rgb in episodes(store):
        path = exported["mp4"] / split / f"{name}.mp4"
        film = decoded(path)
        assert timestamps(path) == [t / RATE for t in range(len(rgb))]
        scale = 10 if rgb.shape[2] == 24 else 15  # of two channels side by side, to 480 px
        height, width = (scale * side for side in rgb.shape[1:3])
        np.testing.assert_array_equal(
            film[:, :height:scale, :width:scale],
            rgb,
        )
        text = film[:, height:]
        assert (text.min((1, 2)) < 60).all()  # ink
        assert (text != text[:1]).any()  # the time runs


def test_lerobot_layout(store: Dataset, exported: dict[str, Path]) -> None:
    roots = sorted(path.parents[1] for path in exported["lerobot"].rglob("info.json"))
    assert len(roots) == 2  # a picture size each
    seen = []
    for root in roots:
        info = json.loads((root / "meta/info.json").read_text())
        rows = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
        tasks = pq.read_table(root / "meta/tasks.parquet").to_pylist()
        data = pq.read_table(root / "data/chunk-000/file-000.parquet")
        assert (info["codebase_version"], info["fps"]) == ("v3.0", 24)
        assert info["total_frames"] == data.num_rows == rows[-1]["dataset_to_index"]
        assert data["index"].to_pylist() == list(range(data.num_rows))
        stops = [int(span.split(":")[1]) for span in info["splits"].values()]
        assert stops[-1] == info["total_episodes"] == len(rows)
        key = "observation.images.rgb"
        film = root / f"videos/{key}/chunk-000/file-000.mp4"
        pixels, times = decoded(film), timestamps(film)
        for row in rows:
            name = row["physreel/episode_id"]
            first, stop = row["dataset_from_index"], row["dataset_to_index"]
            assert float(times[first]) == row[f"videos/{key}/from_timestamp"]
            assert stop / 24 == row[f"videos/{key}/to_timestamp"]
            np.testing.assert_array_equal(pixels[first:stop], store.read(name, "rgb"))
            held = data.slice(first, stop - first)
            bodies = len(store.bodies(name))
            truth = np.array(held["truth.position"].to_pylist()).reshape(stop - first, -1, 3)
            np.testing.assert_array_equal(
                truth[:, :bodies], store.read(name, "position")[:, :bodies]
            )
            assert not truth[:, bodies:].any()
            assert tasks[held["task_index"][0].as_py()]["__index_level_0__"] == row["tasks"][0]
            np.testing.assert_allclose(
                np.ravel(row[f"stats/{key}/mean"]),
                store.read(name, "rgb").mean((0, 1, 2)) / 255,
            )
            seen.append(name)
        told = json.loads((root / "meta/stats.json").read_text())
        assert told.keys() == info["features"].keys()
        np.testing.assert_allclose(np.ravel(told[key]["mean"]), pixels.mean((0, 1, 2)) / 255)
        np.testing.assert_allclose(np.ravel(told[key]["std"]), pixels.std((0, 1, 2)) / 255)
    assert sorted(seen) == sorted(store.catalog["episode_id"].to_pylist())


def test_lerobot_opens_its_dataset(
    store: Dataset, exported: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lerobot", reason="make install brings it")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    reader = Path(__file__).with_name("read_lerobot.py").read_text()
    roots = sorted(info.parents[1] for info in exported["lerobot"].rglob("info.json"))
    frames = [row for rows in read_apart(reader, *roots) for row in rows]
    for row in frames:
        rgb, at = store.read(row["episode_id"], "rgb"), row["frame"]
        assert row["timestamp"] == float(np.float32(at / 24))
        assert row["task"] == store.row(row["episode_id"])["caption_short"]
        np.testing.assert_array_equal(row["rgb"], rgb[at].reshape(-1).tolist())
    assert len(frames) == 10 * store.catalog.num_rows


def read_apart(code: str, *arguments: Path) -> list:
    """What the code prints, a JSON value a line; libraries may warn there as they like."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line[:1] in "[{"]


def test_conditions_choose_episodes(store: Dataset) -> None:
    def ids(**chosen: object) -> list[str]:
        return [clip.episode_id for clip in choose(store, **chosen)]

    rows = store.catalog.to_pylist()
    assert ids(where=["index>=3", "index!=4"]) == [
        r["episode_id"] for r in rows if r["index"] >= 3 and r["index"] != 4
    ]
    assert (
        ids(splits=["train"], limit=2)
        == [r["episode_id"] for r in rows if r["split"] == "train"][:2]
    )
    assert ids(where=["caption_short~BALL 3", "possible=true"]) == [
        r["episode_id"] for r in rows if "Ball 3" in r["caption_short"]
    ]
    for chosen, message in (
        ({"where": ["speed=1"]}, "has no 'speed'"),
        ({"where": ["nonsense"]}, "write family=ramp"),
        ({"where": ["index=three"]}, "index is int64"),
        ({"where": ["index>99"]}, "no episode of .* index>99"),
        ({"splits": ["exam"]}, "no split 'exam' .* it has "),
        ({"channels": ["flow"]}, "has no channel 'flow'; it has "),
    ):
        with pytest.raises(ExchangeError, match=message):
            choose(store, **chosen)


def test_two_exports_to_one_place_do_not_mix(store: Dataset, tmp_path: Path) -> None:
    def second(piece: object, done: int, pieces: int) -> None:
        with pytest.raises(ExchangeError, match="is being written by another process"):
            export(store, tmp_path / "out", format="mp4", limit=2)

    report = export(store, tmp_path / "out", format="mp4", limit=2, progress=second)
    assert report.pieces_made == 2


def test_unknown_formats_are_named(store: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match="unknown format 'avi'; known: lerobot"):
        export(store, tmp_path / "out", format="avi")
    with pytest.raises(ExchangeError, match="no channel to export"):
        export(store, tmp_path / "out", format="mp4", options=Options(()))


def test_what_is_not_installed_is_named(
    store: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simgen.exchange.find_spec", lambda name: None)
    with pytest.raises(ExchangeError, match="'rerun' needs rerun-sdk: pip install 'physreel"):
        export(store, tmp_path / "out", format="rerun")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (24, "24"),
        (29.97, "30000/1001"),
        (23.976, "24000/1001"),
        (12.5, "25/2"),
        (59.94, "60000/1001"),
    ],
)
def test_rates_are_exact(given: float, meant: str, tmp_path: Path) -> None:
    rate = exact_rate(given)
    assert rate == Fraction(meant)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (7, 15, 17, 3), np.uint8)  # odd sides too
    for number in range(2):
        with VideoWriter(tmp_path / f"{number}.mp4", frame_rate=rate, height=15, width=17) as video:
            video.add(frames[:3])
            video.add(frames[3:])
    assert (tmp_path / "0.mp4").read_bytes() == (tmp_path / "1.mp4").read_bytes()
    assert timestamps(tmp_path / "0.mp4") == [t / rate for t in range(7)]
    with av.open(str(tmp_path / "0.mp4")) as file:
        keys = [p.pts * p.time_base for p in file.demux(video=0) if p.is_keyframe]
    assert 3 / rate in keys  # what is added begins with a frame that stands alone


def test_colours_come_back(tmp_path: Path) -> None:
    frames = np.full((3, 16, 16, 3), (200, 40, 90), np.uint8)
    with VideoWriter(tmp_path / "a.mp4", frame_rate=RATE, height=16, width=16) as video:
        video.add(frames)
    assert np.abs(decoded(tmp_path / "a.mp4").astype(int) - frames).max() <= 3


def test_a_torn_or_miscounted_video_never_gets_its_name(tmp_path: Path) -> None:
    path, frames = tmp_path / "a.mp4", np.zeros((4, 16, 16, 3), np.uint8)
    with (  # noqa: PT012
        pytest.raises(ZeroDivisionError),
        VideoWriter(path, frame_rate=RATE, height=16, width=16) as video,
    ):
        video.add(frames)
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    with VideoWriter(path, frame_rate=RATE, height=16, width=16) as video:
        video.add(frames)
    with pytest.raises(ExchangeError, match="wrote 5 frames at 24 Hz, and the file has 4"):
        check_video(path, 5, RATE)
    with (
        pytest.raises(ExchangeError, match=r"frames are uint8\[4, 16, 16, 3\]"),
        VideoWriter(path, frame_rate=RATE, height=8, width=16) as video,
    ):
        video.add(frames)
    with pytest.raises(ExchangeError, match="crf 52; it goes from 0"):
        VideoWriter(path, frame_rate=RATE, height=16, width=16, crf=52)


def test_the_command_says_what_is_not_in_it(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simgen.cli import main

    def command(*words: object) -> int:
        monkeypatch.setattr(sys, "argv", ["simgen", "export", str(finished), *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    out = tmp_path / "films"
    assert command(out, "--format", "mp4", "--limit", 1, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["episodes"], told["frames"], told["out"]) == (1, 10, str(out))
    assert "truth arrays" in told["loses"]
    assert command(out, "--format", "videofolder") == 2
    assert "holds another export" in capsys.readouterr().err
    assert command(tmp_path / "b", "--format", "mp4", "--crf", 20, "--lossless") == 2
