"""Facts -> text: a short and a dense caption, in varied words, each clause with its evidence.

A family needs no code here; an attribute `words` gives it some of its own. The choice of words
comes from the rng, the content from simgen.captions.facts alone.
"""

from __future__ import annotations

import string
from collections import Counter
from dataclasses import dataclass

import numpy as np

from simgen.cameras import Shot
from simgen.captions.facts import Facts, gather
from simgen.captions.phrases import (
    article,
    bounciness,
    camera_words,
    capital,
    count,
    gaze_words,
    listed,
    noun,
    plural,
    times,
    weight,
)
from simgen.captions.timeline import BOUNCE_S, Clause, noticed, timeline, touches
from simgen.captions.words import Words
from simgen.events import Event
from simgen.families import Outcome, family
from simgen.motion import Motion
from simgen.scene import Scene
from simgen.truth import Truth

MOST_NAMED = 3  # things that a short caption names one by one
FALL_M = 0.3  # a descent that people would call a fall


@dataclass(frozen=True)
class Sentence:
    """Clauses and how they hang together."""

    clauses: list[Clause]
    lead: str = ""
    joint: str = "; "  # "and": a list

    @property
    def text(self) -> str:
        texts = [clause.text for clause in self.clauses]
        body = listed(texts) if self.joint == "and" else self.joint.join(texts)
        return capital(f"{self.lead}{body}.")


def describe(
    scene: Scene,
    motion: Motion,
    shots: tuple[Shot, ...],
    outcome: Outcome,
    truth: Truth,
    rng: np.random.Generator,
) -> tuple[dict[str, str], tuple[dict, ...]]:
    """Captions `short` and `dense`, and their clauses.

    Returns:
        The texts, and one dict a clause: caption (short or dense), text (a piece of that caption
        but for its first capital) and evidence (paths of simgen.captions.facts).
    """
    facts = gather(scene, motion, shots[0].cameras, outcome, truth.events)
    words = getattr(family(scene.family), "words", Words())
    told = {
        "short": short(scene, facts, words, truth.events, rng),
        "dense": dense(scene, facts, words, truth.events, rng),
    }
    captions = {name: " ".join(s.text for s in sentences) for name, sentences in told.items()}
    clauses = tuple(
        {"caption": name, "text": clause.text, "evidence": list(clause.evidence)}
        for name, sentences in told.items()
        for sentence in sentences
        for clause in sentence.clauses
    )
    return captions, clauses


def short(
    scene: Scene, facts: Facts, words: Words, events: tuple[Event, ...], rng: np.random.Generator
) -> list[Sentence]:
    """One sentence: who does what, how it ends, and what the camera does."""
    things = subjects(facts, words)
    who = roll_call(things)
    deeds = opening(words, rng) if words.opening else measured(scene, facts, things, events)
    deeds += releases(facts, events)
    ends = ending(facts, words, rng)
    said = [who, *deeds, *ends, *([] if words.opening else place(facts))]
    text = f"{who.text} {(', '.join if ends else listed)([deed.text for deed in deeds])}"
    text += "".join(f", {clause.text}" for clause in ends)
    text += "".join(f" {clause.text}" for clause in said[1 + len(deeds) + len(ends) :])
    what = Clause(text, tuple(path for clause in said for path in clause.evidence))
    camera = Clause(camera_words(facts["camera"], rng), ("camera.move", *ANGLES))
    return [Sentence([what, camera])]


ANGLES = ("camera.angle_deg", "camera.side", "camera.travel_m")


def subjects(facts: Facts, words: Words) -> dict[str, Facts]:
    """The moving objects that a caption is about."""
    return {n: f for n, f in facts["objects"].items() if f["label"] not in words.apparatus}


def roll_call(things: dict[str, Facts]) -> Clause:
    """Few things by colour, many by number."""
    if not things:
        return Clause("nothing", ())
    if len(things) <= MOST_NAMED:
        names = [article(noun(fact, sized=True)) for fact in things.values()]
        paths = ("label", "colour", "size_word")
        return Clause(listed(names), tuple(f"objects.{n}.{p}" for n in things for p in paths))
    labels = Counter(fact["label"] for fact in things.values())
    groups = [article(w) if n == 1 else f"{count(n)} {plural(w)}" for w, n in labels.items()]
    return Clause(listed(groups), tuple(f"objects.{name}.label" for name in things))


def opening(words: Words, rng: np.random.Generator) -> list[Clause]:
    return [Clause(str(rng.choice(words.opening)), ("family",))]


