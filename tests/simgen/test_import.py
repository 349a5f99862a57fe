"""Ways in: what comes back from our own exports, what is lost, and what is refused."""

from __future__ import annotations

import csv
import json
import shutil
import struct
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import zarr

import simgen
from simgen.exchange import ExchangeError
from simgen.export import EXPORTERS, LOSSLESS, Options, export
from simgen.export.video import VideoWriter
from simgen.imports import IMPORTERS, sources
from simgen.imports.store import Report, write
from simgen.imports.windows import Choice, cut, hashed_split, scaled
from simgen.store.catalog import CATALOG_SCHEMA
from simgen.store.reader import Dataset
from simgen.store.verify import verify

GUIDE = Path(__file__).parents[2] / "docs/export.md"
RNG = np.random.default_rng(0)


def bring(folder: Path, out: Path, format: str, choice: Choice | None = None, **more) -> Report:
    windows, losses = cut(sources(folder, format), choice or Choice())
    return write(
        windows, losses, out, name="test", format=format, choice=choice or Choice(), **more
    )


def film(
    path: Path, frames: int, *, rate: int = 24, size: tuple[int, int] = (32, 48)
) -> np.ndarray:
    """A lossless video of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, (frames, *size, 3), np.uint8)
    with VideoWriter(
        path, frame_rate=Fraction(rate), height=size[0], width=size[1], crf=LOSSLESS
    ) as video:
        video.add(pixels)
    return pixels


@pytest.fixture(scope="module")
def simulated(finished: Path) -> Dataset:
    return simgen.open(finished)


def test_every_importer_is_in_the_guide() -> None:
    folder = Path(sys.modules["simgen.imports"].__file__).parent
    modules = {path.stem for path in folder.glob("*.py")}
    assert set(IMPORTERS) <= modules
    for name in IMPORTERS:
        assert f"import FOLDER OUT --format {name}" in GUIDE.read_text()


@pytest.mark.parametrize("format", IMPORTERS)
def test_a_lossless_export_comes_back_byte_for_byte(
    format: str, simulated: Dataset, tmp_path: Path
) -> None:
    where = ["bucket=t10_16x24"]  # a LeRobot dataset has one picture size
    options = Options(("rgb",), LOSSLESS)
    export(simulated, tmp_path / "out", format=format, where=where, options=options)
    report = bring(tmp_path / "out", tmp_path / "in.zarr", format, Choice(keep_splits=True))
    assert (report.quarantined, str(report.losses)) == (0, "nothing")
    found = simgen.open(tmp_path / "in.zarr")
    rows = found.catalog.to_pylist()
    wanted = {
        row["episode_id"]: row
        for row in simulated.catalog.to_pylist()
        if row["bucket"] == "t10_16x24"
    }
    assert len(rows) == len(wanted) > 3
    for row in rows:
        name = Path(json.loads(row["parameters"])["source"]).stem
        same = ("bucket", "split", "caption_short", "frame_rate_hz", "shots", "possible")
        given = wanted[name] | {"shots": row["shots"]}
        assert {key: row[key] for key in same} == {key: given[key] for key in same}
        np.testing.assert_array_equal(
            found.read(row["episode_id"], "rgb"), simulated.read(name, "rgb")
        )
        if format == "lerobot":
            position = simulated.read(name, "position")[:, : len(simulated.bodies(name))]
            state = found.read(row["episode_id"], "observation")
            np.testing.assert_array_equal(
                state[:, : position[0].size], position.reshape(10, -1).astype(np.float32)
            )


def test_what_footage_lacks_is_absent_and_marked(tmp_path: Path) -> None:
    pixels = film(tmp_path / "clips/a.mp4", 9)
    (tmp_path / "clips/a.txt").write_text("A cat sleeps.\n")
    bring(tmp_path / "clips", tmp_path / "in.zarr", "videofolder", licence="CC0")
    found = simgen.open(tmp_path / "in.zarr")
    (row,) = found.catalog.to_pylist()
    assert found.catalog.schema.names == CATALOG_SCHEMA.names
    assert (row["family"], row["engine"], row["possible"]) == ("imported", "none", True)
    assert (row["seed"], row["outcome"], row["bodies"]) == (None, "", "[]")
    assert row["caption_short"] == "A cat sleeps."
    assert found.channels(row["episode_id"]) == ("rgb",)
    assert found.events().num_rows == 0
    assert found.attrs["recipe"] is None
    assert (found.attrs["source"]["format"], found.attrs["licence"]) == ("videofolder", "CC0")
    assert {"cat", "sleeps", "."} <= set(found.attrs["vocabulary"])
    np.testing.assert_array_equal(zarr.open_group(found.url)[row["bucket"]]["rgb"][0], pixels)
    report = verify(tmp_path / "in.zarr")
    assert report.intact
    assert report.episodes == 1


def test_windows_and_losses_are_counted(tmp_path: Path) -> None:
    long, short = film(tmp_path / "c/long.mp4", 25), film(tmp_path / "c/short.mp4", 7)
    del short
    report = bring(
        tmp_path / "c", tmp_path / "in.zarr", "videofolder", Choice(frames=4, frame_rate_hz=12)
    )
    # 25 frames at 24 Hz are 13 at 12 Hz, so 3 windows of 4 and one frame over; 7 are 4
    assert (report.episodes, report.frames) == (4, 16)
    losses = report.losses
    assert (losses.frames_dropped, losses.frames_cut_off) == (12 + 3, 1)
    assert losses.clips_without_caption == 2
    found = simgen.open(tmp_path / "in.zarr")
    rows = found.catalog.to_pylist()
    np.testing.assert_array_equal(found.read(rows[1]["episode_id"], "rgb"), long[8:16:2])
    assert [row["group"] for row in rows] == [0, 0, 0, 1]
    assert len({row["split"] for row in rows[:3]}) == 1  # a clip is never on both sides
    short_of = bring(tmp_path / "c", tmp_path / "b.zarr", "videofolder", Choice(frames=10))
    assert (short_of.losses.clips_too_short, short_of.losses.frames_cut_off) == (1, 5 + 7)
    with pytest.raises(ExchangeError, match=r"no clip gives an episode \(2 clips too short"):
        cut(sources(tmp_path / "c", "videofolder"), Choice(frames=100))
    with pytest.raises(ExchangeError, match="24 frames a second, and 60 were asked for"):
        cut(sources(tmp_path / "c", "videofolder"), Choice(frame_rate_hz=60))


def test_a_lower_rate_shows_what_was_on_screen() -> None:
    frames = np.arange(24)
    for rate in (24, 23.976, 10, 7, 1):
        (window,), _ = cut([given(24)], Choice(frame_rate_hz=rate))
        shown = [int(n / Fraction(rate).limit_denominator(100_000) * 24) for n in range(99)]
        assert list(window.frames) == [n for n in shown if n < len(frames)]


def given(frames: int, **more):
    from simgen.imports.sources import Source

    told = {"height": 8, "width": 8, "caption": "x", "frame_rate": Fraction(24)} | more
    return Source("s", Path("none.mp4"), 0, frames, **told)


def test_splits_are_stable_and_of_the_source_alone() -> None:
    names = [f"clip_{n}" for n in range(2000)]
    splits = [hashed_split(name, 0) for name in names]
    assert splits == [hashed_split(name, 0) for name in names]
    assert splits != [hashed_split(name, 1) for name in names]
    shares = [splits.count(name) / len(names) for name in ("train", "val", "test")]
    np.testing.assert_allclose(shares, (0.8, 0.1, 0.1), atol=0.03)
    (kept,), _ = cut([given(4, split="test")], Choice(keep_splits=True))
    assert kept.split == "test"


def test_pictures_are_cropped_to_the_middle_and_scaled() -> None:
    frames = np.zeros((2, 40, 80, 3), np.uint8)
    frames[:, :, 20:60] = 200  # the middle square
    out = scaled(frames, 10, 10)
    assert out.shape == (2, 10, 10, 3)
    assert (out == 200).all()
    np.testing.assert_array_equal(scaled(frames, 40, 80), frames)
    assert scaled(frames, 80, 160).shape == (2, 80, 160, 3)


def test_a_truncated_clip_is_quarantined_and_the_rest_goes_on(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        film(tmp_path / f"c/{name}.mp4", 48)
    whole = (tmp_path / "c/b.mp4").read_bytes()
    (tmp_path / "c/b.mp4").write_bytes(whole[: len(whole) * 2 // 3])  # the index is in front
    (tmp_path / "c/c.mp4").write_bytes(b"not a video")
    report = bring(tmp_path / "c", tmp_path / "in.zarr", "videofolder", Choice(frames=12))
    found = simgen.open(tmp_path / "in.zarr")
    rejected = found.quarantine.to_pylist()
    assert len(report.losses.unreadable) == 1
    assert "c.mp4 cannot be read as a video" in report.losses.unreadable[0]
    assert 1 <= len(rejected) == report.quarantined <= 3
    assert all("b.mp4" in row["reasons"][0] for row in rejected)
    kept = {json.loads(row["parameters"])["source"] for row in found.catalog.to_pylist()}
    assert "a.mp4" in kept
    assert report.episodes + report.quarantined == 8
    assert verify(tmp_path / "in.zarr").intact


def test_a_killed_import_goes_on_to_the_bytes_of_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simgen.imports.store.PART_ROWS", 2)
    for name in range(5):
        film(tmp_path / f"c/{name}.mp4", 6)

    def stop(part: object, done: int, parts: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    out, again = tmp_path / "in.zarr", tmp_path / "again.zarr"
    with pytest.raises(KeyboardInterrupt):
        bring(tmp_path / "c", out, "videofolder", progress=stop)
    first = bring(tmp_path / "c", out, "videofolder")
    assert (first.parts, first.parts_made) == (3, 1)
    assert bring(tmp_path / "c", out, "videofolder").parts_made == 0
    bring(tmp_path / "c", again, "videofolder")
    shutil.rmtree(out / ".build")
    shutil.rmtree(again / ".build")
    assert files(out) == files(again)
    film(tmp_path / "c/0.mp4", 6)
    with pytest.raises(ExchangeError, match="holds another dataset"):
        bring(tmp_path / "c", out, "videofolder")


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_metadata_name_captions_splits_and_facts(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    for name in ("a", "b", "left_out"):
        film(folder / f"x/{name}.mp4", 4)
    with open(folder / "x/metadata.csv", "w", newline="") as file:
        rows = csv.DictWriter(file, ["file_name", "text", "split", "place"])
        rows.writeheader()
        rows.writerow({"file_name": "a.mp4", "text": "One, two.", "split": "dev", "place": "Rome"})
        rows.writerow({"file_name": "b.mp4", "text": "Three.", "split": "", "place": ""})
    a, b = sources(folder, "videofolder")
    assert (a.caption, a.split, a.facts["place"]) == ("One, two.", "val", "Rome")
    assert (b.source_id, b.split) == ("x/b.mp4", "")
    (folder / "x/metadata.csv").write_text("file_name,text\n../../etc.mp4,no\n")
    with pytest.raises(ExchangeError, match=r"row 1: file_name '../../etc.mp4' is no file below"):
        sources(folder, "videofolder")


def test_footage_with_b_frames_reads_in_order(tmp_path: Path) -> None:
    path = tmp_path / "c/phone.mp4"
    path.parent.mkdir()
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=30, options={"bf": "3", "crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv444p"
        for n in range(40):
            pixels = np.full((32, 64, 3), 6 * n, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode(None))
    (source,) = sources(path.parent, "videofolder")
    assert (source.frames, source.frame_rate) == (40, 30)
    shades = source.read(range(17, 31)).mean((1, 2, 3))
    np.testing.assert_allclose(shades, 6.0 * np.arange(17, 31), atol=2)


def test_footage_of_a_turned_phone_stands_upright(tmp_path: Path) -> None:
    path = tmp_path / "c/phone.mp4"
    pixels = film(path, 5)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40  # ISO 14496-12, 8.3.2: nine 16.16 numbers
    one = 1 << 16
    quarter = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)  # right, seen by people
    data[matrix : matrix + 36] = quarter
    path.write_bytes(data)
    bring(path.parent, tmp_path / "in.zarr", "videofolder")
    found = simgen.open(tmp_path / "in.zarr")
    (row,) = found.catalog.to_pylist()
    assert row["bucket"] == "t5_48x32"
    np.testing.assert_array_equal(
        found.read(row["episode_id"], "rgb"), np.rot90(pixels, -1, axes=(1, 2))
    )


@pytest.mark.parametrize(
    ("format", "message"),
    [
        ("avi", "unknown format 'avi'; known: lerobot, videofolder"),
        ("lerobot", "is no LeRobot dataset"),
        ("videofolder", "holds no clips as videofolder"),
    ],
)
def test_folders_of_something_else_are_refused(format: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match=message):
        sources(tmp_path, format)


def test_lerobot_refusals_say_what_there_is(simulated: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(simulated, out, format="lerobot", where=["bucket=t10_16x24"])
    with pytest.raises(ExchangeError, match=r"no camera 'wrist'; it has observation\.images\.rgb"):
        sources(out, "lerobot", camera="wrist")
    info = json.loads((out / "meta/info.json").read_text())
    (out / "meta/info.json").write_text(json.dumps(info | {"codebase_version": "v2.1"}))
    with pytest.raises(ExchangeError, match=r"LeRobot v2\.1, and v3\.x is read here; convert"):
        sources(out, "lerobot")


def test_an_imported_dataset_leaves_by_every_way(tmp_path: Path) -> None:
    film(tmp_path / "c/a.mp4", 5)
    bring(tmp_path / "c", tmp_path / "in.zarr", "videofolder")
    for name in EXPORTERS:
        report = export(simgen.open(tmp_path / "in.zarr"), tmp_path / name, format=name)
        assert (report.episodes, report.frames) == (1, 5)


def test_the_command_shows_what_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simgen.cli import main

    def command(*words: object) -> int:
        monkeypatch.setattr(sys, "argv", ["simgen", "import", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    film(tmp_path / "c/a.mp4", 9)
    words = (tmp_path / "c", tmp_path / "in.zarr", "--format", "videofolder", "--frames", 4)
    assert command(*words, "--size", "16x16") == 0
    told = capsys.readouterr().out
    assert "2 episodes" in told
    assert "lost or changed: 1 frames cut off, 1 clips scaled, 1 clips without caption" in told
    assert command(*words, "--size", "16") == 2
    assert command(*words, "--size", "32x32") == 2
    assert "holds another dataset" in capsys.readouterr().err
    (tmp_path / "c/b.mp4").write_bytes(b"")
    assert command(tmp_path / "c", tmp_path / "b.zarr", "--format", "videofolder") == 3
