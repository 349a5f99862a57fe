"""Athletes with joints in all directions: the beam decides, limits hold, flight keeps its spin."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from simgen.cameras import rotation_matrix
from simgen.engines import simulate
from simgen.engines.mujoco_model import compile_model
from simgen.families import family
from simgen.families.athlete import PARTS, SIDES, Athlete
from simgen.families.beam import BEAM_M, OVER_M, clothes
from simgen.families.flight import flight_angular_momentum
from simgen.motion import Motion
from simgen.scene import Body, Command, Geom, Material, Scene

CLIP = {"frames": 88, "frame_rate_hz": 24.0}
GREY = Material("grey", (0.4, 0.4, 0.4))


def walk(seed: int, **parameters) -> tuple[Scene, Motion]:
    beam = family("beam")
    scene = beam.sample(beam.Parameters(**parameters), np.random.default_rng(seed), **CLIP)
    return scene, simulate(scene, "mujoco")


@pytest.fixture(scope="module")
def walks():
    return [walk(seed) for seed in range(16)]


@pytest.fixture(scope="module")
def judged(walks):
    return [family("beam").outcome(scene, motion) for scene, motion in walks]


def athlete_rows(scene: Scene) -> list[int]:
    return [i for i, body in enumerate(scene.bodies) if body.object == "athlete"]


def mass_centre(scene: Scene, motion: Motion) -> np.ndarray:
    rows = athlete_rows(scene)
    mass = np.array([scene.bodies[row].mass_kg for row in rows])
    return np.einsum("b,tbk->tk", mass, motion.centre_of_mass[:, rows]) / mass.sum()


def test_some_stay_on_the_beam_and_some_fall(judged):
    labels = Counter(outcome.label for outcome in judged)
    assert set(labels) <= set(family("beam").outcomes)
    stayed = labels["held"] + labels["wobble"]
    assert stayed >= 0.2 * len(judged), labels
    assert len(judged) - stayed >= 0.2 * len(judged), labels


def test_who_stays_is_above_the_beam_and_who_falls_is_beside_it(walks, judged):
    for (scene, motion), outcome in zip(walks, judged, strict=True):
        centre = mass_centre(scene, motion)
        if outcome.label in ("held", "wobble"):
            assert np.abs(centre[:, 1]).max() <= OVER_M
            assert centre[:, 2].min() > BEAM_M + 0.6
        else:
            side = 1.0 if outcome.label == "fell_left" else -1.0
            assert side * centre[-1, 1] > OVER_M


def test_a_centred_gymnast_walks_and_holds():
    for seed, steps in ((0, 2), (6, 3)):
        scene, motion = walk(
            seed, offset_m=(0.0, 0.0), sway_m_s=(0.0, 0.0), misplaced_m=0.0, steps=(steps, steps)
        )
        outcome = family("beam").outcome(scene, motion)
        assert outcome.label == "held"
        assert outcome.margins["steps"] >= steps - 1
        way = mass_centre(scene, motion)[:, 0]
        assert way[-1] - way[0] > 0.7 * (steps - 1) * scene.parameters["step_m"]


def test_a_push_beyond_the_foot_is_a_fall_to_that_side():
    for sway, label in (((0.2, 0.2), "fell_left"), ((0.2, 0.2), "fell_right")):
        offset = 0.04 if label == "fell_left" else -0.04
        scene, motion = walk(1, offset_m=(offset, offset), sway_m_s=sway)
        assert family("beam").outcome(scene, motion).label == label


def test_torques_stay_within_the_limits(walks):
    for scene, motion in walks:
        limits = np.array([servo.limit for servo in scene.actuators])
        assert (motion.joint_torque <= limits * (1 + 1e-9)).all()
        assert (motion.joint_torque.max(axis=0) > 0.1 * limits).any()


def test_the_same_seed_gives_the_same_bytes(walks):
    scene, motion = walks[0]
    again = simulate(scene, "mujoco")
    assert again.position.tobytes() == motion.position.tobytes()
    assert again.action.tobytes() == motion.action.tobytes()


def test_every_part_is_named_counted_and_weighs_its_share(walks):
    scene, motion = walks[0]
    limits = family("beam").limits(family("beam").Parameters())
    assert len(set(scene.body_names)) == len(scene.bodies) <= limits.bodies
    assert len(scene.joint_names) <= limits.joints
    assert motion.action.shape[1] == len(scene.action_names) <= limits.actions
    rows = athlete_rows(scene)
    assert len(rows) == 13
    mass = sum(scene.bodies[row].mass_kg for row in rows)
    assert mass == pytest.approx(scene.parameters["mass_kg"])
    assert sum(p.mass * (2 if p.paired else 1) for p in PARTS) == pytest.approx(1.0, abs=2e-3)


def jump(seed: int, *, frames: int = 60, **parameters) -> tuple[Scene, Motion]:
    axel = family("triple_axel")
    scene = axel.sample(
        axel.Parameters(**parameters), np.random.default_rng(seed), frames=frames,
        frame_rate_hz=24.0,
    )  # fmt: skip
    return scene, simulate(scene, "mujoco")


@pytest.fixture(scope="module")
def jumps():
    return [jump(seed) for seed in range(16)]


def axel_label(scene: Scene, motion: Motion) -> str:
    return family("triple_axel").outcome(scene, motion).label


def test_axels_are_landed_and_are_not(jumps):
    labels = Counter(family("triple_axel").outcome(*clip).label for clip in jumps)
    assert set(labels) <= set(family("triple_axel").outcomes) - {"unfinished"}
    assert 0.2 * len(jumps) <= labels["landed"] <= 0.8 * len(jumps), labels


def test_a_landed_axel_stands_on_one_blade_and_a_fall_does_not(jumps):
    seen = set()
    for scene, motion in jumps:
        outcome = family("triple_axel").outcome(scene, motion)
        touches = motion.contacts[motion.contacts["body_a"] == scene.body_index("ice")]
        down = {scene.body_names[row] for row in touches["body_b"][touches["start_s"] > 0.3]}
        if outcome.label == "landed":
            assert down == {"right_foot"}
            assert outcome.margins["held_s"] > 1.0
            assert motion.position[-1, scene.body_index("head"), 2] > 1.1
            assert outcome.margins["end_tilt_deg"] <= 30
            assert outcome.margins["over_m"] <= 0
            assert abs(outcome.margins["turns"] - 3.5) <= 0.25
        elif outcome.label == "under_rotated":
            assert outcome.margins["turns"] < 3.25
        elif outcome.label == "stepped_out":
            assert down == {"left_foot", "right_foot"}
        seen.add(outcome.label)
    assert "landed" in seen
    assert len(seen) >= 2


def test_who_landed_still_stands_a_second_later(jumps):
    landed = [seed for seed, clip in enumerate(jumps) if axel_label(*clip) == "landed"]
    assert len(landed) >= 4
    for seed in landed:
        scene, motion = jump(seed, frames=84)
        later = family("triple_axel").outcome(scene, motion)
        assert later.label in ("landed", "off_balance"), seed
        assert later.margins["held_s"] > 2.5
        assert motion.position[-1, scene.body_index("head"), 2] > 1.1


def test_a_skater_who_is_going_over_has_not_landed(jumps):
    """Upright over the blade, and yet off balance: by the way the mass centre goes, or the lean."""
    scene, motion = next(clip for clip in jumps if axel_label(*clip) == "landed")
    rows, foot = athlete_rows(scene), scene.body_index("right_foot")
    height = mass_centre(scene, motion)[-1, 2]
    along = rotation_matrix(motion.quaternion[-1, foot])[:2, 0]
    across = np.array([-along[1], along[0], 0.0]) / np.linalg.norm(along)
    others = [row for row in rows if row != foot]
    share = sum(scene.bodies[row].mass_kg for row in others) / scene.parameters["mass_kg"]
    before = family("triple_axel").outcome(scene, motion).margins["over_m"]
    speeds = motion.velocity.copy()
    speeds[-1, others] += 0.3 * across
    going = family("triple_axel").outcome(scene, replace(motion, velocity=speeds))
    assert going.label == "off_balance"
    moved = 0.3 * share * np.sqrt(height / 9.81)
    assert before < 0 < going.margins["over_m"]
    assert going.margins["over_m"] - before <= moved + 1e-9
    gliding = motion.velocity.copy()
    gliding[-1, rows] += 0.3 * across  # all with the foot: nothing tips over
    assert axel_label(scene, replace(motion, velocity=gliding)) == "landed"
    leaning = motion.quaternion.copy()
    leaning[-1, rows[0]] = (np.cos(0.3), np.sin(0.3), 0.0, 0.0)
    assert axel_label(scene, replace(motion, quaternion=leaning)) == "off_balance"


def test_a_weak_take_off_does_not_get_round():
    scene, motion = jump(1, weak=(0.2, 0.2), error=(1.0, 1.0))
    assert family("triple_axel").outcome(scene, motion).label == "under_rotated"


def test_turns_are_those_of_the_pelvis_and_height_that_of_the_fall(jumps):
    scene, motion = jumps[0]
    margins = family("triple_axel").outcome(scene, motion).margins
    turn = rotation_matrix(motion.quaternion[:, scene.body_index("pelvis")])
    yaw = np.unwrap(np.arctan2(turn[:, 1, 0], turn[:, 0, 0]))
    last = int(margins["flight_s"] * 24.0)
    assert yaw[last] - yaw[0] == pytest.approx(margins["turns"] * 2 * np.pi, abs=0.8)
    rise = mass_centre(scene, motion)[:, 2].max() - mass_centre(scene, motion)[0, 2]
    assert margins["height_m"] == pytest.approx(rise)
    speed = np.diff(mass_centre(scene, motion)[:3, 2])
    assert speed[1] - speed[0] == pytest.approx(-9.81 / 24.0**2, rel=0.02)


def test_a_skater_takes_off_with_the_angular_momentum_that_was_drawn(jumps):
    for scene, motion in jumps[:4]:
        momentum = flight_angular_momentum(scene, motion, athlete_rows(scene), 0, 1)[0]
        drawn = scene.parameters["angular_momentum"]
        assert momentum == pytest.approx([0.0, 0.0, drawn], abs=1e-6 * drawn)


def test_a_skater_pulls_in_and_spins_faster(jumps):
    scene, motion = jumps[0]
    spin = motion.angular_velocity[:, scene.body_index("torso"), 2]
    start = scene.bodies[scene.body_index("torso")].angular_velocity[2]
    assert spin[6:12].mean() > 1.1 * start


def test_a_skater_s_torques_stay_within_the_limits(jumps):
    for scene, motion in jumps:
        limits = np.array([servo.limit for servo in scene.actuators])
        assert (motion.joint_torque <= limits * (1 + 1e-9)).all()


def test_an_axel_cut_short_is_unfinished():
    scene, motion = jump(0, frames=24)
    assert family("triple_axel").outcome(scene, motion).label == "unfinished"


def tumbling() -> Scene:
    """An athlete thrown up turning about all axes, who folds and opens one-sidedly."""
    athlete = Athlete(1.60, 50.0)
    folded = {"left_hip": 1.5, "left_knee": 1.8, "right_hip_side": 0.7, "waist_twist": 0.5}
    folded |= {"left_shoulder": 2.2, "right_round": 1.2, "right_shoulder": 1.4, "right_elbow": 1.5}
    person = athlete.bodies(
        clothes(np.random.default_rng(0)), pose={"left_shoulder": 1.4}, position=(0.0, 0.0, 3.0),
        velocity=(0.5, 0.2, 4.0), spin=(2.0, -3.0, 5.0),
    )  # fmt: skip
    floor = Body("floor", (Geom("plane", (), GREY),), motion="static")
    return Scene(
        family="test", bodies=(floor, *person), frames=20, frame_rate_hz=24.0,
        physics_rate_hz=480.0, actuators=athlete.actuators(),
        script=lambda frame, _: Command(athlete.targets(folded if frame % 12 < 6 else {})),
    )  # fmt: skip


def test_angular_momentum_is_kept_in_flight_while_the_shape_changes():
    scene = tumbling()
    motion = simulate(scene, "mujoco")
    momentum = flight_angular_momentum(scene, motion, athlete_rows(scene), 0, 21)
    size = np.linalg.norm(momentum[0])
    assert size > 15.0
    assert np.linalg.norm(momentum - momentum[0], axis=1).max() < 0.01 * size
    tilt = rotation_matrix(motion.quaternion[:, 1])[:, 2, 2]
    assert np.ptp(tilt) > 0.5  # it did tumble


def test_no_frames_have_no_momentum(walks):
    scene, motion = walks[0]
    with pytest.raises(ValueError, match="frames 5 to 5"):
        flight_angular_momentum(scene, motion, athlete_rows(scene), 5, 5)


@pytest.mark.parametrize("side", SIDES)
def test_the_leg_reaches_where_it_is_asked(side):
    athlete = Athlete(1.62, 51.0)
    pelvis, foot = athlete.row["pelvis"], athlete.row[f"{side}_foot"]
    for point in ((0.2, 0.1, -0.7), (-0.3, -0.05, -0.75), (0.0, 0.0, -0.6)):
        place = athlete.place(athlete.leg(side, np.array(point)))
        found = place.positions[foot] - place.positions[pelvis]
        assert np.allclose(found, point, atol=1e-9)


def test_a_blade_glides_along_itself_and_grips_across():
    for heading, kept in ((0.0, True), (90.0, False)):
        half = np.radians(heading) / 2
        along = np.array([np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0])  # local z to +x
        turn = np.array([np.cos(half), 0.0, 0.0, np.sin(half)])
        quaternion = np.empty(4)
        mujoco.mju_mulQuat(quaternion, turn, along)
        blade = Geom("capsule", (0.02, 0.15), GREY, friction=1.0, glide=0.001)
        scene = Scene(
            family="test",
            bodies=(
                Body("ice", (Geom("plane", (), GREY, friction=0.1),), motion="static"),
                Body(
                    "blade", (blade,), 5.0, (1.0, 1.0, 1.0), position=(0.0, 0.0, 0.0205),
                    quaternion=tuple(quaternion.tolist()), velocity=(1.0, 0.0, 0.0),
                ),
            ),
            frames=12, frame_rate_hz=24.0, physics_rate_hz=480.0,
        )  # fmt: skip
        assert compile_model(scene).npair == 1
        speed = simulate(scene, "mujoco").velocity[-1, 1, 0]
        assert (speed > 0.9) if kept else (speed < 0.1)
