"""What the camera does, in the field's terms, from its true extrinsics and intrinsics."""

from __future__ import annotations

from functools import partial

from simgen.captions.claims import Claim, Facts, resolve
from simgen.captions.clauses import Choices, Clause, Said, clause, number, stated
from simgen.captions.phrases import at, count, span

LEVEL_DEG, STEEP_DEG = 8.0, 40.0  # pitch below which a view is level, and above which steep

# {angle}, {metres}, {zoom} and {side} are of the camera's facts; "the camera" goes before
MOVES: dict[str, tuple[str, ...]] = {
    "static": ("is static", "stands still", "does not move"),
    "pan_left": ("pans {angle} degrees to the left", "turns {angle} degrees to the left"),
    "pan_right": ("pans {angle} degrees to the right", "turns {angle} degrees to the right"),
    "tilt_up": ("tilts up by {angle} degrees",),
    "tilt_down": ("tilts down by {angle} degrees",),
    "roll_left": ("rolls {angle} degrees to the left",),
    "roll_right": ("rolls {angle} degrees to the right",),
    "zoom_in": ("zooms in to {zoom} times the focal length",),
    "zoom_out": ("zooms out to {zoom} times the focal length",),
    "dolly_in": ("dollies in by {metres} m", "moves in by {metres} m"),
    "dolly_out": ("dollies out by {metres} m", "moves out by {metres} m"),
    "truck_left": ("trucks {metres} m to the left", "slides {metres} m to the left"),
    "truck_right": ("trucks {metres} m to the right", "slides {metres} m to the right"),
    "pedestal_up": ("rises by {metres} m", "pedestals up by {metres} m"),
    "pedestal_down": ("sinks by {metres} m", "pedestals down by {metres} m"),
    "orbit": (
        "orbits {angle} degrees to the {side}", "arcs {angle} degrees to the {side}",
        "circles {angle} degrees to the {side}",
    ),
    "tracking": ("tracks what moves", "follows what moves"),
    "handheld": ("is handheld", "shakes in the hand"),
    "moving": ("moves",),
}  # fmt: skip
MIRRORED = {
    f"{move}_{one}": f"{move}_{other}"
    for move, ways in {
        "pan": ("left", "right"), "tilt": ("up", "down"), "roll": ("left", "right"),
        "zoom": ("in", "out"), "dolly": ("in", "out"), "truck": ("left", "right"),
        "pedestal": ("up", "down"),
    }.items()
    for one, other in (ways, ways[::-1])
}  # fmt: skip
AMOUNTS = {"angle": ("angle_deg", 0), "metres": ("travel_m", 1), "zoom": ("zoom", 1)}


def move_words(facts: Facts, path: str, share: float) -> tuple[str, list[Claim]]:
    """`orbits 60 degrees to the right`: the move at the path, `shots.0.camera` for one."""
    camera = resolve(facts, path)
    wordings = MOVES[camera["move"]]
    wording = wordings[int(share * len(wordings))]
    claims, words = [stated(facts, f"{path}.move")], {}
    for word, (field, places) in AMOUNTS.items():
        if f"{{{word}}}" in wording:
            words[word] = f"{camera[field]:.{places}f}"
            claims.append(number(f"{path}.{field}", words[word]))
    if "{side}" in wording:
        words["side"] = camera["side"]
        claims.append(stated(facts, f"{path}.side"))
    return wording.format(**words), claims


def camera_words(facts: Facts, path: str, share: float) -> tuple[str, list[Claim]]:
    """All that one camera does, its moves one after the other: `tilts up ..., then is static`."""
    told, claims = [], []
    for move in moves(facts, path):
        text, of_move = move_words(facts, move, share)
        told.append(text)
        claims += of_move
    camera = resolve(facts, path)
    text = ", then ".join(told)
    if camera.get("shake") and camera["move"] != "handheld":
        text, claims = f"{text}, handheld", [*claims, {"path": f"{path}.shake", "at_least": 1e-3}]
    return text, claims


def moves(facts: Facts, path: str) -> list[str]:
    """Paths of the camera's moves in order: itself, or its segments if it has several."""
    segments = resolve(facts, path).get("segments", {})
    return [f"{path}.segments.{n}" for n in segments] if len(segments) > 1 else [path]


