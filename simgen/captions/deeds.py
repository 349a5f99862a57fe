"""Events in words: `the red ball bounces off the floor`, `at 0.8 s ...`, `0.84 s: ...`.

Templates name {subject} and may name {other} and {part}; a bracket goes where its name is empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from simgen.captions.claims import Claim, Facts, members
from simgen.captions.clauses import Choices, Clause, Said, clause, number, stated, the
from simgen.captions.phrases import article, at, count, listed, plural, span

MOST = 6  # touches told one by one; a caption that lists 40 says nothing
MOST_UNSEEN, FLICKER_S = 4, 0.15
MOST_APEXES = 3  # more than that is bouncing, and the bounces tell it
TOUCHES = ("collision", "bounce", "stay", "touch")  # deeds of contacts that people would notice
Templates = Mapping[str, Sequence[str]]

TEMPLATES: Templates = {
    "collision": (
        "{subject} collides with {other}", "{subject} bumps into {other}",
        "{subject} and {other} collide",
    ),
    "hit": ("{subject} hits {other}", "{subject} strikes {other}", "{subject} runs into {other}"),
    "bounce": (
        "{subject} bounces off {other}", "{subject} hits {other}",
        "{subject} rebounds from {other}",
    ),
    "stay": (
        "{subject} reaches {other}[ with the {part}] and stays in touch with it",
        "{subject} meets {other}[ with the {part}] and stays in touch with it",
    ),
    "touch": (
        "{subject} touches {other}[ with the {part}]",
        "{subject} makes contact with {other}[ with the {part}]",
    ),
    "release": ("{subject} lets go[ of {other}]",),
    "catch": ("{subject} catches {other}", "{subject} grasps {other}"),
    "missed_catch": ("{subject} misses {other}", "{subject} reaches for {other} and misses"),
    "takeoff": ("{subject} takes off[ from {other}]", "{subject} leaves {other}"),
    "landing": ("{subject} comes down[ on {other}][, {part} first]",),
    "shot": ("{subject} is shot", "{subject} leaves the hand"),
    "basket": ("{subject} goes through the ring", "{subject} falls through the ring"),
    "swish": ("{subject} drops through the net",),
    "apex": (
        "{subject} reaches the top of the flight",
        "{subject} reaches the highest point of the flight",
    ),
    "occlusion": (
        "{subject} is hidden[ behind {behind}]", "{subject} is out of sight[ behind {behind}]",
    ),
    "out_of_frame": ("{subject} is out of the picture", "{subject} is outside the picture"),
    "topple": ("{subject} topples over", "{subject} falls over"),
    "removed": ("{subject} is taken away",),
    "vanish": ("{subject} vanishes", "{subject} disappears"),
    "change mass": ("the mass of {subject} changes",),
    "change speed": ("the speed of {subject} changes at once",),
    "change gravity": ("gravity changes",),
    "change remove": ("{subject} is taken away",),
    "change vanish": ("{subject} vanishes", "{subject} disappears"),
    "change recolour": ("{subject} is swapped for one of another colour",),
    "change teleport": ("{subject} jumps to another place",),
    "change pass_through": ("{subject} passes through the wall",),
}  # fmt: skip
SILENT = ("cut", "change release")  # told with the cameras; seen only beside the original
COUNTED = {"bounce": "bounce", "collision": "collision", "touch": "touch"}
UNSEEN = ("occlusion", "out_of_frame")  # told from when to when


def told(facts: Facts) -> list[str]:
    """The events worth a clause, by start: every kind, but only the most forceful touches."""
    events = facts["events"]
    touches = [n for n, e in events.items() if e["kind"] == "contact"]
    noticed = [n for n in touches if events[n]["deed"] in TOUCHES]
    chosen = sorted(noticed, key=lambda n: -events[n]["change_m_s"])[:MOST]
    apexes = [n for n, e in events.items() if e["kind"] == "apex" and e["deed"]]
    chosen += [
        n for n, e in events.items()
        if e["kind"] not in ("contact", "apex", *UNSEEN) and kind_of(e) not in SILENT
    ]  # fmt: skip
    chosen += unseen(facts)
    chosen += apexes if len(apexes) <= MOST_APEXES else []
    return sorted(chosen, key=lambda n: (events[n]["start_s"], int(n[1:])))


def unseen(facts: Facts) -> list[str]:
    """The longest times that things were hidden or outside; a flicker is not worth a clause."""
    found = []
    for name, event in facts["events"].items():
        lasts_s = event["end_s"] - event["start_s"]
        if event["kind"] in UNSEEN and lasts_s >= FLICKER_S:
            found.append((-lasts_s, name))
    return [name for _, name in sorted(found)[:MOST_UNSEEN]]


def deed_of(event: Mapping[str, Any]) -> str:
    """Which templates tell the event."""
    return "hit" if event["deed"] == "collision" and event["hitter"] else kind_of(event)


def kind_of(event: Mapping[str, Any]) -> str:
    return f"change {event['value']}" if event["kind"] == "change" else event["deed"]


def action(facts: Facts, name: str, share: float, own: Templates) -> tuple[str, list[Claim]]:
    """What happened, without when.

    Args:
        share: Which of the wordings, 0 to 1.
        own: The family's phrases for kinds of events; they continue `the <label>`.
    """
    event = facts["events"][name]
    claims = [{"path": f"{name}.{field}", "is": event[field]} for field in ("kind", "deed")]
    if event["kind"] == "change":
        claims.append(stated(facts, f"{name}.value"))
    if event["kind"] in own:
        wordings: Sequence[str] = [f"{{subject}} {phrase}" for phrase in own[event["kind"]]]
    else:
        wordings = TEMPLATES.get(deed_of(event)) or fallback(event)
    wordings = [w for w in wordings if "{other}" not in w.partition("[")[0] or event["other"]]
    wording = (wordings or fallback(event))[int(share * len(wordings))]
    words = {}
    for role in ("subject", "other", "behind"):
        words[role] = ""
        if event[role] and f"{{{role}}}" in wording:
            words[role], of_noun = the(facts, event[role])
            claims += [stated(facts, f"{name}.{role}"), *of_noun]
    if event["part"] and "{part}" in wording:
        claims.append(stated(facts, f"{name}.part"))
    if event["hitter"] and event["deed"] == "collision":
        claims.append(stated(facts, f"{name}.hitter"))
    if "stays" in wording:
        claims.append(stated(facts, f"{name}.lasts"))
    words["part"] = event["part"]
    return filled(wording, words), claims


def fallback(event: Mapping[str, Any]) -> list[str]:
    """For kinds that nobody gave words: their own name."""
    kind = article(event["kind"].replace("_", " "))
    return [f"there is {kind} of {{subject}}" if event["subject"] else f"there is {kind}"]


def filled(wording: str, words: Mapping[str, str]) -> str:
    """
    >>> filled("{subject} lets go[ of {other}]", {"subject": "the gymnast", "other": ""})
    'the gymnast lets go'
    """

    def kept(match: re.Match) -> str:
        name = re.search(r"{(\w+)}", match[1])
        return match[1] if name and words[name[1]] else ""

    return re.sub(r"\[([^\]]*)\]", kept, wording).format(**words)


def dense_clauses(facts: Facts, own: Templates, choose: Choices) -> list[Clause]:
    """`at 0.7 and 0.9 s the box bounces off the floor`: alike ones in a row share a clause."""
    names = told(facts)
    clauses = [
        clause(facts, partial(at_times, group=group, share=choose.share(), own=own))
        for group in groups(facts, names)
    ]
    if any(e["deed"] in COUNTED and n not in names for n, e in facts["events"].items()):
        clauses.append(clause(facts, in_all))
    return clauses


def in_all(facts: Facts) -> Said:
    """`in all there are 26 bounces and two collisions`, where not all of them are told."""
    told, claims = [], []
    for deed, word in COUNTED.items():
        fields = {"of": "events", "deed": deed}
        if n := len(members(facts, fields)):
            told.append(f"{count(n)} {word if n == 1 else plural(word)}")
            claims.append({"count": fields, "is": n})
    be = "is" if told[0].startswith("one ") else "are"
    return Said(f"in all there {be} {listed(told)}", claims, facts["duration_s"])


def at_times(facts: Facts, *, group: Sequence[str], share: float, own: Templates) -> Said:
    text, claims = action(facts, group[0], share, own)
    first = facts["events"][group[0]]
    if first["kind"] in UNSEEN:
        when, of_time = from_to(facts, group[0])
        return Said(f"{text} {when}", claims + of_time, first["start_s"])
    for name in group:
        claims += action(facts, name, share, own)[1] if name != group[0] else []
        claims.append(number(f"{name}.start_s", f"{facts['events'][name]['start_s']:.1f}"))
    starts = sorted(facts["events"][name]["start_s"] for name in group)
    return Said(f"at {at(*starts)} {text}", claims, starts[0])


def groups(facts: Facts, names: Sequence[str]) -> list[list[str]]:
    """Runs of events that differ in their times alone."""
    alike = ("kind", "deed", "subject", "other", "part", "hitter", "lasts")
    found: list[list[str]] = []
    for name in names:
        event = facts["events"][name]
        last = facts["events"][found[-1][0]] if found else None
        same = last is not None and all(event[field] == last[field] for field in alike)
        if same and event["kind"] not in UNSEEN:
            found[-1].append(name)
        else:
            found.append([name])
    return found


def from_to(facts: Facts, name: str) -> tuple[str, list[Claim]]:
    """`from 0.4 to 0.9 s`, `from 0.4 s to the end`, `at 0.4 s`."""
    event = facts["events"][name]
    start, end = f"{event['start_s']:.1f}", f"{event['end_s']:.1f}"
    claims = [number(f"{name}.start_s", start)]
    if event["lasts"]:
        return f"from {start} s to the end", [*claims, stated(facts, f"{name}.lasts")]
    claims.append(number(f"{name}.end_s", end))
    return (f"at {start} s" if start == end else f"from {start} to {end} s"), claims


def timeline_clauses(facts: Facts, own: Templates, choose: Choices) -> list[Clause]:
    """`0.84 s: the red ball hits the floor`, `0.42-0.90 s: the box is hidden behind the screen`."""
    return [
        clause(facts, partial(timed, name=name, share=choose.share(), own=own))
        for name in told(facts)
    ]


def timed(facts: Facts, *, name: str, share: float, own: Templates) -> Said:
    event = facts["events"][name]
    lasting = event["kind"] in UNSEEN or event["deed"] == "stay"
    end_s = event["end_s"] if lasting else event["start_s"]
    text, claims = action(facts, name, share, own)
    claims.append(number(f"{name}.start_s", f"{event['start_s']:.2f}"))
    if lasting:
        claims.append(number(f"{name}.end_s", f"{end_s:.2f}"))
    return Said(f"{span(event['start_s'], end_s)}: {text}", claims, event["start_s"])
