"""How clips end: in more than one way, and as often as the cards of the datasets promise."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from scipy.stats import binom
from test_contract import SIZE, home

from simgen.engines import simulate
from simgen.episode import ended, make_episode, stage
from simgen.families import FAMILIES, family
from simgen.motion import SimulationError
from simgen.recipe import Recipe, load

EPISODES = 64
# What a clip is in when it stops, not how it ended: no share of these is promised
NO_ENDING = {"unfinished", "moving", "settled"}


def endings(name: str, episodes: int) -> Counter:
    """How that many first episodes of the family's dataset end; nothing is drawn."""
    recipe = alone(name, episodes)
    labels: Counter = Counter()
    for index in range(episodes):
        engine = recipe.scene[recipe.assign(index).scene_index].engine
        try:
            staged = stage(recipe, index)
            labels[ended(family(name), staged, simulate(staged, engine), None).label] += 1
        except SimulationError:
            labels["quarantined"] += 1
    return labels


def alone(name: str, episodes: int) -> Recipe:
    """The family's scenes of its dataset, in a small picture and without twins."""
    recipe = load(home(name)[0])
    shape = {"height": SIZE, "width": SIZE, "channels": ("rgb", "segmentation")}
    scenes = tuple(
        scene.model_copy(
            update={"twins": (), "video": {k: v for k, v in scene.video.items() if k not in shape}}
        )
        for scene in recipe.scene
        if scene.family == name
    )
    video = recipe.video.model_copy(update=shape)
    return recipe.model_copy(update={"scene": scenes, "episodes": episodes, "video": video})


def promised(name: str) -> dict[str, float]:
    """Shares of the outcomes by label, as the card of the family's dataset promises them."""
    card = Path(home(name)[0]).with_name("README.md").read_text()
    found = re.findall(rf"^\| {name}: (\w+) \| (\d\.\d\d) \|$", card, flags=re.MULTILINE)
    return {label: float(share) for label, share in found}


WITH_ENDINGS = [
    name for name in sorted(FAMILIES) if len(set(family(name).outcomes) - NO_ENDING) > 1
]
# What counts as success, where failing is the point: both make a fifth at least
SUCCESSES = {
    "bar_catch": {"caught"},
    "basketball": {"swish", "rim_in", "bank_in"},
    "beam": {"held", "wobble"},
    "high_bar": {"landed", "stepped"},
    "paddleboard": {"landed"},
    "rings": {"landed", "stepped"},
    "trampoline": {"landed"},
    "triple_axel": {"landed"},
    "vault": {"landed", "stepped"},
}


@pytest.mark.parametrize("name", WITH_ENDINGS)
def test_a_family_ends_in_more_than_one_way(name):
    labels = endings(name, 10)
    assert set(labels) <= {*family(name).outcomes, "quarantined"}
    assert len(set(labels) - NO_ENDING - {"quarantined"}) > 1, labels


@pytest.mark.parametrize("name", WITH_ENDINGS)
def test_the_card_promises_a_share_of_every_outcome(name):
    shares = promised(name)
    assert set(shares) == set(family(name).outcomes)
    assert sum(shares.values()) == pytest.approx(1.0, abs=0.005 * len(shares))
    assert max(shares.values()) <= 0.8
    if name in SUCCESSES:
        assert 0.2 <= sum(shares[label] for label in SUCCESSES[name]) <= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_64_episodes_end_as_promised_and_hardly_any_is_quarantined(name):
    """Each count within the middle 99.9% of what its share gives, and one more or less where a
    share was rounded to two digits; quality control has seen every one of them."""
    recipe = alone(name, EPISODES)
    made = [make_episode(recipe, index) for index in range(EPISODES)]
    reasons = [episode.reasons for episode in made if episode.reasons]
    assert len(reasons) < 0.05 * EPISODES, reasons
    labels = Counter(episode.outcome.label for episode in made if not episode.reasons)
    assert set(labels) <= set(family(name).outcomes)
    for label, share in promised(name).items():
        low, high = binom.interval(0.999, labels.total(), share)
        assert low - 1 <= labels[label] <= high + 1, (label, labels)
    if name in SUCCESSES:
        held = sum(labels[label] for label in SUCCESSES[name])
        assert 0.2 <= held / labels.total() <= 0.8, labels
