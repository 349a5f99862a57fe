"""False captions: the dense or short one told again with one clause of facts that are not so.

The clause's own writer tells it of altered facts, so it reads as the true ones do; it is taken
only if it then fails its check against the true facts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from simgen.captions.camera_phrases import MIRRORED
from simgen.captions.claims import EVENT, Facts, check, members, replaced, resolve
from simgen.captions.clauses import Choices, Clause, Sentence, clause, noun
from simgen.captions.words import Words
from simgen.families.palette import PALETTE

SHIFT_S, SHIFT_SHARE = 0.4, 0.2  # a wrong time is off by at least the larger; share of the clip
EARLIEST_S = 0.1  # things that began before the clip are not told
NEAR_S = 0.25  # and by more than this from every event that it could be taken for
FLIPPED = {"small": "large", "large": "small", "left": "right", "right": "left"}
AMOUNTS = ("mass_kg", "gravity_m_s2", "travel_m", "angle_deg", "fall_m")
Altered = Iterator[Facts]


def falsified(
    told: dict[str, list[Sentence]], facts: Facts, words: Words, choose: Choices
) -> list[Sentence]:
    """The dense or short caption's sentences with one false clause; kinds of lies are as likely.

    Raises:
        AssertionError: Nothing in either can be told wrong, though a camera always can.
    """
    for kind in choose.shuffled(sorted(KINDS)):
        for base in choose.shuffled(("dense", "short")):
            sentences = told[base]
            clauses = [
                (i, j, true) for i, said in enumerate(sentences)
                for j, true in enumerate(said.clauses)
            ]  # fmt: skip
            if kind in NAMING:  # another name in one of several places would give the lie away
                times = Counter(name for *_, true in clauses for name in named_in(true))
                clauses = [c for c in clauses if all(times[n] == 1 for n in named_in(c[2]))]
            for i, j, true in choose.shuffled(clauses):
                if lie := lied(true, facts, words, kind, choose):
                    changed = sentences[i].with_clause(j, lie)
                    return [*sentences[:i], changed, *sentences[i + 1 :]]
    raise AssertionError("a caption without anything that could be false")


def lied(true: Clause, facts: Facts, words: Words, kind: str, choose: Choices) -> Clause | None:
    """The clause told of facts altered in one way, or None if it does not speak of such."""
    for altered in KINDS[kind](true, facts, words, choose):
        told = clause(altered, true.write)
        none = re.search(r"\bno\b", told.text)  # where one was taken from one
        if told.text != true.text and not none and not check({"claims": told.claims}, facts):
            return replace(told, true=true, lie=kind)
    return None


def named_in(true: Clause) -> set[str]:
    """Paths of the objects that the clause calls by their names."""
    paths = (claim.get("path", "").rpartition(".") for claim in true.claims)
    return {of for of, _, field in paths if field == "label" and of.startswith("objects.")}


def colour(true: Clause, facts: Facts, words: Words, choose: Choices) -> Altered:
    """A thing of another colour, that nothing in the clip has."""
    used = {fact["colour"] for group in ("objects", "setting") for fact in facts[group].values()}
    others = choose.shuffled([name for name in PALETTE if name not in used])
    for claim in choose.shuffled(true.claims):
        if "colour" in claim.get("count", ()):
            paths = [f"{member}.colour" for member in members(facts, claim["count"])]
        else:
            paths = [claim["path"]] if claim.get("path", "").endswith(".colour") else []
        for name in others[:1] if paths else []:
            yield altered_at(facts, {path: name for path in paths})


def size(true: Clause, facts: Facts, words: Words, choose: Choices) -> Altered:
    """Small for large."""
    for claim in true.claims:
        if claim.get("path", "").endswith(".size_word"):
            yield replaced(facts, claim["path"], FLIPPED[claim["is"]])


def count(true: Clause, facts: Facts, words: Words, choose: Choices) -> Altered:
    """One too many or too few."""
    for claim in choose.shuffled(true.claims):
        if "count" not in claim or "is" not in claim:
            continue
        found, group = members(facts, claim["count"]), claim["count"]["of"]
        alone = group == "shots" and len(true.claims) > 1  # the cuts are told
        if not found or alone or (group == "setting" and len(found) == 1):
            continue
        holder, name = facts[group], found[-1].rpartition(".")[2]
        more = {**holder, f"{name}_again": holder[name]}
        fewer = {key: value for key, value in holder.items() if key != name}
        changed = [more, fewer] if len(found) > 1 else [more]
        for other in choose.shuffled(changed):
            yield {**facts, group: other}


def time(true: Clause, facts: Facts, words: Words, choose: Choices) -> Altered:
    """An event at another time, at which nothing like it happens."""
    end_s = facts["duration_s"]
    least = max(SHIFT_S, SHIFT_SHARE * end_s)
    for name in {c["path"].partition(".")[0] for c in true.claims if is_start(c)}:
        event = facts["events"][name]
        lasts_s = event["end_s"] - event["start_s"]
        room = [(EARLIEST_S, event["start_s"] - least), (event["start_s"] + least, end_s - lasts_s)]
        for low, high in choose.shuffled([r for r in room if r[0] < r[1]]):
            start = low + choose.share() * (high - low)
            fields = ("deed", "subject", "other")
            alike = [
                e for e in facts["events"].values() if all(e[f] == event[f] for f in fields)
            ]  # fmt: skip
            if all(abs(e["start_s"] - start) > NEAR_S for e in alike):
                moved = {f"{name}.start_s": start, f"{name}.end_s": start + lasts_s}
                yield altered_at(facts, moved)


def is_start(claim: dict) -> bool:
    first, _, field = claim.get("path", "").partition(".")
    return bool(EVENT.fullmatch(first)) and field == "start_s"


def who(true: Clause, facts: Facts, words: Words, choose: Choices) -> Altered:
    """Another thing in the place of one that did something or that it was done to."""
    for claim in choose.shuffled(true.claims):
        name, _, role = claim.get("path", "").partition(".")
        if not EVENT.fullmatch(name) or role not in ("subject", "other", "behind"):
            continue
        event = facts["events"][name]
        group = "objects" if claim["is"] in facts["objects"] else "setting"
        others = [
            n for n, fact in facts[group].items()
            if fact["label"] and not (role == "behind" and fact["label"] == "floor")
        ]  # fmt: skip
        for other in choose.shuffled(others):
            if other == claim["is"] or other in (event["subject"], event["other"]):
                continue
            altered = replaced(facts, claim["path"], other)
            if event["hitter"] == claim["is"]:
                altered = replaced(altered, f"{name}.hitter", other)
            if not happened(facts, altered["events"][name]):
                yield altered


def happened(facts: Facts, event: Facts) -> bool:
    """Whether things of those names ever did this, in either order."""

    def called(name: str) -> str:
        if name in facts["objects"]:
            return noun(facts["objects"][name])
        return facts["setting"][name]["label"] if name in facts["setting"] else name

    def shape(e: Facts) -> tuple:
        both = sorted((called(e["subject"]), called(e["other"])))
        return e["kind"], *both, called(e["behind"])

    return any(shape(e) == shape(event) for e in facts["events"].values())


def part(true: Clause, facts: Facts, words: Words, choose: Choices) -> Altered:
    """Another part of the body first."""
    for claim in true.claims:
        name, _, field = claim.get("path", "").partition(".")
        if field == "part" and EVENT.fullmatch(name):
            for other in choose.shuffled([p for p in TOLD_PARTS if p != claim["is"]])[:1]:
                yield replaced(facts, claim["path"], other)


TOLD_PARTS = ("feet", "hands", "hips", "head", "knees")


def outcome(true: Clause, facts: Facts, words: Words, choose: Choices) -> Altered:
    """Another of the family's endings."""
    if any(claim.get("path") == "outcome.label" for claim in true.claims):
        label = facts["outcome"]["label"]
        for other in choose.shuffled([name for name in sorted(words.outcomes) if name != label]):
            altered = replaced(facts, "outcome.label", other)
            try:
                true.write(altered)
            except (KeyError, TypeError, ValueError):
                continue  # its words name a margin that this ending does not have
            yield altered


