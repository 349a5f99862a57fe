"""Twins: an episode again, with one change from one frame on.

Up to that frame both have the same bytes. After a physical change the clip goes on in a changed
world (simgen.forks); scripted scenes replay the actions that were recorded, so the same deeds meet
another gravity or mass. Changes that no physics makes are in simgen.impossible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from simgen.cameras import Shot, project, rotation_matrix
from simgen.changeable import bound, changeable, moving
from simgen.delays import released_later
from simgen.families import family
from simgen.filming import near, unfit
from simgen.forks import forked
from simgen.impossible import ABSENT, placed, spliced
from simgen.masses import mass_properties
from simgen.motion import PARKED_M, Change, Motion, SimulationError, centre_velocity
from simgen.recipe import TwinRecipe, Video
from simgen.scene import Body, Scene
from simgen.truth import inside_picture

BOUNCE_S = 0.1  # a touch that is shorter is a bounce
APART_M, APART_RAD = 1e-3, 0.01  # poses that differ by more can be seen to
SHOWN_PX = 3.0  # a thing that is elsewhere by as much is seen to be, side by side
TRIES = 8  # draws of a change before the twin is given up
NONE = (1.0, 1.0)  # a factor that asks for no change: a twin to compare others with


def changed(
    scene: Scene,
    motion: Motion,
    shots: tuple[Shot, ...],
    twin: TwinRecipe,
    engine: str,
    rng: np.random.Generator,
    again: Callable[[], Scene],
    video: Video,
) -> tuple[Scene, Motion, Change]:
    """The twin's scene and motion, and what was changed.

    A physical change is drawn anew, body and time, until people see it and the cameras can film
    it; of those that only can be measured, the largest is taken.

    Args:
        scene, motion, shots: The original's; the twin is filmed by the same cameras.
        again: Makes the scene anew, with a script that has not run.
        video: How the clip is drawn: what hides a thing is a matter of pixels.
    Raises:
        SimulationError: The scene has nothing to change in this way, or the physics broke.
    """
    if not twin.possible:
        made, moved, fields = spliced(scene, motion, shots, twin, engine, rng, video)
        return made, moved, measured(scene, motion, moved, Change(**fields, possible=False))
    reason, found = "", {}
    for _ in range(TRIES):
        try:
            if twin.change == "release":
                made, moved, change = released_later(scene, motion, twin, engine, rng, again)
            else:
                made, moved, change = resumed(scene, motion, twin, engine, rng)
        except SimulationError as error:
            reason = str(error)
            continue
        change = measured(scene, motion, moved, change)
        reason = unshown(scene, change, twin) or unfilmed(made, moved, shots, change, video)
        if reason:
            continue
        far_px = moved_px(motion, moved, shots, video)
        found.setdefault(far_px, (made, moved, change))
        if far_px >= SHOWN_PX or twin.factor == NONE:
            break
    if found:
        return found[max(found)]
    raise SimulationError(reason if reason.startswith("twin: ") else f"twin: {reason}")


def measured(scene: Scene, motion: Motion, moved: Motion, change: Change) -> Change:
    """The change with the frames at which the twin leaves the original."""
    everything = range(len(scene.bodies))
    others = [i for i in everything if scene.bodies[i].name != change.body]
    return replace(
        change,
        diverges_frame=first_apart(motion, moved, everything),
        others_diverge_frame=first_apart(motion, moved, others),
        diverges_1mm_frame=first_apart(motion, moved, everything, much=True),
    )


def moved_px(motion: Motion, moved: Motion, shots: tuple[Shot, ...], video: Video) -> float:
    """Farthest that a body of the original's picture is elsewhere in the twin's, pixels."""
    far = 0.0
    for shot in shots:
        rows = slice(shot.first_frame, shot.first_frame + shot.frames)
        here, _ = project(motion.centre_of_mass[rows], shot.cameras)
        there, _ = project(moved.centre_of_mass[rows], shot.cameras)
        away = np.linalg.norm(here - there, axis=-1)[
            inside_picture(here, video.height, video.width)
        ]
        far = max(far, float(np.nan_to_num(away, nan=0.0).max(initial=0.0)))
    return far


def unshown(scene: Scene, change: Change, twin: TwinRecipe) -> str:
    """Why a change is none; empty if it shows, or if it was asked to be none (times one)."""
    asked = twin.factor != NONE or twin.change not in ("mass", "speed", "gravity")
    if change.diverges_1mm_frame >= 0 or not asked:
        return ""
    return f"change {change.kind!r} at frame {change.frame} moves nothing by {1e3 * APART_M:g} mm"


def unfilmed(
    scene: Scene, motion: Motion, shots: tuple[Shot, ...], change: Change, video: Video
) -> str:
    """Why the original's cameras cannot film the twin; empty if they can."""
    moving = tuple(
        row
        for row, body in enumerate(scene.bodies)
        if body.motion != "static" and not (change.kind == "remove" and body.name == change.body)
    )
    kind = family(scene.family)
    places = kind.settings(scene) if hasattr(kind, "settings") else ()
    for number, shot in enumerate(shots):
        rows = near(motion, moving, number, places) if places else moving
        seen = motion.window(shot.first_frame, shot.frames)
        if reason := unfit(scene, seen, rows, shot.cameras, video):
            return f"camera: {reason}"
    return ""


