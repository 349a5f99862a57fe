"""The viewer: pages of the catalog, pictures, what the server refuses, and the folder it writes."""

from __future__ import annotations

import http.client
import io
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fake_episodes
import numpy as np
import pytest
from PIL import Image

import simgen
from simgen.build import build
from simgen.cameras import CameraTrack, Shot
from simgen.episode import Episode
from simgen.recipe import Recipe
from simgen.store.reader import Dataset
from simgen.truth import Event
from simgen.view import pages, pictures
from simgen.view.cache import Cache
from simgen.view.index import Index
from simgen.view.query import LIMIT, Query, find, page, parse
from simgen.view.server import Server
from simgen.view.static_site import write

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


def make(recipe: Recipe, index: int) -> Episode:
    """A made-up episode whose camera is one, with a clause that holds and one that is a lie."""
    episode = fake_episodes.make(recipe, index)
    frames = episode.scene.frames + 1
    track = CameraTrack(
        np.zeros((frames, 3)), np.tile([1.0, 0, 0, 0], (frames, 1)), np.full((frames, 4), 50.0)
    )
    events = (Event("e0", "landing", 0.3, 0.3, 0), Event("e1", "release", 0.1, 0.2, 0))
    claims = [{"path": "e0.kind", "is": "landing"}]
    false = [{"path": "e0.start_s", "near": 0.9, "within": 0.05}]
    clauses = (
        {"caption": "short", "text": "ball", "evidence": ["e0"], "claims": claims},
        {"caption": "false", "text": "at 0.9 s", "evidence": ["e0"], "claims": false,
         "false": True, "lie": "time"},
    )  # fmt: skip
    captions = {**episode.captions, "false": f"Ball {index} lands at 0.9 s."}
    truth = replace(episode.truth, events=events[: 1 + index % 2])
    return replace(
        episode, shots=(Shot(0, track),), clauses=clauses, captions=captions, truth=truth
    )


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> Dataset:
    out = tmp_path_factory.mktemp("viewed") / "fake.zarr"
    build(fake_episodes.recipe(), out, workers=0, make=make)
    return simgen.open(out)


@pytest.fixture(scope="module")
def index(opened) -> Index:
    return Index(opened)


@pytest.fixture(scope="module")
def rows(opened) -> list[dict]:
    return opened.catalog.to_pylist()


@pytest.fixture(scope="module")
def whole(rows) -> dict:
    """The row of an episode that has every channel."""
    return next(row for row in rows if "flow" in row["channels"].split())


@pytest.fixture(scope="module")
def server(opened) -> Iterator[Server]:
    served = Server(opened)
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


