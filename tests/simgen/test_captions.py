"""Captions: wording, grammar and claims, on a toy family and on made-up facts."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from toy_family import Toy

from simgen.captions.captions import describe, tell
from simgen.captions.claims import check, evidence, holds, members, replaced, resolve
from simgen.captions.facts import gather
from simgen.captions.falsehoods import KINDS
from simgen.captions.records import recorded
from simgen.captions.words import Words
from simgen.episode import Episode, make_episode
from simgen.events import Event
from simgen.families import FAMILIES, Outcome
from simgen.recipe import Recipe


def make(camera: dict, index: int) -> Episode:
    recipe = {
        "name": "toy",
        "video": {"frames": 24, "height": 48, "width": 48, "channels": ["segmentation"]},
        "scene": [{"family": "toy", "camera": camera}],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, "toy", "toy_family:Toy")
        return make_episode(Recipe.model_validate(recipe), index)


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return [make({"kind": "static"}, 0), make({"kind": "orbit", "travel": [50, 70]}, 1)]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "toy", "toy_family:Toy")


def facts_of(e: Episode, **changes) -> dict:
    """The episode's facts, under other events or another outcome."""
    outcome, events = changes.get("outcome", e.outcome), changes.get("events", e.truth.events)
    return gather(recorded(e.scene, e.motion, e.shots, outcome, events))


FACTS = {
    "objects": {"ball": {"colour": "red", "mass_kg": 2.0, "loose": True}},
    "events": {
        "e0": {"deed": "bounce", "start_s": 0.84},
        "e1": {"deed": "bounce", "start_s": 1.5},
        "e2": {"deed": "collision", "start_s": 2.0},
    },
}


@pytest.mark.parametrize(
    ("claim", "true"),
    [
        ({"path": "objects.ball.colour", "is": "red"}, True),
        ({"path": "objects.ball.colour", "is": "blue"}, False),
        ({"path": "objects.ball.loose", "is": True}, True),
        ({"path": "objects.ball.loose", "is": 1}, False),
        ({"path": "objects.ball.mass_kg", "near": 2.1, "within": 0.1}, True),
        ({"path": "objects.ball.mass_kg", "near": 2.2, "within": 0.1}, False),
        ({"path": "objects.ball.mass_kg", "at_least": 2}, True),
        ({"path": "objects.ball.mass_kg", "below": 2}, False),
        ({"path": "objects.ball.mass_kg", "at_most": 1.9}, False),
        ({"path": "objects.ball.colour", "at_most": 3}, False),
        ({"path": "objects.ball.loose", "at_least": 0}, False),
        ({"path": "e0.start_s", "near": 0.8, "within": 0.05}, True),
        ({"path": "e7.start_s", "near": 0.8, "within": 9.0}, False),
        ({"path": "objects.ball.colour.hue", "is": "red"}, False),
        ({"count": {"of": "events", "deed": "bounce"}, "is": 2}, True),
        ({"count": {"of": "events", "deed": ["bounce", "collision"]}, "is": 3}, True),
        ({"count": {"of": "objects", "colour": "green"}, "at_least": 1}, False),
    ],
)
def test_a_claim_holds_or_not(claim: dict, true: bool):
    assert holds(claim, FACTS) is true


@pytest.mark.parametrize("claim", [{"path": "a"}, {"is": 3}, {"path": "a", "count": {}, "is": 1}])
def test_what_is_no_claim_is_refused(claim: dict):
    with pytest.raises(ValueError, match="not a claim"):
        holds(claim, FACTS)


def test_a_clause_without_claims_is_not_true():
    assert not check({"text": "Something.", "claims": []}, FACTS)


def test_facts_are_replaced_and_cited_by_path():
    other = replaced(FACTS, "e0.start_s", 9.0)
    assert resolve(other, "e0.start_s") == 9.0
    assert resolve(FACTS, "e0.start_s") == 0.84
    claims = [
        {"path": "e2.start_s", "near": 2.0, "within": 0.1},
        {"count": {"of": "events", "deed": "bounce"}, "is": 2},
        {"path": "objects.ball.colour", "is": "red"},
    ]
    assert evidence(claims, FACTS) == ["e2", "e0", "e1", "objects.ball.colour"]
    assert members(FACTS, {"of": "objects", "loose": True}) == ["objects.ball"]


