"""Truth against formulas, and quality control against clips that were broken on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simgen.episode import Episode, make_episode
from simgen.events import find_events
from simgen.families import FAMILIES, Outcome
from simgen.motion import SimulationError, centre_velocity
from simgen.quality import actuator_work, objections
from simgen.recipe import Recipe
from simgen.scene import Actuator, Body, Joint
from simgen.truth import pixel_counts

FRAMES, RATE, SIDE = 24, 24.0, 48


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(FAMILIES, "toy", "toy_family:Toy")


def toy_recipe(**camera: object) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "toy",
            "video": {"frames": FRAMES, "height": SIDE, "width": SIDE},
            "scene": [{"family": "toy", "camera": camera}],
        }
    )


@pytest.fixture(scope="module")
def episode() -> Episode:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, "toy", "toy_family:Toy")
        return make_episode(toy_recipe(), 0)


def judge(episode: Episode, **changes: object) -> tuple[str, ...]:
    parts = {k: changes.pop(k, getattr(episode, k)) for k in ("truth", "frames")}
    motion = replace(episode.motion, **changes)
    return objections(episode.scene, motion, parts["truth"], parts["frames"])


def test_a_good_clip_has_no_objections(episode: Episode):
    assert episode.reasons == ()
    assert judge(episode) == ()


def test_same_index_same_bytes(episode: Episode):
    again = make_episode(toy_recipe(), 0)
    for channel, frames in episode.frames.items():
        assert np.array_equal(frames, again.frames[channel], equal_nan=True)
    assert again.captions == episode.captions
    assert again.truth.events == episode.truth.events


def test_the_camera_does_not_touch_the_physics(episode: Episode):
    moved = make_episode(toy_recipe(kind="orbit", travel=[40, 40]), 0)
    assert np.array_equal(moved.motion.position, episode.motion.position)
    assert not np.array_equal(moved.shots[0].cameras.position, episode.shots[0].cameras.position)


def test_energy_and_momentum_of_free_fall(episode: Episode):
    truth, t = episode.truth, np.arange(6) / RATE  # nothing has landed yet
    assert np.allclose(truth.energy[:6], truth.energy[0], rtol=1e-3)
    assert np.allclose(truth.momentum[:6, 2], -3.5 * 9.81 * t, rtol=1e-3, atol=1e-3)
    assert np.allclose(truth.momentum[:6, :2], 0, atol=1e-6)


def test_velocity_of_a_centre_that_is_off_the_origin(episode: Episode):
    motion = replace(
        episode.motion,
        angular_velocity=np.broadcast_to([0.0, 0.0, 2.0], episode.motion.position.shape),
        velocity=np.zeros_like(episode.motion.position),
        centre_of_mass=episode.motion.position + np.array([0.5, 0, 0]),
    )
    assert np.allclose(centre_velocity(motion), [0.0, 1.0, 0.0])


def test_tracks_are_where_the_pixels_are(episode: Episode):
    labels = episode.frames["segmentation"][..., 0]
    for row in (1, 2):
        y, x = np.nonzero(labels[0] == row + 1)
        centroid = np.array([x.mean() + 0.5, y.mean() + 0.5])
        assert np.linalg.norm(episode.truth.track[0, row] - centroid) < 1.0
        depth = episode.frames["depth"][0, y, x, 0]
        assert depth.min() < episode.truth.track_depth[0, row] < depth.min() + 0.6


def test_areas_count_pixels_and_visibility_is_their_share(episode: Episode):
    labels = episode.frames["segmentation"]
    assert episode.truth.area[3, 2] == (labels[3] == 3).sum()
    assert np.array_equal(pixel_counts(labels, 3), episode.truth.area)
    assert np.all(episode.truth.visibility[0, 1:] > 0.95)  # both in the open
    hidden = make_episode(toy_recipe(azimuth_deg=[0, 0]), 0).truth.visibility[:, 1]
    assert hidden.min() == 0.0  # the ball is behind the box


def events_of(episode: Episode, **given: np.ndarray):
    size = (FRAMES, 3)
    defaults = {
        "area": np.full(size, 50), "whole": np.full(size, 50), "inside": np.full(size, True),
    }  # fmt: skip
    return find_events(episode.scene, episode.motion, episode.outcome, **(defaults | given))


def test_events_are_numbered_by_time(episode: Episode):
    events = episode.truth.events
    assert [e.event_id for e in events] == [f"e{i}" for i in range(len(events))]
    starts = [e.start_s for e in events]
    assert starts == sorted(starts)
    ball_lands = next(e for e in events if e.kind == "contact" and 1 in (e.body_a, e.body_b))
    drop = episode.scene.parameters["drop_m"]
    assert ball_lands.start_s == pytest.approx(np.sqrt(2 * drop / 9.81), abs=0.005)
    assert ball_lands.impulse_ns == pytest.approx(
        0.5 * np.sqrt(2 * 9.81 * drop) * 1.8, rel=0.05
    )  # m v (1 + e)


def test_occlusion_and_leaving_have_their_times(episode: Episode):
    area = np.full((FRAMES, 3), 50)
    area[5:10, 1] = 2
    whole = np.full((FRAMES, 3), 50)
    inside = np.full((FRAMES, 3), True)
    whole[20:, 2] = area[20:, 2] = 0
    inside[20:, 2] = False
    found = {e.kind: e for e in events_of(episode, area=area, whole=whole, inside=inside)}
    hidden, out = found["occlusion"], found["out_of_frame"]
    assert (hidden.body_a, hidden.start_s, hidden.end_s) == (1, 5 / RATE, 10 / RATE)
    assert (out.body_a, out.start_s, out.end_s) == (2, 20 / RATE, FRAMES / RATE)
    assert not [e for e in events_of(episode) if e.kind in ("occlusion", "out_of_frame")]


def test_apex_follows_the_bounce(episode: Episode):
    apex = next(e for e in episode.truth.events if e.kind == "apex" and e.body_a == 1)
    drop = episode.scene.parameters["drop_m"]
    flight = 0.8 * np.sqrt(2 * drop / 9.81)  # v = e sqrt(2 g h), up for v / g
    assert apex.start_s == pytest.approx(np.sqrt(2 * drop / 9.81) + flight, abs=0.02)
    assert float(apex.value.removesuffix(" m")) == pytest.approx(0.1 + 0.64 * drop, abs=0.02)


def test_a_blow_on_a_ceiling_is_no_apex(episode: Episode):
    """The ball rises at 2 m/s, strikes at 10.5 frames, and comes back as fast."""
    frame = np.arange(FRAMES + 1)
    height = 2.0 - 2.0 * np.abs(frame - 10.5) / RATE
    position = np.zeros((FRAMES + 1, 3, 3))
    position[:, 1, 2] = height
    velocity = np.zeros_like(position)
    velocity[:, 1, 2] = np.where(frame < 10.5, 2.0, -2.0)
    touch = np.zeros(1, episode.motion.contacts.dtype)
    touch["body_b"], touch["start_s"], touch["end_s"] = 1, 10.4 / RATE, 10.6 / RATE
    motion = replace(
        episode.motion, position=position, centre_of_mass=position, velocity=velocity,
        angular_velocity=np.zeros_like(position), contacts=touch,
    )  # fmt: skip
    assert [e.kind for e in events_of(replace(episode, motion=motion))] == ["contact"]
    free = replace(motion, contacts=touch[:0])
    (apex,) = events_of(replace(episode, motion=free))
    assert (apex.kind, apex.start_s) == ("apex", pytest.approx(10.5 / RATE))


def test_the_outcomes_own_events_join(episode: Episode):
    extra = Outcome("x", {}, ({"kind": "landing", "start_s": 0.2, "body_a": "ball"},))
    empty = {"area": np.ones((FRAMES, 3)), "whole": np.ones((FRAMES, 3))}
    found = find_events(
        episode.scene, episode.motion, extra, inside=np.ones((FRAMES, 3), bool), **empty
    )
    landing = next(e for e in found if e.kind == "landing")
    assert (landing.body_a, landing.start_s, landing.end_s) == (1, 0.2, 0.2)


def broken(array: np.ndarray, at: object, value: float) -> np.ndarray:
    array = array.copy()
    array[at] = value
    return array


def test_not_finite(episode: Episode):
    bad = broken(episode.motion.position, (7, 1, 0), np.nan)
    assert judge(episode, position=bad) == ("position is not finite from frame 7 on",)


@pytest.mark.parametrize("name", ["centre_of_mass", "deepest_penetration_m", "kinetic_energy_j"])
def test_nan_passes_nowhere(episode: Episode, name: str):
    array = getattr(episode.motion, name)
    assert judge(episode, **{name: broken(array, 7, np.nan)}) == (
        f"{name} is not finite from frame 7 on",
    )


def test_energy_explosion(episode: Episode):
    bad = broken(episode.motion.kinetic_energy_j, 9, 500.0)
    assert any(
        "energy grew by" in r and "frame 9" in r for r in judge(episode, kinetic_energy_j=bad)
    )


def test_servos_may_add_energy(episode: Episode):
    """The same growth is explained where a servo's torque and speed give that much work."""
    limb = Body("limb", (), joints=(Joint("j", "hinge", (1, 0, 0)),), motion="jointed")
    scene = replace(
        episode.scene,
        bodies=(*episode.scene.bodies, limb),
        actuators=(Actuator("a", "j", 1, 1, 9),),
    )
    motion = replace(
        episode.motion,
        joint_velocity=np.full((FRAMES + 1, 1), 2.0),
        joint_torque=np.full((FRAMES + 1, 1), 9.0),
    )
    assert np.allclose(actuator_work(scene, motion), 18.0 * np.arange(FRAMES + 1) / RATE)


