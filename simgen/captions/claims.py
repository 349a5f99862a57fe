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
EVENT = re.compile(r"e\d+")
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
    for part in path.split("."):
        if not isinstance(facts, Mapping):
            raise KeyError(path)
        facts = facts[part]
    return facts


def members(facts: Facts, wanted: Mapping[str, Any]) -> list[str]:
    """Paths of the members of a group that a count counts."""
    group = wanted["of"]
    events = group == "events"
    inside = facts if events else facts.get(group, {})
    fields = [(k, v if isinstance(v, list) else [v]) for k, v in wanted.items() if k != "of"]
    return [
        name if events else f"{group}.{name}"
        for name, fact in inside.items()
        if (not events or EVENT.fullmatch(name)) and all(fact.get(k) in v for k, v in fields)
    ]


def replaced(facts: Facts, path: str, value: Any) -> Facts:
    """The facts with another value at one path; the given ones stay as they are."""
    first, _, rest = path.partition(".")
    return {**facts, first: replaced(facts[first], rest, value) if rest else value}


def evidence(claims: Iterable[Claim], facts: Facts) -> list[str]:
    """What the claims rest on: event ids, and paths of all other facts."""
    found: dict[str, None] = {}
    for claim in claims:
        if "count" in claim:
            found |= dict.fromkeys(members(facts, claim["count"]))
        else:
            first = claim["path"].partition(".")[0]
            found[first if EVENT.fullmatch(first) else claim["path"]] = None
    return list(found)