@pytest.fixture(scope="module")
def folder(opened, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site") / "pages"
    write(opened, out, episodes=100)
    return out


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, dict, bytes]:
    """Status, headers and body; the path is sent as it is, dots and all."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def names(index: Index, text: str) -> list[str]:
    return index.ids.take(find(index, parse(text, index.fields))).to_pylist()


def test_pages_hold_every_episode_once(index, rows):
    seen = []
    for offset in range(0, len(rows), 3):
        found = page(index, parse(f"offset={offset}&limit=3", index.fields))
        assert found["total"] == len(rows)
        seen += [row["id"] for row in found["rows"]]
    assert seen == [row["episode_id"] for row in rows]


def test_filters_agree_with_a_plain_reading_of_the_catalog(index, rows, opened):
    speeds = {row["episode_id"]: json.loads(row["parameters"])["speed_m_s"] for row in rows}
    middle = sorted(speeds.values())[len(rows) // 2]
    kept = [name for name, speed in speeds.items() if speed >= middle]
    assert 0 < len(kept) < len(rows)
    assert names(index, f"in.parameters.speed_m_s={middle!r},") == kept
    bucket = rows[0]["bucket"]
    other = [row["episode_id"] for row in rows if row["bucket"] == bucket]
    assert 0 < len(other) < len(rows)
    assert names(index, f"is.bucket={bucket}") == other
    assert names(index, "text=MOVES+4") == [r["episode_id"] for r in rows if r["index"] == 4]
    events = opened.events().to_pylist()
    released = {event["episode_id"] for event in events if event["kind"] == "release"}
    assert 0 < len(released) < len(rows)
    assert set(names(index, "in.events.release=1,")) == released
    assert index.columns["events.landing"].to_pylist() == [1] * len(rows)


def test_sorting_is_by_value_with_what_has_none_at_the_end(index, rows):
    speeds = {row["episode_id"]: json.loads(row["parameters"])["speed_m_s"] for row in rows}
    ascending = sorted(speeds, key=speeds.get)
    assert names(index, "sort=parameters.speed_m_s") == ascending
    assert names(index, "sort=-parameters.speed_m_s") == ascending[::-1]
    assert names(index, "sort=-bucket")[0] in names(
        index, f"is.bucket={max(r['bucket'] for r in rows)}"
    )


def test_a_facet_counts_under_all_filters_but_its_own(index, rows):
    bucket = rows[0]["bucket"]
    counts = page(index, parse(f"is.bucket={bucket}", index.fields))["facets"]["bucket"]
    assert counts == {name: sum(r["bucket"] == name for r in rows) for name in counts}
    assert len(counts) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("is.famly=x", "unknown field 'famly'; known: family"),
        ("in.family=1,2", "family is a category; ask for it with is.family="),
        ("is.index=3", "index is a number; ask for it with in.index="),
        ("in.index=3", "no range; give LOW,HIGH"),
        ("in.index=5,3", "no range"),
        ("in.index=nan,3", "no range"),
        ("limit=9999", "not a whole number from 0 to 200"),
        ("offset=-1", "not a whole number"),
        ("drop=table", "unknown part 'drop' of a query; known: text"),
        ("sort=--index", "unknown field '-index'"),
    ],
)
def test_a_query_that_cannot_be_asked_says_why(index, text, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        parse(text, index.fields)


def test_an_empty_query_is_the_catalog_s_first_page(index):
    assert parse("", index.fields) == Query(limit=LIMIT)


def test_sheets_hold_every_frame_as_painted(opened, whole):
    name = whole["episode_id"]
    for channel in ("rgb", "depth", "segmentation", "normals", "flow"):
        layout = pictures.sheets_of(whole["bucket"])
        (sheet,) = pictures.sheets(opened, name, channel)
        picture = np.asarray(Image.open(io.BytesIO(sheet)).convert("RGB"))
        video = pictures.painted(opened, name, channel)
        for t in range(layout.frames):
            y, x = t // layout.columns * layout.height, t % layout.columns * layout.width
            assert (picture[y : y + layout.height, x : x + layout.width] == video[t]).all()


def test_long_and_large_clips_take_several_sheets_and_small_thumbnails():
    layout = pictures.sheets_of("t120_512x512")
    assert layout.count > 1
    assert layout.per_sheet * 512 * 512 <= pictures.SHEET_PX
    assert layout.count * layout.per_sheet >= 120
    thumb = pictures.thumb_of("t120_512x256")
    assert (thumb.height, thumb.width) == (pictures.THUMB_PX, pictures.THUMB_PX // 2)
    assert thumb.frames <= pictures.THUMB_FRAMES
    assert thumb.frames * thumb.every >= 120
    with pytest.raises(ValueError, match="does not say its size"):
        pictures.sheets_of("large")


def test_the_server_answers_what_the_page_asks(server, rows, whole):
    name = whole["episode_id"]
    status, headers, body = ask(server, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    for source in re.findall(r'(?:src|href)="(static/[^"]+)"', body.decode()):
        assert ask(server, f"/{source}")[0] == 200
    assert json.loads(ask(server, "/api/dataset")[2])["episodes"] == len(rows)
    told = json.loads(ask(server, f"/api/episode?id={name}")[2])
    assert [event["event_id"] for event in told["events"]] == ["e0", "e1"][: 1 + whole["index"] % 2]
    assert told["captions"]["short"] == whole["caption_short"]
    true, lie = told["clauses"]
    assert (true["start"], true["stop"], true["holds"], true["false"]) == (0, 4, True, False)
    assert (lie["holds"], lie["false"], lie["lie"]) == (False, True, "time")
    (claim,) = lie["claims"]
    assert (claim["said"], claim["fact"], claim["holds"]) == (0.9, 0.3, False)
    curves = json.loads(ask(server, f"/api/curves?id={name}")[2])
    stored = server.viewer.dataset.read(name, "position")
    assert np.allclose(curves["bodies"]["ball_0"]["position"], stored[:, 0].T, rtol=1e-4)
    for asked in (f"thumb?id={name}", f"sheet?id={name}&channel=flow&part=0"):
        assert ask(server, f"/api/{asked}")[1]["Content-Type"] == "image/webp"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py", "/static/%2e%2e/server.py", "/../../../etc/passwd", "//etc/passwd",
        "/static/", "/static/main.js/..", "/..%2f..%2fetc%2fpasswd", "/zarr.json",
        "/api/thumb?id=../../../../etc/passwd", "/api/sheet?id=..%2f..&channel=rgb&part=0",
    ],
)  # fmt: skip
def test_nothing_but_the_page_s_own_files_is_served(server, path):
    status, _, body = ask(server, path)
    assert status == 404
    assert b"root:" not in body


def test_another_site_s_name_for_this_machine_is_refused(server):
    status, _, body = ask(server, "/api/dataset", Host="evil.example:80")
    assert status == 421
    assert b"this server answers as" in body
    assert ask(server, "/", Host=f"localhost:{server.server_port}")[0] == 200
    assert server.server_address[0] == "127.0.0.1"


def test_bad_questions_get_an_answer_that_says_why(server, rows):
    name = rows[0]["episode_id"]
    for path, status, said in (
        ("/api/episodes?is.famly=x", 400, "unknown field"),
        ("/api/episode?id=nobody", 404, "nobody"),
        ("/api/episode", 400, "give id= once"),
        (f"/api/sheet?id={name}&channel=smell&part=0", 404, "smell"),
        (f"/api/sheet?id={name}&channel=rgb&part=7", 404, "it has 0..0"),
        ("/<script>", 404, "&lt;script&gt;"),
    ):
        answer = ask(server, path)
        assert answer[0] == status
        assert said in answer[2].decode()
    assert ask(server, "/", "POST")[0] == 501


def test_what_a_browser_has_already_is_not_sent_again(server):
    _, headers, body = ask(server, "/api/episodes")
    again = ask(server, "/api/episodes", If_None_Match=headers["ETag"])
    assert (again[0], again[2]) == (304, b"")
    assert ask(server, "/api/episodes?limit=1", If_None_Match=headers["ETag"])[0] == 200
    status, headed, nothing = ask(server, "/api/episodes", "HEAD")
    assert (status, nothing, int(headed["Content-Length"])) == (200, b"", len(body))


def test_a_damaged_clip_is_named_and_the_rest_is_shown(dataset):
    broken = simgen.open(dataset)
    name = broken.catalog["episode_id"][0].as_py()
    bucket = broken.row(name)["bucket"]
    for shard in (dataset / bucket / "rgb").glob("c.*"):
        shard.write_bytes(b"\0" * shard.stat().st_size)
    served = Server(broken)
    answer = served.viewer.answer("/api/thumb", f"id={name}")
    assert answer.status == 500
    assert name in answer.body.decode()
    assert served.viewer.answer("/api/sheet", f"id={name}&channel=depth&part=0").status == 200
    served.server_close()


def test_the_cache_keeps_what_was_used_last_within_its_bytes():
    made = []
    cache = Cache(limit=25)

    def make(key: str) -> list[bytes]:
        return cache.get(key, lambda: made.append(key) or [b"x" * 10])

    for key in ("a", "b", "a", "c", "a", "b"):
        make(key)
    assert made == ["a", "b", "c", "b"]
    assert cache.bytes == 20
    cache.get("huge", lambda: [b"x" * 99])
    assert cache.bytes == 20


def delivered(path: Path) -> dict:
    """The value that a data file hands over."""
    name, value = re.fullmatch(r'physreel\.deliver\("([^"]+)",(.*)\);\n', path.read_text()).groups()
    assert path.stem == name.split("/")[-1]
    return json.loads(value)


def test_the_folder_is_complete(folder, rows):
    html = (folder / "index.html").read_text()
    linked = re.findall(r'(?:src|href)="([^"#:]+)"', html)
    assert {"data/dataset.js", "static/main.js", "static/style.css"} <= set(linked)
    assert "http" not in html
    assert [source for source in linked if not (folder / source).is_file()] == []
    table = delivered(folder / "data/dataset.js")
    assert [row["id"] for row in table["rows"]] == [row["episode_id"] for row in rows]
    for number, row in enumerate(table["rows"]):
        place = folder / f"data/{number:06d}"
        told = delivered(place / "episode.js")
        assert told["id"] == row["id"]
        assert delivered(place / "curves.js")["bodies"]
        sheets = range(-(-row["sheets"]["frames"] // row["sheets"]["per_sheet"]))
        pictured = {f"{channel}.{part}.webp" for channel in told["channels"] for part in sheets}
        assert {path.name for path in place.glob("*.webp")} == pictured | {"thumb.webp"}


def test_a_folder_holds_the_episodes_that_were_asked_for(opened, index, tmp_path):
    site = write(opened, tmp_path / "few", episodes=2, select="sort=-index")
    assert site.episodes == 2
    table = delivered(tmp_path / "few/data/dataset.js")
    assert [row["id"] for row in table["rows"]] == names(index, "sort=-index")[:2]
    with pytest.raises(ValueError, match="exists already; give a new or empty folder"):
        write(opened, tmp_path / "few", episodes=2)
    with pytest.raises(ValueError, match="no episode is like"):
        write(opened, tmp_path / "none", episodes=2, select="text=unheard")


def test_every_script_of_the_page_is_loaded_and_shipped():
    folder = Path(pages.__file__).parent / "static"
    assert {path.name for path in folder.iterdir()} == {"index.html", *pages.STATIC}


def seen(address: str, profile: Path) -> str:
    """The page's elements once it has drawn itself, in a real browser."""
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--user-data-dir={profile}", "--virtual-time-budget=6000", "--dump-dom", address],
        capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on the PATH")
