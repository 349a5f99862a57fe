"""The ray caster against closed forms and against a float64 picture by NumPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from render_scenes import GREY, camera_of, motion_of, reference, scene_of, six

from simgen.renderers import CHANNELS, render
from simgen.renderers.raycast import areas
from simgen.renderers.raycast import render as raycast
from simgen.scene import Body, Geom, Light, Material, Scene

H, W = 96, 136  # not a multiple of 16 lanes


def head_on(*geoms, size: int = 128, focal: float = 200.0, distance: float = 5.0, **scene):
    """Frame 0 of geoms at the origin, seen from -y through a long lens."""
    made = scene_of(*((g, (0.0, 0.0, 0.0)) for g in geoms), frames=1, **scene)
    cameras = camera_of(2, size, size, eye=(0, -distance, 0), target=(0, 0, 0), focal=focal)
    still = motion_of(made, moving=False)
    still.quaternion[:] = [1.0, 0.0, 0.0, 0.0]
    return {k: v[0] for k, v in render(made, still, cameras, height=size, width=size).items()}


def test_sphere_has_the_area_and_depth_of_the_formula():
    out = head_on(Geom("sphere", (0.7,), GREY))
    # the cone that touches a ball at distance d: tan^2 = r^2 / (d^2 - r^2)
    area = np.pi * 200.0**2 * 0.7**2 / (5.0**2 - 0.7**2)
    assert out["segmentation"].sum() == pytest.approx(area, rel=0.01)
    assert out["depth"].min() == pytest.approx(4.3, abs=1e-3)
    middle = out["normals"][63:65, 63:65].mean((0, 1))
    np.testing.assert_allclose(middle, [0, 0, 1], atol=1e-3)


def test_box_shows_its_front_face_square():
    out = head_on(Geom("box", (0.6, 0.4, 0.3), GREY))
    mine = out["segmentation"][..., 0] == 1
    face = mine & (np.abs(out["depth"][..., 0] - 4.6) < 1e-4)
    assert face.sum() == pytest.approx(4 * 0.6 * 0.3 * (200 / 4.6) ** 2, rel=0.04)
    np.testing.assert_allclose(out["normals"][face], np.tile([0, 0, 1], (face.sum(), 1)), atol=1e-6)


def test_plane_has_the_depth_of_the_formula():
    scene = scene_of(frames=1, floor=True)
    cameras = camera_of(2, 64, 64, eye=(0, 0, 2.0), target=(0, 10.0, 2.0), focal=50.0)
    out = render(scene, motion_of(scene), cameras, height=64, width=64)
    below = np.arange(33, 64)
    expected = 2.0 * 50.0 / (below + 0.5 - 32)
    np.testing.assert_allclose(out["depth"][0, 33:, 5, 0], expected, rtol=1e-5)
    assert np.isinf(out["depth"][0, :32]).all()
    assert not out["segmentation"][0, :32].any()
    assert not out["normals"][0, :32].any()


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("sphere", (0.5,)),
        ("ellipsoid", (0.7, 0.3, 0.45)),
        ("capsule", (0.25, 0.5)),
        ("cylinder", (0.4, 0.35)),
        ("box", (0.5, 0.3, 0.4)),
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_primitives_match_float64(kind, size, seed):
    scene = scene_of((Geom(kind, size, GREY), (0.1, 0.2, 0.6)), frames=1, floor=True)
    motion = motion_of(scene, seed)
    check_against_reference(scene, motion, camera_of(2, H, W, eye=(0.8, -3.5, 1.6)))


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_rays_along_an_axis_match_float64(turn):
    """Slabs and caps divide by the ray's components, which are zero here."""
    shapes = [Geom("box", (0.3, 0.3, 0.3), GREY), Geom("cylinder", (0.3, 0.3), GREY),
              Geom("capsule", (0.3, 0.3), GREY)]  # fmt: skip
    scene = scene_of(*((g, (i - 1.0, 0.0, 0.0)) for i, g in enumerate(shapes)), frames=1)
    motion = motion_of(scene, moving=False)
    quarter = np.sqrt(0.5)
    motion.quaternion[:] = [(1, 0, 0, 0), (quarter, quarter, 0, 0), (quarter, 0, quarter, 0)][turn]
    cameras = camera_of(2, 65, 65, eye=(0, -5.0, 0), target=(0, 0, 0), focal=100.0)
    check_against_reference(scene, motion, cameras, height=65, width=65, borders=40)


