"""Trampoline, paddleboard and vault: honest flight, torques within limits, both outcomes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from simgen.engines import simulate
from simgen.families import family
from simgen.families.gymnast import Gymnast
from simgen.families.landing import HOLD_S, UPRIGHT_RAD, Judge
from simgen.families.paddleboard import THICK_M
from simgen.families.somersault import REACH, Ground, start, wrapped
from simgen.families.trampoline import BED_M

JUMPS = {"paddleboard": 60, "trampoline": 68, "vault": 56}  # frames
SEEDS = range(14)
jumps = pytest.mark.parametrize("name", sorted(JUMPS))


def sampled(name: str, seed: int, **parameters):
    kind = family(name)
    return kind.sample(
        kind.Parameters(**parameters), np.random.default_rng(seed), frames=JUMPS[name],
        frame_rate_hz=24.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def clips():
    """(scene, motion, outcome) of many clips, by family."""
    found = {}
    for name in JUMPS:
        scenes = [sampled(name, seed) for seed in SEEDS]
        motions = [simulate(scene, "mujoco", state_every=1000) for scene in scenes]
        found[name] = [
            (scene, motion, family(name).outcome(scene, motion))
            for scene, motion in zip(scenes, motions, strict=True)
        ]
    return found


def gymnast_rows(scene) -> list[int]:
    return [i for i, b in enumerate(scene.bodies) if b.object == "gymnast"]


@jumps
def test_landings_and_failures_both_happen(name, clips):
    labels = Counter(outcome.label for _, _, outcome in clips[name])
    assert set(labels) <= set(family(name).outcomes)
    assert 2 <= labels["landed"] <= len(SEEDS) - 3, labels


@jumps
def test_a_landing_stands_and_a_fall_does_not(name, clips):
    for scene, motion, outcome in clips[name]:
        feet = scene.body_index("left_foot")
        head = motion.position[-1, scene.body_index("head"), 2] - motion.position[-1, feet, 2]
        if outcome.label in ("landed", "stepped"):
            assert outcome.margins["held_s"] >= HOLD_S
            assert outcome.margins["landing_tilt_rad"] <= UPRIGHT_RAD
            assert head > 0.85
        elif outcome.label.startswith("fell"):
            assert outcome.margins["landing_tilt_rad"] > UPRIGHT_RAD or head < 1.3


@jumps
def test_torques_stay_within_the_limits_and_come_near_them(name, clips):
    for scene, motion, _ in clips[name]:
        limits = np.array([servo.limit for servo in scene.actuators])
        assert (motion.joint_torque <= limits * (1 + 1e-9)).all()
        assert (motion.joint_torque.max(axis=0) > 0.8 * limits).any()


@jumps
def test_the_turn_is_about_the_one_that_was_meant(name, clips):
    """Good landings have somersaulted: what was missing is the lean of take-off and landing."""
    for scene, _, outcome in clips[name]:
        if outcome.label == "landed":
            meant = {"paddleboard": 1.0, "vault": 1.55}.get(name)
            meant = scene.parameters["somersaults"] if meant is None else meant
            assert outcome.margins["somersaults"] == pytest.approx(meant, abs=0.3)


@jumps
def test_the_same_seed_gives_the_same_bytes(name, clips):
    scene, motion, _ = clips[name][3]
    for again in (scene, sampled(name, 3)):
        repeated = simulate(again, "mujoco", state_every=1000)
        assert repeated.position.tobytes() == motion.position.tobytes()


@jumps
def test_every_body_is_named_and_counted(name, clips):
    scene, motion, _ = clips[name][0]
    limits = family(name).limits(family(name).Parameters())
    assert len(set(scene.body_names)) == len(scene.bodies) <= limits.bodies
    assert len(scene.joint_names) <= limits.joints
    assert motion.action.shape[1] == len(scene.action_names) <= limits.actions
    mass = sum(scene.bodies[row].mass_kg for row in gymnast_rows(scene))
    assert mass == pytest.approx(scene.parameters["mass_kg"])


@jumps
def test_a_clip_too_short_to_tell_is_unfinished(name):
    scene = replace(sampled(name, 0), frames=20)
    motion = simulate(scene, "mujoco", state_every=1000)
    assert family(name).outcome(scene, motion).label == "unfinished"


def test_the_board_recoils_at_take_off_and_floats_level_at_the_start(clips):
    for scene, motion, _ in clips["paddleboard"]:
        board = scene.body_index("board")
        height = motion.position[:, board, 2]
        assert np.ptp(height[:4]) < 0.01  # it carries the standing gymnast
        assert height.min() < height[0] - 0.01  # the push sinks it
        assert -THICK_M < height[0] < THICK_M / 2
    assert np.mean([o.margins["board_recoil_m_s"] for *_, o in clips["paddleboard"]]) > 0.3


def test_who_fell_in_is_under_water(clips):
    fallen = [clip for clip in clips["paddleboard"] if clip[2].label == "fell_in"]
    assert fallen
    for scene, motion, _ in fallen:
        rows = [scene.body_index(part) for part in ("torso", "head", "pelvis")]
        assert motion.centre_of_mass[:, rows, 2].min() < 0


def test_the_bed_sinks_far_and_throws_higher_than_it_was_left(clips):
    for scene, motion, outcome in clips["trampoline"]:
        sunk = BED_M - motion.position[:, scene.body_index("bed"), 2].min()
        assert 0.4 < sunk < 0.9
        assert outcome.margins["flight_height_m"] > 0.9


def test_hands_meet_the_table_for_a_moment(clips):
    for scene, motion, outcome in clips["vault"]:
        table = scene.body_index("table")
        parts = motion.contacts[motion.contacts["body_a"] == table]["body_b"]
        assert {scene.body_index("left_forearm"), scene.body_index("right_forearm")} <= set(parts)
        assert 0.01 < outcome.margins["support_s"] < 0.3
        assert outcome.margins["hands_ns"] > 60.0


def test_a_started_gymnast_stands_where_it_should():
    gymnast = Gymnast(1.7, 65.0)
    cloth = dict.fromkeys(("skin", "hair", "top", "trousers", "shoes"), None)
    scene = sampled("vault", 0)
    cloth = {key: scene.bodies[0].geoms[0].material for key in cloth}
    bodies = start(gymnast, cloth, REACH, pitch=0.3, soles=(1.0, 0.5))
    still = replace(scene, bodies=(scene.bodies[0], *bodies), frames=1, script=None)
    motion = simulate(still, "mujoco", state_every=1000)
    foot = motion.position[0, still.body_index("left_foot")]
    assert foot[0] == pytest.approx(1.0, abs=0.12)
    assert 0.5 < foot[2] < 0.62


def test_a_turn_that_ends_before_a_whole_one_is_too_little(clips):
    scene, motion, _ = clips["trampoline"][0]
    judge = Judge(scene, motion, ground=("bed",))
    touch = np.zeros(1, dtype=motion.contacts.dtype)
    touch["body_a"], touch["body_b"] = scene.body_index("bed"), scene.body_index("head")
    for turns, label in ((0.3, "under_rotated"), (0.9, "under_rotated"), (1.2, "over_rotated")):
        judge.turn = np.full_like(judge.turn, turns * 2 * np.pi)
        assert judge.judged(touch)[0] == label
        judge.turn = -judge.turn
        assert judge.judged(touch, sense=-1.0)[0] == label


def test_angles_wrap_and_ground_stands_still_by_default():
    assert wrapped(3.5 * np.pi) == pytest.approx(-0.5 * np.pi)
    assert Ground(1.0).speed_m_s == 0.0
