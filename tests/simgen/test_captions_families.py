"""Captions of every registered family: true, falsifiable, and in the dataset's own words."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simgen
from simgen.build import build
from simgen.captions.captions import tell
from simgen.captions.claims import Facts, check, members, put, resolve
from simgen.captions.clauses import digits
from simgen.captions.facts import facts_of, gather
from simgen.captions.phrases import NUMBERS
from simgen.captions.records import recorded
from simgen.captions.vocabulary import tokens, vocabulary
from simgen.captions.words import Words
from simgen.episode import Episode, make_episode, rejected
from simgen.families import FAMILIES, family
from simgen.families.palette import PALETTE
from simgen.recipe import Recipe, Video, load

DATASETS = Path(__file__).parents[2] / "datasets"
TINY = ("video.height=48", "video.width=48", 'video.channels=["segmentation"]')
CAPTIONS = ("short", "dense", "timeline", "false")
TIMES = {"once": 1, "twice": 2}


@cache
def recipe_of(name: str) -> Recipe:
    """A small recipe of the family: its dataset's, or its defaults."""
    for path in sorted(DATASETS.glob("*/recipe.toml"), key=lambda p: p.parent.name != name):
        recipe = load(path)
        if recipe.scene[0].family == name:
            return load(path, TINY)
    tables = {"name": name, "scene": [{"family": name}]}
    return Recipe.model_validate({**tables, "video": {"height": 48, "width": 48}})


@cache
def every_family() -> Recipe:
    """One recipe with a scene of every family, each as its dataset has it."""
    scenes = []
    for name in sorted(FAMILIES):
        recipe = recipe_of(name)
        row = next(i for i, scene in enumerate(recipe.scene) if scene.family == name)
        video = recipe.video_of(row)
        own = {"frames": video.frames, "frame_rate_hz": video.frame_rate_hz}
        update = {"video": own, "twins": (), "weight": 1.0}
        scenes.append(recipe.scene[row].model_copy(update=update))
    shape = {"height": 48, "width": 48, "channels": ("segmentation",)}
    return Recipe(name="every_family", scene=tuple(scenes), episodes=64, video=Video(**shape))


@cache
def firsts() -> dict[int, str]:
    """The first episode of each family that passes quality control."""
    recipe, names = every_family(), {}
    for index in range(recipe.episodes):
        name = recipe.scene[recipe.assign(index).scene_index].family
        if name not in names.values() and not episode(index).reasons:
            names[index] = name
    return names


@cache
def episode(index: int) -> Episode:
    return make_episode(every_family(), index)


def only_firsts(recipe: Recipe, index: int) -> Episode:
    """Stands in for make_episode, so that no family is made twice."""
    if index in firsts():
        return episode(index)
    table = recipe.scene[recipe.assign(index).scene_index]
    made = {"index": index, "episode_id": recipe.episode_id(index), "family": table.family,
            "engine": table.engine, "split": recipe.assign(index).split}  # fmt: skip
    return rejected(made, "not a first one", {})


@cache
def made(name: str) -> tuple[Episode, Facts]:
    """The family's first episode that passes quality control, and its facts."""
    e = episode(next(index for index, family_name in firsts().items() if family_name == name))
    return e, gather(recorded(e.scene, e.motion, e.shots, e.outcome, e.truth.events))


@pytest.fixture(params=sorted(FAMILIES))
def told(request: pytest.FixtureRequest) -> tuple[Episode, Facts]:
    return made(request.param)


@cache
def retold(name: str, seeds: int = 8) -> list[tuple[dict[str, str], tuple[dict, ...]]]:
    """The family's episode in other words."""
    words = getattr(family(name), "words", Words())
    return [tell(made(name)[1], words, np.random.default_rng(seed)) for seed in range(seeds)]


def test_clauses_are_true_and_pieces_of_their_captions(told: tuple[Episode, Facts]):
    e, facts = told
    assert set(e.captions) == set(CAPTIONS)
    for clause in e.clauses:
        assert clause["text"].lower() in e.captions[clause["caption"]].lower()
        assert clause["evidence"]
        for path in clause["evidence"]:
            resolve(facts, path)
        assert check(clause, facts) is not clause.get("false", False), clause
    assert [c["caption"] for c in e.clauses if c.get("false")] == ["false"]


def test_captions_say_nothing_but_their_clauses(told: tuple[Episode, Facts]):
    """What is left between the clauses is glue without a fact."""
    e, _ = told
    glue = {"there", "is", "are", "the", "clip", "shows", "in", "picture", "and", "then", "with",
            "while", "first", "it"}  # fmt: skip
    for name in CAPTIONS:
        left = e.captions[name].lower()
        texts = [c["text"].lower() for c in e.clauses if c["caption"] == name]
        for text in sorted(texts, key=len, reverse=True):
            left = left.replace(text, " ", 1)
        assert {token for token in tokens(left) if token.isalnum()} <= glue, left


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_all_wordings_are_true_and_all_lies_are_not(name: str):
    facts = made(name)[1]
    for texts, clauses in retold(name):
        assert "{" not in " ".join(texts.values())
        for clause in clauses:
            assert check(clause, facts) is not clause.get("false", False), clause