def camera(true: Clause, facts: Facts, words: Words, choose: Choices) -> Altered:
    """A camera that goes the other way, or goes where it stands still."""
    for claim in true.claims:
        path = claim.get("path", "")
        if path.endswith(".side"):
            yield replaced(facts, path, FLIPPED[claim["is"]])
        elif path.endswith(".move") and claim["is"] in MIRRORED:
            changes = {path: MIRRORED[claim["is"]]}
            of = path.rpartition(".")[0]
            if claim["is"].startswith("zoom"):
                changes[f"{of}.zoom"] = 1 / resolve(facts, of)["zoom"]
            yield altered_at(facts, changes)
        elif path.endswith(".move") and claim["is"] != "orbit":
            of = path.rpartition(".")[0]
            move = choose.of(sorted(set(MIRRORED) - {"zoom_in", "zoom_out"}))
            angle, metres = 10 + 50 * choose.share(), 0.5 + choose.share()
            yield altered_at(
                facts, {path: move, f"{of}.angle_deg": angle, f"{of}.travel_m": metres}
            )


def amount(true: Clause, facts: Facts, words: Words, choose: Choices) -> Altered:
    """A mass, a height, an angle: two to three times too large or too small."""
    for claim in choose.shuffled(true.claims):
        path = claim.get("path", "")
        told = path.rpartition(".")[2] in AMOUNTS or path.startswith("outcome.margins.")
        if told and "near" in claim:
            value = resolve(facts, path)
            times = 2 + choose.share()
            yield replaced(facts, path, value * times if choose.share() < 0.5 else value / times)


def altered_at(facts: Facts, changes: dict) -> Facts:
    for path, value in changes.items():
        facts = replaced(facts, path, value)
    return facts


KINDS: dict[str, Callable[[Clause, Facts, Words, Choices], Altered]] = {
    "amount": amount, "camera": camera, "colour": colour, "count": count, "outcome": outcome,
    "part": part, "size": size, "time": time, "who": who,
}  # fmt: skip
NAMING = ("colour", "size")
