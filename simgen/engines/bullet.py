"""PyBullet: Scene -> Motion, one fresh client a simulation, the same bytes every time.

A resumed run is exact in free motion; a touch at its start makes it another one, by millimetres
after a bounce or two, because Bullet's contact cache cannot be stored (bullet3 #2442, #3993). So a
twin does not resume: `fork` runs through the clip again and edits the world on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from itertools import chain

import numpy as np
from jaxtyping import Float64

from simgen.engines import water
from simgen.engines.bullet_build import pybullet
from simgen.engines.bullet_check import body_problems
from simgen.engines.bullet_edit import become
from simgen.engines.bullet_world import World
from simgen.engines.contacts import POINT_DTYPE, ContactRecorder
from simgen.engines.guard import Guard
from simgen.engines.pairs import wrong_names
from simgen.engines.scripts import ActionSource, openings, recorded, scripted
from simgen.motion import Motion
from simgen.scene import Observation, Scene

ENERGY_SLACK_M = 0.01  # energy that may come from nowhere: what lifts every body by this


def check(scene: Scene) -> tuple[str, ...]:
    """What about the scene this engine cannot simulate; empty if nothing."""
    servos = ("actuators",) if scene.actuators else ()
    return (*servos, *wrong_names(scene), *water.problems(scene), *body_problems(scene))


def simulate(scene: Scene, *, state_every: int) -> Motion:
    """Motion of the scene from its start.

    Raises:
        SimulationError: Not finite, a body far outside, or energy from nowhere; the message says
            which, when and where.
    """
    with World(scene) as world:
        return _record(world, 0, scene.frames, scripted(scene), state_every)


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
        action: Row 0 acts from `frame`; columns of Connects only, as this engine has no servos.
        state_every: Frames between stored states; None: only the first.
        position_offset_m: Added to free bodies first, and so is velocity_offset_m_s.
    """
    bodies = len(scene.bodies)
    state = np.array(state, dtype=np.float64)
    free = np.array([body.motion == "free" for body in scene.bodies])[:, None]
    rows = state[: 13 * bodies].reshape(bodies, 13)
    if position_offset_m is not None:
        rows[:, :3] += free * position_offset_m
    if velocity_offset_m_s is not None:
        rows[:, 7:10] += free * velocity_offset_m_s
    with World(scene) as world:
        world.restore(state)
        return _record(world, frame, frames, recorded(action, frame), state_every or frames)


def fork(
    scene: Scene,
    edited: Scene,
    *,
    frame: int,
    action: Float64[np.ndarray, "time action"],
    state_every: int,
    position_offset_m: Float64[np.ndarray, "body 3"] | None = None,
    velocity_offset_m_s: Float64[np.ndarray, "body 3"] | None = None,
) -> Motion:
    """Motion of the whole clip, in an edited world from a frame on.

    Args:
        edited: The scene with other masses, another gravity, or bodies that no longer collide.
        action: Motion.action of the clip; the script is not asked.
        state_every, position_offset_m, velocity_offset_m_s: As in resume.
    """

    def edit(world: World) -> None:
        become(world, edited, position_offset_m, velocity_offset_m_s)

    with World(scene) as world:
        source = recorded(action, 0)
        return _record(world, 0, scene.frames, source, state_every, edit=edit, edit_frame=frame)


def _guard(world: World) -> Guard:
    weight_n = float(np.sum(world.masses)) * float(np.linalg.norm(world.scene.gravity))
    return Guard(world.scene, slack_j=ENERGY_SLACK_M * weight_n)


