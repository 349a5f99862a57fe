"""What a camera does, in the field's terms, from its true extrinsics and intrinsics alone.

A steady camera's steps from frame to frame are exact rigid motions, so each says by itself which
move it belongs to: a turn about the vertical where it stands is a pan, the same turn about a point
elsewhere an orbit, a change of focal length a zoom and never a dolly. A hand turns a camera about
every axis at once; then one move is looked for in the smoothed way.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from simgen.cameras import CameraTrack, rotation_matrix
from simgen.captions.hand import hand_move

Run = tuple[str, int, int]  # a move and its first and last frame
STILL_M, STILL_DEG, STILL_ZOOM = 1e-3, 0.5, 0.01  # a camera that moves less stands still
EXACT_RAD, EXACT_M, EXACT_ZOOM = 1e-7, 1e-7, 1e-9  # rounding of a step that does not move
ALONG = 0.9999  # cosine from which a step goes along an axis
SHAKY = 0.3  # share of steps that turn about several axes at once: nothing but a hand does
ROUND = 1e-3  # of the radius, by which an orbit may miss its circle
HOLD_S, DETOUR_S = 0.25, 0.5  # a shorter stop or straight piece is part of the move around it
UP = np.array([0.0, 0.0, 1.0])
MIXED = "moving"


@dataclass(frozen=True)
class Steps:
    """From each frame to the next; axes are those of the camera before."""

    turn: Float64[np.ndarray, "step 3"]  # rotation vector, world, rad
    shift: Float64[np.ndarray, "step 3"]  # world, m
    zoom: Float64[np.ndarray, " step"]  # log ratio of focal lengths
    right: Float64[np.ndarray, "step 3"]
    ahead: Float64[np.ndarray, "step 3"]


def camera_facts(track: CameraTrack, frames: int, *, frame_rate_hz: float = 24.0) -> dict[str, Any]:
    """How the camera of one shot moves over its first `frames` frames.

    Returns:
        move: static, pan_left or _right, tilt_up or _down, roll_left or _right (right: clockwise,
            seen from behind the camera), zoom_in or _out, dolly_in or _out, truck_left or _right,
            pedestal_up or _down, orbit, tracking (travelling without turning, along no axis of its
            own), handheld (shaking on the spot), sequence, or moving for anything else.
        angle_deg, side, travel_m, zoom: By how much, which way, and the ratio of focal lengths at
            the end and the start. Of the move, or over the whole of a sequence.
        pitch_deg: At the start; negative looks down.
        shake: The largest turn of the hand off the smooth way, degrees; 0.0 on a tripod.
        segments: The moves in order, "0", "1", ..., each with move, start_s, end_s, angle_deg,
            side, travel_m, zoom.
    """
    position, focal = track.position[:frames], track.intrinsics[:frames, 0]
    matrix = rotation_matrix(track.quaternion[:frames])
    steps = steps_of(position, matrix, focal)
    labels = labels_of(steps)
    shake = 0.0
    if sum(name == MIXED for name in labels) > SHAKY * len(labels):
        name, shake = hand_move(position, matrix, focal, frame_rate_hz)
        runs = [(name, 0, frames - 1)]
    else:
        runs = exact_runs(labels, steps, position, frame_rate_hz)
    found = [segment(run, steps, position, matrix, focal, frame_rate_hz) for run in runs]
    still = "handheld" if shake else "static"
    found = settled(found, still, frames, frame_rate_hz)
    whole = found[0] if len(found) == 1 else overall(position, matrix, focal)
    return {
        "move": found[0]["move"] if len(found) == 1 else "sequence",
        **{name: whole[name] for name in ("angle_deg", "side", "travel_m", "zoom")},
        "pitch_deg": float(np.rad2deg(np.arcsin(np.clip(-matrix[0, 2, 2], -1, 1)))),
        "shake": shake,
        "segments": {str(n): piece for n, piece in enumerate(found)},
    }


def steps_of(position: np.ndarray, matrix: np.ndarray, focal: np.ndarray) -> Steps:
    turn = Rotation.from_matrix(matrix[1:] @ matrix[:-1].transpose(0, 2, 1)).as_rotvec()
    return Steps(
        turn,
        np.diff(position, axis=0),
        np.diff(np.log(focal)),
        matrix[:-1, :, 0],
        -matrix[:-1, :, 2],
    )


def labels_of(steps: Steps) -> list[str]:
    """The move of each exact step; static for none, moving for more than one."""
    angles, ways = (np.sqrt((rows * rows).sum(-1)) for rows in (steps.turn, steps.shift))
    moving = (angles > EXACT_RAD) | (ways > EXACT_M) | (np.abs(steps.zoom) > EXACT_ZOOM)
    lengths = zip(moving.tolist(), angles.tolist(), ways.tolist(), strict=True)
    return [label(steps, i, a, w) if moves else "static" for i, (moves, a, w) in enumerate(lengths)]


def label(steps: Steps, i: int, angle: float, way: float) -> str:
    """The move that one step, which turns by `angle` and travels by `way`, belongs to."""
    turn, shift = steps.turn[i], steps.shift[i]
    turns, travels = angle > EXACT_RAD, way > EXACT_M
    if abs(steps.zoom[i]) > EXACT_ZOOM:
        return MIXED if turns or travels else f"zoom_{'in' if steps.zoom[i] > 0 else 'out'}"
    right, ahead = steps.right[i], steps.ahead[i]
    if turns and travels:
        level = abs(turn[2]) > ALONG * angle and abs(shift[2]) < (1 - ALONG) * way + EXACT_M
        return f"orbit_{'right' if turn[2] > 0 else 'left'}" if level else MIXED
    if turns:
        axes = ((UP, "pan_left", "pan_right"), (right, "tilt_up", "tilt_down"),
                (ahead, "roll_right", "roll_left"))  # fmt: skip
        return along(turn / angle, axes) or MIXED
    axes = ((ahead, "dolly_in", "dolly_out"), (right, "truck_right", "truck_left"),
            (UP, "pedestal_up", "pedestal_down"))  # fmt: skip
    return along(shift / way, axes) or "tracking"


def along(
    direction: np.ndarray, axes: tuple[tuple[np.ndarray, str, str], ...], least: float = ALONG
) -> str:
    """The name of the axis that a unit vector goes along, by its sign; empty for none."""
    cosines = [float(direction @ axis) for axis, _, _ in axes]
    best = int(np.argmax(np.abs(cosines)))
    if abs(cosines[best]) < least:
        return ""
    return axes[best][1] if cosines[best] > 0 else axes[best][2]


def exact_runs(
    labels: list[str], steps: Steps, position: np.ndarray, frame_rate_hz: float
) -> list[Run]:
    """The moves of a steady camera: steps of one kind in a row."""
    runs: list[Run] = []
    for name, group in groupby(range(len(labels)), key=labels.__getitem__):
        index = list(group)
        runs.append((name, index[0], index[-1] + 1))
    # one move's end and the next one's start share the step between two frames
    runs = absorbed(runs, lambda run, _: run[2] - run[1] < 2)
    hold, detour = HOLD_S * frame_rate_hz, DETOUR_S * frame_rate_hz
    runs = absorbed(runs, lambda run, _: run[0] == "static" and run[2] - run[1] < hold)
    runs = absorbed(
        runs,
        lambda run, around: (
            "tracking" in around
            and (run[0] == "static" or (run[0] in TRAVELS and run[2] - run[1] < detour))
        ),
    )
    return [
        (MIXED, a, b) if name.startswith("orbit") and not circles(position, steps, a, b)
        else (name, a, b)
        for name, a, b in runs
    ]  # fmt: skip


TRAVELS = (
    "dolly_in", "dolly_out", "truck_left", "truck_right", "pedestal_up", "pedestal_down",
)  # fmt: skip


def absorbed(runs: list[Run], minor: Any) -> list[Run]:
    """The runs without minor ones, whose time goes to a neighbour; equal neighbours join.

    Args:
        minor: (run, names of its neighbours) -> whether it is only a part of one of them.
    """
    kept: list[Run] = []
    for i, (name, start, end) in enumerate(runs):
        around = [runs[j][0] for j in (i - 1, i + 1) if 0 <= j < len(runs)]
        if around and minor((name, start, end), around):
            name = kept[-1][0] if kept else around[-1]
        if kept and kept[-1][0] == name:
            kept[-1] = (name, kept[-1][1], end)
        else:
            kept.append((name, start, end))
    return kept


def circles(position: np.ndarray, steps: Steps, start: int, end: int) -> bool:
    """Whether the camera turned rigidly about one vertical axis, so not just turned and moved.

    A long run's first and last step may belong to its neighbours in part.
    """
    if end - start > 4:
        start, end = start + 1, end - 1
    angle = np.cumsum(steps.turn[start:end, 2])
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    first, later = position[start, :2], position[start + 1 : end + 1, :2]
    sides = later - turn @ first
    centre = np.linalg.lstsq((np.eye(2) - turn).reshape(-1, 2), sides.ravel(), rcond=None)[0]
    missed = np.linalg.norm(later - centre - (turn @ (first - centre)), axis=-1).max()
    return bool(missed < ROUND * np.linalg.norm(first - centre))


def segment(
    run: Run, steps: Steps, position: np.ndarray, matrix: np.ndarray, focal: np.ndarray,
    frame_rate_hz: float,
) -> dict[str, Any]:  # fmt: skip
    """One move with its times and amounts."""
    name, start, end = run
    kind, _, way = name.partition("_")
    turn = steps.turn[start:end].sum(axis=0)
    axis = {"tilt": matrix[start, :, 0], "roll": matrix[start, :, 2]}.get(kind, UP)
    shift = position[start : end + 1] - position[start]
    turns = kind in ("pan", "tilt", "roll", "orbit", MIXED)
    travels = kind in ("dolly", "truck", "pedestal", "orbit", "tracking", MIXED)
    return {
        "move": "orbit" if kind == "orbit" else name,
        "start_s": start / frame_rate_hz,
        "end_s": (end + (end == len(steps.zoom))) / frame_rate_hz,  # the last frame lasts too
        "angle_deg": float(np.rad2deg(abs(turn @ axis))) if turns else 0.0,
        "side": way if way in ("left", "right") else "",
        "travel_m": float(np.linalg.norm(shift, axis=1).max()) if travels else 0.0,
        "zoom": float(focal[end] / focal[start]),
    }  # fmt: skip


def settled(
    found: list[dict[str, Any]], still: str, frames: int, frame_rate_hz: float
) -> list[dict[str, Any]]:
    """The segments without moves that nobody would see; what stands still is `still`."""
    for piece in found:
        nothing = (
            piece["angle_deg"] < STILL_DEG
            and piece["travel_m"] < STILL_M
            and abs(piece["zoom"] - 1) < STILL_ZOOM
        )
        if nothing or piece["move"] == "static":
            piece.update(move=still, angle_deg=0.0, side="", travel_m=0.0, zoom=1.0)
    joined: list[dict[str, Any]] = []
    for piece in found:
        if joined and piece["move"] == joined[-1]["move"] == still:
            joined[-1]["end_s"] = piece["end_s"]
        else:
            joined.append(piece)
    nothing = {"move": still, "start_s": 0.0, "end_s": frames / frame_rate_hz, "angle_deg": 0.0,
               "side": "", "travel_m": 0.0, "zoom": 1.0}  # fmt: skip
    return joined or [nothing]


def overall(position: np.ndarray, matrix: np.ndarray, focal: np.ndarray) -> dict[str, Any]:
    """Amounts over a whole sequence: the range of headings, the farthest from the start."""
    heading = np.unwrap(np.arctan2(-matrix[:, 1, 2], -matrix[:, 0, 2]))
    return {
        "angle_deg": float(np.rad2deg(np.ptp(heading))),
        "side": "",
        "travel_m": float(np.linalg.norm(position - position[0], axis=1).max()),
        "zoom": float(focal[-1] / focal[0]),
    }
