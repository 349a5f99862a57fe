"""Events in order of time, in words: `at 0.4 s the red ball bounces off the floor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from simgen.captions.facts import Facts
from simgen.captions.phrases import at, count, noun, plural
from simgen.events import Event
from simgen.scene import Scene

MOST = 6  # touches told one by one; a caption that lists 40 says nothing
MOST_APEXES = 3  # more than that is bouncing, and the bounces tell it
NOTICED_M_S = 0.3  # a touch that changes a thing's speed by less goes unnoticed
MERGE_S = 0.25  # a thing of many parts (hands, knees) touches once in this time
ROUNDING_S = 1e-6
BOUNCE_S = 0.25  # a touch that ends within this is a bounce


@dataclass(frozen=True)
class Clause:
    """A piece of a caption and the facts that it states."""

    text: str
    evidence: tuple[str, ...]


def timeline(
    scene: Scene, events: tuple[Event, ...], facts: Facts, rng: np.random.Generator
) -> list[Clause]:
    """The clip's events in order, and one clause for the touches that were left out."""
    duration_s = scene.frames / scene.frame_rate_hz
    every = list(touches(scene, events, facts))
    told = sorted(noticed(scene, every), key=lambda e: -e.impulse_ns)[:MOST]
    left_out = [event for event in every if event not in told]
    apexes = [event for event in events if event.kind == "apex"]
    told += [event for event in events if event.kind not in ("contact", "apex")]
    told += apexes if len(apexes) <= MOST_APEXES else []
    clauses = []
    names = Names(scene, facts)
    ordered = sorted(told, key=lambda e: (e.start_s, e.event_id))
    for _, group in groupby(ordered, key=lambda e: alike(e, duration_s)):
        same = list(group)
        verb = VERBS[same[0].kind](same[0], duration_s, names, rng)
        when = "" if same[0].kind in WITH_TIME else f"at {at(*(e.start_s for e in same))} "
        clauses.append(Clause(when + verb, tuple(event.event_id for event in same)))
    if left_out:
        be, touch = ("is", "touch") if len(left_out) == 1 else ("are", plural("touch"))
        text = f"there {be} {count(len(left_out))} other {touch} besides"
        clauses.append(Clause(text, tuple(event.event_id for event in left_out)))
    return clauses


def alike(event: Event, duration_s: float) -> tuple:
    """Events in a row with the same key are told in one breath: `at 0.7 and 0.9 s the box ...`."""
    if event.kind in WITH_TIME:
        return (event.event_id,)
    lasting = goes_on(event, duration_s), event.end_s - event.start_s < BOUNCE_S
    return event.kind, event.body_a, event.body_b, *lasting


def goes_on(event: Event, duration_s: float) -> bool:
    """Whether it still lasts when the clip ends; frames / rate and frames * (1 / rate) differ."""
    return event.end_s > duration_s - ROUNDING_S


def touches(scene: Scene, events: tuple[Event, ...], facts: Facts) -> Iterator[Event]:
    """Contacts that matter to people: of two objects, one of them moving, not one a limb.

    Touches that hold from the clip's first moment are how things stand, not what happens.
    """
    last: dict[tuple[str, str], float] = {}
    landings = [event.start_s for event in events if event.kind == "landing"]
    for event in events:
        if event.kind != "contact":
            continue
        pair = tuple(scene.bodies[row].object_name for row in (event.body_a, event.body_b))
        moving = [name for name in pair if name in facts["objects"]]
        if pair[0] == pair[1] or not moving or event.start_s < 1 / scene.frame_rate_hz:
            continue
        of_parts = any(facts["objects"][name]["parts"] > 1 for name in moving)
        if of_parts and event.start_s - last.get(pair, -1.0) < MERGE_S:
            last[pair] = max(last[pair], event.end_s)
            continue
        if of_parts and any(abs(event.start_s - at_s) < MERGE_S for at_s in landings):
            continue  # the landing says it
        last[pair] = event.end_s
        yield event


def noticed(scene: Scene, found: list[Event]) -> list[Event]:
    """The touches with a blow that people would see: an impulse that changes a speed."""

    def change_m_s(event: Event) -> float:
        bodies = (scene.bodies[event.body_a], scene.bodies[event.body_b])
        return event.impulse_ns / min(b.mass_kg for b in bodies if b.motion != "static")

    return [event for event in found if change_m_s(event) >= NOTICED_M_S]


@dataclass(frozen=True)
class Names:
    """What to call the bodies of a scene."""

    scene: Scene
    facts: Facts

    def of(self, row: int) -> str:
        """`the red ball`, `the floor`."""
        body = self.scene.bodies[row]
        if fact := self.facts["objects"].get(body.object_name):
            alike = [f for f in self.facts["objects"].values() if noun(f) == noun(fact)]
            return f"the {noun(fact, sized=len(alike) > 1)}"
        return f"the {body.label or body.name.replace('_', ' ')}"

    def mover_first(self, event: Event) -> tuple[str, str, bool]:
        """Both names, a moving one first, and whether both move."""
        rows = (event.body_a, event.body_b)
        moving = [self.scene.bodies[row].motion != "static" for row in rows]
        if not moving[0]:
            rows = rows[::-1]
        return self.of(rows[0]), self.of(rows[1]), all(moving)


def contact(event: Event, duration_s: float, names: Names, rng: np.random.Generator) -> str:
    first, second, both_move = names.mover_first(event)
    if both_move:
        verbs = ("collides with", "hits", "bumps into")
    elif goes_on(event, duration_s):
        return f"{first} {rng.choice(('reaches', 'meets'))} {second} and stays in touch with it"
    elif event.end_s - event.start_s < BOUNCE_S:
        verbs = ("bounces off", "hits", "rebounds from")
    else:
        verbs = ("touches", "is in touch with")
    return f"{first} {rng.choice(verbs)} {second}"


def release(event: Event, duration_s: float, names: Names, rng: np.random.Generator) -> str:
    held = f" of {names.of(event.body_b)}" if event.body_b >= 0 else ""
    return f"{names.of(event.body_a)} lets go{held}"


def landing(event: Event, duration_s: float, names: Names, rng: np.random.Generator) -> str:
    where = f" on {names.of(event.body_b)}" if event.body_b >= 0 else ""
    return f"{names.of(event.body_a)} comes down{where}"


def apex(event: Event, duration_s: float, names: Names, rng: np.random.Generator) -> str:
    top = rng.choice(["the top of its flight", "its highest point in flight"])
    return f"{names.of(event.body_a)} reaches {top}"


def occlusion(event: Event, duration_s: float, names: Names, rng: np.random.Generator) -> str:
    return f"{names.of(event.body_a)} is hidden {span(event, duration_s)}"


def out_of_frame(event: Event, duration_s: float, names: Names, rng: np.random.Generator) -> str:
    return f"{names.of(event.body_a)} is out of the picture {span(event, duration_s)}"


def span(event: Event, duration_s: float) -> str:
    """`from 0.4 s to 0.9 s`, `from 0.4 s to the end`, `for a moment at 0.4 s`."""
    if goes_on(event, duration_s):
        return f"from {at(event.start_s)} to the end"
    if event.end_s - event.start_s < 0.15:
        return f"for a moment at {at(event.start_s)}"
    return f"from {at(event.start_s)} to {at(event.end_s)}"


WITH_TIME = ("occlusion", "out_of_frame")  # their verbs say when
VERBS: dict[str, Callable[[Event, float, Names, np.random.Generator], str]] = {
    "contact": contact,
    "release": release,
    "landing": landing,
    "apex": apex,
    "occlusion": occlusion,
    "out_of_frame": out_of_frame,
}
