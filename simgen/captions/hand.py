"""The moves under a hand's shake: what is left of a camera's way when it is smoothed.

The shake has no part slower than 0.5 Hz and a move takes seconds, so a way that is much longer than
the shake is a move. Either one move explains the whole shot, or it is only said to move: where one
of several ends and the next begins would be a guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.ndimage import gaussian_filter1d

SMOOTH_S = 0.3  # passes a third of the shake's power
TIMES_SHAKE_DEG, TIMES_SHAKE_M = 9.0, 12.0  # of what smoothing takes away: a longer way is a move
LEAST_DEG, LEAST_M = 1.0, 0.03  # and at least this
ZOOM = 0.01  # of the logarithm of the focal length, which no hand changes
STRAIGHT = 0.05  # of its length, and half a shake, by which a straight way may miss its axis
ROUND = 0.1  # of the radius, by which a hand may miss the circle of an orbit


@dataclass(frozen=True)
class Way:
    """A camera's smoothed way; angles in degrees, level cameras assumed."""

    yaw: Float64[np.ndarray, " time"]  # + to the left
    pitch: Float64[np.ndarray, " time"]  # + up
    roll: Float64[np.ndarray, " time"]  # + clockwise, seen from behind
    zoom: Float64[np.ndarray, " time"]  # log of the focal length
    position: Float64[np.ndarray, "time 3"]
    rough_yaw: Float64[np.ndarray, " time"]  # as it was
    rough_position: Float64[np.ndarray, "time 3"]
    matrix: Float64[np.ndarray, "time 3 3"]
    least_deg: float  # a turn by more is no shake
    least_m: float


def hand_move(
    position: np.ndarray, matrix: np.ndarray, focal: np.ndarray, frame_rate_hz: float
) -> tuple[str, float]:
    """The one move, and the largest turn off the smooth way in degrees."""
    sigma = SMOOTH_S * frame_rate_hz
    angles = attitude(matrix)
    smooth = gaussian_filter1d(angles, sigma, axis=1, mode="nearest")
    smooth_position = gaussian_filter1d(position, sigma, axis=0, mode="nearest")
    # the axes that carry the move lose its bends as well: judge by the others
    rough_deg = float(np.median((angles - smooth).std(axis=1)))
    rough_m = float((position - smooth_position).std(axis=0).min())
    way = Way(
        *smooth, np.log(focal), smooth_position, angles[0], position, matrix,
        max(LEAST_DEG, TIMES_SHAKE_DEG * rough_deg), max(LEAST_M, TIMES_SHAKE_M * rough_m),
    )  # fmt: skip
    shake = float(np.median(np.abs(angles - smooth).max(axis=1)))
    return whole(way) or "moving", max(shake, 1e-3)


def attitude(matrix: Float64[np.ndarray, "time 3 3"]) -> Float64[np.ndarray, "3 time"]:
    """Yaw, pitch and roll, degrees."""
    ahead, right = -matrix[:, :, 2], matrix[:, :, 0]
    yaw = np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))
    pitch = np.arcsin(np.clip(ahead[:, 2], -1, 1))
    level = np.stack([np.sin(yaw), -np.cos(yaw), np.zeros_like(yaw)], axis=-1)
    down = np.cross(ahead, level)
    roll = np.arctan2(
        np.einsum("ti,ti->t", right, down), np.einsum("ti,ti->t", right, level)
    )  # the right side goes down: clockwise
    return np.rad2deg([yaw, pitch, np.unwrap(roll)])


def whole(way: Way) -> str:
    """The one move that explains the shot; static if it only shakes, empty if none does."""
    turned = {
        name: float(np.ptp(values)) > way.least_deg
        for name, values in (("pan", way.yaw), ("tilt", way.pitch), ("roll", way.roll))
    }
    shift = way.position - way.position[0]
    travelled = float(np.linalg.norm(shift, axis=1).max()) > way.least_m
    zoom = way.zoom[-1] - way.zoom[0]
    names = [name for name, flag in turned.items() if flag]
    if np.ptp(way.zoom) > ZOOM:
        return "" if names or travelled else f"zoom_{'in' if zoom > 0 else 'out'}"
    if travelled and names == ["pan"]:
        return orbit(way)
    if travelled:
        return "" if names else straight(way, shift)
    if len(names) > 1:
        return ""
    return turn(way, names[0]) if names else "static"


def turn(way: Way, name: str) -> str:
    values, more, less = {
        "pan": (way.yaw, "pan_left", "pan_right"),
        "tilt": (way.pitch, "tilt_up", "tilt_down"),
        "roll": (way.roll, "roll_right", "roll_left"),
    }[name]
    change = values[-1] - values[0]
    if abs(change) < 0.7 * np.ptp(values):
        return ""  # there and back
    return more if change > 0 else less


def straight(way: Way, shift: np.ndarray) -> str:
    """A dolly, truck or pedestal; tracking for a way along none of the camera's axes."""
    chord = shift[-1]
    length = float(np.linalg.norm(chord))
    farthest = float(np.linalg.norm(shift, axis=1).max())
    if length < 0.7 * farthest:
        return "" if farthest < 4 * way.least_m else "tracking"
    direction, slack = chord / length, STRAIGHT * length + 0.5 * way.least_m
    off = np.linalg.norm(shift - np.outer(shift @ direction, direction), axis=1).max()
    middle = way.matrix.mean(axis=0)
    axes = (
        (-middle[:, 2], "dolly_in", "dolly_out"),
        (middle[:, 0], "truck_right", "truck_left"),
        (np.array([0.0, 0.0, 1.0]), "pedestal_up", "pedestal_down"),
    )
    cosines = [float(direction @ axis / np.linalg.norm(axis)) for axis, _, _ in axes]
    best = int(np.argmax(np.abs(cosines)))
    missed = length * np.sqrt(max(0.0, 1 - cosines[best] ** 2))
    if max(missed, off) > slack:
        return "tracking"
    return axes[best][1] if cosines[best] > 0 else axes[best][2]


def orbit(way: Way) -> str:
    """An orbit if the way is a circle that turns as much as the camera does.

    Smoothing would shrink the circle, so this looks at the shaken way.
    """
    angle = np.deg2rad(way.rough_yaw - way.rough_yaw[0])
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    place = way.rough_position[:, :2]
    sides = place - turned @ place[0]
    centre = np.linalg.lstsq((np.eye(2) - turned).reshape(-1, 2), sides.ravel(), rcond=None)[0]
    missed = np.linalg.norm(place - centre - turned @ (place[0] - centre), axis=1)
    if np.sqrt(np.mean(missed**2)) > ROUND * np.linalg.norm(place[0] - centre):
        return ""
    return "orbit_right" if way.yaw[-1] > way.yaw[0] else "orbit_left"
