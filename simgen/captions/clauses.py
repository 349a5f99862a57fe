"""Clauses: text with the claims it makes, and how clauses hang together in sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from simgen.captions.claims import Claim, Facts, evidence, resolve
from simgen.captions.phrases import article, capital, digits, listed


class Said(NamedTuple):
    """What a writer says of some facts."""

    text: str
    claims: list[Claim]
    at_s: float = 0.0  # where it stands in a timeline


Writer = Callable[[Facts], Said]


@dataclass(frozen=True)
class Clause:
    """A piece of a caption. Its writer tells the same of other facts, which makes it false."""

    text: str
    claims: tuple[Claim, ...]
    write: Writer
    at_s: float = 0.0
    true: Clause | None = None  # of a false one: what it is told instead of
    lie: str = ""  # of a false one: what is wrong in it

    def told(self, caption: str, facts: Facts) -> dict[str, Any]:
        """As it is stored."""
        record = {
            "caption": caption,
            "text": self.text,
            "evidence": evidence((self.true or self).claims, facts),
            "claims": list(self.claims),
        }
        return record | {"false": True, "lie": self.lie} if self.true else record


def clause(facts: Facts, write: Writer) -> Clause:
    """What the writer says of the facts."""
    text, claims, at_s = write(facts)
    return Clause(text, tuple(claims), write, at_s)


@dataclass(frozen=True)
class Sentence:
    """Clauses and how they hang together."""

    clauses: tuple[Clause, ...]
    lead: str = ""
    joint: str | Sequence[str] = "; "  # "and": a list; several: what stands before each clause
    in_time: bool = False  # clauses are sorted by time

    @property
    def text(self) -> str:
        texts = [clause.text for clause in self.clauses]
        if self.joint == "and":
            body = listed(texts)
        elif isinstance(self.joint, str):
            body = self.joint.join(texts)
        else:
            body = "".join(glue + text for glue, text in zip(self.joint, texts, strict=True))
        return capital(f"{self.lead}{body}.")

    def with_clause(self, number: int, other: Clause) -> Sentence:
        """The sentence with another clause in the place of one."""
        clauses = [*self.clauses[:number], other, *self.clauses[number + 1 :]]
        if self.in_time:
            clauses.sort(key=lambda clause: clause.at_s)
        return replace(self, clauses=tuple(clauses))


class Choices:
    """Draws from lists, cheaper than a generator's own `choice`."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.drawn = rng, iter(())

    def share(self) -> float:
        """A number in [0, 1)."""
        for number in self.drawn:
            return number
        self.drawn = iter(self.rng.random(64).tolist())
        return next(self.drawn)

    def of(self, options: Sequence[Any]) -> Any:
        return options[int(self.share() * len(options))]

    def shuffled(self, options: Sequence[Any]) -> list[Any]:
        drawn = ((self.share(), option) for option in options)
        return [option for _, option in sorted(drawn, key=itemgetter(0))]


def number(path: str, text: str) -> Claim:
    """That the fact was rounded to this number.

    >>> number("e3.start_s", "0.8")
    {'path': 'e3.start_s', 'near': 0.8, 'within': 0.05}
    """
    return {"path": path, "near": float(text), "within": digits(text)}


def stated(facts: Facts, path: str) -> Claim:
    """That the fact is what it is."""
    return {"path": path, "is": resolve(facts, path)}


def noun(fact: Mapping[str, Any], *, sized: bool = False, more: str = "") -> str:
    """Size, `more`, colour and label; a thing of many colours has none.

    >>> noun({"label": "ball", "colour": "red", "size_word": "small"}, sized=True)
    'small red ball'
    """
    words = (fact["size_word"] if sized else "", more, fact["colour"], fact["label"])
    return " ".join(word for word in words if word)


def noun_claims(facts: Facts, name: str, *, sized: bool) -> list[Claim]:
    """What a noun says of an object."""
    fact = facts["objects"][name]
    fields = ("label", "colour", "size_word") if sized else ("label", "colour")
    return [{"path": f"objects.{name}.{f}", "is": fact[f]} for f in fields if fact[f]]


def a_thing(facts: Facts, name: str, *, more: str = "") -> tuple[str, list[Claim]]:
    """`a small red ball`."""
    text = article(noun(facts["objects"][name], sized=True, more=more))
    return text, noun_claims(facts, name, sized=True)


def the(facts: Facts, name: str) -> tuple[str, list[Claim]]:
    """`the red ball`, `the floor`; with its size where another thing has the same name."""
    if fact := facts["objects"].get(name):
        sized = fact["has_namesake"]
        return f"the {noun(fact, sized=sized)}", noun_claims(facts, name, sized=sized)
    label = facts["setting"][name]["label"]
    return f"the {label or name.replace('_', ' ')}", [stated(facts, f"setting.{name}.label")]