def resumed(
    scene: Scene, motion: Motion, twin: TwinRecipe, engine: str, rng: np.random.Generator
) -> tuple[Scene, Motion, Change]:
    """The clip gone on from a key frame in a world with another mass, speed, gravity or body."""
    frame = key_frame(scene, motion, rng.uniform(*twin.at) * scene.frames)
    factor = float(rng.uniform(*twin.factor))
    row = None if twin.change == "gravity" else someone(scene, motion, frame, twin, rng)
    body = "" if row is None else scene.bodies[row].name
    world, offsets = edited(scene, motion, frame, row, twin.change, factor)
    moved = forked(scene, motion, engine, world, frame, **offsets)
    value = float("nan") if twin.change == "remove" else factor
    change = Change(twin.change, frame, body, value)
    if twin.change == "remove":
        moved = without(scene, moved, row, frame)
    if twin.change == "gravity":
        scene = replace(scene, gravity=world.gravity)
    if twin.change == "mass":
        scene = world
    return scene, moved, change


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


def someone(
    scene: Scene, motion: Motion, frame: int, twin: TwinRecipe, rng: np.random.Generator
) -> int:
    """Row of a body that the change can be done to and would show on, any as likely.

    Raises:
        SimulationError: There is none.
    """
    rows, lacks = changeable(scene, twin.change), ""
    if twin.change == "speed":
        speed = np.linalg.norm(motion.velocity[frame], axis=1)
        rows, lacks = [row for row in rows if speed[row] > APART_M], f" that moves at frame {frame}"
    if twin.change == "mass" and twin.factor != NONE:
        met = struck(scene, motion, frame)
        rows, lacks = [row for row in rows if row in met], f" that meets another from frame {frame}"
    if not rows:
        said = f"this {scene.family!r} has no body for change {twin.change!r}{lacks}"
        raise SimulationError(f"twin: {said}")
    return int(rng.choice(rows))


def struck(scene: Scene, motion: Motion, frame: int) -> set[int]:
    """Rows of bodies whose mass matters from a frame on: that meet one that moves, or hang on one.

    Alone, a body flies, slides and bounces off a wall in the same way at any mass.
    """
    if bound(scene):
        return set(moving(scene))
    late = motion.contacts[motion.contacts["end_s"] > frame / scene.frame_rate_hz]
    pairs = zip(late["body_a"].tolist(), late["body_b"].tolist(), strict=True)
    both = [pair for pair in pairs if set(pair) <= set(moving(scene))]
    return {row for pair in both for row in pair}


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
    zero[row, 2] = PARKED_M - motion.position[frame, row, 2]
    return with_body(scene, row, ghost), {"position_offset_m": zero}


def with_body(scene: Scene, row: int, body: Body) -> Scene:
    return replace(scene, bodies=(*scene.bodies[:row], body, *scene.bodies[row + 1 :]))


def without(scene: Scene, motion: Motion, row: int, frame: int) -> Motion:
    """The motion with a body at rest out of sight from a frame on, its energy out of the sums."""
    body = scene.bodies[row]
    speed = np.linalg.norm(centre_velocity(motion)[frame:, row], axis=1)
    kinetic, potential = motion.kinetic_energy_j.copy(), motion.potential_energy_j.copy()
    kinetic[frame:] -= 0.5 * body.mass_kg * speed**2
    kinetic[frame:] -= rotational_energy_j(body, motion, row, frame)
    fallen = motion.centre_of_mass[frame:, row] @ np.array(scene.gravity)
    potential[frame:] += body.mass_kg * fallen
    gone = placed(motion, row, frame, ABSENT)
    return replace(gone, kinetic_energy_j=kinetic, potential_energy_j=potential)


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


def rotational_energy_j(body: Body, motion: Motion, row: int, frame: int) -> float:
    """Energy of the body's turning at a frame, J; what nothing touches keeps it."""
    _, tensor = mass_properties(body)
    turn = rotation_matrix(motion.quaternion[frame, row])
    spin = turn.T @ motion.angular_velocity[frame, row]
    return float(0.5 * spin @ tensor @ spin)


def first_apart(one: Motion, other: Motion, rows: Sequence[int], *, much: bool = False) -> int:
    """First stored frame in which a pose of those bodies differs at all; -1 if none does.

    Args:
        much: Only by APART_M or APART_RAD, which could be seen or measured.
    """
    rows = list(rows)
    step = one.position[:-1, rows] - other.position[:-1, rows]
    here, there = one.quaternion[:-1, rows], other.quaternion[:-1, rows]
    apart = (step != 0).any(axis=(1, 2)) | (here != there).any(axis=(1, 2))
    if much:
        turned = 2 * np.arccos(np.clip(np.abs((here * there).sum(-1)), 0.0, 1.0))
        apart = ((np.linalg.norm(step, axis=-1) > APART_M) | (turned > APART_RAD)).any(axis=1)
    return int(apart.argmax()) if apart.any() else -1