def _record(
    world: World,
    first: int,
    frames: int,
    source: ActionSource,
    state_every: int,
    *,
    edit: Callable[[World], None] | None = None,
    edit_frame: int | None = None,
) -> Motion:
    """Simulate `frames` frames from the present state, which is that of frame `first`.

    Args:
        edit: Done to the world at the start of `edit_frame`; what energy it gives is its own.
    """
    scene = world.scene
    frame_s = 1.0 / scene.frame_rate_hz
    contacts, guard = ContactRecorder(frame_s / 4), _guard(world)
    rows, states, state_frames = [], [], []
    actions = np.zeros((frames + 1, len(scene.connects)))  # nothing acts after the clip's end
    for frame in range(first, first + frames + 1):
        if edit is not None and frame == edit_frame:
            edit(world)
            guard = _guard(world)
        row = world.read()
        guard.check(frame, row)
        if frame == first + frames:
            pybullet.performCollisionDetection(physicsClientId=world.client)
            points = pybullet.getContactPoints(physicsClientId=world.client)
            depth_m = max([0.0, *(-point[8] for point in points)])
        else:
            if (frame - first) % state_every == 0:
                states.append(world.state_of(row))
                state_frames.append(frame)
            action = actions[frame - first]
            action[:] = source(frame, _observe(world, row, frame * frame_s))
            guard.work_j += world.grips.catch(action, row)
            depth_m = _advance(world, contacts, frame * frame_s, openings(action, frame_s))
        rows.append({**row, "deepest_penetration_m": depth_m})
    return Motion(
        engine="bullet",
        engine_version=version("pybullet"),
        joint_torque=np.zeros((frames + 1, 0)),
        action=actions,
        contacts=contacts.rows((first + frames) * frame_s),
        state=np.stack(states),
        state_frames=np.array(state_frames, dtype=np.int32),
        **{name: np.stack([row[name] for row in rows]) for name in rows[0]},
    )


def _observe(world: World, row: dict[str, np.ndarray], time_s: float) -> Observation:
    names, touching = world.scene.body_names, set()
    for point in pybullet.getContactPoints(physicsClientId=world.client):
        if point[8] <= 0.0:
            a, b = (names[world.rows[point[k], point[k + 2] + 1]] for k in (1, 2))
            touching.add((min(a, b), max(a, b)))
    seen = {k: row[k] for k in Observation.__dataclass_fields__ if k in row}
    return Observation(time_s=time_s, contacts=frozenset(touching), **seen)


def _advance(
    world: World, contacts: ContactRecorder, start_s: float, opens: list[tuple[float, int]]
) -> float:
    """One frame of physics steps; returns the deepest penetration in it, m.

    A Connect opens at the start of the step that is next to its time.
    """
    steps = []
    for step in range(world.scene.substeps):
        while opens and opens[0][0] < (step + 0.5) * world.step_s:
            world.grips.open(opens.pop(0)[1])
        world.step()
        steps.append(pybullet.getContactPoints(physicsClientId=world.client))
    for _, number in opens:
        world.grips.open(number)
    return _book(world, contacts, steps, start_s)


def _book(world: World, contacts: ContactRecorder, steps: list[tuple], start_s: float) -> float:
    """Record the contact points of a frame's steps; returns the deepest penetration, m."""
    # Flat and in one go: numpy takes three times as long over tuples within tuples. A point apart
    # was not solved, and its force is a stale one of an earlier step.
    numbers = np.fromiter(
        chain.from_iterable(
            (step, one, other, link, link2, *place, *normal, depth, press, rub, *way, rub2, *way2)
            for step, points in enumerate(steps)
            for (
                _,
                one,
                other,
                link,
                link2,
                _,
                place,
                normal,
                depth,
                press,
                rub,
                way,
                rub2,
                way2,
            ) in points
            if depth <= 0.0
        ),
        dtype=np.float64,
    )
    if not len(numbers):
        return 0.0
    found = numbers.reshape(-1, 21)
    where = found[:, 1:5].astype(int)
    normal, press = found[:, 8:11], found[:, 12]
    points = np.empty(len(found), POINT_DTYPE)
    points["time_s"], points["dt_s"] = start_s + found[:, 0] * world.step_s, world.step_s
    # Bullet's normal points from its second body to its first, as its forces do
    points["body_a"] = world.rows[where[:, 1], where[:, 3] + 1]
    points["body_b"] = world.rows[where[:, 0], where[:, 2] + 1]
    points["point"], points["normal"], points["normal_n"] = found[:, 5:8], normal, press
    points["force_n"] = (
        press[:, None] * normal
        + found[:, 13:14] * found[:, 14:17]
        + found[:, 17:18] * found[:, 18:21]
    )
    contacts.add(points)
    return max(0.0, -float(found[:, 11].min()))
