"""Forks: a clip gone on in an edited world from a key frame on, with the same bytes before it."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy as np
from jaxtyping import Float64

from simgen.engines import ENGINES, simulate
from simgen.motion import Motion
from simgen.resimulate import resimulate
from simgen.scene import Scene


def forked(
    scene: Scene,
    motion: Motion,
    engine: str,
    edited: Scene,
    frame: int,
    *,
    position_offset_m: Float64[np.ndarray, "body 3"] | None = None,
    velocity_offset_m_s: Float64[np.ndarray, "body 3"] | None = None,
) -> Motion:
    """The whole clip whose world is another from a key frame on; an equal world gives its bytes.

    An engine whose stored states are not all of it (Bullet's contact cache) runs through the clip
    again; another one goes on from the state. Scripted scenes replay the recorded actions.

    Args:
        scene, motion: The clip, which has at least two key frames.
        edited: The same bodies with other masses, or another gravity, or less to collide with.
        position_offset_m: Added to free bodies at the frame; so is velocity_offset_m_s.
    Raises:
        SimulationError: The physics broke.
    """
    every = int(motion.state_frames[1] - motion.state_frames[0])
    offsets = {"position_offset_m": position_offset_m, "velocity_offset_m_s": velocity_offset_m_s}
    module = import_module(ENGINES[engine])
    if hasattr(module, "fork"):
        return module.fork(
            scene, edited, frame=frame, action=motion.action, state_every=every, **offsets
        )
    if scene.script is None:
        before = simulate(replace(scene, frames=frame), engine)
    else:
        before = resimulate(
            scene, engine, motion.state[0], frame=0, frames=frame, action=motion.action
        )
    after = resimulate(
        edited, engine, motion.state[list(motion.state_frames).index(frame)],
        frame=frame, frames=scene.frames - frame, action=motion.action[frame:],
        state_every=every, **offsets,
    )  # fmt: skip
    return joined(motion, before.contacts, after, frame)


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
