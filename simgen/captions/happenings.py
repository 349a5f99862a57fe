"""Events as captions tell them: who did what to whom, told of objects instead of bodies.

e<n>.kind, start_s, end_s, value, impulse_ns    as stored
e<n>.subject, other     names of objects: what acts or moves first, and what it meets, or ""
e<n>.part               of a many-part subject, the part: feet, arms, head
e<n>.deed               of a contact: collision, bounce, stay, touch, brush, or "" for what people
                        would not count; of any other event its kind
e<n>.hitter             of a collision, the one that came at the other, or "" if both moved
e<n>.behind             of an occlusion, what stands in front, or ""
e<n>.change_m_s         of a contact: the impulse over the lighter thing's mass, less what
                        bears the weight meanwhile
e<n>.lasts              whether it still goes on when the clip ends
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool

from simgen.cameras import project, rotation_matrix
from simgen.captions.claims import Facts
from simgen.captions.phrases import PARTS
from simgen.captions.records import Record, are_separate

NOTICED_M_S = 0.3  # a touch that changes a thing's speed by less goes unnoticed
MERGE_S = 0.25  # a thing of many parts (hands, knees) touches once in this time
BOUNCE_S = 0.25  # a touch that ends within this is a bounce
STAY_S = 0.1  # a touch as the clip ends is not yet a stay
HITS = 2.0  # times as fast as what it hits
ROUNDING_S = 1e-6  # frames / rate and frames * (1 / rate) differ


def happenings(record: Record) -> Facts:
    """Every event by its id."""
    bodies = {body["name"]: body for body in record.bodies}
    rows = {body["name"]: row for row, body in enumerate(record.bodies)}
    whole: dict[str, list[int]] = {}
    for row, body in enumerate(record.bodies):
        whole.setdefault(body["object"], []).append(row)
    parts = {name: 1 if are_separate(record.bodies, of) else len(of) for name, of in whole.items()}
    told = {}
    for event in record.events:
        a, b = bodies.get(event["body_a"]), bodies.get(event["body_b"])
        hitter = ""
        if event["kind"] == "contact":
            one, two = parts[a["object"]], parts[b["object"]]
            if not (a["static"] or b["static"]) and one == two == 1:
                hitter = hits(record, event, rows)
            gives_way = not b["static"] and (two > one or hitter == b["object"])
            if a["static"] or gives_way:
                a, b = b, a
        many = a is not None and not a["static"] and parts[a["object"]] > 1
        told[event["event_id"]] = {
            "kind": event["kind"],
            "start_s": event["start_s"],
            "end_s": event["end_s"],
            "value": event["value"],
            "impulse_ns": event["impulse_ns"] or 0.0,
            "change_m_s": 0.0,
            "subject": a["object"] if a else "",
            "other": (b["name"] if b["static"] else b["object"]) if b else "",
            "part": part_of(a["name"]) if many else "",
            "deed": event["kind"],
            "hitter": hitter,
            "behind": behind(record, event, rows) if event["kind"] == "occlusion" else "",
            "lasts": event["end_s"] > record.duration_s - ROUNDING_S,
        }
    name_touches(told, record, parts)
    return told


def name_touches(told: Facts, record: Record, parts: dict[str, int]) -> None:
    """Give contacts their deeds: what matters is of two objects, one of them moving, not a limb's.

    Touches that hold from the clip's first moment are how things stand, not what happens. Nobody
    sees what is outside of the picture, or a wall that is not drawn.
    """
    last: dict[tuple[str, str], float] = {}
    landings = [e["start_s"] for e in told.values() if e["kind"] == "landing"]
    raw = {event["event_id"]: event for event in record.events}
    bodies = {body["name"]: body for body in record.bodies}
    rows = {body["name"]: row for row, body in enumerate(record.bodies)}
    seen = in_picture(record)
    weight = float(np.linalg.norm(record.gravity))  # m/s2
    for name, event in told.items():
        frame = min(int(event["start_s"] * record.frame_rate_hz), len(seen) - 1)
        if event["kind"] == "apex" and not seen[frame, rows[raw[name]["body_a"]]]:
            event["deed"] = ""
        if event["kind"] != "contact":
            continue
        event["deed"] = ""
        both = [bodies[raw[name]["body_a"]], bodies[raw[name]["body_b"]]]
        pair = tuple(sorted(body["object"] for body in both))
        moving = [body for body in both if not body["static"]]
        if pair[0] == pair[1] or not moving or event["start_s"] < 1 / record.frame_rate_hz:
            continue
        if not seen[frame, [rows[body["name"]] for body in moving]].any():
            continue
        if not all(body["visible"] for body in both if body["static"]):
            continue
        if of_parts := any(parts[body["object"]] > 1 for body in moving):
            if event["start_s"] - last.get(pair, -1.0) < MERGE_S:
                last[pair] = max(last[pair], event["end_s"])
                continue
            if any(abs(event["start_s"] - at_s) < MERGE_S for at_s in landings):
                continue  # the landing says it
        last[pair] = event["end_s"]
        # a thing that slides chatters on its contact, and what bears its weight is no bounce
        held_m_s = weight * (event["end_s"] - event["start_s"])
        pushed_m_s = event["impulse_ns"] / min(body["mass_kg"] for body in moving)
        event["change_m_s"] = max(pushed_m_s - held_m_s, 0.0)
        event["deed"] = deed(event, both_move=len(moving) == 2, of_parts=of_parts)


def deed(event: dict[str, Any], *, both_move: bool, of_parts: bool) -> str:
    if event["change_m_s"] < NOTICED_M_S:
        return "brush"
    lasts_s = event["end_s"] - event["start_s"]
    if both_move and not of_parts:
        return "collision"
    if event["lasts"] and lasts_s >= STAY_S:
        return "stay"
    return "bounce" if lasts_s < BOUNCE_S and not of_parts else "touch"


def in_picture(record: Record) -> Bool[np.ndarray, "time body"]:
    """Whether each body's centre is in the picture."""
    shots = []
    for shot in record.shots:
        frames = slice(shot.first_frame, shot.first_frame + shot.frames)
        pixels, _ = project(record.centre_of_mass[frames], shot.cameras)
        sides = 2 * shot.cameras.intrinsics[:, None, 2:]  # the optical axis meets the middle
        shots.append(((pixels >= 0) & (pixels < sides)).all(axis=-1))  # NaN: behind the camera
    return np.concatenate(shots)


