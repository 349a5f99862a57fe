"""Clauses about what goes on and how it ends: the family's words, or what is measured."""

from __future__ import annotations

import string
from collections.abc import Sequence
from functools import partial

from simgen.captions.claims import Claim, Facts, members
from simgen.captions.clauses import Choices, Clause, Said, clause, number, stated, the
from simgen.captions.phrases import count, span, times
from simgen.captions.things import actors, called
from simgen.captions.words import Words

FALL_M = 0.3  # a descent that people would call a fall
MOVE_M = 0.1  # things that go less far are not said to move
REST_S = 0.2  # a rest that people would notice


def opening(
    facts: Facts, things: Sequence[str], words: Words, choose: Choices, *, named: bool = False
) -> list[Clause]:
    """The family's own words for what goes on.

    Args:
        named: Whether it begins with its subject.
    """
    if not words.opening or not things:
        return []
    who = actors(facts, things, words) if named else ()
    return [clause(facts, partial(opened, phrase=choose.of(words.opening), who=who))]


def opened(facts: Facts, *, phrase: str, who: Sequence[str]) -> Said:
    subject, claims = called(facts, who)
    return Said(f"{subject} {phrase}".lstrip(), [stated(facts, "family"), *claims])


def ending(
    facts: Facts, things: Sequence[str], words: Words, choose: Choices, *, named: bool = False
) -> list[Clause]:
    """The outcome in the family's words, if it has any for this one."""
    if facts["outcome"]["label"] not in words.outcomes or not things:
        return []
    who = actors(facts, things, words) if named else ()
    return [clause(facts, partial(ended, words=words, share=choose.share(), who=who))]


def ended(facts: Facts, *, words: Words, share: float, who: Sequence[str]) -> Said:
    outcome = facts["outcome"]
    phrases = words.outcomes[outcome["label"]]
    phrase = phrases[int(share * len(phrases))].removeprefix("and ")
    subject, claims = called(facts, who)
    if phrase.startswith("with ") and who:
        subject, claims = "it ends", []
    claims = [stated(facts, "outcome.label"), *claims]
    text = f"{subject} ".lstrip()
    for literal, name, spec, _ in string.Formatter().parse(phrase):
        text += literal
        if name:
            said = format(outcome["margins"][name], spec or "")
            claims.append(number(f"outcome.margins.{name}", said))
            text += said
    return Said(text, claims)


def measured(facts: Facts, things: Sequence[str]) -> list[Clause]:
    """What the things were seen to do: fall, move or rest, bounce, collide."""
    deeds = [clause(facts, lambda facts: motion_words(facts, things))]
    moving = [name for name in things if facts["objects"][name]["travel_m"] >= MOVE_M]
    one = len(moving or things) == 1
    for deed, verb in (("bounce", "bounce"), ("collision", "collide")):
        if members(facts, {"of": "events", "deed": deed}):
            write = partial(counted, deed=deed, verb=verb + "s" * one)
            deeds.append(clause(facts, write))
    return deeds


def counted(facts: Facts, *, deed: str, verb: str) -> Said:
    """`bounce three times`."""
    fields = {"of": "events", "deed": deed}
    found = len(members(facts, fields))
    return Said(f"{verb} {times(found)}", [{"count": fields, "is": found}])


def motion_words(facts: Facts, things: Sequence[str]) -> Said:
    """`fall` or `move` if all of them do, `stay in place` if none does, and else `meet`."""
    found = [facts["objects"][name] for name in things]
    if not found:
        return Said("is in motion", [{"count": {"of": "objects"}, "is": 0}])
    s = "s" if len(things) == 1 else ""
    for verb, field, least in (("fall", "fall_m", FALL_M), ("move", "travel_m", MOVE_M)):
        if all(fact[field] >= least for fact in found):
            claims = [{"path": f"objects.{n}.{field}", "at_least": least} for n in things]
            return Said(verb + s, claims)
    moving = [n for n in things if facts["objects"][n]["travel_m"] >= MOVE_M]
    claims: list[Claim] = [
        {"path": f"objects.{n}.travel_m", "at_least" if n in moving else "below": MOVE_M}
        for n in things
    ]
    if not moving:
        return Said(f"stay{s} in place", claims)
    verb = "moves" if len(moving) == 1 else "move"
    return Said(f"share the scene while {count(len(moving))} of them {verb}", claims)


def releases(facts: Facts) -> list[Clause]:
    """`lets go` once, however many hands there are."""
    fields = {"of": "events", "kind": "release"}
    if not members(facts, fields):
        return []
    claim = {"count": fields, "at_least": 1}
    return [clause(facts, lambda facts: Said("lets go", [claim]))]


def rests_and_falls(facts: Facts, things: Sequence[str]) -> list[Clause]:
    """`0.00-0.35 s: the red ball falls 0.6 m`, `1.90-2.67 s: the box is at rest`."""
    told = []
    for name in things:
        fact = facts["objects"][name]
        if fact["drop_m"] >= FALL_M:
            told.append(clause(facts, partial(falls, name=name)))
        still = fact["still_from_s"]
        if still is not None and facts["duration_s"] - still >= REST_S:
            told.append(clause(facts, partial(rests, name=name)))
    return told


def falls(facts: Facts, *, name: str) -> Said:
    fact, path = facts["objects"][name], f"objects.{name}"
    subject, claims = the(facts, name)
    until, drop = f"{fact['falls_until_s']:.2f}", f"{fact['drop_m']:.1f}"
    claims += [number(f"{path}.falls_until_s", until), number(f"{path}.drop_m", drop)]
    return Said(f"{span(0.0, fact['falls_until_s'])}: {subject} falls {drop} m", claims)


def rests(facts: Facts, *, name: str) -> Said:
    start_s, end_s = facts["objects"][name]["still_from_s"], facts["duration_s"]
    subject, claims = the(facts, name)
    claims.append(number(f"objects.{name}.still_from_s", f"{start_s:.2f}"))
    claims.append(number("duration_s", f"{end_s:.2f}"))
    return Said(f"{span(start_s, end_s)}: {subject} is at rest", claims, start_s)
