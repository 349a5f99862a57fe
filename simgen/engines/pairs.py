"""Which bodies collide, and what names a scene must have right: the same for every engine."""

from __future__ import annotations

from collections.abc import Iterator

from simgen.scene import Body, Scene


def may_touch(scene: Scene, a: Body, b: Body) -> bool:
    """Whether contact between two bodies is simulated.

    Never between two static bodies; parent and child; the linked bodies of one object, whose joint
    ranges keep them apart; the two bodies of a Connect, since a grip overlaps what it holds.
    """
    if a.motion == "static" and b.motion == "static":
        return False
    if b.parent == a.name or a.parent == b.name:
        return False
    if "jointed" in (a.motion, b.motion) and a.object_name == b.object_name:
        return False
    return not any({c.body_a, c.body_b} == {a.name, b.name} for c in scene.connects)


def wrong_names(scene: Scene) -> Iterator[str]:
    """Names that are taken twice, or that nothing has."""
    names = scene.body_names
    yield from (f"two bodies are called {n!r}" for n in sorted(set(names)) if names.count(n) > 1)
    for number, body in enumerate(scene.bodies):
        if body.parent is not None and body.parent not in names[:number]:
            yield f"body {body.name!r}: its parent {body.parent!r} does not stand before it"
    ties = (*scene.connects, *scene.springs)
    tied = [tie.name for tie in ties]
    yield from (f"two ties are called {n!r}" for n in sorted(set(tied)) if tied.count(n) > 1)
    for tie in ties:
        kind = type(tie).__name__.lower()
        for name in (tie.body_a, tie.body_b):
            if name not in names:
                yield f"{kind} {tie.name!r}: no body {name!r}"
    for actuator in scene.actuators:
        if actuator.joint not in scene.joint_names:
            yield f"actuator {actuator.name!r}: no joint {actuator.joint!r}"
