"""Looks: the light, sky and surfaces of a scene, drawn from what a recipe allows.

Only scenery and light change, and the gloss of what moves: a thing's colour and pattern are its
identity. `Material.colour` stays the word for what is seen, so captions stay true.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from simgen.recipe.look import LookRecipe
from simgen.scene import Body, Geom, Material, Scene, Sky, Vector3

FAMILY = "family"  # the name that leaves a part as the family made it
FLOORS, WALLS = ("floor",), ("wall", "screen")  # labels of the bodies that get new surfaces


@dataclass(frozen=True)
class Weather:
    """A sky and the light that falls from it."""

    sky: Sky
    light: float
    ambient: float
    elevation_deg: tuple[float, float]  # of the sun


SKIES = {
    "day": Weather(Sky((0.78, 0.87, 0.95), (0.20, 0.42, 0.80)), 0.74, 0.36, (35.0, 65.0)),
    "overcast": Weather(Sky((0.76, 0.78, 0.80), (0.52, 0.56, 0.61)), 0.26, 0.58, (50.0, 80.0)),
    "dusk": Weather(Sky((0.96, 0.50, 0.26), (0.13, 0.16, 0.40)), 0.66, 0.27, (14.0, 26.0)),
    "studio": Weather(Sky((0.66, 0.67, 0.69), (0.90, 0.90, 0.91)), 0.62, 0.45, (45.0, 65.0)),
    "night": Weather(Sky((0.045, 0.065, 0.14), (0.006, 0.009, 0.03)), 0.40, 0.13, (40.0, 70.0)),
}

# Each name has a few kinds, drawn alike; rgb and rgb2 are linear
SURFACES: dict[str, tuple[Material, ...]] = {
    "checker": (
        Material("white", (0.60, 0.60, 0.58), (0.16, 0.19, 0.24), "checker", 0.5, gloss=0.25),
        Material("grey", (0.52, 0.52, 0.50), (0.36, 0.37, 0.39), "checker", 0.5, gloss=0.15),
        Material("brown", (0.46, 0.20, 0.11), (0.58, 0.36, 0.22), "checker", 0.4, gloss=0.15),
    ),
    "plain": (
        Material("grey", (0.40, 0.41, 0.42)),
        Material("white", (0.74, 0.74, 0.72)),
        Material("black", (0.05, 0.05, 0.06), gloss=0.35),
    ),
    "wood": (
        Material("brown", (0.42, 0.24, 0.11), (0.25, 0.13, 0.055), "grain", 0.7, gloss=0.3),
        Material("brown", (0.21, 0.10, 0.045), (0.12, 0.055, 0.025), "grain", 0.8, gloss=0.45),
        Material("beige", (0.62, 0.44, 0.25), (0.46, 0.30, 0.15), "grain", 0.9, gloss=0.3),
    ),
    "stone": (
        Material("grey", (0.37, 0.37, 0.36), (0.24, 0.24, 0.26), "grain", 0.5),
        Material("white", (0.76, 0.75, 0.72), (0.54, 0.55, 0.58), "grain", 0.6, gloss=0.5),
    ),
    "sand": (
        Material("beige", (0.68, 0.53, 0.33), (0.55, 0.40, 0.23), "grain", 0.4),
        Material("beige", (0.74, 0.64, 0.48), (0.60, 0.49, 0.34), "grain", 0.5),
    ),
    "grass": (
        Material("green", (0.13, 0.29, 0.06), (0.06, 0.16, 0.03), "grain", 0.3),
        Material("green", (0.20, 0.33, 0.08), (0.10, 0.20, 0.04), "grain", 0.4),
    ),
}
FINISHES = {"matte": 0.0, "satin": 0.35, "polished": 0.9}  # gloss


def dress(scene: Scene, look: LookRecipe, rng: np.random.Generator) -> Scene:
    """The scene in a look drawn from the recipe's; the very scene where the recipe says nothing.

    What was drawn joins `parameters` as look_sky, look_floor, look_wall and look_finish of each
    object, and sun_azimuth_deg and sun_elevation_deg where the light was moved.
    """
    if look == LookRecipe():
        return scene
    drawn: dict[str, float | str] = {}
    scene = _lit(scene, look, rng, drawn)
    for part, names, labels in (("floor", look.floor, FLOORS), ("wall", look.wall, WALLS)):
        owners = [b for b in scene.bodies if b.motion == "static" and b.label in labels]
        if (name := _one(names, rng)) != FAMILY and owners:
            kinds = SURFACES[name]
            material = kinds[int(rng.integers(len(kinds)))]
            drawn[f"look_{part}"] = name
            scene = _changed(scene, owners, lambda g, m=material: replace(g, material=m))
    if look.finish:
        scene = _finished(scene, look, rng, drawn)
    return replace(scene, parameters={**scene.parameters, **drawn})


def _one(names: tuple[str, ...], rng: np.random.Generator) -> str:
    return names[int(rng.integers(len(names)))] if names else FAMILY


def _lit(scene: Scene, look: LookRecipe, rng: np.random.Generator, drawn: dict) -> Scene:
    """The scene under a drawn sky and sun."""
    light, sky = scene.light, scene.sky
    azimuth, elevation = look.sun_azimuth_deg, look.sun_elevation_deg
    if (name := _one(look.sky, rng)) != FAMILY:
        weather = SKIES[name]
        drawn["look_sky"], sky = name, weather.sky
        light = replace(light, intensity=weather.light, ambient=weather.ambient)
        azimuth, elevation = azimuth or (-180.0, 180.0), elevation or weather.elevation_deg
    if look.light:
        light = replace(light, intensity=float(rng.uniform(*look.light)))
    if look.ambient:
        light = replace(light, ambient=float(rng.uniform(*look.ambient)))
    if azimuth or elevation:
        at = sun_of(light.direction)
        turn = float(rng.uniform(*azimuth)) if azimuth else at[0]
        height = float(rng.uniform(*elevation)) if elevation else at[1]
        drawn["sun_azimuth_deg"], drawn["sun_elevation_deg"] = turn, height
        light = replace(light, direction=direction_of(turn, height))
    return replace(scene, light=light, sky=sky)


def sun_of(direction: Vector3) -> tuple[float, float]:
    """Azimuth and elevation of a light's source, degrees, of the way that its light travels.

    >>> sun_of((0.0, 1.0, -1.0))
    (-90.0, 45.0)
    """
    x, y, z = (-c for c in direction)
    return math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y)))


def direction_of(azimuth_deg: float, elevation_deg: float) -> Vector3:
    """Unit vector of the way that light travels from there."""
    azimuth, elevation = math.radians(azimuth_deg), math.radians(elevation_deg)
    level = math.cos(elevation)
    return -level * math.cos(azimuth), -level * math.sin(azimuth), -math.sin(elevation)


def _finished(scene: Scene, look: LookRecipe, rng: np.random.Generator, drawn: dict) -> Scene:
    """The scene with a gloss drawn for each thing that moves."""
    movers = [b for b in scene.bodies if b.motion != "static"]
    for thing in dict.fromkeys(b.object_name for b in movers):
        if (name := _one(look.finish, rng)) != FAMILY:
            drawn[f"look_finish_{thing}"] = name
            scene = _changed(
                scene,
                [b for b in scene.bodies if b.motion != "static" and b.object_name == thing],
                lambda g, gloss=FINISHES[name]: replace(
                    g, material=replace(g.material, gloss=gloss)
                ),
            )
    return scene


def _changed(scene: Scene, owners: list[Body], change: Callable[[Geom], Geom]) -> Scene:
    """The scene with every geom of some bodies changed."""
    names = {b.name for b in owners}
    return replace(scene, bodies=tuple(
        replace(b, geoms=tuple(change(g) for g in b.geoms)) if b.name in names else b
        for b in scene.bodies
    ))  # fmt: skip
