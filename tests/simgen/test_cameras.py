"""Cameras: where they stand, where they look, and where a point lands in the picture."""

import numpy as np
import pytest

from simgen import cameras
from simgen.recipe import CameraRecipe


def shoot(kind="static", *, frames=10, height=48, width=64, seed=0, **keys):
    return cameras.path(
        CameraRecipe(kind=kind, **keys),
        look_at=(0.3, -0.2, 0.8),
        distance_m=4.0,
        frames=frames,
        height=height,
        width=width,
        rng=np.random.default_rng(seed),
    )


def angle_around(track):
    offset = track.position - (0.3, -0.2, 0.8)
    return np.unwrap(np.arctan2(offset[:, 1], offset[:, 0]))


def test_default_camera_stands_on_minus_y_and_sees_x_to_the_right_and_z_up():
    track = shoot(elevation_deg=(0, 0))
    np.testing.assert_allclose(track.position[0], (0.3, -4.2, 0.8), atol=1e-12)
    points = np.array([[[0.3, -0.2, 0.8], [0.4, -0.2, 0.8], [0.3, -0.2, 0.9], [0.3, 1.8, 0.8]]])
    pixels, depth = cameras.project(points, track)
    focal = 24 / np.tan(np.deg2rad(22.5))
    expected = [[32, 24], [32 + focal * 0.1 / 4, 24], [32, 24 - focal * 0.1 / 4], [32, 24]]
    np.testing.assert_allclose(pixels[0], expected, atol=1e-9)
    np.testing.assert_allclose(depth[0], [4, 4, 4, 6], atol=1e-12)


def test_project_reports_the_depth_but_no_pixel_behind_the_camera():
    pixels, depth = cameras.project(np.array([[[0.3, -9.0, 0.8]]]), shoot(elevation_deg=(0, 0)))
    assert np.isnan(pixels).all()
    assert depth[0, 0] == pytest.approx(-4.8)


def test_project_refuses_more_times_than_cameras():
    with pytest.raises(ValueError, match="12 rows of points for 11 cameras"):
        cameras.project(np.zeros((12, 1, 3)), shoot())


@pytest.mark.parametrize("kind", sorted(cameras.MOVES))
def test_every_move_has_one_row_past_the_end_and_keeps_the_subject_in_the_middle(kind):
    track = shoot(kind, travel=(1.5, 1.5), elevation_deg=(25, 25))
    assert track.position.shape == (11, 3)
    pixels, _ = cameras.project(np.tile([[[0.3, -0.2, 0.8]]], (11, 1, 1)), track)
    np.testing.assert_allclose(pixels[:, 0], np.tile([32, 24], (11, 1)), atol=1e-9)
    up = cameras.rotation_matrix(track.quaternion)[:, :, 1]
    assert (up[:, 2] > 0).all()


def test_orbit_turns_by_its_travel_at_one_distance_with_soft_ends():
    track = shoot("orbit", frames=40, travel=(300, 300), azimuth_deg=(10, 10))
    angle = angle_around(track)
    assert angle[-1] - angle[0] == pytest.approx(np.deg2rad(300))
    np.testing.assert_allclose(
        np.linalg.norm(track.position - (0.3, -0.2, 0.8), axis=1), 4.0, atol=1e-12
    )
    step = np.diff(angle)
    assert step[0] < 0.2 * step.max()
    assert step[-1] < 0.2 * step.max()
    # flow and pose interpolation need neighbours on one side of the double cover
    assert (np.sum(track.quaternion[1:] * track.quaternion[:-1], axis=1) > 0).all()


def test_dolly_comes_nearer_by_its_travel_along_the_view():
    track = shoot("dolly", travel=(1.25, 1.25))
    distance = np.linalg.norm(track.position - (0.3, -0.2, 0.8), axis=1)
    assert distance[0] == pytest.approx(4.0)
    assert distance[-1] == pytest.approx(2.75)
    np.testing.assert_allclose(track.quaternion, track.quaternion[:1].repeat(11, 0), atol=1e-12)


def test_dolly_onto_its_subject_is_refused():
    with pytest.raises(ValueError, match=r"keep camera\.travel under"):
        shoot("dolly", travel=(3.5, 3.5))


def test_a_seed_decides_the_camera_and_another_one_differs():
    keys = {"azimuth_deg": (-120, -60), "distance": (0.8, 1.2)}
    np.testing.assert_array_equal(shoot(**keys).position, shoot(**keys).position)
    assert not np.allclose(shoot(**keys).position, shoot(seed=1, **keys).position)


def test_field_of_view_belongs_to_the_shorter_side():
    tall = shoot(height=96, width=48, field_of_view_deg=(90, 90))
    np.testing.assert_allclose(tall.intrinsics[0], [24, 24, 24, 48])


def test_looking_straight_down_is_not_degenerate():
    quaternion = cameras.look_at_quaternion(np.array([[0.0, 0, 5]]), np.zeros((1, 3)))
    np.testing.assert_allclose(
        cameras.rotation_matrix(quaternion)[0], np.eye(3), atol=1e-12
    )  # looks along -z, +y up


def test_rotation_matrix_turns_z_by_a_quarter():
    half = np.sqrt(0.5)
    matrix = cameras.rotation_matrix(np.array([half, 0, 0, half]))
    np.testing.assert_allclose(matrix @ [1, 0, 0], [0, 1, 0], atol=1e-15)
