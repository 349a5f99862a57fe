"""An Episode as the arrays that the layout stores: converted, cut to the clip and padded."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from simgen.episode import Episode
from simgen.store.rounding import to_half, to_signed, to_steps
from simgen.store.specs import FLOW_STEP_PX, ArraySpec


def stored_arrays(
    episode: Episode, specs: dict[str, ArraySpec]
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and array, in the layout's order, of everything that the episode has.

    Channels that its recipe did not ask for are left out. Bodies, joints and columns that the
    episode lacks are NaN (-1 for whole numbers).

    Raises:
        ValueError: An array is larger than the family's limits promised; the message says which.
    """
    state = _state(episode)
    for name, spec in specs.items():
        if name in _CHANNELS:
            if name in episode.frames:
                yield name, converted(name, episode.frames[name])
        else:
            yield name, _padded(state[name], spec, episode)


def converted(channel: str, frames: np.ndarray) -> np.ndarray:
    """A rendered channel as it is stored."""
    return np.ascontiguousarray(_CHANNELS[channel](frames))


def _state(episode: Episode) -> dict[str, np.ndarray]:
    motion, truth = episode.motion, episode.truth
    tracks = [shot.cameras for shot in episode.shots]
    poses = [np.concatenate([track.position, track.quaternion], axis=1) for track in tracks]
    cameras = {"camera_pose": poses, "camera_intrinsics": [track.intrinsics for track in tracks]}
    moving = {
        name: getattr(motion, name)
        for name in (
            "position",
            "quaternion",
            "velocity",
            "angular_velocity",
            "centre_of_mass",
            "joint_position",
            "joint_velocity",
            "joint_torque",
        )
    }
    return {
        **{name: array[:-1] for name, array in moving.items()},
        **{f"end_{name}": moving[name][-1] for name in ("position", "quaternion")},
        **{name: np.concatenate([rows[:-1] for rows in cut]) for name, cut in cameras.items()},
        **{f"end_{name}": np.stack([rows[-1] for rows in cut]) for name, cut in cameras.items()},
        **{
            name: getattr(truth, name)
            for name in (
                "track", "track_depth", "visibility", "area", "energy", "momentum", "penetration",
            )
        },
        "body_mask": np.ones(len(episode.scene.bodies), bool),
        "action": motion.action[: len(motion.position) - 1],  # nothing acts past the last frame
        "state": motion.state,
    }  # fmt: skip


def _padded(array: np.ndarray, spec: ArraySpec, episode: Episode) -> np.ndarray:
    array = np.asarray(array)
    if array.ndim != len(spec.shape) or any(
        n > most for n, most in zip(array.shape, spec.shape, strict=True)
    ):
        raise ValueError(
            f"episode {episode.episode_id}: array {spec.name!r} is {list(array.shape)}, more than "
            f"the {list(spec.shape)} that family {episode.family!r} declares in limits()"
        )
    padding = -1 if spec.dtype.kind == "i" else spec.fill
    out = np.full(spec.shape, padding, spec.dtype)
    out[tuple(map(slice, array.shape))] = array
    return out


def _bytes(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, np.uint8)


_steps = partial(to_steps, step=FLOW_STEP_PX)
_CHANNELS = {
    "rgb": _bytes,
    "depth": to_half,
    "segmentation": _bytes,
    "normals": to_signed,
    "flow": _steps,
    "backward_flow": _steps,
}
