"""Rings: ropes that only pull, an honest flight, torques within limits, landings and falls."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from simgen.engines import simulate
from simgen.families import family
from simgen.families.flight import flight_angular_momentum
from simgen.families.gymnast import pitch_of
from simgen.families.landing import OVER_FEET_M, UPRIGHT_RAD
from simgen.families.rings import FRAME_M, GRIP_DOWN_M, MAT_M, ROPE_M, ROPE_N_M
from simgen.motion import centre_velocity

CLIP = {"frames": 104, "frame_rate_hz": 24.0}
SEEDS = range(12)
FALLS = ("fell_forward", "fell_backward", "under_rotated", "over_rotated")


def sampled(seed: int, *, clip: dict = CLIP, **parameters):
    rings = family("rings")
    return rings.sample(rings.Parameters(**parameters), np.random.default_rng(seed), **clip)


@pytest.fixture(scope="module")
def clips():
    """(scene, motion, outcome) of many clips."""
    found = []
    for seed in SEEDS:
        scene = sampled(seed)
        motion = simulate(scene, "mujoco")
        found.append((scene, motion, family("rings").outcome(scene, motion)))
    return found


def moments(scene, outcome) -> tuple[float, float]:
    """Frames of release and touchdown."""
    release, landing = (event["start_s"] * scene.frame_rate_hz for event in outcome.events)
    return release, landing


def gymnast_rows(scene) -> list[int]:
    return [i for i, b in enumerate(scene.bodies) if b.object == "gymnast"]


def mass_centre(scene, series):
    """Mean over the gymnast's bodies, weighted by mass."""
    rows = gymnast_rows(scene)
    mass = np.array([scene.bodies[row].mass_kg for row in rows])
    return np.einsum("b,tbk->tk", mass, series[:, rows]) / mass.sum()


def test_landings_and_falls_both_happen_on_both_sides(clips):
    labels = Counter(outcome.label for _, _, outcome in clips)
    assert set(labels) <= {"landed", "stepped", "off_balance", *FALLS}
    stood = labels["landed"] + labels["stepped"]
    assert 0.2 * len(clips) <= stood <= 0.8 * len(clips), labels
    sides = Counter(np.sign(outcome.margins["release_deg"]) for _, _, outcome in clips)
    assert min(sides[1.0], sides[-1.0]) >= 0.2 * len(clips)


def test_a_landing_stands_and_a_fall_does_not(clips):
    for scene, motion, outcome in clips:
        feet = {i for i, n in enumerate(scene.body_names) if n.endswith("_foot")}
        mat = motion.contacts[motion.contacts["body_a"] == scene.body_index("mat")]
        if outcome.label in ("landed", "stepped"):
            assert set(mat["body_b"]) <= feet
            assert outcome.margins["landing_tilt_rad"] <= UPRIGHT_RAD
            assert abs(outcome.margins["off_feet_m"]) <= OVER_FEET_M
            assert motion.position[-1, scene.body_index("head"), 2] > MAT_M + 0.9
        elif outcome.label in FALLS:
            assert set(mat["body_b"]) - feet or outcome.margins["landing_tilt_rad"] > UPRIGHT_RAD


def test_the_turn_in_the_air_goes_the_way_of_the_swing(clips):
    for scene, motion, outcome in clips:
        release, landing = moments(scene, outcome)
        momentum = flight_angular_momentum(
            scene, motion, gymnast_rows(scene), int(np.ceil(release)), int(landing) + 1
        )
        assert (
            momentum[:, 1].mean() * outcome.margins["release_deg"] < 0
        )  # backward in front of the rings
        assert 200 < outcome.margins["turn_deg"] < 430


def test_the_mass_centre_falls_freely_in_flight(clips):
    for scene, motion, outcome in clips:
        release, landing = moments(scene, outcome)
        frames = np.arange(int(np.ceil(release)), int(landing) + 1)
        assert len(frames) > 12
        height = mass_centre(scene, motion.centre_of_mass)[frames, 2]
        fitted = np.polyfit(frames / scene.frame_rate_hz, height, 2)
        assert 2 * fitted[0] == pytest.approx(-9.81, rel=0.005)


