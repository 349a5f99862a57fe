"""From an engine's contact points at every physics step to touches, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simgen.motion import CONTACT_DTYPE


@dataclass
class _Touch:
    """One touch of one pair while it is being recorded."""

    start_s: float
    end_s: float
    point: tuple[float, ...]
    normal: tuple[float, ...]
    impulse_ns: float = 0.0
    peak_force_n: float = 0.0
    step_s: float = float("nan")  # the step that step_force_n belongs to
    step_force_n: float = 0.0  # over the pair's contact points of that step

    def press(self, time_s: float, dt_s: float, force_n: float) -> None:
        if time_s != self.step_s:
            self.step_s, self.step_force_n = time_s, 0.0
        self.step_force_n += force_n
        self.peak_force_n = max(self.peak_force_n, self.step_force_n)
        self.impulse_ns += force_n * dt_s
        self.end_s = max(self.end_s, time_s + dt_s)


class ContactRecorder:
    """Merges contact points, added step by step, into touches (CONTACT_DTYPE rows).

    Two touches of one pair are one when the time between them is shorter than `merge_gap_s`, so a
    body at rest that trembles on its contact makes one long touch and not a row a step.
    """

    def __init__(self, merge_gap_s: float) -> None:
        self.merge_gap_s = merge_gap_s
        self._open: dict[tuple[int, int], _Touch] = {}
        self._done: list[tuple[tuple[int, int], _Touch]] = []

    def add(
        self,
        time_s: float,
        dt_s: float,
        body_a: int,
        body_b: int,
        normal_force_n: float,
        point: Sequence[float],
        normal: Sequence[float],
    ) -> None:
        """Record one contact point of the physics step from time_s to time_s + dt_s.

        Several points of a pair in one step add up. Steps must come in order. A point that
        carries no force is proximity, not touch, and is ignored.

        Args:
            body_a, body_b: Rows of Scene.bodies, in either order.
            normal_force_n: Mean normal force over the step, N.
            point: World frame, m.
            normal: Unit, from body_a to body_b.
        """
        if normal_force_n <= 0.0 or body_a == body_b:
            return
        if body_a > body_b:
            body_a, body_b, normal = body_b, body_a, tuple(-x for x in normal)
        pair = (body_a, body_b)
        touch = self._open.get(pair)
        if touch is None or time_s - touch.end_s >= self.merge_gap_s:
            if touch is not None:
                self._done.append((pair, touch))
            touch = _Touch(time_s, time_s + dt_s, tuple(point), tuple(normal))
            self._open[pair] = touch
        touch.press(time_s, dt_s, normal_force_n)

    def rows(self, end_s: float) -> np.ndarray:
        """The touches that began before end_s, by start; one that goes on ends at end_s.

        A touch goes on when it was felt within the merge gap of end_s. Impulse and peak cover
        what was added, so stop adding at end_s.
        """
        touches = [*self._done, *self._open.items()]
        table = [
            (
                *pair,
                touch.start_s,
                end_s if end_s - touch.end_s < self.merge_gap_s else touch.end_s,
                touch.impulse_ns,
                tuple(touch.impulse_ns * x for x in touch.normal),
                touch.peak_force_n,
                touch.point,
                touch.normal,
            )
            for pair, touch in touches
            if touch.start_s < end_s
        ]
        table.sort(key=lambda row: (row[2], row[0], row[1]))
        return np.array(table, dtype=CONTACT_DTYPE)