def test_things_are_described_as_they_are(episodes: list[Episode]):
    for e in episodes:
        assert "a small very bouncy red ball of 0.5 kg" in e.captions["dense"]
        assert "a large blue box of 3 kg" in e.captions["dense"]
        assert e.captions["short"].startswith("A small red ball and a large blue box fall")
        assert re.search(r"0\.00-0\.\d\d s: the red ball falls 0\.\d m;", e.captions["timeline"])


def test_bounces_are_counted(episodes: list[Episode]):
    for e in episodes:
        events = facts_of(e)["events"].values()
        number = sum(event["deed"] == "bounce" for event in events)
        clause = next(c for c in e.clauses if re.match(r"bounces? \w", c["text"]))
        assert clause["claims"] == [{"count": {"of": "events", "deed": "bounce"}, "is": number}]
        assert len(clause["evidence"]) == number > 0


def test_the_camera_is_told_from_its_extrinsics(episodes: list[Episode]):
    still, orbit = episodes
    assert re.search("camera (is static|stands still|does not move)", still.captions["short"])
    told = re.search(r"camera \w+ (\d+) degrees to the right", orbit.captions["dense"])
    assert 49 <= int(told[1]) <= 71


def test_wording_varies_and_repeats_with_its_seed(episodes: list[Episode], toy):
    e = episodes[0]
    told = [
        describe(e.scene, e.motion, e.shots, e.outcome, e.truth, np.random.default_rng(seed))[0]
        for seed in (0, 0, 1, 2, 3)
    ]
    assert told[0] == told[1]
    for name in ("short", "dense", "timeline", "false"):
        assert len({t[name] for t in told}) > 1


def test_a_family_is_told_in_its_own_words(episodes: list[Episode], toy, monkeypatch):
    e = episodes[0]
    words = Words(
        opening=("is let go",),
        outcomes={"stuck": ("sticks at {height_m:.2f} m",)},
        events={"snap": ("snaps",)},
        apparatus=("box",),
    )
    monkeypatch.setattr(Toy, "words", words, raising=False)
    truth = replace(e.truth, events=(Event("e0", "snap", 0.3, 0.3, 1, 0),))
    outcome = Outcome("stuck", {"height_m": 0.25})
    rng = np.random.default_rng(0)
    text, clauses = describe(e.scene, e.motion, e.shots, outcome, truth, rng)
    assert text["short"].startswith("A small red ball is let go, then sticks at 0.25 m")
    assert (
        "The red ball is let go, then sticks at 0.25 m. At 0.3 s the red ball snaps."
        in (text["dense"])
    )
    assert "by 1.00 s: the red ball sticks at 0.25 m." in text["timeline"]
    ending = next(c for c in clauses if c["text"].startswith("sticks"))
    assert ending["evidence"] == ["outcome.label", "outcome.margins.height_m"]


def test_plural_words_continue_all_of_the_things(episodes: list[Episode]):
    words = Words(
        opening=("drop",), outcomes={"dropped": ("have not landed",)}, together=("ball", "box")
    )  # fmt: skip
    text, _ = tell(facts_of(episodes[0]), words, np.random.default_rng(0))
    assert text["short"].startswith("A small red ball and a large blue box drop")
    assert "The red ball and the blue box drop, and have not landed." in text["dense"]


def test_what_did_not_happen_is_not_told(episodes: list[Episode]):
    facts = facts_of(episodes[0], events=(), outcome=Outcome("x"))
    text, _ = tell(facts, Words(), np.random.default_rng(0))
    said = " ".join(text[name] for name in ("short", "dense", "timeline"))
    assert not re.search(r"bounces? |collide|hits|lets go|hidden|lands|flight| s the ", said)


def test_an_unknown_kind_of_event_is_told_by_its_name(episodes: list[Episode]):
    facts = facts_of(episodes[0], events=(Event("e0", "odd_one", 0.3, 0.3, 1),))
    text, _ = tell(facts, Words(), np.random.default_rng(0))
    assert "At 0.3 s there is an odd one of the red ball." in text["dense"]


