"""From an engine's contact points at every physics step to touches, one row each."""

from __future__ import annotations

import numpy as np

from simgen.motion import CONTACT_DTYPE

# One contact point in one physics step
POINT_DTYPE = np.dtype(
    [
        ("time_s", np.float64),  # the step's start
        ("dt_s", np.float64),  # and its length
        ("body_a", np.int32),  # rows of Scene.bodies, in either order
        ("body_b", np.int32),
        ("normal_n", np.float64),  # mean normal force over the step, N
        ("force_n", np.float64, 3),  # on b from a, friction too, world frame
        ("point", np.float64, 3),  # world frame, m
        ("normal", np.float64, 3),  # unit, from a to b
    ]
)


class ContactRecorder:
    """Merges contact points, added in the order of time, into touches (CONTACT_DTYPE rows).

    Two touches of one pair are one when the time between them is shorter than `merge_gap_s`, so a
    body at rest that trembles on its contact makes one long touch and not a row a step.
    """

    def __init__(self, merge_gap_s: float) -> None:
        self.merge_gap_s = merge_gap_s
        self._steps: list[np.ndarray] = []

    def add(self, points: np.ndarray) -> None:
        """Record contact points (POINT_DTYPE) of whole physics steps, none earlier than before.

        Several points of a pair in one step add up. A point that carries no force is proximity,
        not touch, and is ignored.
        """
        points = points[(points["normal_n"] > 0.0) & (points["body_a"] != points["body_b"])]
        if len(points):
            self._steps.append(_one_a_step(_ordered(points)))

    def rows(self, end_s: float) -> np.ndarray:
        """The touches that began before end_s, by start; one that goes on ends at end_s.

        A touch goes on when it was felt within the merge gap of end_s. Impulse and peak cover
        what was added, so stop adding at end_s.
        """
        steps = np.concatenate([np.empty(0, POINT_DTYPE), *self._steps])
        if not len(steps):
            return np.empty(0, CONTACT_DTYPE)
        steps = steps[np.argsort(_pair(steps), kind="stable")]
        felt = steps["time_s"] + steps["dt_s"]
        pair = _pair(steps)
        new = np.ones(len(steps), dtype=bool)
        new[1:] = pair[1:] != pair[:-1]
        new[1:] |= steps["time_s"][1:] - felt[:-1] >= self.merge_gap_s
        first = np.flatnonzero(new)
        rows = np.empty(len(first), CONTACT_DTYPE)
        for name in ("body_a", "body_b", "point", "normal"):
            rows[name] = steps[name][first]
        rows["start_s"] = steps["time_s"][first]
        end = felt[np.append(first[1:], len(steps)) - 1]
        rows["end_s"] = np.where(end_s - end < self.merge_gap_s, end_s, end)
        dt = steps["dt_s"]
        rows["impulse_ns"] = np.add.reduceat(steps["normal_n"] * dt, first)
        rows["impulse_vector_ns"] = np.add.reduceat(steps["force_n"] * dt[:, None], first)
        rows["peak_force_n"] = np.maximum.reduceat(steps["normal_n"], first)
        rows = rows[rows["start_s"] < end_s]
        return rows[np.lexsort((rows["body_b"], rows["body_a"], rows["start_s"]))]


def _pair(points: np.ndarray) -> np.ndarray:
    return points["body_a"].astype(np.int64) << 32 | points["body_b"]


def _ordered(points: np.ndarray) -> np.ndarray:
    """The points with the lower body first, forces and normals turned to match."""
    points = points.copy()
    swap = points["body_a"] > points["body_b"]
    a, b = points["body_a"][swap], points["body_b"][swap]
    points["body_a"][swap], points["body_b"][swap] = b, a
    points["force_n"][swap] *= -1.0
    points["normal"][swap] *= -1.0
    return points


def _one_a_step(points: np.ndarray) -> np.ndarray:
    """One row a pair and step, by time: forces summed, the place of the step's first point."""
    order = np.lexsort((_pair(points), points["time_s"]))
    points = points[order]
    pair, time_s = _pair(points), points["time_s"]
    new = np.ones(len(points), dtype=bool)
    new[1:] = (pair[1:] != pair[:-1]) | (time_s[1:] != time_s[:-1])
    first = np.flatnonzero(new)
    steps = points[first]
    for name in ("normal_n", "force_n"):
        steps[name] = np.add.reduceat(points[name], first)
    return steps