def test_a_browser_shows_the_same_from_the_server_and_from_a_disk(server, folder, index, tmp_path):
    """The folder's own filter and sort, in JavaScript, agree with the server's."""
    query = "text=moves&in.index=2,8&sort=-parameters.speed_m_s"
    wanted = names(index, query)
    assert 1 < len(wanted) < index.count
    for n, base in enumerate((server.url, f"file://{folder}/index.html")):
        page = seen(f"{base}#?{query}", tmp_path / str(n))
        assert re.findall(r'class="card" href="#/([^?"]+)', page) == wanted
        assert f"{len(wanted)} of {index.count}" in page


@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on the PATH")
def test_a_browser_shows_one_clip_with_its_channels_events_and_curves(folder, whole, tmp_path):
    name = whole["episode_id"]
    page = seen(f"file://{folder}/index.html#/{name}", tmp_path / "profile")
    assert re.findall(r'data-channel="(\w+)"', page) == [
        "rgb", "depth", "segmentation", "normals", "flow"
    ]  # fmt: skip
    assert re.search(r'<span class="clause"[^>]*>Ball</span>', page)
    assert re.search(r'<span class="clause lie"[^>]*>at 0.9 s</span>', page)
    assert page.count('class="mark') == 1 + whole["index"] % 2
    assert "position x" in page
    assert re.search(r'<path class="line"[^>]* d="M[\d.]+ [\d.]+L', page)