def test_teleport(episode: Episode):
    bad = broken(episode.motion.position, (slice(10, None), 1, 0), 5.0)
    assert any(
        "ball jumped 5.4" in r and "after frame 9" in r for r in judge(episode, position=bad)
    )


def test_far_outside(episode: Episode):
    bad = episode.motion.position.copy()
    bad[-1] += np.array([500.0, 0, 0])
    assert any("a body went 500 m from its start" in r for r in judge(episode, position=bad))


def test_penetration(episode: Episode):
    truth = replace(episode.truth, penetration=broken(episode.truth.penetration, 4, 0.3))
    assert any("overlap by 0.300 m at frame 4" in r for r in judge(episode, truth=truth))


def test_time_out_of_order(episode: Episode):
    contacts = episode.motion.contacts.copy()
    contacts["start_s"][0] = 99.0
    assert any("time is not monotone" in r for r in judge(episode, contacts=contacts))


def test_never_in_sight(episode: Episode):
    truth = replace(episode.truth, area=np.zeros_like(episode.truth.area))
    assert any("no moving object is in sight" in r for r in judge(episode, truth=truth))


@pytest.mark.parametrize(("level", "said"), [(0, "every frame is black"), (90, "one flat colour")])
def test_pictures_of_nothing(episode: Episode, level: int, said: str):
    frames = {"rgb": np.full_like(episode.frames["rgb"], level)}
    assert any(said in r for r in judge(episode, frames=frames))


