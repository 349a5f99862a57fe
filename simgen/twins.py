"""Twins: an episode again, with one change from one frame on.

Up to that frame both have the same bytes. A physical change goes on from the engine's own stored
state in a changed world; scripted scenes replay the actions that were recorded, so the same
deeds meet another gravity or mass. Changes that no physics makes are in simgen.impossible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from simgen.cameras import Shot, rotation_matrix
from simgen.changeable import changeable
from simgen.engines import simulate
from simgen.impossible import ABSENT, PARKED, spliced
from simgen.masses import mass_properties
from simgen.motion import Change, Motion, SimulationError, centre_velocity
from simgen.recipe import TwinRecipe
from simgen.resimulate import resimulate
from simgen.scene import Body, Command, Observation, Scene, Script

BOUNCE_S = 0.1  # a touch that is shorter is a bounce
APART_M, APART_RAD = 1e-3, 0.01  # poses that differ by more have diverged


def changed(
    scene: Scene,
    motion: Motion,
    shots: tuple[Shot, ...],
    twin: TwinRecipe,
    engine: str,
    rng: np.random.Generator,
    again: Callable[[], Scene],
) -> tuple[Scene, Motion, Change]:
    """The twin's scene and motion, and what was changed.

    Args:
        scene, motion, shots: The original's; the twin is filmed by the same cameras.
        again: Makes the scene anew, with a script that has not run.
    Raises:
        SimulationError: The scene has nothing to change in this way, or the physics broke.
    """
    if not twin.possible:
        made, moved, change = spliced(scene, motion, shots, twin, engine, rng)
        change = Change(**change, possible=False)
    elif twin.change == "release":
        made, moved, change = released_later(scene, motion, twin, engine, rng, again)
    else:
        made, moved, change = resumed(scene, motion, twin, engine, rng)
    frame = first_apart(motion, moved, range(len(scene.bodies)), change.frame)
    others = [i for i, body in enumerate(scene.bodies) if body.name != change.body]
    others_frame = first_apart(motion, moved, others, change.frame)
    return made, moved, replace(change, diverges_frame=frame, others_diverge_frame=others_frame)


def resumed(
    scene: Scene, motion: Motion, twin: TwinRecipe, engine: str, rng: np.random.Generator
) -> tuple[Scene, Motion, Change]:
    """The clip gone on from a key frame in a world with another mass, speed, gravity or body."""
    frame = key_frame(scene, motion, rng.uniform(*twin.at) * scene.frames)
    factor = float(rng.uniform(*twin.factor))
    row = None if twin.change == "gravity" else someone(scene, motion, frame, twin.change, rng)
    body = "" if row is None else scene.bodies[row].name
    world, offsets = edited(scene, motion, frame, row, twin.change, factor)
    if scene.script is None:
        before = simulate(replace(scene, frames=frame), engine)
    else:
        before = resimulate(
            scene, engine, motion.state[0], frame=0, frames=frame, action=motion.action
        )
    after = resimulate(
        world, engine, motion.state[list(motion.state_frames).index(frame)],
        frame=frame, frames=scene.frames - frame, action=motion.action[frame:],
        state_every=int(motion.state_frames[1] - motion.state_frames[0]), **offsets,
    )  # fmt: skip
    value = float("nan") if twin.change == "remove" else factor
    change = Change(twin.change, frame, body, value)
    if twin.change == "remove":
        after = without(scene, after, row)
    if twin.change == "gravity":
        scene = replace(scene, gravity=world.gravity)
    if twin.change == "mass":
        scene = world
    return scene, joined(motion, before.contacts, after, frame), change


def key_frame(scene: Scene, motion: Motion, wished: float) -> int:
    """The key frame nearest to a wished one, of those in which nothing bounces if there are any.

    A sprung contact holds energy in proportion to mass: changed in a bounce, it would be energy
    from nowhere.

    Raises:
        SimulationError: There is no key frame within the clip but the first.
    """
    keys = motion.state_frames[(motion.state_frames > 0) & (motion.state_frames < scene.frames)]
    if not len(keys):
        raise SimulationError("twin: the clip has no key frame after its first; lower state_every")
    touch, times = motion.contacts, keys[:, None] / scene.frame_rate_hz
    short = touch["end_s"] - touch["start_s"] < BOUNCE_S
    in_bounce = ((touch["start_s"] <= times) & (times <= touch["end_s"]) & short).any(axis=1)
    free = keys[~in_bounce] if not in_bounce.all() else keys
    return int(free[np.argmin(np.abs(free - wished))])


def someone(scene: Scene, motion: Motion, frame: int, change: str, rng: np.random.Generator) -> int:
    """Row of a body that the change can be done to, any as likely.

    Raises:
        SimulationError: There is none.
    """
    rows = changeable(scene, change)
    if change == "speed":
        speed = np.linalg.norm(motion.velocity[frame], axis=1)
        rows = [row for row in rows if speed[row] > APART_M]
    if not rows:
        raise SimulationError(f"twin: this {scene.family!r} has no body for change {change!r}")
    return int(rng.choice(rows))


def edited(
    scene: Scene, motion: Motion, frame: int, row: int | None, change: str, factor: float
) -> tuple[Scene, dict[str, np.ndarray]]:
    """The changed world, and what is added to positions and velocities at its first frame."""
    zero = np.zeros((len(scene.bodies), 3))
    if change == "gravity":
        return replace(scene, gravity=tuple(factor * g for g in scene.gravity)), {}
    body = scene.bodies[row]
    if change == "speed":
        zero[row] = (factor - 1.0) * motion.velocity[frame, row]
        return scene, {"velocity_offset_m_s": zero}
    if change == "mass":
        inertia = body.inertia_kgm2
        heavier = replace(
            body,
            mass_kg=factor * body.mass_kg,
            inertia_kgm2=inertia and tuple(factor * i for i in inertia),
        )
        return with_body(scene, row, heavier), {}
    ghost = replace(body, geoms=tuple(replace(g, collide=False) for g in body.geoms))
    zero[row, 2] = PARKED[2] - motion.position[frame, row, 2]
    return with_body(scene, row, ghost), {"position_offset_m": zero}


def with_body(scene: Scene, row: int, body: Body) -> Scene:
    return replace(scene, bodies=(*scene.bodies[:row], body, *scene.bodies[row + 1 :]))


def without(scene: Scene, motion: Motion, row: int) -> Motion:
    """The motion with that body at rest out of sight, and its energy out of the sums."""
    body = scene.bodies[row]
    speed = np.linalg.norm(centre_velocity(motion)[:, row], axis=1)
    kinetic = 0.5 * body.mass_kg * speed**2 + rotational_energy_j(body, motion, row)
    potential = -body.mass_kg * motion.centre_of_mass[:, row] @ np.array(scene.gravity)
    rows = {}
    for name, value in ABSENT.items():
        rows[name] = getattr(motion, name).copy()
        rows[name][:, row] = value
    return replace(
        motion,
        kinetic_energy_j=motion.kinetic_energy_j - kinetic,
        potential_energy_j=motion.potential_energy_j - potential,
        **rows,
    )


def left(scene: Scene, motion: Motion, change: Change | None) -> tuple[Scene, Motion]:
    """Scene and motion without a body that was taken away: what is left to have an outcome."""
    if change is None or change.kind != "remove":
        return scene, motion
    gone = scene.body_index(change.body)
    rows = [row for row in range(len(scene.bodies)) if row != gone]
    kept = motion.contacts[
        (motion.contacts["body_a"] != gone) & (motion.contacts["body_b"] != gone)
    ]
    for name in ("body_a", "body_b"):
        kept[name] -= kept[name] > gone
    names = ("position", "quaternion", "velocity", "angular_velocity", "centre_of_mass")
    series = {name: getattr(motion, name)[:, rows] for name in names}
    bodies = tuple(scene.bodies[row] for row in rows)
    return replace(scene, bodies=bodies), replace(motion, contacts=kept, **series)


def rotational_energy_j(body: Body, motion: Motion, row: int) -> float:
    """Energy of the body's turning at row 0, J; nothing touches it, so it keeps that."""
    _, tensor = mass_properties(body)
    turn = rotation_matrix(motion.quaternion[0, row])
    spin = turn.T @ motion.angular_velocity[0, row]
    return float(0.5 * spin @ tensor @ spin)


