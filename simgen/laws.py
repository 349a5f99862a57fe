"""Textbook motion, and what of it a Motion shows: flights, impacts, momentum, slopes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64

from simgen.cameras import rotation_matrix
from simgen.masses import mass_properties
from simgen.motion import Motion, centre_velocity
from simgen.scene import Scene

SETTLE_S = 0.004  # a flight's frames stay this clear of the touches at its ends
TOUCH_S = 0.1  # a longer touch is no bounce


@dataclass(frozen=True)
class Impact:
    """One touch of a free body between two flights."""

    row: int
    start_s: float
    end_s: float
    before: np.ndarray  # (3,) centre's velocity as it begins, m/s
    after: np.ndarray  # (3,) and as it ends
    impulse_ns: float  # normal, as the engine booked it


@dataclass(frozen=True)
class Flight:
    """Frames in which nothing touches a free body, and when that began and ended."""

    frames: slice
    start_s: float
    end_s: float


def frame_times(scene: Scene) -> Float64[np.ndarray, " time1"]:
    """Seconds of every row of the scene's Motion."""
    return np.arange(scene.frames + 1) / scene.frame_rate_hz


def touches_of(motion: Motion, row: int) -> np.ndarray:
    """The contacts of one body, by start."""
    c = motion.contacts
    return c[(c["body_a"] == row) | (c["body_b"] == row)]


def flights(scene: Scene, motion: Motion, row: int) -> Iterator[Flight]:
    """The stretches in which nothing touches the body and that hold at least two frames."""
    touches = touches_of(motion, row)
    times, end_of_clip = frame_times(scene), frame_times(scene)[-1]
    ends = np.maximum.accumulate(np.concatenate([[0.0], touches["end_s"]]))
    starts = np.concatenate([touches["start_s"], [end_of_clip + 1.0]])
    for begin, end in zip(ends, starts, strict=True):
        clear = (times >= begin + (SETTLE_S if begin > 0 else 0.0)) & (times <= end - SETTLE_S)
        rows = np.flatnonzero(clear)
        if len(rows) >= 2:
            last = float(min(end, end_of_clip))
            yield Flight(slice(int(rows[0]), int(rows[-1]) + 1), float(begin), last)


def impacts(scene: Scene, motion: Motion, row: int) -> list[Impact]:
    """Touches between two flights, with speeds carried to them along the flights' parabolas.

    Touches that merge, such as a ball that comes to rest, are no impacts.
    """
    gravity, times = np.array(scene.gravity), frame_times(scene)
    velocity = centre_velocity(motion)[:, row]
    touches, air = touches_of(motion, row), list(flights(scene, motion, row))

    def carried(flight: Flight, time_s: float) -> np.ndarray:
        back = (time_s - times[flight.frames])[:, None]
        return (velocity[flight.frames] + gravity * back).mean(axis=0)

    found = []
    for before, after in pairwise(air):
        between = touches[
            (touches["start_s"] >= before.end_s - 1e-9) & (touches["end_s"] <= after.start_s + 1e-9)
        ]
        if len(between) != 1:
            continue
        start_s, end_s = float(between["start_s"][0]), float(between["end_s"][0])
        found.append(
            Impact(
                row, start_s, end_s, carried(before, start_s), carried(after, end_s),
                float(between["impulse_ns"][0]),
            )
        )  # fmt: skip
    return found


def angular_momentum(scene: Scene, motion: Motion, row: int) -> Float64[np.ndarray, "time1 3"]:
    """Angular momentum of one body about its centre of mass, world frame, kg m2/s."""
    turn = rotation_matrix(motion.quaternion[:, row])
    _, inertia = mass_properties(scene.bodies[row])
    return np.einsum("tij,jk,tlk,tl->ti", turn, inertia, turn, motion.angular_velocity[:, row])


def crossings(
    times: Float64[np.ndarray, " time"],
    value: Float64[np.ndarray, " time"],
    rate: Float64[np.ndarray, " time"],
) -> Float64[np.ndarray, " crossing"]:
    """Times at which a sampled curve of known slope crosses zero: roots of its cubics.

    >>> t = np.linspace(0.0, 7.0, 71)
    >>> crossings(t, np.sin(t - 1.0), np.cos(t - 1.0)).round(4).tolist()
    [1.0, 4.1416]
    """
    found = []
    for i in np.flatnonzero(value[:-1] * value[1:] < 0):
        step = times[i + 1] - times[i]
        p, q, u, v = value[i], value[i + 1], rate[i] * step, rate[i + 1] * step
        cubic = [2 * p - 2 * q + u + v, -3 * p + 3 * q - 2 * u - v, u, p]
        roots = np.roots(cubic)
        inside = roots[(np.abs(roots.imag) < 1e-9) & (roots.real >= 0) & (roots.real <= 1)].real
        found.append(times[i] + step * float(inside[0]))
    return np.array(found)


def slope(times: Float64[np.ndarray, " time"], value: Float64[np.ndarray, " time"]) -> float:
    """Rate of change of a curve by the straight line nearest to it, per second."""
    return float(np.polyfit(times, value, 1)[0])


def momentum_drift(scene: Scene, motion: Motion, row: int) -> float:
    """Largest change of a free body's angular momentum within a flight, as a share of it."""
    spin = angular_momentum(scene, motion, row)
    worst = 0.0
    for flight in flights(scene, motion, row):
        part = spin[flight.frames]
        size = float(np.linalg.norm(part[0]))
        if size > 0:
            worst = max(worst, float(np.linalg.norm(part - part[0], axis=1).max()) / size)
    return worst


def parabola_error_m(scene: Scene, motion: Motion, row: int) -> float:
    """Farthest that a free body's centre is from the parabola that each flight begins on, m."""
    times, gravity = frame_times(scene), np.array(scene.gravity)
    centre, velocity = motion.centre_of_mass[:, row], centre_velocity(motion)[:, row]
    worst = 0.0
    for flight in flights(scene, motion, row):
        t = (times[flight.frames] - times[flight.frames][0])[:, None]
        first = flight.frames.start
        exact = centre[first] + velocity[first] * t + gravity * t**2 / 2
        worst = max(worst, float(np.linalg.norm(centre[flight.frames] - exact, axis=1).max()))
    return worst


def energy_gain(scene: Scene, motion: Motion) -> float:
    """Largest rise of the energy over its lowest so far, as a share of what the clip exchanges.

    Frames within a short touch do not count: what its spring holds is in no account.
    """
    times = frame_times(scene)
    energy = motion.kinetic_energy_j + motion.potential_energy_j
    exchange = float(motion.kinetic_energy_j[0] + np.ptp(motion.potential_energy_j))
    sprung = np.zeros(len(times), dtype=bool)
    for touch in motion.contacts[motion.contacts["end_s"] - motion.contacts["start_s"] < TOUCH_S]:
        sprung |= (times > touch["start_s"] - SETTLE_S) & (times < touch["end_s"] + SETTLE_S)
    free = energy[~sprung]
    return float((free - np.minimum.accumulate(free)).max()) / max(exchange, 1e-9)
