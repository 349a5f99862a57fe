"""Cameras: where they stand, where they look and go, and where a point lands in the picture."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from simgen import cameras
from simgen.camera_moves import MOVES
from simgen.recipe import CameraRecipe
from simgen.recipe.camera import USUAL

POINT = np.array([0.3, -0.2, 0.8])
KINDS = sorted([*MOVES, "tracking", "handheld"])


def shoot(kind="static", *, frames=10, height=48, width=64, seed=0, subject=None, **keys):
    kind = {} if "moves" in keys else {"kind": kind}
    return cameras.path(
        CameraRecipe(**kind, **keys),
        look_at=tuple(POINT),
        distance_m=4.0,
        frames=frames,
        height=height,
        width=width,
        rng=np.random.default_rng(seed),
        subject=subject,
    )


def axes(track):
    """Right, up and back of the camera in the world, (time, 3) each."""
    return np.moveaxis(cameras.rotation_matrix(track.quaternion), -1, 0)


def turned_deg(track):
    """Angle between the first and the last view."""
    first, last = cameras.rotation_matrix(track.quaternion[[0, -1]])
    return np.rad2deg(Rotation.from_matrix(last @ first.T).magnitude())


def pixels_of(points, track):
    points = np.broadcast_to(points, (len(track.position), 1, 3))
    return cameras.project(points, track)[0][:, 0]


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


@pytest.mark.parametrize("kind", KINDS)
def test_every_camera_has_one_row_past_the_end_and_is_smooth(kind):
    subject = np.linspace((0, 0, 0.5), (1, 0.4, 0.7), 41)
    track = shoot(kind, frames=40, elevation_deg=(25, 25), subject=subject)
    assert track.position.shape == (41, 3)
    assert np.isfinite(track.position).all()
    np.testing.assert_allclose(np.linalg.norm(track.quaternion, axis=1), 1, atol=1e-12)
    # flow and pose interpolation need neighbours on one side of the double cover
    assert (np.sum(track.quaternion[1:] * track.quaternion[:-1], axis=1) > 0.9).all()
    assert (axes(track)[1][:, 2] > 0).all()  # nothing is upside down
    seen = pixels_of(POINT, track)[20]
    assert ((seen > (0, 0)) & (seen < (64, 48))).all()  # in the picture halfway


@pytest.mark.parametrize("kind", ["static", "orbit", "dolly", "zoom", "roll"])
def test_some_moves_keep_the_subject_in_the_middle(kind):
    travel = {} if kind == "static" else {"travel": (1.5, 1.5)}
    track = shoot(kind, elevation_deg=(25, 25), **travel)
    np.testing.assert_allclose(pixels_of(POINT, track), np.tile([32, 24], (11, 1)), atol=1e-9)


@pytest.mark.parametrize("kind", ["pan", "tilt", "truck", "pedestal"])
def test_other_moves_have_the_subject_in_the_middle_halfway(kind):
    track = shoot(kind, travel=(-1.5, -1.5), elevation_deg=(25, 25))
    np.testing.assert_allclose(pixels_of(POINT, track)[5], (32, 24), atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "travel", "off"),
    [  # the way in which the point that was looked at halfway leaves the picture
        ("pan", 12.0, (-1, 0)),
        ("tilt", 12.0, (0, 1)),
        ("truck", 0.8, (-1, 0)),
        ("pedestal", 0.8, (0, 1)),
    ],
)
def test_ways_are_as_the_recipe_says(kind, travel, off):
    for sign in (1, -1):
        track = shoot(kind, travel=(sign * travel, sign * travel), elevation_deg=(0, 0))
        moved = pixels_of(POINT, track)[-1] - (32, 24)
        np.testing.assert_allclose(moved / np.abs(moved).max(), np.multiply(sign, off), atol=0.05)


def test_a_pan_turns_where_it_stands_with_a_level_horizon():
    track = shoot("pan", travel=(50, 50), elevation_deg=(30, 30), frames=24)
    np.testing.assert_array_equal(track.position, track.position[:1].repeat(25, 0))
    right, _, back = axes(track)
    np.testing.assert_allclose(right[:, 2], 0, atol=1e-12)
    np.testing.assert_allclose(back[:, 2], 0.5, atol=1e-12)
    heading = np.unwrap(np.arctan2(-back[:, 1], -back[:, 0]))
    assert np.rad2deg(heading[-1] - heading[0]) == pytest.approx(-50)  # to the right


def test_a_tilt_turns_about_the_cameras_right():
    track = shoot("tilt", travel=(20, 20), elevation_deg=(30, 30))
    right, _, back = axes(track)
    np.testing.assert_allclose(right, right[:1].repeat(11, 0), atol=1e-12)
    pitch = np.rad2deg(np.arcsin(-back[:, 2]))
    np.testing.assert_allclose([pitch[0], pitch[-1]], [-40, -20], atol=1e-9)


def test_a_roll_goes_clockwise_so_that_the_picture_goes_the_other_way():
    track = shoot("roll", travel=(40, 40), elevation_deg=(0, 0))
    right, _, back = axes(track)
    np.testing.assert_allclose(back, back[:1].repeat(11, 0), atol=1e-12)
    assert right[-1, 2] == pytest.approx(-np.sin(np.deg2rad(40)))  # the right side goes down
    above = pixels_of(POINT + np.array([0, 0, 0.5]), track)
    assert above[-1, 0] < above[0, 0] - 1  # what is above the middle moves to the left


def test_a_zoom_changes_the_lens_alone_around_its_field_of_view():
    track = shoot("zoom", travel=(2.25, 2.25), field_of_view_deg=(40, 40))
    focal = track.intrinsics[:, 0]
    assert focal[-1] / focal[0] == pytest.approx(2.25)
    assert np.sqrt(focal[0] * focal[-1]) == pytest.approx(24 / np.tan(np.deg2rad(20)))
    np.testing.assert_array_equal(track.intrinsics[:, 0], track.intrinsics[:, 1])
    assert np.ptp(track.position, axis=0).max() == 0


def test_trucks_and_pedestals_travel_their_metres():
    truck = shoot("truck", travel=(1.2, 1.2), elevation_deg=(30, 30))
    way = truck.position[-1] - truck.position[0]
    np.testing.assert_allclose(way, 1.2 * axes(truck)[0][0], atol=1e-12)
    pedestal = shoot("pedestal", travel=(-0.9, -0.9), elevation_deg=(30, 30))
    way = pedestal.position[-1] - pedestal.position[0]
    np.testing.assert_allclose(way, (0, 0, -0.9), atol=1e-12)
    assert turned_deg(truck) < 1e-6 > turned_deg(pedestal)


def test_tracking_keeps_its_offset_from_the_subject():
    time = np.linspace(0, 1, 31)
    subject = np.stack([2 * time, np.sin(3 * time), 0.4 + 0 * time], axis=-1)
    track = shoot("tracking", frames=30, subject=subject)
    offset = track.position - subject
    np.testing.assert_allclose(offset, offset[:1].repeat(31, 0), atol=1e-12)
    assert turned_deg(track) == 0
    np.testing.assert_allclose(pixels_of(subject[:, None], track), np.tile([32, 24], (31, 1)))


def test_tracking_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing that moves to travel along with"):
        shoot("tracking")


def test_a_hand_shakes_by_its_range_within_its_band():
    keys = {"shake_deg": (1.5, 1.5), "shake_m": (0.03, 0.03), "frames": 480}
    still, hand = shoot(frames=480), shoot("handheld", **keys)
    shift = np.linalg.norm(hand.position - still.position, axis=1)
    assert shift.max() == pytest.approx(0.03)
    turn = Rotation.from_matrix(
        cameras.rotation_matrix(still.quaternion).transpose(0, 2, 1)
        @ cameras.rotation_matrix(hand.quaternion)
    ).as_rotvec()
    assert np.rad2deg(np.linalg.norm(turn, axis=1)).max() == pytest.approx(1.5)
    for noise in (*turn.T, *(hand.position - still.position).T):
        power = np.abs(np.fft.rfft(noise * np.hanning(481))) ** 2
        frequency = np.fft.rfftfreq(481, 1 / 24)
        band = (frequency > 0.4) & (frequency < 8.2)
        assert power[band].sum() > 0.99 * power.sum()


def test_a_shake_lies_on_top_of_any_move():
    keys = {"travel": (60, 60), "frames": 48}
    clean, shaken = shoot("orbit", **keys), shoot("orbit", shake_deg=(0.5, 0.5), **keys)
    np.testing.assert_array_equal(clean.position, shaken.position)  # no shake_m: it only turns
    assert 0 < turned_deg(shaken) - 60 < 1 or -1 < turned_deg(shaken) - 60 < 0


def test_moves_follow_each_other_without_a_jump():
    moves = [
        {"kind": "pan", "travel": (20, 20)},
        {"kind": "dolly", "travel": (1, 1), "share": 2},
        {"kind": "zoom", "travel": (1.5, 1.5)},
    ]
    track = shoot(moves=moves, frames=80)
    way = np.linalg.norm(np.diff(track.position, axis=0), axis=1)
    turn = np.linalg.norm(np.diff(track.quaternion, axis=0), axis=1)
    zoom = np.abs(np.diff(track.intrinsics[:, 0]))
    assert (way[:20].max(), way[60:].max()) == (0, 0)
    assert turn[20:].max() == zoom[:60].max() == 0
    assert way.sum() == pytest.approx(1)
    assert way[20] < 0.2 * way.max() > way[59]  # each sets off and stops softly
    back = axes(track)[2]
    chord = track.position[-1] - track.position[0]
    np.testing.assert_allclose(chord, -back[30], atol=1e-9)  # along the panned line of sight


@pytest.mark.parametrize(
    ("name", "first", "last"), [("in_out", 0, 0), ("in", 0, 2), ("out", 2, 0), ("linear", 1, 1)]
)
def test_ease_sets_the_speed_at_both_ends(name, first, last):
    track = shoot("truck", travel=(1, 1), ease=name, frames=100)
    speed = 100 * np.linalg.norm(np.diff(track.position, axis=0), axis=1)
    np.testing.assert_allclose(speed[[0, -1]], [first, last], atol=0.04)
    assert speed.mean() == pytest.approx(1)


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


def test_a_tilt_over_the_zenith_is_refused():
    with pytest.raises(ValueError, match="turns the picture upside down"):
        shoot("tilt", travel=(168, 168))


def test_a_lens_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"keep the zoom's travel nearer to 1"):
        shoot("zoom", travel=(10, 10), field_of_view_deg=(150, 150))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"kind": "pam"}, "static.*pan.*handheld"),
        ({"kind": "static", "travel": (1, 2)}, "kind 'static', which has none.*one of: pan, tilt"),
        ({"kind": "tracking", "travel": (1, 2)}, "kind 'tracking', which has none"),
        ({"kind": "zoom", "travel": (-1, 2)}, "a ratio of focal lengths between 0.05 and 20"),
        ({"kind": "tilt", "travel": (10, 200)}, "turns by -170 to 170 degrees"),
        ({"kind": "pan", "travel": (30, 10)}, "low above high"),
        ({"kind": "pan", "moves": [{"kind": "roll"}]}, "beside moves, which say it each"),
        ({"moves": [{"kind": "static", "travel": (1, 2)}]}, "kind 'static', which has none"),
        ({"moves": [{"kind": "handheld"}]}, "tracking"),
        ({"kind": "pan", "shake_m": (0.01, 0.02)}, "give shake_deg"),
        ({"shake_deg": (0, 40)}, "between 0 and 10"),
    ],
)
def test_what_no_camera_does_is_refused(keys, message):
    with pytest.raises(ValidationError, match=message):
        CameraRecipe.model_validate(keys)


def test_a_recipe_survives_being_stored():
    camera = CameraRecipe(moves=[{"kind": "truck"}, {"kind": "zoom", "travel": (0.5, 0.8)}])
    assert CameraRecipe.model_validate_json(camera.model_dump_json()) == camera
    assert camera.name == "truck+zoom"
    assert [move.bounds for move in camera.sequence] == [USUAL["truck"], (0.5, 0.8)]


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