def released_later(
    scene: Scene,
    motion: Motion,
    twin: TwinRecipe,
    engine: str,
    rng: np.random.Generator,
    again: Callable[[], Scene],
) -> tuple[Scene, Motion, Change]:
    """The clip with every grip opened later by the same delay."""
    delay_s = float(rng.uniform(*twin.delay_s))
    opened = motion.action[:, len(scene.actuators) :] > 0
    if not opened.any():
        raise SimulationError(f"twin: nothing is released in this {scene.family!r}")
    fresh = again()
    late = replace(fresh, script=Delayed(fresh.script, delay_s, 1 / scene.frame_rate_hz))
    every = int(motion.state_frames[1] - motion.state_frames[0]) if len(motion.state) > 1 else 8
    moved = simulate(late, engine, state_every=every)
    frame = int(np.flatnonzero(opened.any(axis=1))[0])
    return scene, moved, Change("release", frame, value=delay_s)


class Delayed:
    """A script whose releases come later; all else it does in its own time."""

    def __init__(self, script: Script, delay_s: float, frame_s: float) -> None:
        self.script, self.delay_s, self.frame_s = script, delay_s, frame_s
        self.due_s: dict[str, float] = {}

    def __call__(self, frame: int, seen: Observation) -> Command:
        command = self.script(frame, seen)
        now = frame * self.frame_s
        for name, wait_s in command.releases.items():
            self.due_s.setdefault(name, now + wait_s + self.delay_s)
        releases = {
            name: max(due - now, 0.0)
            for name, due in self.due_s.items()
            if due < now + self.frame_s - 1e-9
        }
        for name in releases:
            del self.due_s[name]
        return replace(command, releases=releases)