def test_whole_scene_matches_float64():
    scene = six(frames=2)
    check_against_reference(scene, motion_of(scene), camera_of(3, H, W, step=(0.1, 0, 0.05)))


def check_against_reference(scene, motion, cameras, *, height=H, width=W, borders=3):
    out = render(scene, motion, cameras, height=height, width=width)
    for t in range(scene.frames):
        depth, label, normal = reference(scene, motion, cameras, t, height, width)
        same = out["segmentation"][t, ..., 0] == label
        assert (~same).sum() <= borders  # centres that fall on an outline go either way
        drawn = same & (label > 0)
        np.testing.assert_allclose(out["depth"][t, ..., 0][drawn], depth[drawn], rtol=3e-5)
        assert np.isinf(out["depth"][t, ..., 0][same & (label == 0)]).all()
        edge = (np.abs(out["normals"][t] - normal).max(-1) > 2e-3) & drawn
        assert edge.sum() <= borders


def test_invisible_geoms_are_not_drawn():
    hidden = Geom("box", (1, 1, 1), GREY, visible=False)
    scene = scene_of((hidden, (0, 0, 0.5)), frames=1, floor=True)
    out = render(scene, motion_of(scene), camera_of(2, H, W), height=H, width=W)
    assert set(np.unique(out["segmentation"])) == {0, 1}


def test_bytes_do_not_depend_on_run_or_threads():
    scene = six(frames=5)
    motion, cameras = motion_of(scene), camera_of(6, H, W, step=(0.1, 0, 0))
    first = raycast(scene, motion, cameras, height=H, width=W)
    for threads in (1, 2, 3, 8):
        again = raycast(scene, motion, cameras, height=H, width=W, threads=threads)
        for name in CHANNELS:
            assert again[name].tobytes() == first[name].tobytes(), (name, threads)


def test_a_channel_is_the_same_alone():
    scene = six()
    motion, cameras = motion_of(scene), camera_of(3, H, W)
    together = render(scene, motion, cameras, height=H, width=W)
    for name in CHANNELS:
        alone = render(scene, motion, cameras, height=H, width=W, channels=(name,))
        assert list(alone) == [name]
        assert alone[name].tobytes() == together[name].tobytes()


def test_smoothing_changes_borders_only():
    scene = six()
    motion, cameras = motion_of(scene), camera_of(3, H, W)
    soft = raycast(scene, motion, cameras, height=H, width=W)
    hard = raycast(scene, motion, cameras, height=H, width=W, smooth=False)
    changed = (soft["rgb"] != hard["rgb"]).any(-1)
    assert 0.01 < changed.mean() < 0.25
    np.testing.assert_array_equal(soft["segmentation"], hard["segmentation"])


def test_shadow_falls_where_the_light_is_hidden():
    """A ball under a vertical light darkens the floor in a disc of its own radius."""
    ball = (Geom("sphere", (0.5,), GREY), (0.0, 0.0, 1.5))
    floor = Body("floor", (Geom("plane", (), GREY),), motion="static")
    base = scene_of(ball, frames=1)
    scene = Scene("test", (floor, *base.bodies), 1, 24.0, 240.0, light=Light((0.0, 0.0, -1.0)))
    cameras = camera_of(2, 128, 128, eye=(0, -6.0, 1.5), target=(0, 0, 0.5))
    out = raycast(scene, motion_of(scene), cameras, height=128, width=128, smooth=False)
    x, y = floor_points(cameras, out["depth"][0, ..., 0])
    on_floor = out["segmentation"][0, ..., 0] == 1
    near = on_floor & (np.hypot(x, y) < 3)
    inside = near & (np.hypot(x, y) < 0.48)
    outside = near & (np.hypot(x, y) > 0.52)
    assert inside.sum() > 50
    assert out["rgb"][0][inside].max() < out["rgb"][0][outside].min() - 30


