"""Camera moves as rigid motions: each takes the camera at its start and gives it in every frame.

Rotations are matrices from start to end, so nothing here has a gimbal to lock. A camera looks along
its local -z with +y up; the world's z is up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

UP = np.array([0.0, 0.0, 1.0])
SHAKE_HZ = (0.5, 8.0)  # the band in which a hand shakes
SHAKE_TONES = 24  # sines an axis
NEAREST = 0.2  # of the distance to the subject: a dolly that comes nearer is on top of it
# Moves that have the point looked at halfway: their sum over a sequence has its middle at 0
CENTRED = ("truck", "pedestal", "pan", "tilt", "zoom")


@dataclass(frozen=True)
class Poses:
    """One state of a camera, or one a row."""

    position: Float64[np.ndarray, "*time 3"]
    matrix: Float64[np.ndarray, "*time 3 3"]  # columns: right, up and back in the world
    focal: Float64[np.ndarray, "*time"]  # px
    pivot: Float64[np.ndarray, "*time 3"]  # the point that an orbit turns around

    def at(self, index: int | slice | np.ndarray) -> Poses:
        return Poses(self.position[index], self.matrix[index], self.focal[index], self.pivot[index])

    def repeated(self, times: int) -> Poses:
        """One state in every row."""
        return Poses(
            *(
                np.broadcast_to(field, (times, *np.shape(field))).copy()
                for field in (self.position, self.matrix, self.focal, self.pivot)
            )
        )


@dataclass(frozen=True)
class Move:
    """One drawn move: travel in the recipe's units, and when, in shares of the shot."""

    kind: str
    travel: float
    start: float
    end: float
    ease: str


def turns(axis: np.ndarray, degrees: np.ndarray) -> Float64[np.ndarray, "time 3 3"]:
    """Rotations about a unit axis of the world."""
    return Rotation.from_rotvec(np.outer(np.deg2rad(degrees), axis)).as_matrix()


def _turned(start: Poses, axis: np.ndarray, degrees: np.ndarray) -> Poses:
    """The camera turned where it stands."""
    return replace(start.repeated(len(degrees)), matrix=turns(axis, degrees) @ start.matrix)


def _shifted(start: Poses, direction: np.ndarray, metres: np.ndarray) -> Poses:
    rows = start.repeated(len(metres))
    return replace(rows, position=rows.position + np.outer(metres, direction))


def _static(start: Poses, travel: float, progress: np.ndarray) -> Poses:
    return start.repeated(len(progress))


def _pan(start: Poses, travel: float, progress: np.ndarray) -> Poses:
    return _turned(start, -UP, travel * progress)


def _tilt(start: Poses, travel: float, progress: np.ndarray) -> Poses:
    pitch = np.rad2deg(np.arcsin(np.clip(-start.matrix[2, 2], -1, 1)))
    if abs(pitch + travel) > 90:
        raise ValueError(
            f"a tilt of {travel:.0f} degrees from a pitch of {pitch:.0f} turns the picture upside "
            "down; keep camera.travel smaller"
        )
    return _turned(start, start.matrix[:, 0], travel * progress)


def _roll(start: Poses, travel: float, progress: np.ndarray) -> Poses:
    return _turned(start, -start.matrix[:, 2], travel * progress)


def _zoom(start: Poses, travel: float, progress: np.ndarray) -> Poses:
    return replace(start.repeated(len(progress)), focal=start.focal * travel**progress)


def _dolly(start: Poses, travel: float, progress: np.ndarray) -> Poses:
    away = float(np.linalg.norm(start.position - start.pivot))
    if away - travel < NEAREST * away:
        raise ValueError(
            f"a dolly of {travel:.2f} m from {away:.2f} m away ends on its subject; keep "
            f"camera.travel under {1 - NEAREST:g} of the distance"
        )
    return _shifted(start, -start.matrix[:, 2], travel * progress)


def _truck(start: Poses, travel: float, progress: np.ndarray) -> Poses:
    return _shifted(start, start.matrix[:, 0], travel * progress)


def _pedestal(start: Poses, travel: float, progress: np.ndarray) -> Poses:
    return _shifted(start, UP, travel * progress)


def _orbit(start: Poses, travel: float, progress: np.ndarray) -> Poses:
    turn = turns(UP, travel * progress)
    position = start.pivot + turn @ (start.position - start.pivot)
    return replace(start.repeated(len(turn)), position=position, matrix=turn @ start.matrix)


