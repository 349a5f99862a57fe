"""The columns of a LeRobot dataset: what each frame holds, and which clips share a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import pyarrow as pa

from simgen.export.clips import Clip

STATE = ("position", "joint_position")  # what observation.state is made of
TRUTH = (
    "position", "quaternion", "velocity", "angular_velocity", "centre_of_mass", "joint_position",
    "joint_velocity", "joint_torque", "camera_pose", "camera_intrinsics", "track", "track_depth",
    "visibility", "area", "energy", "momentum", "penetration",
)  # fmt: skip
AXES = {"xyz": "xyz", "wxyz": "wxyz", "xy": "xy"}
POSE = ("x", "y", "z", "qw", "qx", "qy", "qz")
NAMED = {"pose": POSE, "intrinsics": ("fx", "fy", "cx", "cy")}


@dataclass(frozen=True)
class Feature:
    """One column of the data: a number, or a vector whose entries have names."""

    key: str
    dtype: str
    names: tuple[str, ...]

    @property
    def arrow(self) -> pa.DataType:
        kind = pa.from_numpy_dtype(np.dtype(self.dtype))
        return kind if len(self.names) == 1 else pa.list_(kind, len(self.names))

    def column(self, values: np.ndarray) -> pa.Array:
        """values: (time, entry)."""
        flat = pa.array(np.ascontiguousarray(values, self.dtype).reshape(-1))
        if len(self.names) == 1:
            return flat
        return pa.FixedSizeListArray.from_arrays(flat, len(self.names))


@dataclass(frozen=True)
class Group:
    """Clips that fit one LeRobot dataset: of one picture size, frame rate, actions and states."""

    folder: str  # "" if it is the only one
    clips: tuple[Clip, ...]  # by split

    @property
    def rate(self) -> Fraction:
        return self.clips[0].frame_rate

    @cached_property
    def bodies(self) -> tuple[str, ...]:
        """Names of the body axis: the bodies' own where every clip has the same."""
        named = {tuple(body["name"] for body in clip.bodies) for clip in self.clips}
        if len(named) == 1:
            return next(iter(named))
        return tuple(f"body_{i}" for i in range(max(map(len, named))))

    @property
    def actions(self) -> tuple[str, ...]:
        return tuple(self.clips[0].row["actions"])

    @cached_property
    def arrays(self) -> tuple[str, ...]:
        """Those of TRUTH that every clip has."""
        held = [set(clip.dataset.channels(clip.episode_id)) for clip in self.clips]
        return tuple(name for name in TRUTH if all(name in names for names in held))

    @property
    def observed(self) -> tuple[str, ...]:
        """Names of the states that an imported dataset brought along."""
        return tuple((self.clips[0].row["parameters"] or {}).get("observation_names", ()))

    @cached_property
    def features(self) -> dict[str, Feature]:
        """Columns of the data, without LeRobot's own and the videos."""
        found = [
            Feature(f"truth.{name}", self.clips[0].specs[name].dtype.name, self.entries(name))
            for name in self.arrays
        ]
        if state := tuple(f"{n}.{e}" for n in STATE if n in self.arrays for e in self.entries(n)):
            found.append(Feature("observation.state", "float32", state))
        elif self.observed:
            found.append(Feature("observation.state", "float32", self.observed))
        if self.actions:
            found.append(Feature("action", "float32", self.actions))
        if self.bodies:
            found.append(Feature("truth.body_mask", "bool", self.bodies))
        return {feature.key: feature for feature in found if feature.names}

    def entries(self, name: str) -> tuple[str, ...]:
        """Names of an array's entries in a frame, its axes flattened in C order."""
        spec = self.clips[0].specs[name]
        names = [""]
        for dim, size in zip(spec.dims[1:], spec.shape[1:], strict=True):
            if dim == "body":
                own = self.bodies
            elif dim == "action":
                own = self.actions
            else:
                own = NAMED.get(dim, AXES.get(dim, [f"{dim}_{i}" for i in range(size)]))
            names = [f"{before}.{one}" if before else one for before in names for one in own]
        return tuple(one or name for one in names)

    def values(self, clip: Clip) -> dict[str, np.ndarray]:
        """Feature key -> (time, entry); what the clip has no body, joint or action for is 0."""
        mask = np.arange(len(self.bodies)) < len(clip.bodies)
        arrays = {}
        for name in self.arrays:
            array, spec = clip.dataset.read(clip.episode_id, name), clip.specs[name]
            for axis, dim in enumerate(spec.dims):
                if dim == "body":
                    array = array.take(range(len(self.bodies)), axis)
                    array[:, ~mask] = 0
                elif dim == "action":
                    array = array.take(range(len(self.actions)), axis)
                elif dim == "joint":
                    array = np.nan_to_num(array)
            arrays[name] = array.reshape(clip.frames, -1)
        values = {f"truth.{name}": array for name, array in arrays.items()}
        if state := [arrays[name] for name in STATE if name in arrays]:
            values["observation.state"] = np.concatenate(state, 1)
        elif self.observed:
            given = clip.dataset.read(clip.episode_id, "observation")
            values["observation.state"] = given[:, : len(self.observed)]
        if self.actions:
            action = clip.dataset.read(clip.episode_id, "action")
            values["action"] = action[:, : len(self.actions)]
        values["truth.body_mask"] = np.broadcast_to(mask, (clip.frames, len(mask)))
        return {key: values[key] for key in self.features}


def groups(clips: Sequence[Clip]) -> list[Group]:
    """The clips as LeRobot datasets, each by split and then in the given order."""
    found: dict[tuple, list[Clip]] = {}
    for clip in clips:
        observed = (clip.row["parameters"] or {}).get("observation_names", ())
        key = clip.row["bucket"], clip.frame_rate, tuple(clip.row["actions"]), tuple(observed)
        found.setdefault(key, []).append(clip)
    order = list(dict.fromkeys(clip.split for clip in clips))
    return [
        Group(
            "" if len(found) == 1 else f"{number:02d}-{key[0]}",
            tuple(sorted(members, key=lambda clip: order.index(clip.split))),
        )
        for number, (key, members) in enumerate(found.items())
    ]
