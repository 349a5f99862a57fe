"""How PyBullet is to hold each body of a scene, and what it cannot hold.

What makes Bullet's restitution true (measured over drops, e 0.5 to 1, 240 to 2400 Hz): bodies as
rigid bodies in maximal coordinates, and split impulses for every penetration. Then a bounce returns
the asked share of the speed within 0.004. PyBullet's default multibodies turn the position
correction into speed and bounce at 1.2 where 1 was asked: a Newton's cradle of them gains height.
So hinged bodies that may touch are rigid bodies too, held by two points of their axis; only trees
of joints that nothing touches are multibodies, which are more exact in free motion.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from simgen.masses import mass_properties
from simgen.scene import Body, Scene

SHAPES = ("sphere", "capsule", "cylinder", "box", "plane")


def pinned(scene: Scene) -> frozenset[str]:
    """Names of jointed bodies that are rigid bodies held by two points of each hinge's axis.

    The others are links of multibodies. Bodies that hang on one another are of one kind.
    """
    bodies = {body.name: body for body in scene.bodies}
    root: dict[str, str] = {}  # of each jointed body: the jointed body nearest the world
    for body in scene.bodies:
        if body.motion == "jointed":
            root[body.name] = root.get(body.parent or "", body.name)
    tied = {name for tie in (*scene.connects, *scene.springs) for name in (tie.body_a, tie.body_b)}
    tied |= set(scene.water.bodies) if scene.water else set()
    roots = set()
    for name, first in root.items():
        carrier = bodies.get(bodies[first].parent or "")
        collides = any(g.collide for g in bodies[name].geoms)
        # A slide has no axis to be held by: it stays a link
        hinges = all(j.kind == "hinge" for j in bodies[name].joints)
        free = carrier is not None and carrier.motion == "free"
        if name in tied or free or (collides and hinges):
            roots.add(first)
    return frozenset(name for name, first in root.items() if first in roots)


def body_problems(scene: Scene) -> Iterator[str]:
    """What about each body Bullet cannot hold."""
    held = pinned(scene)
    for body in scene.bodies:
        said = (*_surfaces(body), *_mass(body), *_joints(body, body.name in held))
        yield from (f"body {body.name!r}: {reason}" for reason in said)


def _surfaces(body: Body) -> Iterator[str]:
    touchable = [g for g in body.geoms if g.collide]
    yield from (f"colliding {g.kind}" for g in touchable if g.kind not in SHAPES)
    if any(g.glide is not None for g in touchable):
        yield "a blade that glides"
    if body.motion == "static":
        return  # of as many parts as it has surfaces
    if len({(g.friction, g.restitution) for g in touchable}) > 1:
        yield "moving geoms that differ in friction or restitution"
    if any(g.kind == "plane" for g in touchable):
        yield "a plane cannot move"


def _mass(body: Body) -> Iterator[str]:
    if body.motion == "static":
        return
    _, tensor = mass_properties(body)
    if not body.mass_kg > 0:
        yield f"moving, so mass_kg {body.mass_kg} must be above 0"
    elif np.abs(tensor - np.diag(tensor.diagonal())).max() > 1e-6 * np.trace(tensor):
        yield "principal axes of inertia that are not the body's"


def _joints(body: Body, is_pinned: bool) -> Iterator[str]:
    if body.parent is not None and body.motion != "jointed":
        yield f"{body.motion}, with a parent other than the world"
    if (body.motion == "jointed") != bool(body.joints) or len(body.joints) > 1:
        yield f"{body.motion} with {len(body.joints)} joints (one hinge or slide at most)"
    for joint in body.joints:
        if joint.armature:
            yield f"joint {joint.name!r} with armature"
        if joint.kind == "slide" and is_pinned:
            yield f"slide {joint.name!r} with ties, water, a free parent or touching hinges"
    if body.joints and not is_pinned and any(g.collide and g.restitution for g in body.geoms):
        yield "a bounce on a slide"