def floor_points(cameras, depth):
    """World x and y of what each pixel of frame 0 shows."""
    from simgen.cameras import rotation_matrix

    height, width = depth.shape
    fx, fy, cx, cy = cameras.intrinsics[0]
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    ray = np.stack([(u - cx) / fx, -(v - cy) / fy, -np.ones_like(u)], -1)
    finite = np.where(np.isfinite(depth), depth, 1e6)
    point = finite[..., None] * ray @ rotation_matrix(cameras.quaternion[0]).T + cameras.position[0]
    return point[..., 0], point[..., 1]


def test_two_tones_show_spin():
    tones = Material("red", (0.7, 0.0, 0.0), (0.7, 0.7, 0.7), "two_tone")
    scene = scene_of((Geom("sphere", (0.5,), tones), (0, 0, 0)), frames=1)
    cameras = camera_of(2, 64, 64, eye=(0, -3.0, 0), target=(0, 0, 0))
    motion = motion_of(scene)
    pictures = []
    for axis in np.eye(4)[1:]:
        motion.quaternion[:] = np.array([1.0, 0, 0, 0]) + axis
        pictures.append(render(scene, motion, cameras, height=64, width=64)["rgb"][0])
    motion.quaternion[:] = [1.0, 0, 0, 0]
    out = render(scene, motion, cameras, height=64, width=64)
    ball = out["segmentation"][0, ..., 0] == 1
    for turned in pictures:
        change = np.abs(turned.astype(int) - out["rgb"][0]).max(-1)[ball]
        assert (change > 60).mean() > 0.2


def test_far_checkers_are_smooth():
    """Squares much smaller than a pixel average to one tone instead of shimmering."""
    scene = scene_of(frames=1, floor=True)
    cameras = camera_of(2, 128, 128, eye=(0.3, 0.2, 2.0), target=(3.0, 30.0, 1.0))
    out = render(scene, motion_of(scene), cameras, height=128, width=128)
    far = (out["depth"][0, ..., 0] > 60) & (out["depth"][0, ..., 0] < 90)
    rows = np.flatnonzero(far.any(1))
    assert len(rows) >= 1
    assert np.ptp(out["rgb"][0][rows].astype(int), axis=1).max() <= 6


def test_thin_geoms_do_not_break_up():
    """A bar half a pixel thick shows in every column that it crosses."""
    bar = Geom("capsule", (0.01, 1.0), Material("black", (0, 0, 0)), quaternion=(1.0, 0, 1.0, 0))
    for shift in np.linspace(0, 0.1, 5):
        scene = scene_of((bar, (0, 0, shift)), frames=1)
        cameras = camera_of(2, 64, 64, eye=(0, -4.0, 0), target=(0, 0, 0))
        motion = motion_of(scene)
        motion.quaternion[:] = [1.0, 0, 0, 0]
        picture = render(scene, motion, cameras, height=64, width=64)["rgb"][0, :, :, 0].astype(int)
        crossed = picture[:, 20:44]
        assert (crossed.max(0) - crossed.min(0) > 15).all()


def alone_areas(scene, motion, cameras):
    """Pixels of each body (time, body) drawn with nothing else in the scene."""
    columns = []
    for row, body in enumerate(scene.bodies):
        one = replace(scene, bodies=(body,))
        poses = replace(
            motion, position=motion.position[:, [row]], quaternion=motion.quaternion[:, [row]]
        )
        picture = render(one, poses, cameras, height=H, width=W, channels=("segmentation",))
        columns.append(picture["segmentation"].sum((1, 2, 3), dtype=int))
    return np.stack(columns, 1)


