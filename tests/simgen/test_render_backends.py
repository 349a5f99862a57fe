"""What every registered renderer promises, and that the peers draw what the ray caster draws."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from render_scenes import camera_of, motion_of, six

import simgen.renderers
from simgen.renderers import CHANNELS, RENDERERS, RendererUnavailable, gl_probe, render

HIDDEN_PARTS = {"raycast_kernel", "packing", "screen", "flow", "derive", "gl_probe"}
SHAPES = {"rgb": (3, np.uint8), "depth": (1, np.float32), "segmentation": (1, np.uint8),
          "normals": (3, np.float32), "flow": (2, np.float32),
          "backward_flow": (2, np.float32)}  # fmt: skip


@pytest.fixture(params=[
    pytest.param(name, marks=pytest.mark.gl if name == "mujoco" else ()) for name in RENDERERS
])  # fmt: skip
def renderer(request):
    if request.param == "mujoco" and gl_probe.working_platform() is None:
        pytest.skip(gl_probe.explanation())
    return request.param


def test_every_file_is_registered_or_part_of_one():
    folder = Path(simgen.renderers.__file__).parent
    assert {p.stem for p in folder.glob("[a-z]*.py")} == set(RENDERERS) | HIDDEN_PARTS


def test_contract(renderer):
    scene = six(frames=2)
    motion, cameras = motion_of(scene), camera_of(3, 48, 64)
    out = render(scene, motion, cameras, renderer=renderer, height=48, width=64)
    assert set(out) == set(CHANNELS)
    for name, (depth, dtype) in SHAPES.items():
        assert out[name].shape == (2, 48, 64, depth)
        assert out[name].dtype == dtype
    sky = out["segmentation"] == 0
    assert sky.any()
    np.testing.assert_array_equal(sky, np.isinf(out["depth"]))
    length = np.linalg.norm(out["normals"], axis=-1)
    np.testing.assert_allclose(length[~sky[..., 0]], 1.0, atol=1e-5)
    assert not length[sky[..., 0]].any()
    assert set(np.unique(out["segmentation"])) == set(range(8))
    assert np.isfinite(out["flow"]).all()
    assert np.isfinite(out["backward_flow"]).all()
    assert set(import_module(RENDERERS[renderer]).CHANNELS) <= set(CHANNELS)
    only = render(
        scene, motion, cameras, renderer=renderer, height=48, width=64, channels=("flow",)
    )
    assert list(only) == ["flow"]


def test_draws_what_the_ray_caster_draws(renderer):
    """Silhouettes, depth, normals and flow agree on every body over 200 pixels."""
    scene = six(frames=2)
    motion, cameras = motion_of(scene, seed=3), camera_of(3, 256, 256)
    size = {"height": 256, "width": 256}
    geometry = ("depth", "segmentation", "normals", "flow", "backward_flow")
    ours = render(scene, motion, cameras, **size, channels=geometry)
    theirs = render(scene, motion, cameras, renderer=renderer, **size, channels=geometry)
    compared = 0
    for label in range(2, 8):  # the floor ends at each back end's own horizon
        a, b = ours["segmentation"] == label, theirs["segmentation"] == label
        for t in range(scene.frames):
            if a[t].sum() <= 200:
                continue
            compared += 1
            both = a[t] & b[t]
            assert both.sum() / (a[t] | b[t]).sum() >= 0.97, (label, t)
            gap = np.abs(ours["depth"][t][both] - theirs["depth"][t][both])
            assert np.percentile(gap, 90) < 0.02, (label, t)
            facing = (ours["normals"][t] * theirs["normals"][t]).sum(-1)[both[..., 0]]
            assert np.median(facing) > 0.995, (label, t)
            for flow in ("flow", "backward_flow"):
                drift = np.abs(ours[flow][t] - theirs[flow][t])[both[..., 0]]
                assert np.percentile(drift, 90) < 0.1, (label, t)
    assert compared >= 8


def test_colours_are_alike(renderer):
    """Body by body the mean colour has the same order of channels, and shadows darken the floor."""
    scene = six(frames=1)
    motion, cameras = motion_of(scene), camera_of(2, 96, 96)
    ours = render(scene, motion, cameras, height=96, width=96)
    theirs = render(scene, motion, cameras, renderer=renderer, height=96, width=96)
    for label in (2, 6):  # the red ones
        mine = (theirs["segmentation"] == label)[..., 0]
        mean = theirs["rgb"][mine].mean(0)
        assert mean[0] > mean[1] + 10
        assert np.abs(mean - ours["rgb"][mine].mean(0)).max() < 80


def test_unknown_names_are_refused():
    scene = six(frames=1)
    motion, cameras = motion_of(scene), camera_of(2, 16, 16)
    with pytest.raises(ValueError, match="unknown renderer 'raycst'; known: mujoco, raycast, tiny"):
        render(scene, motion, cameras, renderer="raycst", height=16, width=16)
    with pytest.raises(ValueError, match=r"unknown channels \['dept'\]"):
        render(scene, motion, cameras, height=16, width=16, channels=("dept",))


def test_missing_gl_is_explained(monkeypatch):
    module = import_module("simgen.renderers.mujoco")
    monkeypatch.setattr(module, "working_platform", lambda: None)
    monkeypatch.setattr(module, "explanation", lambda: "egl: no libEGL (apt-get install libegl1)")
    scene = six(frames=1)
    with pytest.raises(RendererUnavailable, match="apt-get install libegl1"):
        render(
            scene, motion_of(scene), camera_of(2, 16, 16), renderer="mujoco", height=16, width=16
        )
