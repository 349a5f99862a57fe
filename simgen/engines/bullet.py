"""PyBullet: Scene -> Motion, one fresh client a simulation, the same bytes every time.

A resumed run is exact in free motion; through a lasting touch it differs by rounding-sized
amounts, because Bullet's contact cache cannot be stored (bullet3 #2442, #3993).
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
from jaxtyping import Float64

from simgen.engines.bullet_model import World, check, pybullet
from simgen.engines.contacts import ContactRecorder
from simgen.motion import Motion, SimulationError
from simgen.scene import Scene

__all__ = ["check", "resume", "simulate"]

FARTHEST_M = 200.0  # from the origin: no scene is that large
ENERGY_GROWTH = 0.1  # unexplained rise, as a share of the largest kinetic energy so far
ENERGY_SLACK = 0.01  # and as a share of lifting every moving body by a metre


def simulate(scene: Scene, *, state_every: int) -> Motion:
    """Motion of the scene from its start.

    Raises:
        SimulationError: Not finite, a body far outside, or energy from nowhere; the message says
            which, when and where.
    """
    with World(scene) as world:
        return _record(world, 0, scene.frames, state_every)


def resume(
    scene: Scene,
    state: Float64[np.ndarray, " state"],
    *,
    frame: int,
    frames: int,
    action: Float64[np.ndarray, "time action"],
    state_every: int | None = None,
    position_offset_m: Float64[np.ndarray, "body 3"] | None = None,
    velocity_offset_m_s: Float64[np.ndarray, "body 3"] | None = None,
) -> Motion:
    """Motion of `frames` frames from a stored state.

    Args:
        frame: The clip's frame that the state belongs to.
        action: No columns: this engine drives nothing.
        state_every: Frames between stored states; None: only the first.
        position_offset_m: Added to free bodies first, and so is velocity_offset_m_s.
    """
    bodies = len(scene.bodies)
    state = np.array(state, dtype=np.float64)
    rows = state[: 13 * bodies].reshape(bodies, 13)
    if position_offset_m is not None:
        rows[:, :3] += position_offset_m
    if velocity_offset_m_s is not None:
        rows[:, 7:10] += velocity_offset_m_s
    with World(scene) as world:
        world.restore(state)
        return _record(world, frame, frames, state_every or frames)


def _record(world: World, first: int, frames: int, state_every: int) -> Motion:
    """Simulate `frames` frames from the present state, which is that of frame `first`."""
    scene = world.scene
    frame_s = 1.0 / scene.frame_rate_hz
    contacts = ContactRecorder(frame_s / 4)
    guard = _Guard(world)
    rows, states, state_frames = [], [], []
    for frame in range(first, first + frames + 1):
        row = world.read()
        guard.check(frame, row)
        if frame == first + frames:
            pybullet.performCollisionDetection(physicsClientId=world.client)
            depth_m = _look(world, None, 0.0)
        else:
            if (frame - first) % state_every == 0:
                states.append(world.state_of(row))
                state_frames.append(frame)
            depth_m = _advance(world, contacts, frame * frame_s)
        rows.append({**row, "deepest_penetration_m": depth_m})
    return Motion(
        engine="bullet",
        engine_version=version("pybullet"),
        joint_torque=np.zeros((frames + 1, 0)),
        action=np.zeros((frames + 1, 0)),
        contacts=contacts.rows((first + frames) * frame_s),
        state=np.stack(states),
        state_frames=np.array(state_frames, dtype=np.int32),
        **{name: np.stack([row[name] for row in rows]) for name in rows[0]},
    )


def _advance(world: World, contacts: ContactRecorder, start_s: float) -> float:
    """One frame of physics steps; returns the deepest penetration in it, m."""
    depth_m = 0.0
    for step in range(world.scene.substeps):
        pybullet.stepSimulation(physicsClientId=world.client)
        depth_m = max(depth_m, _look(world, contacts, start_s + step * world.step_s))
    return depth_m


def _look(world: World, contacts: ContactRecorder | None, time_s: float) -> float:
    """Book the contact points of the last step; returns the deepest penetration, m."""
    depth_m = 0.0
    for point in pybullet.getContactPoints(physicsClientId=world.client):
        if point[8] > 0.0:
            continue  # apart, so not solved: the force is a stale one of an earlier step
        depth_m = max(depth_m, -point[8])
        if contacts is not None:
            # Bullet's normal points from its second body to its first
            contacts.add(
                time_s,
                world.step_s,
                world.rows[point[2]],
                world.rows[point[1]],
                point[9],
                point[6],
                point[7],
            )
    return depth_m


class _Guard:
    """Refuses states that no data should hold."""

    def __init__(self, world: World) -> None:
        self.names = world.scene.body_names
        self.moving = world.masses > 0
        weight = float(np.sum(world.masses)) * float(np.linalg.norm(world.scene.gravity))
        self.slack_j = ENERGY_SLACK * weight
        self.start_j: float | None = None
        self.scale_j = 0.0

    def check(self, frame: int, row: dict[str, np.ndarray]) -> None:
        numbers = np.concatenate([v.ravel() for v in map(np.asarray, row.values())])
        if not np.isfinite(numbers).all():
            raise SimulationError(f"frame {frame}: the state is not finite")
        distance = np.abs(row["position"]).max(axis=1) * self.moving
        if distance.max(initial=0.0) > FARTHEST_M:
            name = self.names[int(distance.argmax())]
            raise SimulationError(
                f"frame {frame}: body {name!r} is {distance.max():.0f} m from the origin "
                f"(at most {FARTHEST_M:g})"
            )
        kinetic = row["kinetic_energy_j"]
        total = kinetic + row["potential_energy_j"]
        if self.start_j is None:
            self.start_j = total
        rise = total - self.start_j
        self.scale_j = max(self.scale_j, kinetic - max(rise, 0.0))
        allowed = ENERGY_GROWTH * self.scale_j + self.slack_j
        if not rise <= allowed:
            raise SimulationError(
                f"frame {frame}: energy rose by {rise:.3g} J that nothing put in "
                f"(at most {allowed:.3g})"
            )
