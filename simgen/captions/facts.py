"""The facts of a clip that captions may state, by path; nothing else may be claimed.

objects.<name>.label, colour, kind, size_m, size_word, mass_kg, restitution, parts, loose,
        has_namesake,        fall_m, travel_m, falls_until_s, drop_m, still_from_s
setting.<name>.label, colour, visible
shots.<n>.setting, start_s, end_s, camera.<as simgen.captions.camera_terms has it>
outcome.label, outcome.margins.<name>
family, gravity_m_s2, duration_s
events.e0, e1, ...              (cited as e0, e1) as simgen.captions.happenings has it
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from simgen.captions.camera_terms import camera_facts
from simgen.captions.claims import Facts
from simgen.captions.happenings import happenings
from simgen.captions.records import Record, ShotRecord, are_separate, stored
from simgen.motion import absent

if TYPE_CHECKING:
    from simgen.store.reader import Dataset

SMALL, LARGE = 0.75, 1.33  # of the median size of the clip's things: a difference that shows
STILL_M_S, STILL_RAD_S = 0.03, 0.15  # a thing that moves and turns less has come to rest
HANGS = 0.1  # of gravity: what falls otherwise by more hangs on a spring or stands on a joint
RISE_M = 0.02  # what rises first by more does not fall from the start on


def facts_of(dataset: Dataset, episode_id: str) -> Facts:
    """The facts of a stored clip, from its catalog row, events and arrays alone.

    Args:
        dataset: As `simgen.open` gives it.
    """
    return gather(stored(dataset, episode_id))


def gather(record: Record) -> Facts:
    """All facts of one clip."""
    rows: dict[str, list[int]] = {}
    for row, body in enumerate(record.bodies):
        if not body["static"]:
            rows.setdefault(body["object"], []).append(row)
    things = {name: thing(record, found) for name, found in rows.items()}
    loose = [fact for fact in things.values() if fact["loose"]]  # only these have a size to compare
    sizes = sorted(fact["size_m"] for fact in loose) or [1.0]
    middle = (sizes[len(sizes) // 2] + sizes[(len(sizes) - 1) // 2]) / 2
    for fact in loose:
        ratio = fact["size_m"] / middle
        fact["size_word"] = "small" if ratio <= SMALL else "large" if ratio >= LARGE else ""
    names = Counter((fact["colour"], fact["label"]) for fact in things.values())
    for fact in things.values():
        fact["has_namesake"] = names[fact["colour"], fact["label"]] > 1
    return {
        "family": record.family,
        "objects": things,
        "setting": {
            body["name"]: {name: body[name] for name in ("label", "colour", "visible")}
            for body in record.bodies
            if body["static"]
        },
        "shots": {
            str(n): {
                "setting": shot.setting,
                "start_s": shot.first_frame / record.frame_rate_hz,
                "end_s": (shot.first_frame + shot.frames) / record.frame_rate_hz,
                "camera": filmed(shot, record.frame_rate_hz),
            }
            for n, shot in enumerate(record.shots)
        },
        "outcome": {"label": record.outcome, "margins": record.margins},
        "gravity_m_s2": float(np.linalg.norm(record.gravity)),
        "duration_s": record.duration_s,
        "events": happenings(record),
    }


def thing(record: Record, rows: list[int]) -> Facts:
    """What is known about one moving object, from its first body and all of its parts."""
    first = record.bodies[rows[0]]
    colours = {record.bodies[row]["colour"] for row in rows}
    mass = np.array([record.bodies[row]["mass_kg"] for row in rows])
    separate = are_separate(record.bodies, rows)
    if separate:  # one thing in several places at once, such as a character's doubles
        rows, mass = rows[:1], mass[:1]
    centre = np.einsum("tbi,b->ti", record.centre_of_mass[:, rows], mass / mass.sum())
    centre = centre[~absent(centre[:, 2])]
    fall = fall_of(record, rows, centre[:, 2])
    return {
        "label": first["label"] or first["kind"],
        "colour": first["colour"] if len(colours) == 1 else "",
        "kind": first["kind"],
        "size_m": size_m(first),
        "size_word": "",
        "mass_kg": float(mass.sum()),
        "restitution": float(first["restitution"]),
        "parts": len(rows),
        "loose": len(rows) == 1 and first["free"] and not separate,
        "fall_m": float(centre[0, 2] - centre[:, 2].min()),
        "travel_m": float(np.sqrt(((centre - centre[0]) ** 2).sum(1).max())),
        "still_from_s": still_from_s(record, rows),
        **fall,
    }


def fall_of(record: Record, rows: list[int], height: np.ndarray) -> Facts:
    """`falls_until_s` and `drop_m` of a free flight that begins the clip; None without one."""
    names = {record.bodies[row]["name"] for row in rows}
    touched = (
        event["start_s"]
        for event in record.events
        if event["kind"] == "contact" and {event["body_a"], event["body_b"]} & names
    )
    until_s = min(touched, default=record.duration_s)
    weightless = not record.gravity[2] < 0
    if len(rows) > 1 or not record.bodies[rows[0]]["free"] or not until_s or weightless:
        return {"falls_until_s": None, "drop_m": 0.0}
    flight = height[: int(until_s * record.frame_rate_hz) + 1]
    bend = np.diff(flight, 2) * record.frame_rate_hz**2
    hangs = bool((np.abs(bend - record.gravity[2]) > HANGS * abs(record.gravity[2])).any())
    if flight.max() > height[0] + RISE_M or hangs:
        return {"falls_until_s": None, "drop_m": 0.0}
    return {"falls_until_s": until_s, "drop_m": float(height[0] - flight[-1])}


def still_from_s(record: Record, rows: list[int]) -> float | None:
    """When the object came to rest for good; None if it still moves at the clip's end."""
    centre, spin = record.centre_of_mass[:, rows], record.angular_velocity[:, rows]
    if absent(centre[-1, :, 2]).any():
        return None
    step_m = STILL_M_S / record.frame_rate_hz
    moves = (np.diff(centre, axis=0) ** 2).sum(-1).max(1) > step_m**2
    moves |= (spin[1:] ** 2).sum(-1).max(1) > STILL_RAD_S**2
    frames = np.flatnonzero(moves)
    first = int(frames[-1]) + 2 if len(frames) else 0
    return first / record.frame_rate_hz if first < len(centre) else None


def size_m(body: dict[str, Any]) -> float:
    """Half of the body's typical extent: a ball's radius, a box's geometric mean half side."""
    if body["kind"] in ("box", "ellipsoid"):
        return float(np.prod(body["size"]) ** (1 / 3))
    if body["kind"] in ("capsule", "cylinder"):
        return float(max(body["size"]))
    return float(body["size"][0])


def filmed(shot: ShotRecord, frame_rate_hz: float) -> Facts:
    """What the shot's camera does, at the clip's times."""
    camera = camera_facts(shot.cameras, shot.frames, frame_rate_hz=frame_rate_hz)
    start_s = shot.first_frame / frame_rate_hz
    for piece in camera["segments"].values():
        piece["start_s"] += start_s
        piece["end_s"] += start_s
    return camera
