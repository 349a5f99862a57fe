"""report.html: whole, offline, safe, and saying what the numbers say."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from worldmodel.verdict.charts import nice_ticks
from worldmodel.verdict.examples import load_examples
from worldmodel.verdict.report import ReportError, write_report
from worldmodel.verdict.sprites import data_uri, grid_of
from worldmodel.verdict.summary import sentences

VOID = {"meta", "input", "br"}


class Balanced(HTMLParser):
    """Collects tags, and fails on one that closes what is not open."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.addresses = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href", "srcset", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(judged):
    return (judged[0] / "report.html").read_text(encoding="utf-8")


def test_is_well_formed_and_asks_the_network_for_nothing(page):
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
    assert not parser.addresses
    assert not re.search(r"https?://|@import|fetch\(|XMLHttpRequest", page)
    assert set(re.findall(r"url\((\w+:\w+/\w+)", page)) == {"data:image/webp"}
    assert len(page) < 20e6


def test_shows_every_row_metric_and_clip(page, judged):
    folder, verdict = judged
    examples = load_examples(folder / "examples.safetensors")
    assert page.count('<article class="example">') == len(examples) >= 3
    assert page.count('<figure class="view">') == len(examples) * len(verdict["rows"])
    for about in verdict["metrics"].values():
        assert page.count(about["label"]) >= 2
    for row in verdict["rows"]:
        assert f'class="line row-{row}"' in page


def test_captions_and_commands_are_escaped(page):
    assert "roll &lt;fast&gt; &amp; bounce" in page
    assert "worldmodel &lt;x&gt;" in page
    assert "<fast>" not in page


def test_clips_are_ordered_worst_first(judged):
    examples = load_examples(judged[0] / "examples.safetensors")
    reasons = [example.reason for example in examples]
    assert reasons == sorted(reasons, key=["worst", "median", "best"].index)
    errors = [
        np.nanmean(np.linalg.norm(e.centre["model"] - e.centre["simulator"], axis=-1)[e.context :])
        for e in examples
    ]
    assert errors[0] > errors[-1]


def test_examples_keep_tracks_as_they_were(judged):
    """The truth row's centres lie on the simulator's: nothing was transposed on the way."""
    for example in load_examples(judged[0] / "examples.safetensors"):
        assert np.nanmax(np.abs(example.centre["truth"] - example.centre["simulator"])) < 0.2


def test_can_be_written_again_from_the_files_alone(judged, page):
    write_report(judged[0])
    assert (judged[0] / "report.html").read_text(encoding="utf-8") == page


def test_missing_files_are_named(tmp_path):
    with pytest.raises(ReportError, match=r"has no verdict.json: run `worldmodel evaluate`"):
        write_report(tmp_path)


def test_summary_says_what_the_table_says(judged):
    verdict = judged[1]
    first, kept, *_, ruler = sentences(verdict)
    cell = verdict["table"]["model"]["position_error_px"]["16"]
    assert first.startswith(f"The model puts objects {cell['value']:.2f} px")
    assert kept.startswith("By then 100% of the objects are still there")
    assert "The ruler itself, on 4 clips it was not fitted to" in ruler


def test_summary_tells_better_from_worse_by_the_interval(judged):
    verdict = json.loads(json.dumps(judged[1]))
    verdict["against"]["copy_last"] = {
        "1": [-1.0, -2.0, -0.5], "4": [-1.0, -2.0, 0.5], "8": [1.0, 0.5, 2.0],
        "16": [-3.0, -4.0, -2.0],
    }  # fmt: skip
    text = " ".join(sentences(verdict))
    assert "copy last it is better at 1 and 16, worse at 8, not told apart at 4 frames" in text


def test_the_model_is_held_against_the_baselines_at_every_frame(judged):
    verdict = judged[1]
    for other, beaten in verdict["beats"].items():
        rows = verdict["against"][other]
        assert list(map(int, rows)) == list(range(1, 17))
        assert beaten == [int(h) for h, (_, _, high) in rows.items() if high < 0]
        model, rival = (verdict["table"][row]["position_error_px"] for row in ("model", other))
        for h, (value, low, high) in rows.items():
            assert value == pytest.approx(model[h]["value"] - rival[h]["value"], abs=2e-6)
            assert low <= value <= high
    assert set(range(4, 17)) <= set(verdict["beats"]["copy_last"])  # two frames late, no more
    assert "against copy last it is better at " in " ".join(sentences(verdict))


def test_sprite_holds_every_frame():
    frames = np.random.default_rng(0).integers(0, 256, (11, 16, 24, 3), dtype=np.uint8)
    head, body = data_uri(frames).split(",")
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("RGB"))
    assert head == "data:image/webp;base64"
    assert grid_of(11) == (8, 2)
    for t, frame in enumerate(frames):
        y, x = t // 8 * 16, t % 8 * 24
        np.testing.assert_array_equal(sheet[y : y + 16, x : x + 24], frame)


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (0.0, 1e-4), (0.3, 0.9), (17.0, 58.9)])
def test_ticks_span_the_data(low, high):
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low + 1e-9
    assert ticks[-1] >= high - 1e-9
    assert 2 <= len(ticks) <= 8