def crowd(frames: int = 4) -> Scene:
    """Bodies that hide each other, stand on and sink into the floor, and cross the picture's edge;
    one is made of two parts."""
    base = six(frames)
    pair = (Geom("capsule", (0.1, 0.6), GREY), Geom("sphere", (0.3,), GREY, position=(0, 0, 0.6)))
    more = (
        Body("hidden", (Geom("sphere", (0.3,), GREY),), 1.0, position=(-0.4, 2.5, 0.3)),
        Body("sunk", (Geom("cylinder", (0.4, 0.3), GREY),), 1.0, position=(1.2, 0.9, 0.1)),
        Body("edge", (Geom("box", (0.6, 0.1, 0.6), GREY),), 1.0, position=(-1.9, 0.6, 0.6)),
        Body("pair", pair, 1.0, position=(0.5, 1.6, 0.8)),
        Body("post", (Geom("capsule", (0.01, 1.0), GREY),), motion="static", position=(0, -1, 1)),
    )
    return replace(base, bodies=(*base.bodies, *more))


@pytest.mark.parametrize("step", [(0.0, 0.0, 0.0), (0.1, 0.02, 0.05)])
def test_silhouette_areas_count_hidden_pixels(step):
    scene = crowd()
    motion, cameras = motion_of(scene), camera_of(5, H, W, step=step)
    motion.quaternion[:, 8] = [1.0, 0.0, 0.0, 0.0]
    labels = render(scene, motion, cameras, height=H, width=W, channels=("segmentation",))
    _, whole = areas(scene, motion, cameras, height=H, width=W)
    np.testing.assert_array_equal(whole, alone_areas(scene, motion, cameras))
    _, again = areas(scene, motion, cameras, height=H, width=W, **labels)
    np.testing.assert_array_equal(again, whole)
    shown = np.stack([(labels["segmentation"] == row + 1).sum((1, 2, 3)) for row in range(12)], 1)
    assert (shown <= whole).all()
    assert (shown[:, 7] < 0.6 * whole[:, 7]).all()  # hidden
    assert (shown[:, 8] < whole[:, 8]).all()  # sunk


def test_silhouettes_of_still_bodies_are_those_of_the_first_frame():
    scene = crowd()
    motion, cameras = motion_of(scene, moving=False), camera_of(5, H, W)
    _, whole = areas(scene, motion, cameras, height=H, width=W)
    np.testing.assert_array_equal(whole, np.repeat(whole[:1], 4, 0))
    np.testing.assert_array_equal(whole, alone_areas(scene, motion, cameras))


def test_too_many_bodies_are_refused():
    scene = scene_of(*[(Geom("sphere", (0.1,), GREY), (0, 0, i)) for i in range(256)], frames=1)
    with pytest.raises(ValueError, match="256 bodies"):
        render(scene, motion_of(scene), camera_of(2, 16, 16), height=16, width=16)


def ball_of(material: Material, quaternion=(1.0, 0.0, 0.0, 0.0), size: int = 96):
    """Picture of a ball of 0.5 m before the sky, and the pixels that show it."""
    scene = scene_of((Geom("sphere", (0.5,), material), (0, 0, 0)), frames=1)
    motion = motion_of(scene)
    motion.quaternion[:] = quaternion
    cameras = camera_of(2, size, size, eye=(0, -2.0, 0), target=(0, 0, 0))
    out = render(scene, motion, cameras, height=size, width=size)
    return out["rgb"][0].astype(int), out["segmentation"][0, ..., 0] == 1


@pytest.mark.parametrize("pattern", ["stripes", "grain"])
def test_patterns_turn_with_the_body(pattern):
    tones = Material("red", (0.7, 0.0, 0.0), (0.7, 0.7, 0.7), pattern, 0.2)
    first, ball = ball_of(tones)
    again, _ = ball_of(tones)
    np.testing.assert_array_equal(first, again)
    assert first[ball][:, 1].std() > 25  # both tones show
    for axis in np.eye(4)[1:]:
        turned, _ = ball_of(tones, np.array([1.0, 0, 0, 0]) + axis)
        assert (np.abs(turned - first).max(-1)[ball] > 40).mean() > 0.2