# kind -> its rows for progress 0..1; tracking depends on a subject as well, so `play` does it
MOVES: dict[str, Callable[[Poses, float, np.ndarray], Poses]] = {
    "static": _static,
    "pan": _pan,
    "tilt": _tilt,
    "roll": _roll,
    "zoom": _zoom,
    "dolly": _dolly,
    "truck": _truck,
    "pedestal": _pedestal,
    "orbit": _orbit,
}


def ease(progress: np.ndarray) -> np.ndarray:
    """0..1 to 0..1, setting off and stopping without a jerk (3 s^2 - 2 s^3).

    >>> ease(np.array([0.0, 0.5, 1.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    return progress * progress * (3.0 - 2.0 * progress)


EASES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "in_out": ease,
    "in": lambda s: s * s,
    "out": lambda s: s * (2.0 - s),
    "linear": lambda s: s,
}


def centred(start: Poses, moves: Sequence[Move]) -> Poses:
    """The start from which the CENTRED moves pass the given one halfway."""
    for kind in CENTRED:
        travels = [move.travel for move in moves if move.kind == kind]
        if not travels:
            continue
        way = np.cumsum([0.0, *(np.log(travels) if kind == "zoom" else travels)])
        back = -0.5 * (way.min() + way.max())
        amount = float(np.exp(back)) if kind == "zoom" else float(back)
        start = MOVES[kind](start, amount, np.ones(1)).at(0)
    return start


def play(
    start: Poses,
    moves: Sequence[Move],
    rows: int,
    subject: Float64[np.ndarray, "rows 3"] | None = None,
) -> Poses:
    """The moves one after the other, a row a frame, from the first at 0 to the last at the end.

    Args:
        start: One state.
        moves: In order, without gaps, from share 0 to 1.
        subject: Where what a tracking camera travels along with is, m.
    Raises:
        ValueError: A move that ends on its subject or upside down, or tracking without a subject.
    """
    share = np.linspace(0.0, 1.0, rows)
    out = start.repeated(rows)
    for move in moves:
        local = np.clip((share - move.start) / (move.end - move.start), 0.0, 1.0)
        progress = np.append(EASES[move.ease](local), 1.0)  # its end lies between frames
        if move.kind == "tracking":
            made = _tracked(start, share, move, subject)
        else:
            made = MOVES[move.kind](start, move.travel, progress)
        later = np.flatnonzero(share >= move.start)
        for name in ("position", "matrix", "focal", "pivot"):
            getattr(out, name)[later] = getattr(made, name)[later]
        start = made.at(-1)
    return out


def _tracked(start: Poses, share: np.ndarray, move: Move, subject: np.ndarray | None) -> Poses:
    """Travelling along with the subject at a fixed offset, without turning."""
    if subject is None:
        raise ValueError("a tracking camera has nothing that moves to travel along with")
    times = np.append(np.clip(share, move.start, move.end), move.end)
    way = np.stack([np.interp(times, share, axis) for axis in subject.T], axis=-1)
    shift = way - way[0]
    rows = start.repeated(len(times))
    return replace(rows, position=rows.position + shift, pivot=rows.pivot + shift)


def shaken(
    poses: Poses, degrees: float, metres: float, frame_rate_hz: float, rng: np.random.Generator
) -> Poses:
    """The same in a hand: band-limited noise on every axis, weaker the faster (1/f in amplitude).

    Args:
        degrees, metres: The largest turn and displacement over the rows.
    """
    lowest, highest = SHAKE_HZ
    highest = max(lowest, min(highest, 0.45 * frame_rate_hz))  # below Nyquist
    frequency = np.geomspace(lowest, highest, SHAKE_TONES)
    phase = rng.uniform(0, 2 * np.pi, (6, SHAKE_TONES))
    weight = rng.normal(size=(6, SHAKE_TONES)) / frequency
    time = np.arange(len(poses.focal)) / frame_rate_hz
    wave = np.sin(2 * np.pi * frequency * time[:, None, None] + phase)
    noise = np.einsum("taf,af->ta", wave, weight)
    turn, shift = (
        amount * part / max(float(np.linalg.norm(part, axis=1).max()), 1e-12)
        for part, amount in ((noise[:, :3], degrees), (noise[:, 3:], metres))
    )
    matrix = poses.matrix @ Rotation.from_rotvec(np.deg2rad(turn)).as_matrix()
    position = poses.position + np.einsum("tij,tj->ti", poses.matrix, shift)
    return replace(poses, matrix=matrix, position=position)
