"""Release and catch on the high bar: hands close around what is in reach, and nothing else."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from simgen.cameras import rotation_matrix
from simgen.engines import simulate
from simgen.families import family
from simgen.families.bar_catch_routine import HELD_M

CLIP = {"frames": 72, "frame_rate_hz": 24.0}
SEEDS = range(16)


def sampled(seed: int, *, clip: dict = CLIP, **parameters):
    bar = family("bar_catch")
    return bar.sample(bar.Parameters(**parameters), np.random.default_rng(seed), **clip)


@pytest.fixture(scope="module")
def clips():
    """(scene, motion, outcome) of many clips."""
    found = []
    for seed in SEEDS:
        scene = sampled(seed)
        motion = simulate(scene, "mujoco")
        found.append((scene, motion, family("bar_catch").outcome(scene, motion)))
    return found


def gaps(scene, motion) -> np.ndarray:
    """Distance of each fist from where it held the bar, (time1, hand), m."""
    bar = motion.position[:, scene.body_index("bar")]
    turn = rotation_matrix(motion.quaternion[:, scene.body_index("bar")])
    found = []
    for grip in scene.connects:
        row = scene.body_index(grip.body_b)
        fist = motion.position[:, row]
        fist = fist + rotation_matrix(motion.quaternion[:, row]) @ np.array(grip.anchor_b)
        found.append(np.linalg.norm(fist - bar - turn @ np.array(grip.anchor_a), axis=-1))
    return np.stack(found, axis=1)


def test_catches_and_misses_both_happen(clips):
    labels = Counter(outcome.label for _, _, outcome in clips)
    assert set(labels) == {"caught", "missed_catch"}
    assert min(labels.values()) >= 0.2 * len(clips), labels


def test_hands_close_within_reach_and_hold_to_the_end(clips):
    for scene, motion, outcome in clips:
        apart, reach = gaps(scene, motion), scene.connects[0].reach_m
        closed = np.argwhere(motion.action[:, len(scene.actuators) :] < 0)
        if outcome.label == "caught":
            frame = int(closed[0, 0])
            assert apart[frame].max() <= reach
            assert apart[frame].max() == pytest.approx(outcome.margins["least_gap_m"], abs=1e-9)
            assert apart[-1].max() < HELD_M
        else:
            assert not len(closed)
            assert outcome.margins["least_gap_m"] > reach
            head = motion.position[-1, scene.body_index("head"), 2]
            assert head < motion.position[-1, scene.body_index("bar"), 2] - 0.9


def test_the_mass_centre_falls_freely_in_flight(clips):
    for scene, motion, outcome in clips:
        rate = scene.frame_rate_hz
        release = outcome.events[0]["start_s"]
        first = int(np.ceil(release * rate))
        frames = np.arange(first, int((release + outcome.margins["flight_s"]) * rate + 1e-6) + 1)
        rows = [i for i, b in enumerate(scene.bodies) if b.object == "gymnast"]
        mass = np.array([scene.bodies[row].mass_kg for row in rows])
        height = motion.centre_of_mass[frames][:, rows, 2] @ mass / mass.sum()
        assert len(frames) > 14
        fitted = np.polyfit(frames / rate, height, 2)
        assert 2 * fitted[0] == pytest.approx(-9.81, rel=0.005)
        assert outcome.margins["turn_deg"] > 270


def test_torques_stay_within_the_limits(clips):
    for scene, motion, _ in clips:
        limits = np.array([servo.limit for servo in scene.actuators])
        assert (motion.joint_torque <= limits * (1 + 1e-9)).all()
        assert (motion.joint_torque.max(axis=0) > 0.2 * limits).any()


def test_a_hand_that_reaches_less_far_catches_less(clips):
    reached = sum(outcome.label == "caught" for _, _, outcome in clips[:8])
    short = 0
    for seed in range(8):
        scene = sampled(seed, reach_m=(0.02, 0.02))
        short += family("bar_catch").outcome(scene, simulate(scene, "mujoco")).label == "caught"
    assert short < reached


def test_the_same_seed_gives_the_same_bytes(clips):
    scene, motion, _ = clips[3]
    for again in (scene, sampled(3)):
        repeated = simulate(again, "mujoco")
        assert repeated.position.tobytes() == motion.position.tobytes()
        assert repeated.action.tobytes() == motion.action.tobytes()


def test_a_clip_too_short_to_tell_is_unfinished():
    scene = sampled(0, clip={"frames": 36, "frame_rate_hz": 24.0})
    assert family("bar_catch").outcome(scene, simulate(scene, "mujoco")).label == "unfinished"
