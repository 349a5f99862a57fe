"""Touches from contact points: what adds up, what merges, what is left out."""

import numpy as np
import pytest

from simgen.engines.contacts import POINT_DTYPE, ContactRecorder
from simgen.motion import CONTACT_DTYPE

STEP_S = 0.001
UP, DOWN = (0.0, 0.0, 1.0), (0.0, 0.0, -1.0)


def press(recorder, steps, *, pair=(0, 1), force_n=2.0, point=(1.0, 2.0, 3.0), normal=UP):
    row = (*pair, force_n, tuple(force_n * x for x in normal), point, normal)
    recorder.add(np.array([(step * STEP_S, STEP_S, *row) for step in steps], POINT_DTYPE))


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


def merged_one_by_one(points, merge_gap_s):
    """The rule in plain words: each point of force joins its pair's last touch or opens one."""
    touches, last = [], {}
    for time_s, dt_s, a, b, newton, force, point, normal in points.tolist():
        if newton <= 0 or a == b:
            continue
        sign = 1 if a < b else -1
        pair = (min(a, b), max(a, b))
        touch = last.get(pair)
        if touch is None or time_s - touch["end"] >= merge_gap_s:
            touch = last[pair] = {
                "pair": pair, "start": time_s, "impulse": 0.0, "vector": np.zeros(3), "steps": {},
                "point": point, "normal": sign * np.array(normal),
            }  # fmt: skip
            touches.append(touch)
        touch["end"] = time_s + dt_s
        touch["impulse"] += newton * dt_s
        touch["vector"] += sign * np.array(force) * dt_s
        touch["steps"][time_s] = touch["steps"].get(time_s, 0.0) + newton
    return sorted(touches, key=lambda touch: (touch["start"], touch["pair"]))


@pytest.mark.parametrize("seed", range(3))
def test_many_points_merge_as_one_by_one(seed):
    rng = np.random.default_rng(seed)
    points = np.zeros(400, POINT_DTYPE)
    points["time_s"] = np.sort(rng.integers(0, 300, 400)) * STEP_S
    points["dt_s"] = STEP_S
    points["body_a"], points["body_b"] = rng.integers(0, 4, (2, 400))
    points["normal_n"] = rng.uniform(-0.2, 1.0, 400)
    for name in ("force_n", "point", "normal"):
        points[name] = rng.normal(size=(400, 3))
    recorder = ContactRecorder(0.008)
    for block in np.split(points, np.searchsorted(points["time_s"], [0.1, 0.2])):
        recorder.add(block)
    rows, plain = recorder.rows(1.0), merged_one_by_one(points, 0.008)
    assert len(rows) == len(plain) > 20
    for row, touch in zip(rows, plain, strict=True):
        assert (row["body_a"], row["body_b"]) == touch["pair"]
        assert (row["start_s"], row["end_s"]) == (touch["start"], touch["end"])
        assert row["impulse_ns"] == pytest.approx(touch["impulse"])
        assert row["peak_force_n"] == pytest.approx(max(touch["steps"].values()))
        assert row["impulse_vector_ns"] == pytest.approx(touch["vector"])
        assert row["point"].tolist() == list(touch["point"])
        assert row["normal"] == pytest.approx(touch["normal"])
