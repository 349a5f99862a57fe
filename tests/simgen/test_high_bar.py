"""The gymnast: honest flight, torques within limits, hands where they should be, both outcomes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from simgen.engines import simulate
from simgen.events import apexes
from simgen.families import family
from simgen.families.gymnast import SEGMENTS, Gymnast, pitch_of
from simgen.families.high_bar import MAT_M
from simgen.families.landing import HOLD_S, OVER_FEET_M, STEP_M, UPRIGHT_RAD

CLIP = {"frames": 128, "frame_rate_hz": 24.0}
LONG = {"frames": 208, "frame_rate_hz": 24.0}  # time for three giants
SHORT = {"frames": 88, "frame_rate_hz": 24.0}  # no giant before the release: quick to simulate
SEEDS = range(32)
FALLS = ("fell_forward", "fell_backward", "under_rotated", "over_rotated")


def sampled(seed: int, *, clip: dict = CLIP, **parameters):
    bar = family("high_bar")
    return bar.sample(bar.Parameters(**parameters), np.random.default_rng(seed), **clip)


@pytest.fixture(scope="module")
def clips():
    """(scene, motion, outcome) of many short clips."""
    found = []
    for seed in SEEDS:
        scene = sampled(seed, clip=SHORT)
        motion = simulate(scene, "mujoco")
        found.append((scene, motion, family("high_bar").outcome(scene, motion)))
    return found


@pytest.fixture(scope="module")
def clip():
    scene = sampled(4)
    motion = simulate(scene, "mujoco")
    return scene, motion, family("high_bar").outcome(scene, motion)


def flight_frames(scene, outcome) -> np.ndarray:
    """Frames wholly between the release and the first touch of the mat."""
    release, landing = (event["start_s"] * scene.frame_rate_hz for event in outcome.events)
    return np.arange(int(np.ceil(release)), int(landing) + 1)


def test_landings_and_falls_both_happen(clips):
    labels = Counter(outcome.label for _, _, outcome in clips)
    assert set(labels) <= {"landed", "stepped", "off_balance", *FALLS}
    assert labels["landed"] >= 0.2 * len(clips), labels
    assert sum(labels[name] for name in FALLS) >= 0.2 * len(clips), labels


def test_a_landing_stands_and_a_fall_does_not(clips):
    for scene, motion, outcome in clips:
        feet = [i for i, n in enumerate(scene.body_names) if n.endswith("_foot")]
        head = motion.position[-1, scene.body_index("head"), 2]
        mat = motion.contacts[motion.contacts["body_a"] == scene.body_index("mat")]
        if outcome.label in ("landed", "stepped"):
            assert set(mat["body_b"]) <= set(feet)
            assert (outcome.margins["step_m"] >= STEP_M) == (outcome.label == "stepped")
            assert outcome.margins["held_s"] >= HOLD_S
            assert outcome.margins["landing_tilt_rad"] <= UPRIGHT_RAD
            assert abs(outcome.margins["off_feet_m"]) <= OVER_FEET_M
            assert head > MAT_M + 0.9
        elif outcome.label in FALLS:
            assert set(mat["body_b"]) - set(feet) or outcome.margins["landing_tilt_rad"] > 1.0


def test_a_foot_that_ends_elsewhere_has_stepped(clips):
    """A known displacement of one foot is found; a landing that sticks is no step."""
    scene, motion, outcome = next(c for c in clips if c[2].label == "landed")
    assert outcome.margins["step_m"] < STEP_M
    centres = motion.centre_of_mass.copy()
    centres[-3:, scene.body_index("right_foot"), 0] += 0.3
    moved = family("high_bar").outcome(scene, replace(motion, centre_of_mass=centres))
    assert moved.label == "stepped"
    assert moved.margins["step_m"] == pytest.approx(0.3, abs=STEP_M)


def test_steps_save_landings(clips):
    stepped = [(scene, outcome) for scene, _, outcome in clips if outcome.label == "stepped"]
    assert len(stepped) >= 2
    saved = 0
    for scene, outcome in stepped[:4]:
        assert STEP_M <= outcome.margins["step_m"] < 1.2
        flyer = scene.script.flyer
        balance, flyer.balance = flyer.balance, replace(flyer.balance, steps=False)
        kept = family("high_bar").outcome(scene, simulate(scene, "mujoco"))
        flyer.balance = balance
        assert kept.margins["flight_s"] == outcome.margins["flight_s"]
        saved += kept.label not in ("landed", "stepped")
    assert saved >= 1


def test_a_pose_may_name_a_side():
    gymnast = Gymnast(1.7, 65.0)
    targets = dict(zip(gymnast.joints, gymnast.targets({"hip": 1.0, "left_hip": 0.5}), strict=True))
    assert (targets["left_hip"], targets["right_hip"], targets["left_knee"]) == (0.5, 1.0, 0.0)


def test_torques_stay_within_the_limits(clips):
    for scene, motion, _ in clips:
        limits = np.array([servo.limit for servo in scene.actuators])
        assert (motion.joint_torque <= limits * (1 + 1e-9)).all()
        assert (motion.joint_torque.max(axis=0) > 0.2 * limits).any()


def test_the_mass_centre_falls_freely_in_flight(clip):
    scene, motion, outcome = clip
    rows = [i for i, b in enumerate(scene.bodies) if b.object == "gymnast"]
    mass = np.array([scene.bodies[i].mass_kg for i in rows])
    frames = flight_frames(scene, outcome)
    height = np.einsum("b,tb->t", mass / mass.sum(), motion.centre_of_mass[frames][:, rows, 2])
    fitted = np.polyfit(frames / scene.frame_rate_hz, height, 2)
    assert 2 * fitted[0] == pytest.approx(-9.81, rel=0.005)


def test_hands_hold_the_bar_until_the_release_and_not_after(clips):
    for scene, motion, outcome in clips[:12]:
        fist = scene.connects[0].anchor_b
        row, bar = scene.body_index("left_forearm"), scene.body_index("bar")
        pitch = np.array([pitch_of(q) for q in motion.quaternion[:, row]])
        x = motion.position[:, row, 0] + fist[2] * np.sin(pitch)
        z = motion.position[:, row, 2] + fist[2] * np.cos(pitch)
        apart = np.hypot(x - motion.position[:, bar, 0], z - motion.position[:, bar, 2])
        release = outcome.events[0]["start_s"] * scene.frame_rate_hz
        assert apart[: int(release) + 1].max() < 0.02
        assert apart[int(release) + 4 :].min() > 0.1


def test_only_what_was_let_go_flies(clips):
    for scene, motion, outcome in clips[:6]:
        release_s = next(e["start_s"] for e in outcome.events if e["kind"] == "release")
        tops = [event.start_s for event in apexes(scene, motion)]
        assert tops
        assert min(tops) > release_s  # a handstand on the bar is no flight


def test_a_giant_comes_first_where_the_clip_has_time(clip, clips):
    scene, _, outcome = clip
    assert scene.parameters["giants"] == 1
    assert all(short.parameters["giants"] == 0 for short, _, _ in clips)
    assert outcome.margins["somersaults"] == pytest.approx(1.75, abs=0.25)  # of two from upright


@pytest.mark.parametrize("giants", [2, 3])
def test_giants_are_drawn_and_counted(giants):
    scene = sampled(1, clip=LONG, giants=(giants, giants))
    outcome = family("high_bar").outcome(scene, simulate(scene, "mujoco"))
    assert scene.parameters["giants"] == outcome.margins["giants"] == giants
    assert outcome.label != "unfinished"
    assert {sampled(seed, clip=LONG).parameters["giants"] for seed in range(12)} == {1, 2, 3}


def test_the_same_seed_gives_the_same_bytes(clip):
    scene, motion, _ = clip
    for again in (scene, sampled(4)):
        repeated = simulate(again, "mujoco")
        assert repeated.position.tobytes() == motion.position.tobytes()
        assert repeated.action.tobytes() == motion.action.tobytes()


def test_every_body_is_named_and_counted(clip):
    scene, motion, _ = clip
    assert len(set(scene.body_names)) == len(scene.bodies)
    assert all(name for name in (*scene.body_names, *scene.joint_names, *scene.action_names))
    limits = family("high_bar").limits(family("high_bar").Parameters())
    assert len(scene.bodies) <= limits.bodies
    assert len(scene.joint_names) <= limits.joints
    assert motion.action.shape[1] == len(scene.action_names) <= limits.actions
    gymnast = [b for b in scene.bodies if b.object == "gymnast"]
    assert len(gymnast) == 13
    assert sum(b.mass_kg for b in gymnast) == pytest.approx(scene.parameters["mass_kg"])


def test_segment_masses_add_up():
    shares = sum(s.mass * (2 if s.paired else 1) for s in SEGMENTS)
    assert shares == pytest.approx(1.0, abs=1e-3)


def test_a_change_of_shape_and_back_turns_nothing():
    gymnast = Gymnast(1.7, 65.0)
    straight, tucked = {}, {"hip": 2.0, "knee": 2.0, "shoulder": 2.0}
    there, back = gymnast.counter_turn(straight, tucked), gymnast.counter_turn(tucked, straight)
    assert abs(there) > 0.2
    assert there + back == pytest.approx(0.0, abs=1e-9)
    assert gymnast.planar(tucked).inertia < 0.5 * gymnast.planar(straight).inertia


def test_a_clip_too_short_to_tell_is_unfinished():
    scene = sampled(0, clip={"frames": 40, "frame_rate_hz": 24.0})
    assert family("high_bar").outcome(scene, simulate(scene, "mujoco")).label == "unfinished"