def part_of(body: str) -> str:
    """
    >>> part_of("left_foot"), part_of("right_upper_arm"), part_of("rod")
    ('feet', 'arms', '')
    """
    return PARTS.get(body.split("_")[-1], "")


def hits(record: Record, event: dict[str, Any], rows: dict[str, int]) -> str:
    """The object that is much the faster in the frame before the two meet, or ""."""
    frame = max(int(np.ceil(event["start_s"] * record.frame_rate_hz)) - 1, 0)
    frame = min(frame, len(record.velocity) - 1)
    a, b = rows[event["body_a"]], rows[event["body_b"]]
    fast_a, fast_b = np.sqrt((record.velocity[frame, [a, b]] ** 2).sum(-1))
    if fast_a >= HITS * fast_b:
        return record.bodies[a]["object"]
    return record.bodies[b]["object"] if fast_b >= HITS * fast_a else ""


def behind(record: Record, event: dict[str, Any], rows: dict[str, int]) -> str:
    """What the line of sight to the hidden body goes through, halfway in time: the nearest."""
    frame = int((event["start_s"] + event["end_s"]) / 2 * record.frame_rate_hz)
    frame = min(frame, len(record.position) - 1)
    shot = next(s for s in reversed(record.shots) if s.first_frame <= frame)
    eye = shot.cameras.position[frame - shot.first_frame]
    row = rows[event["body_a"]]
    to = record.centre_of_mass[frame, row] - eye
    found = []
    for i, body in enumerate(record.bodies):
        if body["object"] != record.bodies[row]["object"] and body["visible"]:
            turn = rotation_matrix(record.quaternion[frame, i])
            start = turn.T @ (eye - record.position[frame, i]) - body["offset_m"]
            if (share := enters(start, turn.T @ to, half_extent(body))) < 1:
                found.append((share, body["name"] if body["static"] else body["object"]))
    return min(found)[1] if found else ""


def half_extent(body: dict[str, Any]) -> np.ndarray:
    """Of a box around the geom, m; a plane hides nothing that is above it."""
    size = body["size"]
    if body["kind"] in ("box", "ellipsoid"):
        return np.array(size)
    if body["kind"] == "sphere":
        return np.full(3, size[0])
    if body["kind"] in ("capsule", "cylinder"):
        return np.array([size[0], size[0], size[1] + size[0] * (body["kind"] == "capsule")])
    return np.zeros(3)


def enters(start: np.ndarray, to: np.ndarray, half: np.ndarray) -> float:
    """Share of the way from start at which the line enters a box around the origin; inf: never."""
    with np.errstate(divide="ignore", invalid="ignore"):
        sides = np.sort(np.stack([(-half - start) / to, (half - start) / to]), axis=0)
    low, high = np.nanmax(sides[0]), np.nanmin(sides[1])
    return float(low) if 0 < low < high else float("inf")
