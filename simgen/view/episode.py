"""Everything the page shows of one episode, as plain JSON: facts, events, clauses, curves."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from simgen.captions.claims import RELATIONS, check, full, holds, members, resolve
from simgen.captions.facts import Facts, facts_of
from simgen.store.reader import Dataset
from simgen.view.index import Index
from simgen.view.pictures import CHANNELS, legend

CAPTIONS = ("short", "dense", "timeline", "false")
DIGITS = 5  # significant, of the curves


def told(dataset: Dataset, index: Index, episode_id: str) -> dict[str, Any]:
    """The episode's row, laid out, with its events, captions and twins.

    Raises:
        KeyError: It is not in the catalog.
    """
    row, stored = dataset.row(episode_id), dataset.channels(episode_id)
    number = index.number(episode_id)
    (card,) = index.rows([number])
    events = dataset.events(episode_id).drop_columns(["episode_id", "index"]).to_pylist()
    captions = {name: row.get(f"caption_{name}") or "" for name in CAPTIONS}
    siblings = [place for place in index.siblings(number) if place != number]
    return card | {
        "channels": [name for name in CHANNELS if name in stored],
        "curves": "position" in stored,
        "bodies": _loaded(row, "bodies", []),
        "shots": _loaded(row, "shots", []),
        "twin": _loaded(row, "twin", None),
        "twins": [
            other | {"twin": _loaded(dataset.row(other["id"]), "twin", None)}
            for other in index.rows(siblings)
        ],
        "events": events,
        "captions": {name: text for name, text in captions.items() if text},
        "clauses": _clauses(dataset, row, captions),
        "facts": {name: _loaded(row, name, {}) for name in ("margins", "parameters", "quality")},
        "record": {
            key: str(row[key]) if key == "seed" else row[key]  # beyond what JavaScript counts to
            for key in (
                "index", "seed", "group", "row", "bucket", "visible_fraction", "gravity_m_s2",
                "engine_version", "simgen_version", "content_hash", "cpu",
            )
            if row.get(key) is not None
        },
    }  # fmt: skip


def curves(dataset: Dataset, episode_id: str) -> dict[str, Any]:
    """The stored states over time, and what the channels' colours stand for.

    Bodies are those that move; `track` (pixels) and `area` are of every body, in the order of
    `bodies`, for what the page marks in the picture.
    """
    stored, bodies = dataset.channels(episode_id), dataset.bodies(episode_id)
    arrays = {
        name: dataset.read(episode_id, name)[:, : len(bodies)]
        for name in ("position", "velocity", "angular_velocity", "visibility", "track", "area")
        if name in stored
    }
    moving = [n for n, body in enumerate(bodies) if not body["static"] and body["visible"]]
    found: dict[str, Any] = {
        "legend": legend(dataset, episode_id, stored),
        "bodies": {
            bodies[n]["name"]: {
                name: _rounded(arrays[name][:, n].T)
                for name in ("position", "velocity", "angular_velocity", "visibility")
                if name in arrays
            }
            for n in moving
        },
        "clip": {
            name: _rounded(dataset.read(episode_id, name).T)
            for name in ("energy", "momentum", "penetration")
            if name in stored
        },
    }
    if "track" in arrays:
        found["track"] = _rounded(arrays["track"].transpose(1, 2, 0), 4)
    if "area" in arrays:
        found["area"] = arrays["area"].T.tolist()
    return found | {"columns": _columns(dataset, episode_id, stored)}


def _columns(
    dataset: Dataset, episode_id: str, stored: tuple[str, ...]
) -> dict[str, dict[str, list]]:
    """Joints and actions by name; what the episode lacks (NaN throughout) is left out."""
    actions = json.loads(dataset.row(episode_id)["actions"] or "[]")
    servos = [name.removesuffix("_target") for name in actions if name.endswith("_target")]
    made: dict[str, dict[str, list]] = {}
    for name in ("joint_position", "joint_velocity", "joint_torque", "action"):
        if name not in stored:
            continue
        array = dataset.read(episode_id, name)
        used = [n for n in range(array.shape[1]) if np.isfinite(array[:, n]).any()]
        joints = servos if len(servos) == len(used) else [f"joint {n}" for n in used]
        names = (
            actions if len(actions) >= len(used) and name in ("action", "joint_torque") else joints
        )
        made[name] = {names[k]: _rounded(array[:, n]) for k, n in enumerate(used)}
    return {name: columns for name, columns in made.items() if columns}


def _clauses(dataset: Dataset, row: dict, captions: dict[str, str]) -> list[dict[str, Any]]:
    """Clauses with their place in their caption, and each claim beside the stored fact."""
    clauses = _loaded(row, "clauses", [])
    facts = facts_of(dataset, row["episode_id"]) if clauses else {}
    after = dict.fromkeys(captions, 0)
    placed = []
    for clause in clauses:
        name = clause["caption"]
        start = captions[name].lower().find(clause["text"].lower(), after[name])
        if start >= 0:
            after[name] = start + len(clause["text"])
        placed.append(
            {
                "caption": name,
                "start": start,
                "stop": after[name],
                "evidence": clause.get("evidence", []),
                "claims": [_claim(claim, facts) for claim in clause.get("claims", [])],
                "holds": check({"claims": (), **clause}, facts),
                "lie": clause.get("lie") if clause.get("false") else None,
                "false": bool(clause.get("false")),
            }
        )
    return placed


def _claim(claim: dict[str, Any], facts: Facts) -> dict[str, Any]:
    """What is claimed, what is stored, and whether they agree."""
    relation = next((name for name in RELATIONS if name in claim), "is")
    if "count" in claim:
        wanted = claim["count"]
        fields = [f"{field} {value}" for field, value in wanted.items() if field != "of"]
        path, fact = (
            f"number of {wanted['of']} with {', '.join(fields)}",
            len(members(facts, wanted)),
        )
    else:
        path = claim["path"]
        try:
            fact = resolve(facts, full(path))
        except KeyError:
            fact = None
    plain = fact if isinstance(fact, str | int | float | bool | None) else str(fact)
    return {
        "path": path, "relation": relation, "said": claim.get(relation),
        "within": claim.get("within"), "fact": plain, "holds": holds(claim, facts),
    }  # fmt: skip


def _loaded(row: dict, name: str, missing: Any) -> Any:
    return json.loads(row[name]) if row.get(name) else missing


def _rounded(array: np.ndarray, digits: int = DIGITS) -> list:
    """Nested lists with that many significant digits; null where there is no number."""
    values = np.asarray(array, np.float64)
    there = np.isfinite(values)
    size = np.abs(np.where(there & (values != 0), values, 1))
    places = digits - 1 - np.floor(np.log10(size))
    up, down = 10.0 ** places.clip(0, 300), 10.0 ** (-places).clip(0, 300)
    kept = np.rint(np.where(there, values, 0) * up / down) / up * down
    return np.where(there, kept, None).tolist()
