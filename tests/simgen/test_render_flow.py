"""Flow against float64 projections of the very points, and against the pictures themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from render_scenes import camera_of, motion_of, six
from scipy.spatial.transform import Rotation

from simgen.cameras import CameraTrack, project, rotation_matrix
from simgen.renderers import render
from simgen.renderers.flow import poses_before

H, W = 128, 128
FLOWS = ("flow", "backward_flow")


def scene_and_frames():
    scene = six(frames=3)
    motion, cameras = motion_of(scene), camera_of(4, H, W, step=(0.12, 0.03, 0.05))
    return scene, motion, cameras, render(scene, motion, cameras, height=H, width=W)


def moved_points(scene, motion, cameras, out, t, to):
    """For each body: its pixels in frame t, and where their points are in the picture of row to."""
    body_turn = rotation_matrix(motion.quaternion)
    x, y = np.meshgrid(np.arange(W) + 0.5, np.arange(H) + 0.5)
    label = out["segmentation"][t, ..., 0]
    fx, fy, cx, cy = cameras.intrinsics[t]
    z = np.where(label > 0, out["depth"][t, ..., 0].astype(np.float64), 1.0)
    seen = np.stack([(x - cx) / fx * z, -(y - cy) / fy * z, -z], -1)
    world = seen @ rotation_matrix(cameras.quaternion[t]).T + cameras.position[t]
    there = CameraTrack(cameras.position[[to]], cameras.quaternion[[to]], cameras.intrinsics[[to]])
    for body in range(len(scene.bodies)):
        mine = label == body + 1
        local = (world[mine] - motion.position[t, body]) @ body_turn[t, body]
        after = local @ body_turn[to, body].T + motion.position[to, body]
        pixels, _ = project(after[None], there)
        yield mine, pixels[0] - np.stack([x[mine], y[mine]], -1)


def test_flow_matches_projected_points():
    scene, motion, cameras, out = scene_and_frames()
    for t in range(scene.frames):
        for mine, expected in moved_points(scene, motion, cameras, out, t, t + 1):
            assert np.abs(out["flow"][t][mine] - expected).max() < 1e-3
        if t:
            for mine, expected in moved_points(scene, motion, cameras, out, t, t - 1):
                assert np.abs(out["backward_flow"][t][mine] - expected).max() < 1e-3


def test_a_window_has_the_flows_of_the_whole():
    """Row 0 of a later shot flows back to the frame before the cut, its camera standing still."""
    scene, motion, cameras, _ = scene_and_frames()
    still = CameraTrack(*(np.repeat(part[1:2], 4, 0) for part in
                          (cameras.position, cameras.quaternion, cameras.intrinsics)))  # fmt: skip
    whole = render(scene, motion, still, height=H, width=W, channels=FLOWS)
    cut = CameraTrack(still.position[1:], still.quaternion[1:], still.intrinsics[1:])
    part = render(scene, motion.window(1, 2), cut, height=H, width=W, channels=FLOWS)
    for name in FLOWS:
        np.testing.assert_array_equal(part[name], whole[name][1:])
    assert np.abs(part["backward_flow"][0]).max() > 1


def test_before_the_first_frame_the_velocities_tell():
    """A body that drifts and turns evenly was one frame earlier where its velocities say."""
    scene = six(frames=3)
    motion = motion_of(scene, moving=False)
    rng, frame_s = np.random.default_rng(5), 1 / 24
    velocity, turn = rng.normal(size=(7, 3)) * 0.5, rng.normal(size=(7, 3)) * 2.0
    velocity[0] = turn[0] = 0.0
    for t in range(len(motion.position)):
        spin = Rotation.from_rotvec(turn * t * frame_s)
        start = Rotation.from_quat(np.roll(motion.quaternion[0], -1, -1))
        motion.position[t] = motion.position[0] + velocity * t * frame_s
        if t:
            motion.quaternion[t] = np.roll((spin * start).as_quat(), 1, -1)
    rates = {"velocity": np.tile(velocity, (3, 1, 1)), "angular_velocity": np.tile(turn, (3, 1, 1))}
    later = replace(motion, position=motion.position[1:], quaternion=motion.quaternion[1:], **rates)
    known = replace(later, before=(motion.position[0], motion.quaternion[0]))
    position, quaternion = poses_before(later, frame_s)
    np.testing.assert_allclose(position, motion.position[0], atol=1e-12)
    np.testing.assert_allclose(np.abs((quaternion * motion.quaternion[0]).sum(-1)), 1, atol=1e-12)
    cameras = camera_of(3, H, W)
    told, guessed = (
        render(scene, m, cameras, height=H, width=W, channels=FLOWS)["backward_flow"]
        for m in (known, later)
    )
    np.testing.assert_allclose(guessed, told, atol=1e-3)
    assert np.abs(guessed[0]).max() > 1


def test_still_scene_under_a_still_camera_has_no_flow():
    scene = six(frames=1)
    motion = motion_of(scene, moving=False)
    out = render(scene, motion, camera_of(2, H, W), height=H, width=W, channels=FLOWS)
    for name in FLOWS:
        assert np.abs(out[name]).max() < 1e-4


def test_sky_moves_with_the_camera_turn_alone():
    scene = six(frames=1)
    motion = motion_of(scene)
    still = camera_of(2, H, W)
    shifted = CameraTrack(
        still.position + np.array([[0, 0, 0], [0.5, 0.2, 0.1]]), still.quaternion, still.intrinsics
    )
    out = render(scene, motion, shifted, height=H, width=W)
    sky = out["segmentation"][0, ..., 0] == 0
    assert sky.any()
    assert np.abs(out["flow"][0][sky]).max() < 1e-4
    half = np.radians(1.0) / 2  # 1 degree about the camera's up axis, to the left
    turn = np.array([np.cos(half), 0, np.sin(half), 0])
    turned = CameraTrack(
        still.position, np.stack([still.quaternion[0], multiply(still.quaternion[0], turn)]),
        still.intrinsics,
    )  # fmt: skip
    out = render(scene, motion, turned, height=H, width=W)
    column = W // 2
    moved = out["flow"][0, :, column, 0][sky[:, column]]
    np.testing.assert_allclose(moved, still.intrinsics[0, 0] * np.tan(np.radians(1.0)), rtol=0.02)


def multiply(a, b):
    """Hamilton product of w x y z quaternions."""
    w, v = a[0] * b[0] - a[1:] @ b[1:], a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:])
    return np.array([w, *v])


def test_warping_the_next_frame_back_gives_this_one():
    """Where a point stays visible, the next depth map has it at the flowed place."""
    scene, _, _, out = scene_and_frames()
    x, y = np.meshgrid(np.arange(W) + 0.5, np.arange(H) + 0.5)
    for t in range(scene.frames - 1):
        u = np.floor(x + out["flow"][t, ..., 0]).astype(int)
        v = np.floor(y + out["flow"][t, ..., 1]).astype(int)
        inside = (u >= 0) & (u < W) & (v >= 0) & (v < H)
        label = out["segmentation"][t, ..., 0]
        there = np.zeros_like(label)
        there[inside] = out["segmentation"][t + 1, v[inside], u[inside], 0]
        moving = inside & (label > 1)
        assert (there[moving] == label[moving]).mean() > 0.93
        same = moving & (there == label)
        before = out["rgb"][t][same].astype(int)
        after = out["rgb"][t + 1][v[same], u[same]].astype(int)
        assert np.median(np.abs(before - after)) <= 3