def test_frozen_picture(episode: Episode):
    rgb = episode.frames["rgb"]
    frames = {"rgb": np.repeat(rgb[:1], len(rgb), axis=0)}
    assert judge(episode, frames=frames) == ("every frame is the same",)


def test_broken_physics_is_quarantined_not_raised(monkeypatch):
    def explode(*args: object, **kwargs: object):
        raise SimulationError("state is not finite at 0.31 s")

    monkeypatch.setattr("simgen.episode.simulate", explode)
    episode = make_episode(toy_recipe(), 3)
    assert episode.reasons == ("state is not finite at 0.31 s",)
    assert episode.index == 3
    assert episode.frames == {}


def test_a_rejected_clip_is_not_captioned(monkeypatch):
    """Broken facts would raise there and stop the build."""

    def never(*args: object):
        raise AssertionError("told a broken clip")

    monkeypatch.setattr("simgen.episode.objections", lambda *args: ("too dark",))
    monkeypatch.setattr("simgen.episode.describe", never)
    episode = make_episode(toy_recipe(), 0)
    assert (episode.reasons, episode.captions, episode.clauses) == (("too dark",), {}, ())
    assert episode.frames  # to look at


def test_a_camera_that_ends_on_its_subject_is_quarantined():
    episode = make_episode(toy_recipe(kind="dolly", travel=[9, 9]), 0)
    assert episode.reasons[0].startswith("camera: a dolly of 9.00 m")
