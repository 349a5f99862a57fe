"""Flow against float64 projections of the very points, and against the pictures themselves."""

from __future__ import annotations

import numpy as np
from render_scenes import camera_of, motion_of, six

from simgen.cameras import CameraTrack, project, rotation_matrix
from simgen.renderers import render

H, W = 128, 128


def scene_and_frames():
    scene = six(frames=3)
    motion, cameras = motion_of(scene), camera_of(4, H, W, step=(0.12, 0.03, 0.05))
    return scene, motion, cameras, render(scene, motion, cameras, height=H, width=W)


def test_flow_matches_projected_points():
    scene, motion, cameras, out = scene_and_frames()
    body_turn = rotation_matrix(motion.quaternion)
    x, y = np.meshgrid(np.arange(W) + 0.5, np.arange(H) + 0.5)
    for t in range(scene.frames):
        label = out["segmentation"][t, ..., 0]
        fx, fy, cx, cy = cameras.intrinsics[t]
        z = np.where(label > 0, out["depth"][t, ..., 0].astype(np.float64), 1.0)
        seen = np.stack([(x - cx) / fx * z, -(y - cy) / fy * z, -z], -1)
        world = seen @ rotation_matrix(cameras.quaternion[t]).T + cameras.position[t]
        for body in range(len(scene.bodies)):
            mine = label == body + 1
            local = (world[mine] - motion.position[t, body]) @ body_turn[t, body]
            after = local @ body_turn[t + 1, body].T + motion.position[t + 1, body]
            later = CameraTrack(
                cameras.position[t + 1 : t + 2], cameras.quaternion[t + 1 : t + 2],
                cameras.intrinsics[t + 1 : t + 2],
            )  # fmt: skip
            pixels, _ = project(after[None], later)
            expected = pixels[0] - np.stack([x[mine], y[mine]], -1)
            assert np.abs(out["flow"][t][mine] - expected).max() < 1e-3


def test_still_scene_under_a_still_camera_has_no_flow():
    scene = six(frames=1)
    motion = motion_of(scene, moving=False)
    out = render(scene, motion, camera_of(2, H, W), height=H, width=W, channels=("flow",))
    assert np.abs(out["flow"]).max() < 1e-4


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
