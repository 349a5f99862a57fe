"""Looks change scenery, light and gloss, never the physics or a thing's identity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from render_scenes import camera_of, motion_of, scene_of

from simgen.families.objects import two_tone
from simgen.looks import FINISHES, SKIES, SURFACES, direction_of, dress, sun_of
from simgen.recipe.look import LookRecipe
from simgen.renderers import render
from simgen.scene import Body, Geom, Material, Scene

EVERYTHING = LookRecipe(
    sky=tuple(SKIES), sun_azimuth_deg=(-30, 30), sun_elevation_deg=(20, 40), light=(0.3, 0.9),
    ambient=(0.2, 0.5), floor=tuple(SURFACES), wall=("stone",), finish=("polished",),
)  # fmt: skip
GREY = Material("grey", (0.4, 0.4, 0.4))


def room() -> Scene:
    ball = Geom("sphere", (0.3,), two_tone("red"))
    base = scene_of((ball, (0, 0, 0.3)), (Geom("box", (0.2, 0.2, 0.2), GREY), (1, 0, 0.2)))
    walls = Geom("box", (2, 0.1, 1), GREY), Geom("box", (2, 0.1, 1), GREY, visible=False)
    scenery = (
        Body("floor", (Geom("plane", (), GREY, friction=0.7),), motion="static", label="floor"),
        Body("wall", walls, motion="static", position=(0, 2, 1), label="wall"),
        Body("bar", (Geom("capsule", (0.02, 1), GREY),), motion="static", label="bar"),
    )
    return replace(base, bodies=(*scenery, *base.bodies))


def bare(scene: Scene):
    """Everything about the bodies but their materials."""
    return [replace(b, geoms=tuple(replace(g, material=GREY) for g in b.geoms))
            for b in scene.bodies]  # fmt: skip


def test_without_a_look_the_scene_is_the_familys():
    scene = room()
    assert dress(scene, LookRecipe(), np.random.default_rng(0)) is scene
    same = dress(scene, LookRecipe(sky=("family",), floor=("family",)), np.random.default_rng(0))
    assert same == scene


@pytest.mark.parametrize("seed", range(6))
def test_identity_and_physics_stay(seed):
    scene = room()
    dressed = dress(scene, EVERYTHING, np.random.default_rng(seed))
    assert bare(dressed) == bare(scene)
    assert dressed == dress(scene, EVERYTHING, np.random.default_rng(seed))
    floor, wall, bar, *things = dressed.bodies
    assert floor.geoms[0].material in SURFACES[dressed.parameters["look_floor"]]
    assert {g.material for g in wall.geoms} <= set(SURFACES["stone"])
    assert bar == scene.bodies[2]
    for new, old in zip(things, scene.bodies[3:], strict=True):
        polished = replace(old.geoms[0].material, gloss=FINISHES["polished"])
        assert new.geoms[0].material == polished
        assert dressed.parameters[f"look_finish_{new.name}"] == "polished"
    assert dressed.sky == SKIES[dressed.parameters["look_sky"]].sky
    azimuth, elevation = sun_of(dressed.light.direction)
    assert -30 <= azimuth <= 30
    assert 20 <= elevation <= 40
    assert azimuth == pytest.approx(dressed.parameters["sun_azimuth_deg"])
    assert 0.3 <= dressed.light.intensity <= 0.9
    assert 0.2 <= dressed.light.ambient <= 0.5


def test_every_name_is_drawn_and_known():
    look = LookRecipe(sky=tuple(SKIES), floor=tuple(SURFACES))
    drawn = [dress(room(), look, np.random.default_rng(i)).parameters for i in range(80)]
    assert {d["look_sky"] for d in drawn} == set(SKIES)
    assert {d["look_floor"] for d in drawn} == set(SURFACES)
    with pytest.raises(ValidationError, match="'day', 'overcast'"):
        LookRecipe(sky=("sunny",))


def test_the_sun_alone_can_be_moved():
    look = LookRecipe(sun_elevation_deg=(70, 70))
    dressed = dress(room(), look, np.random.default_rng(0))
    before, after = sun_of(room().light.direction), sun_of(dressed.light.direction)
    assert after == pytest.approx((before[0], 70))
    assert dressed.sky == room().sky
    assert direction_of(*after) == pytest.approx(dressed.light.direction)


@pytest.mark.parametrize("name", sorted(SKIES))
def test_things_keep_their_hue_under_every_sky(name):
    """A red ball stays redder than green or blue on average, and neither black nor white."""
    scene = dress(room(), LookRecipe(sky=(name,), finish=("polished",)), np.random.default_rng(1))
    out = render(scene, motion_of(scene, moving=False), camera_of(3, 64, 64), height=64, width=64)
    mean = out["rgb"][out["segmentation"][..., 0] == 4].mean(0)
    assert mean[0] > 1.3 * max(mean[1], mean[2])
    assert 40 < mean[0] < 240