def measured(
    scene: Scene, facts: Facts, things: dict[str, Facts], events: tuple[Event, ...]
) -> list[Clause]:
    """What the things were seen to do: fall or move, bounce, collide."""
    one = len(things) == 1
    falls = all(fact["fall_m"] >= FALL_M for fact in things.values())
    deeds = [
        Clause(
            ("fall" if falls else "move") + ("s" if one else ""),
            tuple(f"objects.{name}.fall_m" for name in things),
        )
    ]
    told = noticed(scene, list(touches(scene, events, facts)))
    moves = [body.motion != "static" for body in scene.bodies]
    hits = [e for e in told if moves[e.body_a] and moves[e.body_b]]
    bounces = [e for e in told if e not in hits and e.end_s - e.start_s < BOUNCE_S]
    for found, verb in ((bounces, "bounce"), (hits, "collide")):
        if found:
            text = f"{verb}{'s' if one else ''} {times(len(found))}"
            deeds.append(Clause(text, tuple(event.event_id for event in found)))
    return deeds


def place(facts: Facts) -> list[Clause]:
    """Where it happens, by the walls and floor that can be seen."""
    labels = {name: fact["label"] for name, fact in facts["setting"].items()}
    walls = [name for name, label in labels.items() if label == "wall"]
    floors = [name for name, label in labels.items() if label == "floor"]
    if len(walls) >= 3:
        return [Clause("in a walled room", tuple(f"setting.{name}.label" for name in walls))]
    return [Clause("on a floor", (f"setting.{floors[0]}.label",))] if floors else []


def releases(facts: Facts, events: tuple[Event, ...]) -> list[Clause]:
    """`lets go` once, however many hands there are."""
    found = tuple(event.event_id for event in events if event.kind == "release")
    return [Clause("lets go", found)] if found else []


def ending(facts: Facts, words: Words, rng: np.random.Generator) -> list[Clause]:
    """The outcome in the family's words, if it has any for this one."""
    outcome = facts["outcome"]
    if outcome["label"] not in words.outcomes:
        return []
    phrase = str(rng.choice(words.outcomes[outcome["label"]]))
    named = [name for _, name, _, _ in string.Formatter().parse(phrase) if name]
    paths = ("outcome.label", *(f"outcome.margins.{name}" for name in named))
    return [Clause(phrase.format(**outcome["margins"]), paths)]


def dense(
    scene: Scene, facts: Facts, words: Words, events: tuple[Event, ...], rng: np.random.Generator
) -> list[Sentence]:
    """Sentences: what is there, what happens in order, how it ends, where the camera is."""
    camera = facts["camera"]
    things = list(subjects(facts, words).values())
    ends = [
        Clause(f"the {things[0]['label']} {clause.text.removeprefix('and ')}", clause.evidence)
        for clause in ending(facts, words, rng)
    ]
    shot = [
        Clause(camera_words(camera, rng), ("camera.move", *ANGLES)),
        Clause(gaze_words(camera["pitch_deg"]), ("camera.pitch_deg",)),
    ]
    sentences = [
        Sentence(inventory(facts, words), f"there {'is' if len(things) == 1 else 'are'} ", "and"),
        Sentence(surroundings(facts)),
        Sentence(timeline(scene, events, facts, rng)),
        Sentence(ends),
        Sentence(shot, joint=", "),
    ]
    return [sentence for sentence in sentences if sentence.clauses]


def inventory(facts: Facts, words: Words) -> list[Clause]:
    """Each thing with its size, colour, mass and bounce."""
    clauses = []
    for name, fact in subjects(facts, words).items():
        paths = ["label", "colour", "size_word", "mass_kg"]
        bounce = bounciness(fact["restitution"]) if fact["parts"] == 1 else ""
        if bounce:
            paths.append("restitution")
        text = f"{article(noun(fact, sized=True, more=bounce))} of {weight(fact['mass_kg'])}"
        clauses.append(Clause(text, tuple(f"objects.{name}.{path}" for path in paths)))
    return clauses


def surroundings(facts: Facts) -> list[Clause]:
    """The things that stand still and can be seen, and gravity."""
    groups = Counter((f["colour"], f["label"]) for f in facts["setting"].values())
    names = [
        article(f"{colour} {label}") if n == 1 else f"{count(n)} {colour} {plural(label)}"
        for (colour, label), n in groups.items()
    ]
    g = facts["gravity_m_s2"]
    clauses = [Clause(f"gravity is {g:.1f} m/s2" if g else "no gravity", ("gravity_m_s2",))]
    if names:
        paths = tuple(f"setting.{n}.{p}" for n in facts["setting"] for p in ("label", "colour"))
        clauses.insert(0, Clause(f"the scene has {listed(names)}", paths))
    return clauses