def test_every_number_and_colour_is_claimed(told: tuple[Episode, Facts]):
    e, _ = told
    words = getattr(family(e.family), "words", Words())
    own = [w for phrases in words.outcomes.values() for phrase in phrases for w in tokens(phrase)]
    for clause in e.clauses:
        claims = clause["claims"]
        values = [c.get("is", c.get("near")) for c in claims]
        numbers = {float(v) for v in values if isinstance(v, int | float)}
        text = clause["text"].replace("m/s2", "").lower()
        for said in re.findall(r"\d+(?:\.\d+)?", text):
            near = any(abs(float(said) - n) <= digits(said) for n in numbers)
            assert near or float(said) == 0, (said, clause)  # clips begin at 0
        counts = {c["is"] for c in claims if "count" in c and "is" in c}
        for word in (*NUMBERS[2:], *TIMES):
            if re.search(rf"\b{word}\b", text) and any("count" in c for c in claims):
                assert {TIMES.get(word, NUMBERS.index(word) if word in NUMBERS else -1)} & {
                    n + d for n in counts for d in (0, -1)
                }, clause  # `and four more balls`: of five
        colours = [c["is"] for c in claims if c.get("path", "").endswith(".colour")]
        colours += [c["count"].get("colour") for c in claims if "count" in c]
        if any(c.get("path") in ("outcome.label", "family") for c in claims):
            colours += own  # a family whose red ball is always red
        assert {w for w in tokens(text) if w in PALETTE} <= set(colours), clause


def test_another_fact_makes_the_clause_false(told: tuple[Episode, Facts]):
    """Every claim bites: with its one fact changed, its clause no longer holds."""
    e, facts = told
    for clause in (c for c in e.clauses if not c.get("false")):
        for claim in clause["claims"]:
            other = without(facts, claim) if "count" in claim else changed(facts, claim)
            assert not check(clause, other), (claim, clause["text"])


def without(facts: Facts, claim: dict[str, Any]) -> Facts:
    """The facts without a member that was counted, or without any."""
    group = claim["count"]["of"]
    found = [path.rpartition(".")[2] for path in members(facts, claim["count"])]
    gone = found[:1] if "is" in claim else found
    if not found:  # claimed that there are none
        return {**facts, group: {**facts[group], "e998": claim["count"] | {"label": ""}}}
    return {**facts, group: {n: f for n, f in facts[group].items() if n not in gone}}


def changed(facts: Facts, claim: dict[str, Any]) -> Facts:
    path = claim["path"] if not re.match(r"e\d+\.", claim["path"]) else f"events.{claim['path']}"
    if "is" in claim:
        value: Any = not claim["is"] if isinstance(claim["is"], bool) else f"no {claim['is']}"
    elif "near" in claim:
        value = claim["near"] + 2.1 * claim["within"]
    else:
        value = claim["at_least"] - 1 if "at_least" in claim else 1e3
    return put(facts, path.split("."), value)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_captions_keep_to_the_vocabulary(name: str):
    known = set(vocabulary(recipe_of(name)))
    said = {
        token for texts, _ in [(made(name)[0].captions, ()), *retold(name)]
        for text in texts.values() for token in tokens(text)
    }  # fmt: skip
    assert said <= known, sorted(said - known)
    assert len(known) < 400
    assert all(len(token) == 1 for token in known if not token.isalpha())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> simgen.store.reader.Dataset:
    """Several families, two shots and a wide clip."""
    video = {"frames": 32, "height": 32, "width": 32}
    recipe = Recipe.model_validate(
        {
            "name": "mixed",
            "episodes": 6,
            "episodes_per_part": 2,
            "video": {**video, "channels": ["segmentation"]},
            "scene": [
                {"family": "bouncing_balls", "parameters": {}},
                {"family": "camera_orbit", "shots": [2, 2], "video": {"width": 64}},
            ],
        }
    )
    out = tmp_path_factory.mktemp("captions") / "mixed.zarr"
    build(recipe, out, workers=1)
    return simgen.open(out)


def test_stored_facts_are_those_that_were_told(dataset: simgen.store.reader.Dataset):
    recipe = Recipe.model_validate(dataset.attrs["recipe"])
    rows = dataset.catalog.to_pylist()
    assert len(rows) >= 5
    shots = set()
    for row in rows:
        facts = facts_of(dataset, row["episode_id"])
        shots.add(len(facts["shots"]))
        e = make_episode(recipe, row["index"])
        assert facts == gather(recorded(e.scene, e.motion, e.shots, e.outcome, e.truth.events))
        assert len(e.clauses) > 10
        assert all(check(c, facts) is not c.get("false", False) for c in e.clauses)
    assert shots == {1, 2}
    assert dataset.attrs["vocabulary"] == list(vocabulary(recipe))


def test_cuts_are_told(dataset: simgen.store.reader.Dataset):
    rows = [row for row in dataset.catalog.to_pylist() if row["family"] == "camera_orbit"]
    assert rows
    for row in rows:
        second = facts_of(dataset, row["episode_id"])["shots"]["1"]
        assert "filmed in two shots" in row["caption_short"]
        assert (
            f"Cut to another view at {second['start_s']:.1f} s; in it the camera"
            in row["caption_dense"]
        )
        assert f"{second['start_s']:.2f} s: cut to another view;" in row["caption_timeline"]


def test_opening_a_dataset_loads_no_physics():
    code = (
        "import sys, simgen.store.reader; "
        "print(*({'scipy', 'mujoco', 'pybullet', 'numba'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""