def test_a_touch_at_the_clips_very_end_stays(episodes: list[Episode]):
    """24 frames at 24 Hz end at 1 s, and 24 * (1 / 24) may differ by rounding."""
    end_s = 1.0 - 1e-9
    facts = facts_of(episodes[0], events=(Event("e0", "contact", 0.6, end_s, 0, 1, 5.0),))
    text, _ = tell(facts, Words(), np.random.default_rng(0))
    assert "stays in touch with it" in text["dense"]
    assert "0.60-1.00 s: the red ball" in text["timeline"]


def test_what_comes_at_another_hits_it(episodes: list[Episode]):
    e = episodes[0]
    velocity = np.zeros_like(e.motion.velocity)
    velocity[:, 2, 0] = 1.0
    motion = replace(e.motion, velocity=velocity)
    events = (Event("e0", "contact", 0.5, 0.52, 1, 2, 5.0),)
    facts = gather(recorded(e.scene, motion, e.shots, e.outcome, events))
    assert facts["events"]["e0"]["hitter"] == "box"
    text, _ = tell(facts, Words(), np.random.default_rng(0))
    assert re.search(
        r"0\.50 s: the blue box (hits|strikes|runs into) the red ball", text["timeline"]
    )


def test_the_screen_in_front_is_named(episodes: list[Episode]):
    e = episodes[0]
    screen = replace(
        e.scene.bodies[2], name="screen", label="screen", motion="static", mass_kg=0.0
    )  # fmt: skip
    scene = replace(e.scene, bodies=(*e.scene.bodies, screen))

    def grown(rows: np.ndarray, value: tuple) -> np.ndarray:
        extra = np.broadcast_to(np.array(value), (len(rows), 1, len(value)))
        return np.concatenate([rows, extra], axis=1)

    eye, ball = e.shots[0].cameras.position[12], e.motion.centre_of_mass[12, 1]
    middle = tuple((eye + ball) / 2)
    motion = replace(
        e.motion,
        position=grown(e.motion.position, middle),
        centre_of_mass=grown(e.motion.centre_of_mass, middle),
        quaternion=grown(e.motion.quaternion, (1.0, 0.0, 0.0, 0.0)),
        velocity=grown(e.motion.velocity, (0.0, 0.0, 0.0)),
        angular_velocity=grown(e.motion.angular_velocity, (0.0, 0.0, 0.0)),
    )
    events = (Event("e0", "occlusion", 0.4, 0.6, 1),)
    facts = gather(recorded(scene, motion, e.shots, e.outcome, events))
    assert facts["events"]["e0"]["behind"] == "screen"
    text, _ = tell(facts, Words(), np.random.default_rng(0))
    assert re.search(r"red ball is .* behind the screen from 0\.4 to 0\.6 s", text["dense"])
    away = replace(
        motion, position=motion.position + [0.0, 0.0, 5.0] * (np.arange(4) == 3)[:, None]
    )
    facts = gather(recorded(scene, away, e.shots, e.outcome, events))
    assert facts["events"]["e0"]["behind"] == ""


def test_lies_are_of_every_kind_and_never_true(episodes: list[Episode]):
    words = Words(outcomes={"dropped": ("settles",), "flew": ("flies off",)})
    told: dict[str, int] = {}
    for e in episodes:
        facts = facts_of(e)
        for seed in range(100):
            _, clauses = tell(facts, words, np.random.default_rng(seed))
            (lie,) = (c for c in clauses if c.get("false"))
            assert lie["caption"] == "false"
            assert not check(lie, facts)
            told[lie["lie"]] = told.get(lie["lie"], 0) + 1
    assert set(told) == set(KINDS) - {"part"}  # nothing here has limbs
    assert min(told.values()) > 0.4 * 200 / len(told)


def test_a_caption_of_nothing_can_still_be_wrong(episodes: list[Episode]):
    facts = facts_of(episodes[0], events=())
    bare = {**facts, "objects": {}, "setting": {}, "gravity_m_s2": 0.0}
    text, clauses = tell(bare, Words(), np.random.default_rng(0))
    assert text["short"].startswith("Nothing is in motion")
    (lie,) = (c for c in clauses if c.get("false"))
    assert not check(lie, bare)
    assert all(check(c, bare) for c in clauses if not c.get("false"))
