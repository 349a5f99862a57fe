"""Claims: what a clause says, for a machine. `check` holds them against the facts of a clip.

A claim is one of
    {"path": P, "is": value}
    {"path": P, "near": x, "within": d}         |fact - x| <= d
    {"path": P, "at_least": x}, {"path": P, "at_most": x}, {"path": P, "below": x}
    {"count": {"of": group, field: value, ...}, "is": n}, or with any other relation
where P is a path such as `objects.ball_0.colour` or `e3.start_s`, and a count is of the members of
`objects`, `setting`, `shots` or `events` whose fields all have that value, or one of a list's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

Facts = dict[str, Any]
Claim = dict[str, Any]
ROUNDING = 1e-9
EVENT = re.compile(r"e\d+(?=\.|$)")  # an id, at a path's beginning
RELATIONS = ("is", "near", "at_least", "at_most", "below")


def check(clause: Mapping[str, Any], facts: Facts) -> bool:
    """Whether the clause claims something, and every claim holds."""
    return bool(clause["claims"]) and all(holds(claim, facts) for claim in clause["claims"])


def holds(claim: Claim, facts: Facts) -> bool:
    """Whether one claim is true; of what there is no fact, nothing is.

    Raises:
        ValueError: It is no claim.
    """
    relation = next((name for name in RELATIONS if name in claim), None)
    if relation is None or ("path" in claim) == ("count" in claim):
        raise ValueError(f"not a claim: {claim}; it needs path or count, and one of {RELATIONS}")
    if "count" in claim:
        fact: Any = len(members(facts, claim["count"]))
    else:
        try:
            fact = resolve(facts, claim["path"])
        except KeyError:
            return False
    if relation == "is":
        return type(fact) is type(claim["is"]) and fact == claim["is"]
    if not isinstance(fact, int | float) or isinstance(fact, bool):
        return False
    return {
        "near": lambda: abs(fact - claim["near"]) <= claim["within"] + ROUNDING,
        "at_least": lambda: fact >= claim["at_least"],
        "at_most": lambda: fact <= claim["at_most"],
        "below": lambda: fact < claim["below"],
    }[relation]()


def resolve(facts: Facts, path: str) -> Any:
    """The fact at a path such as `objects.ball_0.colour`.

    Raises:
        KeyError: There is no such fact.
    """
    for part in full(path).split("."):
        if not isinstance(facts, dict):
            raise KeyError(path)
        facts = facts[part]
    return facts


def full(path: str) -> str:
    """The path from the root: events are cited by their id alone.

    >>> full("e3.start_s"), full("outcome.label")
    ('events.e3.start_s', 'outcome.label')
    """
    return f"events.{path}" if EVENT.match(path) else path


def members(facts: Facts, wanted: Mapping[str, Any]) -> list[str]:
    """Paths of the members of a group that a count counts."""
    group = wanted["of"]
    found = facts.get(group, {})
    for field, value in wanted.items():
        if field != "of":
            values = value if isinstance(value, list) else (value,)
            found = {name: fact for name, fact in found.items() if fact.get(field) in values}
    return list(found) if group == "events" else [f"{group}.{name}" for name in found]


def replaced(facts: Facts, path: str, value: Any) -> Facts:
    """The facts with another value at one path; the given ones stay as they are."""
    return put(facts, full(path).split("."), value)


def put(facts: Facts, parts: list[str], value: Any) -> Facts:
    first, *rest = parts
    return {**facts, first: put(facts[first], rest, value) if rest else value}


def evidence(claims: Iterable[Claim], facts: Facts) -> list[str]:
    """What the claims rest on: event ids, and paths of all other facts."""
    found: dict[str, None] = {}
    for claim in claims:
        if "count" in claim:
            found |= dict.fromkeys(members(facts, claim["count"]))
        else:
            event = EVENT.match(claim["path"])
            found[event[0] if event else claim["path"]] = None
    return list(found)
