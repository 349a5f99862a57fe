"""Clauses about the things of a clip: who is there, what they look like, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from simgen.captions.claims import Claim, Facts, members
from simgen.captions.clauses import (
    Clause,
    Said,
    Writer,
    a_thing,
    clause,
    number,
    stated,
    the,
)
from simgen.captions.phrases import article, count, listed, plural
from simgen.captions.words import Words

LEADS = ("there {be} ", "the clip shows ", "in the picture {be} ")
MOST_NAMED = 3  # things that a short caption names one by one
BOUNCY = {"very bouncy": (0.8, None), "bouncy": (0.5, 0.8), "hardly bouncy": (0.02, 0.3)}


def subjects(facts: Facts, words: Words) -> list[str]:
    """Names of the moving objects that a caption is about, the actor first."""
    return [n for n, fact in facts["objects"].items() if fact["label"] not in words.apparatus]


def roll_call(facts: Facts, things: Sequence[str], words: Words) -> list[Clause]:
    """Who acts, and in a clause of its own who else is there: few by colour, many by number."""
    if not things:
        none = {"count": {"of": "objects"}, "is": 0}
        return [clause(facts, lambda facts: Said("nothing", [none]))]
    who = actors(facts, things, words)
    others = [name for name in things if name not in who]
    told = [clause(facts, roll(facts, who))]
    return [*told, clause(facts, roll(facts, others, who))] if others else told


def roll(facts: Facts, things: Sequence[str], actors: Sequence[str] = ()) -> Writer:
    """Names things, or counts them if they are many; the actors are not counted."""
    if len(things) <= MOST_NAMED:
        return partial(named, things=things)
    own = {facts["objects"][name]["label"] for name in actors}
    labels = Counter(facts["objects"][name]["label"] for name in things)
    left_out = {
        label: len(members(facts, {"of": "objects", "label": label})) - n
        for label, n in labels.items()
    }
    return partial(numbered, left_out=left_out, own=own)


def named(facts: Facts, *, things: Sequence[str]) -> Said:
    """`a red ball and a blue box`."""
    told = [a_thing(facts, name) for name in things]
    return Said(listed([text for text, _ in told]), [c for _, claims in told for c in claims])


def numbered(facts: Facts, *, left_out: dict[str, int], own: set[str]) -> Said:
    """`three balls and a box`.

    Args:
        left_out: Label -> how many of the clip's are not among these.
        own: The actors' labels.
    """
    groups, claims = [], []
    for label, others in left_out.items():
        fields = {"of": "objects", "label": label}
        total = len(members(facts, fields))
        claims.append({"count": fields, "is": total})
        groups.append(some(label, total - others, more=label in own))
    return Said(listed(groups), claims)


def some(label: str, n: int, *, more: bool) -> str:
    """
    >>> some("ball", 1, more=False), some("ball", 1, more=True), some("ball", 4, more=True)
    ('a ball', 'another ball', 'four more balls')
    """
    if n == 1:
        return f"another {label}" if more else article(label)
    return f"{count(n)} {'more ' if more else ''}{plural(label)}"


def actors(facts: Facts, things: Sequence[str], words: Words) -> list[str]:
    """Whom the family's phrases are about."""
    if not words.opening:
        return list(things)
    alike = [name for name in things if facts["objects"][name]["label"] in words.together]
    return alike or list(things[:1])


def called(facts: Facts, names: Sequence[str]) -> tuple[str, list[Claim]]:
    """`the red ball and the blue ball`; of many, `the balls and the boxes`."""
    if len(names) <= MOST_NAMED:
        told = [the(facts, name) for name in names]
        return listed([text for text, _ in told]), [c for _, claims in told for c in claims]
    labels = dict.fromkeys(facts["objects"][name]["label"] for name in names)
    claims = [stated(facts, f"objects.{name}.label") for name in names]
    return listed([f"the {plural(label)}" for label in labels]), claims


def place(facts: Facts) -> list[Clause]:
    """Where it happens, by the walls and floor that can be seen."""
    labels = Counter(f["label"] for f in facts["setting"].values() if f["visible"])
    for label, least, text in (("wall", 3, "in a walled room"), ("floor", 1, "on a floor")):
        if labels[label] >= least:
            fields = {"of": "setting", "label": label, "visible": True}
            said = Said(text, [{"count": fields, "at_least": least}])
            return [clause(facts, partial(lambda facts, said: said, said=said))]
    return []


def inventory(facts: Facts, things: Sequence[str]) -> list[Clause]:
    """Each thing with its size, colour, mass and bounce; a twin's changed mass is not told."""
    changed = members(facts, {"of": "events", "kind": "change", "value": "mass"})
    other_mass = {facts["events"][event]["subject"] for event in changed}
    return [
        clause(facts, partial(possession, name=name, weighed=name not in other_mass))
        for name in things
    ]


def possession(facts: Facts, *, name: str, weighed: bool) -> Said:
    """`a small very bouncy red ball of 0.5 kg`."""
    fact, path = facts["objects"][name], f"objects.{name}"
    fields = {"of": "events", "deed": ["bounce", "collision"]}
    seen = [members(facts, {**fields, role: name}) for role in ("subject", "other")]
    bounce, of_bounce = bounciness(fact, f"{path}.restitution") if any(seen) else ("", [])
    text, claims = a_thing(facts, name, more=bounce)
    claims += of_bounce
    if weighed:
        mass = weight(fact["mass_kg"])
        text = f"{text} of {mass} kg"
        claims.append(number(f"{path}.mass_kg", mass))
    return Said(text, claims)


def weight(mass_kg: float) -> str:
    """
    >>> weight(0.25), weight(63.2), weight(0.0416)
    ('0.25', '63', '0.042')
    """
    return f"{mass_kg:.2g}" if mass_kg < 99.5 else f"{mass_kg:.0f}"


def bounciness(fact: Facts, path: str) -> tuple[str, list[Claim]]:
    """A word for the restitution of a thing of one part, if it stands out."""
    if fact["parts"] > 1:
        return "", []
    for word, (low, high) in BOUNCY.items():
        if (low is None or fact["restitution"] >= low) and (
            high is None or fact["restitution"] < high
        ):
            claims = [] if low is None else [{"path": path, "at_least": low}]
            return word, claims + ([] if high is None else [{"path": path, "below": high}])
    return "", []


def surroundings(facts: Facts) -> list[Clause]:
    """The things that stand still and can be seen, and gravity."""
    changed = members(facts, {"of": "events", "kind": "change", "value": "gravity"})
    told = [clause(facts, gravity_words)] if not changed else []
    if any(seen(fact) for fact in facts["setting"].values()):
        told.insert(0, clause(facts, setting_words))
    return told


def seen(fact: Facts) -> bool:
    return bool(fact["visible"] and fact["label"])


def setting_words(facts: Facts) -> Said:
    groups = Counter((f["colour"], f["label"]) for f in facts["setting"].values() if seen(f))
    names, claims = [], []
    for (colour, label), n in groups.items():
        fields = {"of": "setting", "colour": colour, "label": label, "visible": True}
        claims.append({"count": fields, "is": n})
        phrase = f"{colour} {label}"
        names.append(article(phrase) if n == 1 else f"{count(n)} {plural(phrase)}")
    return Said(f"the scene has {listed(names)}", claims)


def gravity_words(facts: Facts) -> Said:
    g = facts["gravity_m_s2"]
    if not g:
        return Said("there is no gravity", [{"path": "gravity_m_s2", "is": 0.0}])
    text = f"{g:.1f}"
    return Said(f"gravity is {text} m/s2", [number("gravity_m_s2", text)])