def joined(whole: Motion, contacts: np.ndarray, after: Motion, frame: int) -> Motion:
    """The first `frame` frames of one motion and all of another, that goes on from there.

    Args:
        contacts: Of the first stretch alone: those of the whole may last longer.
    """
    series = (
        "position", "quaternion", "velocity", "angular_velocity", "centre_of_mass",
        "joint_position", "joint_velocity", "joint_torque", "deepest_penetration_m",
        "kinetic_energy_j", "potential_energy_j",
    )  # fmt: skip
    early = whole.state_frames < frame
    return replace(
        after,
        contacts=touches(contacts, after.contacts),
        action=np.concatenate([whole.action[:frame], after.action]),
        state=np.concatenate([whole.state[early], after.state]),
        state_frames=np.concatenate([whole.state_frames[early], after.state_frames]),
        **{
            name: np.concatenate([getattr(whole, name)[:frame], getattr(after, name)])
            for name in series
        },
    )


def touches(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Contacts (CONTACT_DTYPE) of both stretches; one that lasts from one into the other is one."""
    if not len(before) or not len(after):
        return np.concatenate([before, after])
    cut_s = before["end_s"].max()
    merged = after.copy()
    kept = np.ones(len(before), bool)
    for i in np.flatnonzero(before["end_s"] >= cut_s - 1e-9):
        same = (after["body_a"] == before["body_a"][i]) & (after["body_b"] == before["body_b"][i])
        goes_on = np.flatnonzero(same & (after["start_s"] <= cut_s + 1e-3))
        if not len(goes_on):
            continue
        row, first = goes_on[0], before[i]
        merged["impulse_ns"][row] += first["impulse_ns"]
        merged["impulse_vector_ns"][row] += first["impulse_vector_ns"]
        merged["peak_force_n"][row] = max(merged["peak_force_n"][row], first["peak_force_n"])
        for name in ("start_s", "point", "normal"):
            merged[name][row] = first[name]
        kept[i] = False
    both = np.concatenate([before[kept], merged])
    return both[np.lexsort((both["body_b"], both["body_a"], both["start_s"]))]


def first_apart(one: Motion, other: Motion, rows: Sequence[int], start: int) -> int:
    """First frame from `start` on in which a pose of those bodies differs; -1 if none does."""
    rows = list(rows)
    away = np.linalg.norm(one.position[:, rows] - other.position[:, rows], axis=-1)
    alike = np.abs(np.sum(one.quaternion[:, rows] * other.quaternion[:, rows], axis=-1))
    turned = 2 * np.arccos(np.clip(alike, 0.0, 1.0))
    apart = np.flatnonzero(((away > APART_M) | (turned > APART_RAD)).any(axis=1)[:-1])
    return next((int(frame) for frame in apart if frame >= start), -1)