def gaze_words(facts: Facts, *, path: str) -> Said:
    """Where the camera looks at its start: `looking slightly down`."""
    pitch = resolve(facts, path)["pitch_deg"]
    path = f"{path}.pitch_deg"
    if abs(pitch) < LEVEL_DEG:
        claims = [{"path": path, "below": LEVEL_DEG}, {"path": path, "at_least": -LEVEL_DEG}]
        return Said("looking straight ahead", claims)
    steep = abs(pitch) > STEEP_DEG
    if pitch < 0:
        bounds = {"at_most": -STEEP_DEG} if steep else {"at_most": -LEVEL_DEG}
        rest = [] if steep else [{"path": path, "at_least": -STEEP_DEG}]
    else:
        bounds = {"at_least": STEEP_DEG} if steep else {"at_least": LEVEL_DEG}
        rest = [] if steep else [{"path": path, "at_most": STEEP_DEG}]
    text = f"looking {'steeply' if steep else 'slightly'} {'down' if pitch < 0 else 'up'}"
    return Said(text, [{"path": path, **bounds}, *rest])


def short_clause(facts: Facts, choose: Choices) -> Clause:
    """The camera of the only shot, or how many shots there are."""
    if len(facts["shots"]) > 1:
        return clause(facts, shot_count)
    return clause(facts, partial(whole_move, path="shots.0.camera", share=choose.share()))


def shot_count(facts: Facts) -> Said:
    shots = len(facts["shots"])
    return Said(f"filmed in {count(shots)} shots", [{"count": {"of": "shots"}, "is": shots}])


def whole_move(facts: Facts, *, path: str, share: float) -> Said:
    text, claims = camera_words(facts, path, share)
    return Said(f"the camera {text}", claims)


def dense_clauses(facts: Facts, choose: Choices) -> list[list[Clause]]:
    """A list of clauses a shot: how it begins, its camera, its gaze."""
    found = []
    for n in facts["shots"]:
        path = f"shots.{n}.camera"
        writers = [partial(begins, n=n)] if len(facts["shots"]) > 1 else []
        writers.append(partial(whole_move, path=path, share=choose.share()))
        writers.append(partial(gaze_words, path=path))
        found.append([clause(facts, write) for write in writers])
    return found


def begins(facts: Facts, *, n: str) -> Said:
    """`cut to another view at 1.3 s`."""
    where, claims = place_words(facts, n)
    if n == "0":
        said = shot_count(facts)
        if not facts["shots"][n]["setting"]:
            return said
        return Said(f"{said.text}, the first of {where}", claims + said.claims)
    start_s = facts["shots"][n]["start_s"]
    claims.append(number(f"shots.{n}.start_s", f"{start_s:.1f}"))
    return Said(f"cut to {where} at {at(start_s)}", claims)


def place_words(facts: Facts, n: str) -> tuple[str, list[Claim]]:
    """What a shot shows: a setting by its name, or the scene from another view."""
    setting = facts["shots"][n]["setting"]
    claims = [stated(facts, f"shots.{n}.setting")]
    if setting:
        return f"the {setting.replace('_', ' ')}", claims
    return "another view", claims


def timeline_clauses(facts: Facts, choose: Choices) -> list[Clause]:
    """`0.00-1.33 s: the camera is static`, `1.33 s: cut to another view`."""
    clauses = []
    for n in facts["shots"]:
        if n != "0":
            clauses.append(clause(facts, partial(cut, n=n)))
        for move in moves(facts, f"shots.{n}.camera"):
            timed = move if "segments" in move else f"shots.{n}"
            write = partial(timed_move, move=move, timed=timed, share=choose.share())
            clauses.append(clause(facts, write))
    return clauses


def cut(facts: Facts, *, n: str) -> Said:
    start_s = facts["shots"][n]["start_s"]
    where, claims = place_words(facts, n)
    claims.append(number(f"shots.{n}.start_s", f"{start_s:.2f}"))
    return Said(f"{span(start_s, start_s)}: cut to {where}", claims, start_s)


def timed_move(facts: Facts, *, move: str, timed: str, share: float) -> Said:
    """
    Args:
        move: Path of the camera or of one of its segments.
        timed: Path of what has its times.
    """
    times = resolve(facts, timed)
    text, claims = move_words(facts, move, share)
    for field in ("start_s", "end_s"):
        claims.append(number(f"{timed}.{field}", f"{times[field]:.2f}"))
    when = span(times["start_s"], times["end_s"])
    return Said(f"{when}: the camera {text}", claims, times["start_s"])
