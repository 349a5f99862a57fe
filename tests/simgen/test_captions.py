"""Captions: every clause is a piece of its caption and agrees with the facts that it cites."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from toy_family import Toy

from simgen.cameras import path
from simgen.captions.captions import describe
from simgen.captions.facts import camera, gather, resolve
from simgen.captions.words import Words
from simgen.episode import Episode, make_episode
from simgen.families import FAMILIES, Outcome
from simgen.recipe import CameraRecipe, Recipe
from simgen.truth import Event

MOVES = {
    "static": {"kind": "static"},
    "orbit": {"kind": "orbit", "travel": [50, 70]},
    "dolly": {"kind": "dolly", "travel": [0.8, 1.2]},
}


def make(move: str, index: int) -> Episode:
    recipe = {
        "name": "toy",
        "video": {"frames": 24, "height": 48, "width": 48},
        "scene": [{"family": "toy", "camera": MOVES[move]}],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, "toy", "toy_family:Toy")
        return make_episode(Recipe.model_validate(recipe), index)


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return [make(move, i) for move in MOVES for i in range(2)]


def facts_of(e: Episode) -> dict:
    return gather(e.scene, e.motion, e.shots[0].cameras, e.outcome, e.truth.events)


def test_every_clause_is_in_its_caption_and_has_evidence(episodes: list[Episode]):
    for e in episodes:
        facts = facts_of(e)
        assert {c["caption"] for c in e.clauses} == {"short", "dense"}
        for clause in e.clauses:
            assert clause["text"].lower() in e.captions[clause["caption"]].lower()
            assert clause["evidence"]
            for path_ in clause["evidence"]:
                resolve(facts, path_)


def test_clauses_of_events_agree_with_them(episodes: list[Episode]):
    verbs = {
        "contact": r"bounces|hits|rebounds|reaches|meets|touch|collides|bumps",
        "apex": r"top of its flight|highest point",
        "occlusion": r"hidden",
        "out_of_frame": r"out of the picture",
    }
    checked = 0
    for e in episodes:
        facts = facts_of(e)
        for clause in e.clauses:
            if clause["caption"] == "short" or "besides" in clause["text"]:
                continue
            for path_ in clause["evidence"]:
                event = resolve(facts, path_)
                if not isinstance(event, dict) or "kind" not in event or "start_s" not in event:
                    continue
                assert f"{event['start_s']:.1f}" in clause["text"]
                assert re.search(verbs[event["kind"]], clause["text"])
                for row in {event["body_a"], event["body_b"]} - {-1}:
                    assert e.scene.bodies[row].label in clause["text"]
                checked += 1
    assert checked > 20


def test_things_are_described_as_they_are(episodes: list[Episode]):
    for e in episodes:
        assert "small bouncy" not in e.captions["dense"]
        assert "a small very bouncy red ball of 0.5 kg" in e.captions["dense"]
        assert "a large blue box of 3 kg" in e.captions["dense"]
        assert e.captions["short"].startswith("A small red ball and a large blue box fall")


def test_bounces_are_counted(episodes: list[Episode]):
    for e in episodes:
        clause = next(c for c in e.clauses if c["caption"] == "short")
        said = re.search(r"bounce (\w+) times|bounce (once|twice)", clause["text"])
        words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
        number = {"once": 1, "twice": 2}.get(said[2]) or words.index(said[1])
        touches = [p for p in clause["evidence"] if re.fullmatch(r"e\d+", p)]
        assert number == len(touches)
        assert all(resolve(facts_of(e), p)["kind"] == "contact" for p in touches)


@pytest.mark.parametrize(
    ("recipe", "move", "side"),
    [
        (CameraRecipe(kind="static"), "static", ""),
        (CameraRecipe(kind="orbit", travel=(60, 60)), "orbit", "right"),
        (CameraRecipe(kind="orbit", travel=(-200, -200)), "orbit", "left"),
        (CameraRecipe(kind="dolly", travel=(1, 1)), "dolly_in", ""),
        (CameraRecipe(kind="dolly", travel=(-1, -1)), "dolly_out", ""),
    ],
)
def test_camera_terms_come_from_the_extrinsics(recipe: CameraRecipe, move: str, side: str):
    track = path(
        recipe, look_at=(0.3, 0.2, 0.5), distance_m=4.0, frames=32, height=64, width=64,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    told = camera(track, 33)
    assert (told["move"], told["side"]) == (move, side)
    assert told["pitch_deg"] == pytest.approx(-15)
    if move == "orbit":
        assert told["angle_deg"] == pytest.approx(abs(recipe.travel[0]), abs=0.5)
    if move.startswith("dolly"):
        assert told["travel_m"] == pytest.approx(1.0)


def test_a_sideways_camera_is_no_orbit_and_a_longer_lens_no_dolly():
    track = path(
        CameraRecipe(), look_at=(0, 0, 0), distance_m=4.0, frames=8, height=64, width=64,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    slide = replace(track, position=track.position + np.linspace(0, 1, 9)[:, None] * [1, 0, 0])
    assert camera(slide, 8)["move"] == "moving"
    zoom = replace(track, intrinsics=track.intrinsics * np.linspace(1, 2, 9)[:, None])
    assert camera(zoom, 8)["move"] == "zoom_in"


def test_wording_varies_and_repeats_with_its_seed(episodes: list[Episode]):
    e = episodes[2]
    told = [
        describe(e.scene, e.motion, e.shots, e.outcome, e.truth, np.random.default_rng(seed))[0]
        for seed in (0, 0, 1, 2, 3)
    ]
    assert told[0] == told[1]
    assert len({t["dense"] for t in told}) > 2


def test_a_family_adds_words_with_one_entry(episodes: list[Episode], monkeypatch):
    e = episodes[0]
    words = Words(opening=("drop",), outcomes={"stuck": ("and stick at {height_m:.2f} m",)})
    monkeypatch.setattr(Toy, "words", words, raising=False)
    outcome = Outcome("stuck", {"height_m": 0.25})
    truth = replace(e.truth, events=(Event("e0", "release", 0.3, 0.3, 1, 0),))
    rng = np.random.default_rng(0)
    text, clauses = describe(e.scene, e.motion, e.shots, outcome, truth, rng)
    assert "box drop, lets go, and stick at 0.25 m;" in text["short"]
    assert {"e0", "outcome.label", "outcome.margins.height_m"} <= set(clauses[0]["evidence"])
    assert "At 0.3 s the red ball lets go of the floor." in text["dense"]


def test_a_touch_at_the_clips_very_end_stays(episodes: list[Episode]):
    """10 frames at 24 Hz end at 10/24 s, and 10 * (1/24) is less by rounding."""
    e = episodes[0]
    scene = replace(e.scene, frames=10)
    end_s = 10 * (1 / 24)
    assert end_s < 10 / 24
    events = (Event("e0", "contact", 0.1, end_s, 0, 1, 5.0, (0, 0, 0)),)
    truth = replace(e.truth, events=events)
    text, _ = describe(
        scene, e.motion, e.shots, e.outcome, truth, np.random.default_rng(0)
    )  # fmt: skip
    assert "stays in touch with it" in text["dense"]


def test_what_has_not_ended_is_said_in_whole_sentences(episodes: list[Episode], monkeypatch):
    e = episodes[0]
    words = Words(opening=("drop",), outcomes={"open": ("and have not landed",)})
    monkeypatch.setattr(Toy, "words", words, raising=False)
    rng = np.random.default_rng(0)
    text, _ = describe(e.scene, e.motion, e.shots, Outcome("open"), e.truth, rng)
    assert "box drop, and have not landed;" in text["short"]
    assert "The ball have not landed." in text["dense"]


def test_what_did_not_happen_is_not_told(episodes: list[Episode]):
    e = episodes[0]
    truth = replace(e.truth, events=())
    text, _ = describe(e.scene, e.motion, e.shots, Outcome("x"), truth, np.random.default_rng(0))
    said = " ".join(text.values())
    assert not re.search(r"bounces|collide|hits|lets go|hidden|lands|apex| s the ", said)