def test_stripes_are_as_wide_as_they_say():
    """Seen square on, a box 1.6 m wide with stripes of 0.2 m along x changes tone every 0.2 m."""
    tones = Material("white", (0.8, 0.8, 0.8), (0.1, 0.1, 0.1), "stripes", 0.2)
    picture = head_on(Geom("box", (0.8, 0.4, 0.3), tones), size=128, focal=200.0)["rgb"]
    row = picture[64, :, 0].astype(int)
    edges = np.flatnonzero(np.abs(np.diff(row)) > 40)
    middles = [group.mean() for group in np.split(edges, np.flatnonzero(np.diff(edges) > 3) + 1)]
    inside = np.array(middles[1:-1])
    np.testing.assert_allclose(np.diff(inside), 0.2 * 200 / 4.6, atol=0.8)
    assert len(inside) >= 6


@pytest.mark.parametrize(("pattern", "scale"), [("stripes", 0.5), ("grain", 2.0)])
def test_far_patterns_are_smooth(pattern, scale):
    """As for the checker: what is much smaller than a pixel averages to one tone."""
    tones = Material("grey", (0.6, 0.6, 0.6), (0.2, 0.2, 0.2), pattern, scale)
    floor = Body("floor", (Geom("plane", (), tones),), motion="static")
    scene = Scene("test", (floor,), 1, 24.0, 240.0)
    cameras = camera_of(2, 128, 128, eye=(0.3, 0.2, 2.0), target=(3.0, 30.0, 1.0))
    out = render(scene, motion_of(scene), cameras, height=128, width=128)
    depth = out["depth"][0, ..., 0]
    rows = np.flatnonzero(((depth > 120) & np.isfinite(depth)).any(1))
    assert len(rows) >= 1
    assert np.ptp(out["rgb"][0][rows].astype(int), axis=1).max() <= 8
    assert np.ptp(out["rgb"][0][-8:].astype(int)) > 30  # near, it shows


def test_gloss_adds_one_white_spot_where_the_light_is_mirrored():
    dull, ball = ball_of(Material("blue", (0.03, 0.12, 0.72)))
    shiny, _ = ball_of(Material("blue", (0.03, 0.12, 0.72), gloss=1.0))
    gain = (shiny - dull)[ball]
    assert (gain >= 0).all()
    assert gain[:, 0].max() > 80  # white: the red channel gains too
    assert (gain.max(-1) > 30).mean() < 0.25
    y, x = np.unravel_index(np.argmax((shiny - dull)[..., 0] * ball), ball.shape)
    half = -np.array(Light().direction) / np.linalg.norm(Light().direction) + [0, -1, 0]
    half /= np.linalg.norm(half)  # the normal that mirrors the light to a far eye
    focal = 48 / np.tan(np.radians(22.5))
    spot = half * 0.5
    expected = 48 + focal * spot[0] / (2 + spot[1]), 48 - focal * spot[2] / (2 + spot[1])
    assert np.hypot(x + 0.5 - expected[0], y + 0.5 - expected[1]) < 4


def test_looks_leave_the_geometry_alone():
    base = six()
    motion, cameras = motion_of(base), camera_of(3, H, W)
    shiny = Material("red", (0.7, 0, 0), (0.1, 0, 0), "grain", 0.3, gloss=0.9)
    dressed = replace(base, bodies=tuple(
        replace(b, geoms=tuple(replace(g, material=shiny) for g in b.geoms)) for b in base.bodies
    ))  # fmt: skip
    plain, painted = (render(s, motion, cameras, height=H, width=W) for s in (base, dressed))
    for name in set(CHANNELS) - {"rgb"}:
        assert plain[name].tobytes() == painted[name].tobytes()
    assert (plain["rgb"] != painted["rgb"]).any()
