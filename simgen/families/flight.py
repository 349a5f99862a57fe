"""Angular momentum of several bodies together, which nothing can change in the air."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float64

from simgen.cameras import rotation_matrix
from simgen.masses import mass_properties
from simgen.motion import Motion, centre_velocity
from simgen.scene import Body, Scene

FLIGHT_S = 0.1  # a shorter one has too few frames to say anything


def flight_angular_momentum(
    scene: Scene, motion: Motion, rows: Sequence[int], start: int, end: int
) -> Float64[np.ndarray, "time 3"]:
    """About the common centre of mass, world frame, kg m2/s, of the frames from start to end.

    Args:
        rows: Of the bodies that fly together, e.g. all those of one gymnast.
        start, end: First frame and the one after the last.
    Raises:
        ValueError: No frames or no bodies.
    """
    return _shares(scene, motion, rows, start, end).sum(axis=1)


def momentum_change(
    scene: Scene, motion: Motion, rows: Sequence[int], start: int, end: int
) -> tuple[float, float]:
    """How far the angular momentum goes from its first frame's, and its scale, kg m2/s.

    The scale is the sum of the bodies' own magnitudes, largest over the frames: limbs that swing
    against each other turn, even where all together do not. It is never below the momentum itself.
    """
    shares = _shares(scene, motion, rows, start, end)
    whole = shares.sum(axis=1)
    change = np.linalg.norm(whole - whole[0], axis=1).max()
    return float(change), float(np.linalg.norm(shares, axis=2).sum(axis=1).max())


def _shares(
    scene: Scene, motion: Motion, rows: Sequence[int], start: int, end: int
) -> Float64[np.ndarray, "time body 3"]:
    """What each body has of the angular momentum about their common centre of mass."""
    rows = list(rows)
    if not rows or not 0 <= start < end <= len(motion.position):
        raise ValueError(
            f"frames {start} to {end} of {len(motion.position)} and {len(rows)} bodies; "
            "at least one of each"
        )
    frames = slice(start, end)
    masses = np.array([scene.bodies[row].mass_kg for row in rows])
    tensors = np.array([mass_properties(scene.bodies[row])[1] for row in rows])
    centres = motion.centre_of_mass[frames, rows]
    velocities = centre_velocity(motion)[frames, rows]
    r = centres - np.einsum("b,tbk->tk", masses, centres)[:, None] / masses.sum()
    v = velocities - np.einsum("b,tbk->tk", masses, velocities)[:, None] / masses.sum()
    turns = rotation_matrix(motion.quaternion[frames, rows])
    spins = motion.angular_velocity[frames, rows]
    own = np.einsum("tbij,bjk,tblk,tbl->tbi", turns, tensors, turns, spins)
    return masses[:, None] * np.cross(r, v) + own


def flyers(scene: Scene) -> dict[str, list[int]]:
    """Rows of each free object of several jointed bodies, by object name: what can change shape."""
    found: dict[str, list[int]] = {}
    free = {body.object_name for body in scene.bodies if body.motion == "free"}
    for row, body in enumerate(scene.bodies):
        if body.motion != "static" and body.object_name in free:
            found.setdefault(body.object_name, []).append(row)
    jointed = {body.object_name for body in scene.bodies if body.motion == "jointed"}
    return {name: rows for name, rows in found.items() if name in jointed}


def flights(scene: Scene, motion: Motion, rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First frame and the one after the last of the stretches in which nothing outside acts on
    the bodies but gravity, of FLIGHT_S and more.
    """
    step_s = 1 / scene.physics_rate_hz  # a touch acts on both sides of the steps that book it
    held = sorted(_holds(scene, motion, rows))
    reached = 0.0
    for start_s, end_s in [*held, (np.inf, np.inf)]:
        first = int(np.ceil((reached + step_s * (reached > 0)) * scene.frame_rate_hz - 1e-6))
        last = min((start_s - step_s) * scene.frame_rate_hz + 1e-6, scene.frames)
        if (last - first) / scene.frame_rate_hz >= FLIGHT_S:
            yield first, int(last) + 1
        reached = max(reached, min(end_s, scene.frames / scene.frame_rate_hz + 1))


def _holds(scene: Scene, motion: Motion, rows: Sequence[int]) -> Iterator[tuple[float, float]]:
    """When each touch, grip, spring and the water acts on the bodies from outside, s."""
    touch = motion.contacts
    outside = np.isin(touch["body_a"], rows) != np.isin(touch["body_b"], rows)
    yield from zip(
        touch["start_s"][outside].tolist(), touch["end_s"][outside].tolist(), strict=True
    )
    names = {scene.bodies[row].name for row in rows}
    for column, grip in enumerate(scene.connects, start=len(scene.actuators)):
        if len({grip.body_a, grip.body_b} & names) == 1:
            yield from _grips(motion.action[:, column], grip.active, scene.frame_rate_hz)
    if any(len({spring.body_a, spring.body_b} & names) == 1 for spring in scene.springs):
        yield 0.0, np.inf
    if scene.water:
        wet = [row for row in rows if scene.bodies[row].name in scene.water.bodies]
        reach_m = np.array([_reach_m(scene.bodies[row]) for row in wet])
        under = (motion.position[:, wet, 2] < scene.water.level_m + reach_m).any(axis=1)
        for frame in np.flatnonzero(under):  # or any time up to the frames beside it
            yield (frame - 1) / scene.frame_rate_hz, (frame + 1) / scene.frame_rate_hz


def _reach_m(body: Body) -> float:
    """Farthest that any of the body's geoms reaches from its origin, m, or more."""
    ends = [np.linalg.norm(geom.position) + np.sum(geom.size) for geom in body.geoms]
    return float(max(ends))


def _grips(
    action: Float64[np.ndarray, " time"], active: bool, frame_rate_hz: float
) -> Iterator[tuple[float, float]]:
    """When a grip is closed, by its column of actions: see Scene.action_names."""
    since_s = 0.0 if active else None
    for frame, value in enumerate(action):
        if value > 0 and since_s is not None:
            yield since_s, (frame + 1 - value) / frame_rate_hz
            since_s = None
        elif value < 0:
            since_s = frame / frame_rate_hz
    if since_s is not None:
        yield since_s, np.inf
