"""The facts of a clip that captions may state, by path; nothing else may be claimed.

objects.<name>.label, colour, kind, size_m, size_word, mass_kg, restitution, fall_m,
        parts, loose
setting.<body>.label, colour
camera.move, angle_deg, side, travel_m, pitch_deg
outcome.label, outcome.margins.<name>
family, gravity_m_s2
e0, e1, ...                     an event
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.cameras import CameraTrack, rotation_matrix
from simgen.events import Event, objects
from simgen.families import Outcome
from simgen.motion import Motion
from simgen.scene import Body, Scene

Facts = dict[str, Any]
SMALL, LARGE = 0.75, 1.33  # of the median size of the clip's things: a difference that shows
STILL_M, STILL_DEG = 1e-3, 0.5  # a camera that moves less stands still


def gather(
    scene: Scene,
    motion: Motion,
    cameras: CameraTrack,
    outcome: Outcome,
    events: tuple[Event, ...],
) -> Facts:
    """All facts of one clip."""
    things = {name: thing(scene, motion, rows) for name, rows in objects(scene).items()}
    loose = [fact for fact in things.values() if fact["loose"]]  # only these have a size to compare
    for fact in loose:
        ratio = fact["size_m"] / np.median([f["size_m"] for f in loose])
        fact["size_word"] = "small" if ratio <= SMALL else "large" if ratio >= LARGE else ""
    return {
        "family": scene.family,
        "objects": things,
        "setting": {
            body.name: {"label": body.label, "colour": body.geoms[0].material.colour}
            for body in scene.bodies
            if body.motion == "static" and body.label and any(g.visible for g in body.geoms)
        },
        "camera": camera(cameras, scene.frames),
        "outcome": {"label": outcome.label, "margins": dict(outcome.margins)},
        "gravity_m_s2": float(np.linalg.norm(scene.gravity)),
        **{event.event_id: vars(event) for event in events},
    }


def resolve(facts: Facts, path: str) -> Any:
    """The fact at a path such as `objects.ball_0.colour`.

    Raises:
        KeyError: There is no such fact.
    """
    for part in path.split("."):
        facts = facts[part]
    return facts


def thing(scene: Scene, motion: Motion, rows: list[int]) -> Facts:
    """What is known about one moving object, from its first body and all of its parts."""
    first = scene.bodies[rows[0]]
    mass = np.array([scene.bodies[row].mass_kg for row in rows])
    height = motion.centre_of_mass[: scene.frames, rows, 2] @ mass / mass.sum()
    return {
        "label": first.label or first.geoms[0].kind,
        "colour": first.geoms[0].material.colour,
        "kind": first.geoms[0].kind,
        "size_m": size_m(first),
        "mass_kg": float(mass.sum()),
        "restitution": float(first.geoms[0].restitution),
        "fall_m": float(height[0] - height.min()),
        "parts": len(rows),
        "loose": len(rows) == 1 and first.motion == "free",
        "size_word": "",
    }


def size_m(body: Body) -> float:
    """Half of the body's typical extent: a ball's radius, a box's geometric mean half side."""
    geom = body.geoms[0]
    if geom.kind in ("box", "ellipsoid"):
        return float(np.prod(geom.size) ** (1 / 3))
    if geom.kind in ("capsule", "cylinder"):
        return float(max(geom.size))
    return float(geom.size[0])


def camera(cameras: CameraTrack, frames: int) -> Facts:
    """How the camera moves, from its true extrinsics and intrinsics.

    `move` is static, orbit, dolly_in, dolly_out, zoom_in, zoom_out, or moving for anything else;
    `side` is where an orbiting camera goes, as seen by itself.
    """
    position, focal = cameras.position[:frames], cameras.intrinsics[:frames, 0]
    matrix = rotation_matrix(cameras.quaternion[:frames])
    right, ahead = matrix[:, :, 0], -matrix[:, :, 2]
    way = position - position[0]
    distance = np.linalg.norm(way, axis=1)
    yaw = np.rad2deg(np.ptp(np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))))
    pitch = np.rad2deg(np.arcsin(np.clip(ahead[:, 2], -1, 1)))
    facts = {
        "move": "moving",
        "angle_deg": float(yaw),
        "side": "",
        "travel_m": float(distance.max()),
        "pitch_deg": float(pitch[0]),
    }
    turned = max(yaw, np.ptp(pitch)) > STILL_DEG
    along = float(way[-1] @ ahead[0])
    if distance.max() < STILL_M:
        ratio = focal[-1] / focal[0]
        zoom = "zoom_in" if ratio > 1.01 else "zoom_out" if ratio < 0.99 else "static"
        facts["move"] = "moving" if turned else zoom
    elif not turned and abs(along) > 0.99 * distance[-1]:
        facts["move"] = "dolly_in" if along > 0 else "dolly_out"
    elif np.ptp(pitch) < STILL_DEG and circles(position, ahead):
        early = int(np.argmax(distance > 0.02 * distance.max()))
        facts["move"] = "orbit"
        facts["side"] = "right" if way[early] @ right[0] > 0 else "left"
    return facts


def circles(position: np.ndarray, ahead: np.ndarray) -> bool:
    """Whether all views meet in one point that every position is equally far from."""
    across = np.eye(3) - ahead[:, :, None] * ahead[:, None, :]  # off the line of sight
    centre = np.linalg.lstsq(across.sum(0), np.einsum("tij,tj->i", across, position), rcond=None)[0]
    radius = np.linalg.norm(position - centre, axis=1)
    missed = np.linalg.norm(np.einsum("tij,tj->ti", across, centre - position), axis=1)
    return bool(np.ptp(radius) < 0.02 * radius.mean() and missed.max() < 0.02 * radius.mean())
