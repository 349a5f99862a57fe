"""Touches from contact points: what adds up, what merges, what is left out."""

import numpy as np
import pytest

from simgen.engines.contacts import ContactRecorder
from simgen.motion import CONTACT_DTYPE

STEP_S = 0.001
UP, DOWN = (0.0, 0.0, 1.0), (0.0, 0.0, -1.0)


def press(recorder, steps, *, pair=(0, 1), force_n=2.0, point=(1.0, 2.0, 3.0), normal=UP):
    for step in steps:
        recorder.add(step * STEP_S, STEP_S, *pair, force_n, point, normal)


def test_points_of_a_step_add_up_and_impulse_is_force_over_time():
    recorder = ContactRecorder(0.01)
    press(recorder, [5, 5, 6])
    (row,) = recorder.rows(1.0)
    assert row["start_s"] == pytest.approx(0.005)
    assert row["end_s"] == pytest.approx(0.007)
    assert row["impulse_ns"] == pytest.approx(6.0 * STEP_S)
    assert row["peak_force_n"] == 4.0
    assert row["point"].tolist() == [1.0, 2.0, 3.0]


def test_touches_merge_over_a_short_gap_and_part_over_a_long_one():
    for gap_steps, touches in ((8, 1), (11, 2)):
        recorder = ContactRecorder(0.010)
        press(recorder, [0, 1 + gap_steps])
        assert len(recorder.rows(1.0)) == touches


def test_the_lower_body_comes_first_and_the_normal_points_away_from_it():
    recorder = ContactRecorder(0.01)
    press(recorder, [0], pair=(3, 1), normal=UP)
    (row,) = recorder.rows(1.0)
    assert (row["body_a"], row["body_b"]) == (1, 3)
    assert row["normal"].tolist() == list(DOWN)


def test_a_point_without_force_is_no_touch():
    recorder = ContactRecorder(0.01)
    press(recorder, range(5), force_n=0.0)
    assert recorder.rows(1.0).shape == (0,)
    assert recorder.rows(1.0).dtype == CONTACT_DTYPE


def test_a_touch_that_goes_on_ends_with_the_clip_and_none_begins_after_it():
    recorder = ContactRecorder(0.01)
    press(recorder, range(995, 1003))
    press(recorder, [1001], pair=(1, 2))
    (row,) = recorder.rows(1.0)
    assert row["end_s"] == 1.0


def test_rows_are_in_order_of_their_start():
    recorder = ContactRecorder(0.001)
    press(recorder, [30], pair=(4, 5))
    press(recorder, [40, 90], pair=(0, 1))
    press(recorder, [90], pair=(0, 2))
    rows = recorder.rows(1.0)
    np.testing.assert_allclose(rows["start_s"], [0.03, 0.04, 0.09, 0.09])
    assert rows["body_b"].tolist() == [5, 1, 1, 2]
