"""What happened in a clip, as a list of events in order of time; captions cite them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int32

from simgen.families import Outcome
from simgen.motion import Change, Motion, absent, centre_velocity
from simgen.scene import Scene

HIDDEN_SHARE = 0.1  # an object is occluded while less than this of its silhouette shows
HIDDEN_PIXELS = 6  # a silhouette of fewer pixels flickers by rounding alone
APEX_RISE_M = 0.05  # a turn after a smaller rise is a tremble on a contact


@dataclass(frozen=True)
class Event:
    """Something that happened; captions cite it by `event_id` (e3 is the clip's fourth)."""

    event_id: str
    kind: str
    start_s: float
    end_s: float
    body_a: int = -1  # row of Scene.bodies, -1: none
    body_b: int = -1
    impulse_ns: float = float("nan")
    point: tuple[float, float, float] | None = None
    value: str = ""


def find_events(
    scene: Scene,
    motion: Motion,
    outcome: Outcome,
    *,
    area: Int32[np.ndarray, "time body"],
    whole: Int32[np.ndarray, "time body"],
    inside: Bool[np.ndarray, "time body"],
    cuts: tuple[int, ...] = (),
    change: Change | None = None,
) -> tuple[Event, ...]:
    """Contacts, the outcome's own events, occlusions, exits, apexes, cuts and a twin's change,
    numbered by start.

    Occlusions, exits and apexes are of moving objects; `body_a` is the object's first body.

    Args:
        area: Visible pixels.
        whole: Pixels of the silhouettes as if nothing stood in front.
        inside: Whether the centre of mass projects into the picture.
        cuts: First frames of every shot but the clip's first.
    """
    found = [
        *contacts(motion),
        *announced(scene, outcome),
        *sight(scene, area, whole, inside),
        *apexes(scene, motion, change),
        *edits(scene, cuts, change),
    ]
    if change:
        found = [event for event in found if not spurious(event, scene, motion, change)]
    found.sort(key=lambda e: (e.start_s, e.kind, e.body_a, e.body_b))
    return tuple(replace(event, event_id=f"e{i}") for i, event in enumerate(found))


def objects(scene: Scene) -> dict[str, list[int]]:
    """Rows of the bodies of each object that can move, by object name, in scene order."""
    rows: dict[str, list[int]] = {}
    for row, body in enumerate(scene.bodies):
        if body.motion != "static":
            rows.setdefault(body.object_name, []).append(row)
    return rows


def contacts(motion: Motion) -> Iterator[Event]:
    """Every touch that the engine felt: impulse in N s, point where it began in metres."""
    for touch in motion.contacts:
        yield Event(
            "", "contact", float(touch["start_s"]), float(touch["end_s"]),
            int(touch["body_a"]), int(touch["body_b"]), float(touch["impulse_ns"]),
            tuple(float(x) for x in touch["point"]),
        )  # fmt: skip


def announced(scene: Scene, outcome: Outcome) -> Iterator[Event]:
    """The events that the family itself measured."""

    def row(body: str | int | None) -> int:
        if isinstance(body, str):
            return scene.body_index(body) if body else -1
        return -1 if body is None else int(body)

    for event in outcome.events:
        start = float(event["start_s"])
        yield Event(
            "", event["kind"], start, float(event.get("end_s", start)),
            row(event.get("body_a")), row(event.get("body_b")),
            value=str(event.get("value", "")),
        )  # fmt: skip


def spurious(event: Event, scene: Scene, motion: Motion, change: Change) -> bool:
    """Whether it tells of a body that is not there, or of the jump of a splice as of a flight."""
    if event.kind not in ("occlusion", "out_of_frame", "apex"):
        return False
    frame = min(round(event.start_s * scene.frame_rate_hz), scene.frames - 1)
    gone = absent(motion.position[frame, event.body_a, 2])
    return bool(gone) or (event.kind == "apex" and abs(frame - change.frame) <= 1)


def edits(scene: Scene, cuts: tuple[int, ...], change: Change | None) -> Iterator[Event]:
    """What was done to the clip from outside: cuts, and the change that makes a twin of it.

    A change that nothing ever shows, such as a mass times one, did not happen.
    """
    for frame in cuts:
        yield Event("", "cut", frame / scene.frame_rate_hz, frame / scene.frame_rate_hz)
    if change and change.diverges_1mm_frame >= 0:
        at = change.frame / scene.frame_rate_hz
        row = scene.body_index(change.body) if change.body else -1
        yield Event("", "change", at, at, row, value=change.kind)


def sight(scene: Scene, area: np.ndarray, whole: np.ndarray, inside: np.ndarray) -> Iterator[Event]:
    """When moving objects are hidden behind something or outside the picture."""
    for rows in objects(scene).values():
        seen, all_of_it = area[:, rows].sum(1), whole[:, rows].sum(1)
        hidden = (all_of_it >= HIDDEN_PIXELS) & (seen < HIDDEN_SHARE * all_of_it)
        outside = (all_of_it == 0) & ~inside[:, rows].any(1)
        for kind, flags in (("occlusion", hidden), ("out_of_frame", outside)):
            for start, end in runs(flags):
                rate = scene.frame_rate_hz
                yield Event("", kind, start / rate, end / rate, rows[0])


def runs(flags: Bool[np.ndarray, " time"]) -> Iterator[tuple[int, int]]:
    """First frame and one past the last of each run of true flags.

    >>> list(runs(np.array([True, False, True, True])))
    [(0, 1), (2, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    yield from ((int(a), int(b)) for a, b in edges.reshape(-1, 2))


def apexes(scene: Scene, motion: Motion, change: Change | None = None) -> Iterator[Event]:
    """Tops of the flights of free objects that nothing touches or holds, where gravity points down.

    The time is where the vertical velocity crosses zero: in free flight it is linear in time, so
    that is exact. `value` is the height of the centre of mass there. A rise counts from where the
    object came to be, or from where a splice put it.
    """
    if not scene.gravity[2] < 0:
        return
    times = np.arange(len(motion.position)) / scene.frame_rate_hz
    velocity = centre_velocity(motion)[..., 2]
    for rows in objects(scene).values():
        if scene.bodies[rows[0]].motion != "free":
            continue  # hung from something
        mass = np.array([scene.bodies[row].mass_kg for row in rows])
        height = motion.centre_of_mass[:, rows, 2] @ mass / mass.sum()
        speed = velocity[:, rows] @ mass / mass.sum()
        low, held_s, gone = np.inf, held_until(scene, motion, rows), absent(height)
        spliced = change and not change.possible and scene.body_index(change.body) in rows
        for t in range(scene.frames - 1):
            if gone[t] or (spliced and t == change.frame):
                low = np.inf
            if gone[t]:
                continue
            low = min(low, height[t])
            if times[t] < held_s or not speed[t] > 0 >= speed[t + 1]:
                continue
            wait = speed[t] / (speed[t] - speed[t + 1]) / scene.frame_rate_hz
            top = height[t] + speed[t] * wait / 2
            if top - low > APEX_RISE_M and not touching(motion, rows, times[t], times[t + 1]):
                at = float(times[t] + wait)
                yield Event("", "apex", at, at, rows[0], value=f"{top:.3f} m")
            low = top


def held_until(scene: Scene, motion: Motion, rows: list[int]) -> float:
    """Seconds at which the last grip on any of the bodies opens: 0 without one, inf if it stays."""
    names = {scene.bodies[row].name for row in rows}
    last_s = 0.0
    for column, connect in enumerate(scene.connects, start=len(scene.actuators)):
        if {connect.body_a, connect.body_b} & names:
            opened = np.flatnonzero(motion.action[: scene.frames, column] > 0)
            open_s = (opened[0] + 1) / scene.frame_rate_hz if len(opened) else np.inf
            last_s = max(last_s, float(open_s))
    return last_s


def touching(motion: Motion, rows: list[int], start_s: float, end_s: float) -> bool:
    """Whether any of the bodies is in touch with one outside of them in that time."""
    c = motion.contacts
    a, b = np.isin(c["body_a"], rows), np.isin(c["body_b"], rows)
    return bool(np.any((a != b) & (c["start_s"] <= end_s) & (c["end_s"] >= start_s)))
