"""What the twins of a recipe can change in a scene, so that the rest is refused by name."""

from __future__ import annotations

from collections import Counter

from simgen.scene import Scene


def changeable(scene: Scene, change: str) -> list[int]:
    """Rows of the bodies that a mass, speed or remove can be done to.

    A speed or a removal needs a free body that is a whole object: a gymnast's trunk has limbs. One
    that is held keeps neither another speed nor its place empty. Something has to be left moving.
    """
    whole = lone(scene)
    if change == "mass":
        free = [i for i, body in enumerate(scene.bodies) if body.motion == "free"]
        return whole or free or moving(scene)
    held = {name for c in scene.connects for name in (c.body_a, c.body_b)}
    if change == "remove":
        held |= {name for s in scene.springs for name in (s.body_a, s.body_b)}
        held |= set(scene.water.bodies) if scene.water else set()
        if len({scene.bodies[i].object_name for i in moving(scene)}) < 2:
            return []
    return [i for i in whole if scene.bodies[i].name not in held]


def moving(scene: Scene) -> list[int]:
    """Rows of the bodies that can move."""
    return [i for i, body in enumerate(scene.bodies) if body.motion != "static"]


def bound(scene: Scene) -> bool:
    """Whether forces act that a body's mass does not cancel from: joints, springs, grips, water."""
    return bool(scene.joint_names or scene.springs or scene.connects or scene.water)


def lone(scene: Scene) -> list[int]:
    """Rows of the free bodies that are an object by themselves."""
    parts = Counter(scene.bodies[i].object_name for i in moving(scene))
    return [
        i for i, body in enumerate(scene.bodies)
        if body.motion == "free" and parts[body.object_name] == 1
    ]  # fmt: skip


def lacking(scene: Scene, change: str, *, hidden_wall: bool) -> str:
    """What the scene lacks for a twin's change; empty if nothing.

    Whether a thing is hidden for long enough shows only when the clip is filmed.

    Args:
        hidden_wall: The family has a wall to pass through.
    """
    if change == "mass" and not bound(scene) and len(moving(scene)) < 2:
        return "one thing alone, which moves in the same way at any mass"
    if change in ("mass", "speed", "remove"):
        return "" if changeable(scene, change) else f"no body for change {change!r}"
    if change == "gravity":
        return "" if any(scene.gravity) else "no gravity to change"
    if change == "release":
        return "" if scene.script and scene.connects else "no grip that opens"
    if change == "pass_through" and not hidden_wall:
        return "no hidden wall to pass through"
    if not (rows := lone(scene)):
        return "no object of one free body to change out of sight"
    screens = any(
        geom.visible and geom.kind != "plane"
        for body in scene.bodies
        for geom in body.geoms
        if body.motion == "static"
    )
    return "" if screens or len(rows) > 1 else "nothing to hide a body behind"