def test_torques_stay_within_the_limits(clips):
    for scene, motion, _ in clips:
        limits = np.array([servo.limit for servo in scene.actuators])
        assert (motion.joint_torque <= limits * (1 + 1e-9)).all()
        assert (motion.joint_torque.max(axis=0) > 0.2 * limits).any()


def test_hands_hold_the_rings_until_the_release_and_not_after(clips):
    for scene, motion, outcome in clips[:6]:
        row, ring = scene.body_index("left_forearm"), scene.body_index("left_ring")
        fist = scene.connects[0].anchor_b[2]
        pitch = np.array([pitch_of(q) for q in motion.quaternion[:, row]])
        turn = np.array([pitch_of(q) for q in motion.quaternion[:, ring]])
        x = motion.position[:, row, 0] + fist * np.sin(pitch) - motion.position[:, ring, 0]
        z = motion.position[:, row, 2] + fist * np.cos(pitch) - motion.position[:, ring, 2]
        x, z = x + GRIP_DOWN_M * np.sin(turn), z + GRIP_DOWN_M * np.cos(turn)
        release, _ = moments(scene, outcome)
        assert np.hypot(x, z)[: int(release) + 1].max() < 0.02
        assert np.hypot(x, z)[int(release) + 5 :].min() > 0.1


def test_ropes_carry_the_gymnast(clips):
    """The pull of both ropes, over a hold, is what changes the momentum of all that hangs."""
    scene, motion, outcome = clips[0]
    names = [*scene.joint_names]
    stretch = motion.joint_position[:, [names.index(f"{s}_stretch") for s in ("left", "right")]]
    release, _ = moments(scene, outcome)
    held = stretch[: int(release)]
    assert held.max() < 0.15  # m
    weights = ROPE_N_M * held.sum(axis=1).max() / (scene.parameters["mass_kg"] * 9.81)
    assert 3.0 < weights < 10.0, weights  # body weights at the bottom, as measured on rings
    top = np.array([0.0, 0.25, FRAME_M])
    length = np.linalg.norm(motion.position[:, scene.body_index("left_ring")] - top, axis=-1)
    assert np.allclose(length - ROPE_M, stretch[:, 0], atol=1e-6)


def test_the_kick_puts_energy_into_the_swing(clips):
    for seed in (0, 2):  # in front and behind
        scene, motion, outcome = clips[seed]
        stiff = sampled(seed, tap=(0.0, 0.0))
        frame = int(moments(scene, outcome)[0])
        energies = []
        for one, moved in ((scene, motion), (stiff, simulate(stiff, "mujoco"))):
            speed = np.linalg.norm(mass_centre(one, centre_velocity(moved)), axis=1)
            energy = 0.5 * speed**2 + 9.81 * mass_centre(one, moved.centre_of_mass)[:, 2]
            energies.append(energy[frame - 10 : frame].max())
        assert energies[0] > energies[1] + 1.0  # J/kg, as much as 10 cm of height


def test_the_same_seed_gives_the_same_bytes(clips):
    scene, motion, _ = clips[2]
    for again in (scene, sampled(2)):
        repeated = simulate(again, "mujoco")
        assert repeated.position.tobytes() == motion.position.tobytes()
        assert repeated.action.tobytes() == motion.action.tobytes()


def test_every_body_is_named_and_counted(clips):
    scene, motion, _ = clips[0]
    assert len(set(scene.body_names)) == len(scene.bodies)
    limits = family("rings").limits(family("rings").Parameters())
    assert len(scene.bodies) <= limits.bodies
    assert len(scene.joint_names) <= limits.joints
    assert motion.action.shape[1] == len(scene.action_names) <= limits.actions


def test_a_clip_too_short_to_tell_is_unfinished():
    scene = sampled(0, clip={"frames": 30, "frame_rate_hz": 24.0})
    assert family("rings").outcome(scene, simulate(scene, "mujoco")).label == "unfinished"
