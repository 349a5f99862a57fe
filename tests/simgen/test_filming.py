"""Filming: shots without gaps, cameras in nothing, the subject in the picture."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from pydantic import BaseModel

from simgen import filming
from simgen.clearance import clearance_m, mean_silhouettes_m2
from simgen.families import Setting
from simgen.motion import Motion, SimulationError
from simgen.recipe.tables import SceneRecipe, Video
from simgen.renderers.packing import pack, world_frames
from simgen.renderers.raycast import areas
from simgen.scene import Body, Geom, Light, Material, Scene

GREY, RED = Material("grey", (0.5, 0.5, 0.5)), Material("red", (0.8, 0.1, 0.1))
FLOOR = Body("floor", (Geom("plane", (), GREY),), motion="static", label="floor")
BALL = Body("ball", (Geom("sphere", (0.2,), RED),), 1.0, position=(0, 0, 0.4), label="ball")
VIDEO = Video(frames=48, height=64, width=64)


class Place(BaseModel):
    """A stand-in for a family."""

    def look_at(self, scene, motion):
        return (0.0, 0.0, 0.4), 4.0


class Places(Place):
    def settings(self, scene):
        return (
            Setting("here", (0.0, 0.0, 0.4), 3.0, 0),
            Setting("there", (50.0, 0.0, 0.4), 3.0, 20, light=Light(intensity=0.2)),
        )


def clip(*bodies: Body, frames: int = 48, drift: float = 0.0) -> tuple[Scene, Motion]:
    """A scene whose free bodies drift along +x by `drift` m a frame."""
    scene = Scene("toy", bodies, frames, 24.0, 2400.0)
    rows, count = frames + 1, len(bodies)
    position = np.tile(np.array([b.position for b in bodies], float), (rows, 1, 1))
    free = [b.motion != "static" for b in bodies]
    position[:, free, 0] += drift * np.arange(rows)[:, None]
    still, flat = np.zeros((rows, count, 3)), np.zeros(rows)
    none = np.zeros((rows, 0))
    motion = Motion(
        "none", "0", position, np.tile([1.0, 0, 0, 0], (rows, count, 1)), still, still, position,
        none, none, none, np.zeros((frames, 0)), np.zeros(0), flat, flat, flat,
        np.zeros((1, 0)), np.zeros(1, np.int32),
    )  # fmt: skip
    return scene, motion


def film(scene, motion, kind=None, seed=0, **table):
    recipe = SceneRecipe.model_validate({"family": "toy", **table})
    rng = np.random.default_rng(seed)
    return filming.film(scene, motion, kind or Place(), recipe, VIDEO, rng)


def test_one_shot_covers_the_clip_and_its_rng_decides_it():
    scene, motion = clip(FLOOR, BALL)
    camera = {"kind": "orbit", "azimuth_deg": [-180, 180]}
    (shot,) = film(scene, motion, camera=camera)
    assert (shot.first_frame, shot.frames, shot.move) == (0, 48, "orbit")
    (same,) = film(scene, motion, camera=camera)
    np.testing.assert_array_equal(shot.cameras.position, same.cameras.position)
    (other,) = film(scene, motion, camera=camera, seed=1)
    assert not np.allclose(shot.cameras.position, other.cameras.position)


def test_shots_follow_each_other_and_are_long_enough():
    scene, motion = clip(FLOOR, BALL, frames=96)
    camera = {"azimuth_deg": [-180, 180]}
    counts, firsts = set(), set()
    for seed in range(12):
        shots = film(scene, motion, seed=seed, shots=[2, 4], camera=camera)
        counts.add(len(shots))
        firsts.add(shots[1].first_frame)
        ends = [shot.first_frame + shot.frames for shot in shots]
        assert [0, *ends] == [*(shot.first_frame for shot in shots), 96]
        assert min(shot.frames for shot in shots) >= max(12, 96 / (2 * len(shots)))
    assert counts == {2, 3, 4}
    assert len(firsts) > 6


def test_a_cut_shows_another_view():
    scene, motion = clip(FLOOR, BALL)
    camera = {"azimuth_deg": [-180, 180]}
    for seed in range(10):
        shots = film(scene, motion, seed=seed, shots=[4, 4], camera=camera)
        for before, after in pairwise(shots):
            a, b = (np.arctan2(s.cameras.position[0, 1], s.cameras.position[0, 0])
                    for s in (before, after))  # fmt: skip
            assert abs((np.rad2deg(a - b) + 180) % 360 - 180) >= 30


def test_ranges_without_another_view_still_give_shots():
    scene, motion = clip(FLOOR, BALL)
    shots = film(scene, motion, shots=[3, 3], camera={"azimuth_deg": [-95, -85]})
    assert len(shots) == 3


def test_a_short_clip_is_cut_evenly_and_too_short_a_one_refused():
    rng = np.random.default_rng(0)
    assert filming.cuts(3, 12, 24.0, rng) == [0, 4, 8]
    with pytest.raises(SimulationError, match="camera: 4 shots in a clip of 6 frames"):
        filming.cuts(4, 6, 24.0, rng)


def test_settings_get_a_shot_each_in_their_light():
    there = replace(BALL, name="double", position=(50.0, 0, 0.4), object="ball")
    scene, motion = clip(FLOOR, BALL, there, drift=0.01)
    here, away = film(scene, motion, Places(), shots=[1, 1], camera={"kind": "tracking"})
    assert [(s.first_frame, s.frames, s.setting) for s in (here, away)] == [
        (0, 20, "here"), (20, 28, "there"),
    ]  # fmt: skip
    assert (here.light, away.light) == (None, Light(intensity=0.2))
    # each follows its own copy of the traveller: the mean of both is 25 m away from either
    assert abs(here.cameras.position[0, 0]) < 1
    assert abs(away.cameras.position[0, 0] - 50) < 1


def test_no_camera_stands_in_anything():
    wall = Geom("box", (4.0, 0.2, 4.0), GREY)
    scene, motion = clip(FLOOR, BALL, Body("wall", (wall,), motion="static", position=(0, -4, 0)))
    with pytest.raises(SimulationError, match=r"camera: it is inside wall at frame 0.*20 draws"):
        film(scene, motion, camera={"azimuth_deg": [-90, -90]})
    # drawn anew, it finds the side on which there is no wall
    for seed in range(5):
        (shot,) = film(scene, motion, seed=seed, camera={"azimuth_deg": [-180, 180]})
        assert np.abs(shot.cameras.position[:, 1] + 4).min() > 0.25


def test_no_camera_goes_under_the_floor():
    scene, motion = clip(FLOOR, BALL)
    camera = {"kind": "pedestal", "travel": [-4, -4], "elevation_deg": [5, 5]}
    with pytest.raises(SimulationError, match="it is inside floor"):
        film(scene, motion, camera=camera)


def test_a_hidden_subject_is_refused_and_one_hidden_for_half_of_the_time_is_not():
    wall = Body("wall", (Geom("box", (0.8, 0.1, 1.0), GREY),), motion="static", position=(0, -1, 0))
    still = clip(FLOOR, wall, BALL)
    with pytest.raises(SimulationError, match=r"what moves is seen in 0% of the frames; at least"):
        film(*still, camera={"azimuth_deg": [-90, -90]})
    (shot,) = film(*clip(FLOOR, wall, BALL, drift=0.05), camera={"azimuth_deg": [-90, -90]})
    assert shot.move == "static"


def test_a_subject_outside_of_the_picture_is_refused():
    away = replace(BALL, position=(9.0, 0, 0.4))
    with pytest.raises(SimulationError, match="what moves is seen in 0%"):
        film(*clip(FLOOR, away), camera={"azimuth_deg": [-90, -90]})


def test_a_move_that_cannot_be_says_why():
    scene, motion = clip(FLOOR, BALL)
    with pytest.raises(SimulationError, match=r"camera: a dolly of 9.00 m"):
        film(scene, motion, camera={"kind": "dolly", "travel": [9, 9]})


def test_another_camera_of_the_recipe_is_tried():
    scene, motion = clip(FLOOR, BALL)
    cameras = [{"kind": "dolly", "travel": [9, 9]}, {"kind": "static"}]
    assert {film(scene, motion, seed=s, camera=cameras)[0].move for s in range(4)} == {"static"}


GEOMS = {
    "sphere": ((0.5,), (0.9, 0, 0), 0.4),
    "capsule": ((0.2, 0.5), (0, 0, 1.0), 0.3),
    "cylinder": ((0.3, 0.5), (0.6, 0, 0.9), 0.5),
    "ellipsoid": ((0.5, 0.3, 0.2), (0.5, 0, 0), 0.0),
    "box": ((0.3, 0.2, 0.1), (0.6, 0.6, 0), 0.5),
    "plane": ((), (3, 4, 0.7), 0.7),
}


@pytest.mark.parametrize("kind", sorted(GEOMS))
def test_distance_to_a_surface(kind):
    size, point, expected = GEOMS[kind]
    half = np.sqrt(0.5)  # a quarter turn about x, and away from the origin
    body = Body("b", (Geom(kind, size, RED),), 1.0, position=(1, 2, 3))
    scene, motion = clip(body)
    motion.quaternion[:] = (half, half, 0, 0)
    x, y, z = point
    place = np.array([[1 + x, 2 - z, 3 + y]])
    table = pack(scene)
    rotation, centre = (rows[:1] for rows in world_frames(table, motion))
    gap = clearance_m(table, rotation, centre, place)
    assert gap[0, 0] == pytest.approx(expected, abs=1e-9)
    if kind != "plane":
        inside = clearance_m(table, rotation, centre, np.array([[1.0, 2.0, 3.0]]))
        thinnest = size[0] if kind == "capsule" else min(size)
        assert inside[0, 0] == pytest.approx(-thinnest)


@pytest.mark.parametrize("kind", ["sphere", "capsule", "cylinder", "ellipsoid", "box"])
def test_mean_silhouettes_are_those_of_the_renderer(kind):
    size = GEOMS[kind][0]
    rng = np.random.default_rng(0)
    scene, motion = clip(Body("b", (Geom(kind, size, RED),), 1.0), frames=300)
    turn = rng.normal(size=(301, 1, 4))
    motion.quaternion[:] = turn / np.linalg.norm(turn, axis=-1, keepdims=True)
    focal, away = 2000.0, 40.0
    track = filming.CameraTrack(
        np.tile([0.0, 0.0, away], (301, 1)), np.tile([1.0, 0, 0, 0], (301, 1)),
        np.tile([focal, focal, 64.0, 64.0], (301, 1)),
    )  # fmt: skip
    _, seen = areas(scene, motion, track, height=128, width=128)
    mean = mean_silhouettes_m2(pack(scene))[0] * (focal / away) ** 2
    assert seen.mean() == pytest.approx(mean, rel=0.05)
