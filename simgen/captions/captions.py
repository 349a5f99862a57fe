"""Facts -> text: short, dense and timeline captions and a false one, each clause with its claims.

A family needs no code here; an attribute `words` gives it some of its own. The choice of words
comes from the rng, the content from simgen.captions.facts alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simgen.cameras import Shot
from simgen.captions import camera_phrases, deeds
from simgen.captions.claims import Facts
from simgen.captions.clauses import Choices, Clause, Said, Sentence, clause, number
from simgen.captions.doings import ending, measured, opening, releases, rests_and_falls
from simgen.captions.facts import gather
from simgen.captions.falsehoods import falsified
from simgen.captions.records import recorded
from simgen.captions.things import LEADS, inventory, place, roll_call, subjects, surroundings
from simgen.captions.words import Words
from simgen.families import Outcome, family
from simgen.motion import Motion
from simgen.scene import Scene

if TYPE_CHECKING:
    from simgen.truth import Truth  # it knows the engines, and captions do not

STATIVE = ("has", "have", "are", "is", "does", "never", "keeps", "stays", "stands", "remains")


def describe(
    scene: Scene,
    motion: Motion,
    shots: tuple[Shot, ...],
    outcome: Outcome,
    truth: Truth,
    rng: np.random.Generator,
) -> tuple[dict[str, str], tuple[dict[str, Any], ...]]:
    """Captions `short`, `dense`, `timeline` and `false`, and the clauses of all four.

    Returns:
        The texts, and one dict a clause: caption (one of the four), text (a piece of that caption
        but for its first capital), evidence (event ids, and paths of simgen.captions.facts) and
        claims (simgen.captions.claims); the wrong one of the false caption also has `false`: true
        and `lie`: what is wrong, one of simgen.captions.falsehoods.KINDS.
    """
    facts = gather(recorded(scene, motion, shots, outcome, truth.events))
    return tell(facts, getattr(family(scene.family), "words", Words()), rng)


def tell(
    facts: Facts, words: Words, rng: np.random.Generator
) -> tuple[dict[str, str], tuple[dict[str, Any], ...]]:
    """The captions of those facts, as `describe` gives them."""
    choose = Choices(rng)
    told = {
        "short": short(facts, words, choose),
        "dense": dense(facts, words, choose),
        "timeline": timeline(facts, words, choose),
    }
    told["false"] = falsified(told, facts, words, choose)
    captions = {name: " ".join(s.text for s in sentences) for name, sentences in told.items()}
    clauses = tuple(
        clause.told(name, facts)
        for name, sentences in told.items()
        for sentence in sentences
        for clause in sentence.clauses
    )
    return captions, clauses


def short(facts: Facts, words: Words, choose: Choices) -> list[Sentence]:
    """One sentence: who does what, how it ends, and what the camera does."""
    things = subjects(facts, words)
    said = roll_call(facts, things, words)
    glue = ["", *[", with "] * (len(said) - 1)]
    doing = opening(facts, things, words, choose) or measured(facts, things)
    doing += releases(facts)
    comma = ", " if len(said) > 1 else " "
    for at, deed in enumerate(doing):
        last = at == len(doing) - 1
        glue.append(comma if at == 0 else " and " if last else ", ")
        said.append(deed)
    if not words.opening:
        where = place(facts)
        glue += [" "] * len(where)
        said += where
    for end in ending(facts, things, words, choose):
        glue.append(then(end))
        said.append(end)
    camera = camera_phrases.short_clause(facts, choose)
    if len(facts["shots"]) > 1:
        glue.append(", ")
    else:
        glue.append(choose.of(("; ", ", while ")))
    return [Sentence((*said, camera), joint=glue)]


def then(end: Clause) -> str:
    """What joins an ending to what went before."""
    first = end.text.split()[0]
    return ", " if first == "with" else ", and " if first in STATIVE else ", then "


def dense(facts: Facts, words: Words, choose: Choices) -> list[Sentence]:
    """Sentences: what is there, what happens in order, how it ends, where the camera is."""
    things = subjects(facts, words)
    lead = choose.of(LEADS).format(be="is" if len(things) == 1 else "are")
    sentences = [
        Sentence(tuple(inventory(facts, things)), lead, "and"),
        Sentence(tuple(surroundings(facts))),
        *story(facts, things, words, choose),
        *(
            Sentence(tuple(shot), joint=["", "; in it " if n else "; in the first ", ", "])
            if len(shot) > 2
            else Sentence(tuple(shot), joint=", ")
            for n, shot in enumerate(camera_phrases.dense_clauses(facts, choose))
        ),
    ]
    return [sentence for sentence in sentences if sentence.clauses]


def story(facts: Facts, things: list[str], words: Words, choose: Choices) -> list[Sentence]:
    """What goes on and how it ends in the family's own words, and the events in order."""
    told = opening(facts, things, words, choose, named=True)
    events = Sentence(tuple(deeds.dense_clauses(facts, words.events, choose)), in_time=True)
    ends = ending(facts, things, words, choose, named=not told)
    if not told:
        return [events, Sentence(tuple(ends))]
    return [Sentence((*told, *ends), joint=["", *map(then, ends)]), events]


def timeline(facts: Facts, words: Words, choose: Choices) -> list[Sentence]:
    """One sentence, everything with its seconds: `0.00-2.67 s: ...; 0.84 s: ...`."""
    things = subjects(facts, words)
    told = camera_phrases.timeline_clauses(facts, choose)
    told += rests_and_falls(facts, things)
    told += deeds.timeline_clauses(facts, words.events, choose)
    for whole in opening(facts, things, words, choose, named=True):
        told.append(from_the_start(facts, whole))
    for end in ending(facts, things, words, choose, named=True):
        told.append(by_the_end(facts, end))
    told.sort(key=lambda clause: clause.at_s)
    return [Sentence(tuple(told), in_time=True)]


def from_the_start(facts: Facts, whole: Clause) -> Clause:
    """The clause as said of the clip's beginning."""

    def write(facts: Facts) -> Said:
        text, claims, _ = whole.write(facts)
        return Said(f"from 0.00 s: {text}", claims)

    return clause(facts, write)


def by_the_end(facts: Facts, end: Clause) -> Clause:
    """The clause as said of the clip's end."""

    def write(facts: Facts) -> Said:
        text, claims, _ = end.write(facts)
        last = f"{facts['duration_s']:.2f}"
        claims = [*claims, number("duration_s", last)]
        return Said(f"by {last} s: {text}", claims, facts["duration_s"])

    return clause(facts, write)
