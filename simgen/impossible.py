"""Twins that no physics makes: spliced from legal motions while the body is hidden from sight.

After IntPhys (Riochet et al. 2018): permanence (vanish), immutability (recolour), continuity
(teleport from behind one thing to behind another) and solidity (pass_through a hidden wall).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from simgen.cameras import CameraTrack, Shot
from simgen.engines import simulate
from simgen.events import runs
from simgen.families import family
from simgen.families.objects import PALETTE, two_tone
from simgen.filming import unfit
from simgen.hiding import SHORTEST, drawn, hidden, hidings, seam
from simgen.motion import PARKED_M, Motion, SimulationError
from simgen.recipe import TwinRecipe, Video
from simgen.scene import IDENTITY, ORIGIN, Scene, Vector3

PARKED: Vector3 = (0.0, 0.0, PARKED_M)
POSES = ("position", "quaternion", "velocity", "angular_velocity", "centre_of_mass")
ABSENT = dict(zip(POSES, (PARKED, IDENTITY, ORIGIN, ORIGIN, PARKED), strict=True))
# what both clips share before a splice: every array of Motion by frame that is stored
SERIES = (*POSES, "deepest_penetration_m", "kinetic_energy_j", "potential_energy_j")

Fields = dict[str, Any]  # of simgen.twins.Change
Spliced = tuple[Scene, Motion, Fields]


def spliced(
    scene: Scene,
    motion: Motion,
    shots: tuple[Shot, ...],
    twin: TwinRecipe,
    engine: str,
    rng: np.random.Generator,
    video: Video,
) -> Spliced:
    """The scene and motion of an impossible twin, and the fields of its Change but `possible`.

    Every hiding of every body is tried until one hides the splice. Energies stay those of the legal
    run, and states are kept up to the splice alone.

    Raises:
        SimulationError: Nothing hides it, or the family has nothing to make of the change.
    """
    labels = drawn(scene, motion, shots, video, "segmentation")
    reason = (
        f"twin: nothing is fully hidden for {SHORTEST} frames and then seen in this "
        f"{scene.family!r}; an impossible change needs an occluder"
    )
    for row, start, end in hidings(
        scene, motion, shots, labels, earliest=twin.change == "teleport"
    ):
        at, tried = (start + end) // 2, -1
        while tried < at < end:
            tried = at
            try:
                made, moved, said = CHANGES[twin.change](
                    scene, motion, shots, row, at, engine, rng, video
                )
            except SimulationError as error:
                reason = str(error)
                break
            wrong, last = seam(
                (scene, motion), (made, moved), shots, video,
                labels=labels, row=row, frame=said["frame"],
            )  # fmt: skip
            if not (wrong := wrong or in_the_way(made, moved, shots, video)):
                return made, moved, said
            reason = f"twin: {twin.change} of {said['body']} at frame {said['frame']}: {wrong}"
            if said["frame"] == tried:  # what shows it may be past later on
                at = (last + 1 + end) // 2
    raise SimulationError(reason)


def in_the_way(scene: Scene, motion: Motion, shots: tuple[Shot, ...], video: Video) -> str:
    """Why a camera cannot stand where it does, as something comes too near; empty if it can."""
    for shot in shots:
        seen = motion.window(shot.first_frame, shot.frames)
        if reason := unfit(scene, seen, (), shot.cameras, video):
            return f"camera: {reason}"
    return ""


def vanish(scene, motion, shots, row, frame, engine, rng, video) -> Spliced:
    """The body is gone when what hid it shows the place again."""
    moved = placed(motion, row, frame, ABSENT)
    return scene, cut(moved, row, frame, scene), fields("vanish", scene, row, frame)


def recolour(scene, motion, shots, row, frame, engine, rng, video) -> Spliced:
    """Another body of the same form and another colour comes out."""
    body = scene.bodies[row]
    worn = {geom.material.colour for b in scene.bodies for geom in b.geoms}
    if not (spare := [name for name in PALETTE if name not in worn]):
        raise SimulationError("twin: recolour needs a colour that nothing in the scene has")
    colour = str(rng.choice(spare))
    material = replace(two_tone(colour), pattern=body.geoms[0].material.pattern)
    double = replace(
        body,
        name=f"{body.name}_double",
        object=f"{body.object_name}_double",
        geoms=tuple(replace(geom, material=material) for geom in body.geoms),
    )
    series = {}
    for name in POSES:
        array = getattr(motion, name)
        other = array[:, row].copy()
        other[:frame] = ABSENT[name]
        series[name] = np.concatenate([array, other[:, None]], axis=1)
    moved = placed(replace(motion, **series), row, frame, ABSENT)
    contacts = moved.contacts.copy()
    late = contacts["start_s"] >= frame / scene.frame_rate_hz
    for name in ("body_a", "body_b"):
        contacts[name][late & (contacts[name] == row)] = len(scene.bodies)
    moved = replace(moved, contacts=contacts)
    bodies = (*scene.bodies, double)
    return replace(scene, bodies=bodies), kept(moved, frame), fields("recolour", scene, row, frame)


def teleport(scene, motion, shots, row, frame, engine, rng, video) -> Spliced:
    """The body goes behind one occluder and comes out of another, never having been between."""
    far = simulate(replace(scene, frames=2 * scene.frames), engine)
    shot = next(s for s in reversed(shots) if s.first_frame <= frame)
    fixed = [
        np.repeat(array[frame - shot.first_frame][None], 2 * scene.frames + 1, axis=0)
        for array in (shot.cameras.position, shot.cameras.quaternion, shot.cameras.intrinsics)
    ]
    still = replace(shot, first_frame=0, cameras=CameraTrack(*fixed))
    labels = drawn(scene, far, (still,), video, "segmentation", stop=2 * scene.frames)
    unseen = hidden(labels, far.centre_of_mass, still.cameras)[:, row]
    later = [(a, b) for a, b in runs(unseen) if a > frame and b - a >= SHORTEST]
    ahead = [(a + b) // 2 - frame for a, b in later if (a + b) // 2 - frame <= scene.frames]
    if not ahead:
        raise SimulationError("twin: teleport needs a second occluder on the body's way")
    skip = ahead[0]
    rest = {name: getattr(far, name)[frame + skip :, row] for name in POSES}
    short = len(motion.position) - frame
    moved = placed(motion, row, frame, {name: array[:short] for name, array in rest.items()})
    return scene, cut(moved, row, frame, scene), fields("teleport", scene, row, frame)


def pass_through(scene, motion, shots, row, frame, engine, rng, video) -> Spliced:
    """The body goes on as if the wall behind the occluder were not solid."""
    kind = family(scene.family)
    if not hasattr(kind, "pass_through"):
        raise SimulationError(f"twin: family {scene.family!r} has no wall to pass through")
    ghost = simulate(kind.pass_through(scene), engine)
    differ = [
        (getattr(ghost, name) != getattr(motion, name)).reshape(len(motion.position), -1).any(1)
        for name in SERIES
    ]
    apart = np.any(differ, axis=0)
    if not apart[: scene.frames].any():
        raise SimulationError("twin: nothing comes to the hidden wall in this clip")
    frame = int(apart.argmax())
    # up to the frame its states are the original's, which are at the recipe's key frames
    ghost = replace(ghost, state=motion.state, state_frames=motion.state_frames)
    return scene, kept(ghost, frame), fields("pass_through", scene, row, frame)


CHANGES: dict[str, Callable[..., Spliced]] = {
    "vanish": vanish,
    "recolour": recolour,
    "teleport": teleport,
    "pass_through": pass_through,
}


def fields(kind: str, scene: Scene, row: int, frame: int) -> Fields:
    return {"kind": kind, "frame": frame, "body": scene.bodies[row].name}


def placed(motion: Motion, row: int, frame: int, values: dict[str, Any]) -> Motion:
    """The motion with one body's poses from a frame on replaced."""
    series = {}
    for name, value in values.items():
        series[name] = getattr(motion, name).copy()
        series[name][frame:, row] = value
    return replace(motion, **series)


def cut(motion: Motion, row: int, frame: int, scene: Scene) -> Motion:
    """The motion without the touches of a body from a frame on."""
    touch = motion.contacts
    mine = (touch["body_a"] == row) | (touch["body_b"] == row)
    late = touch["start_s"] >= frame / scene.frame_rate_hz
    contacts = touch[~(mine & late)].copy()
    mine = (contacts["body_a"] == row) | (contacts["body_b"] == row)
    contacts["end_s"][mine] = np.minimum(contacts["end_s"][mine], frame / scene.frame_rate_hz)
    return kept(replace(motion, contacts=contacts), frame)


def kept(motion: Motion, frame: int) -> Motion:
    """The motion with the states before the splice alone: no engine goes on from later ones."""
    early = motion.state_frames < max(frame, 1)
    return replace(motion, state=motion.state[early], state_frames=motion.state_frames[early])
