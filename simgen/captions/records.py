"""What captions are told from, in plain values: the same from memory and from the store."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from simgen.cameras import CameraTrack, Shot
from simgen.scene import Body, Scene

if TYPE_CHECKING:
    from simgen.events import Event
    from simgen.families import Outcome
    from simgen.motion import Motion
    from simgen.store.reader import Dataset  # it stores captions, so it imports them


ARRAYS = ("position", "quaternion", "velocity", "angular_velocity", "centre_of_mass")


@dataclass(frozen=True)
class ShotRecord:
    """One shot. Its cameras have exactly its frames, as the store has no more of them in a row."""

    first_frame: int
    frames: int
    setting: str
    cameras: CameraTrack


@dataclass(frozen=True)
class Record:
    """One clip as its catalog row, its events and its small arrays hold it."""

    family: str
    frame_rate_hz: float
    gravity: tuple[float, ...]  # m/s2
    outcome: str
    margins: dict[str, float | None]
    bodies: list[dict[str, Any]]  # of body_record, in the order of every `body` axis
    events: list[dict[str, Any]]  # of event_record
    shots: tuple[ShotRecord, ...]
    position: Float64[np.ndarray, "time body 3"]
    quaternion: Float64[np.ndarray, "time body 4"]
    velocity: Float64[np.ndarray, "time body 3"]
    angular_velocity: Float64[np.ndarray, "time body 3"]
    centre_of_mass: Float64[np.ndarray, "time body 3"]

    @property
    def duration_s(self) -> float:
        return len(self.position) / self.frame_rate_hz


def recorded(
    scene: Scene,
    motion: Motion,
    shots: tuple[Shot, ...],
    outcome: Outcome,
    events: tuple[Event, ...],
) -> Record:
    """The record of a clip that was just made."""
    return Record(
        family=scene.family,
        frame_rate_hz=scene.frame_rate_hz,
        gravity=tuple(map(float, scene.gravity)),
        outcome=outcome.label,
        margins={name: known(value) for name, value in outcome.margins.items()},
        bodies=[body_record(body) for body in scene.bodies],
        events=[event_record(event, scene.body_names) for event in events],
        shots=tuple(
            ShotRecord(
                shot.first_frame,
                shot.frames,
                shot.setting,
                CameraTrack(
                    shot.cameras.position[:-1],
                    shot.cameras.quaternion[:-1],
                    shot.cameras.intrinsics[:-1],
                ),
            )
            for shot in shots
        ),
        **{name: getattr(motion, name)[: scene.frames] for name in ARRAYS},
    )


def stored(dataset: Dataset, episode_id: str) -> Record:
    """The record of an episode of a finished dataset, from what is stored alone.

    Args:
        dataset: As `simgen.open` gives it.
    Raises:
        KeyError: It is not in the catalog.
        IntegrityError: Bytes are missing or damaged.
    """
    row = dataset.row(episode_id)
    bodies = json.loads(row["bodies"])
    pose = dataset.read(episode_id, "camera_pose")
    intrinsics = dataset.read(episode_id, "camera_intrinsics")
    return Record(
        family=row["family"],
        frame_rate_hz=row["frame_rate_hz"],
        gravity=tuple(row["gravity_m_s2"]),
        outcome=row["outcome"],
        margins=json.loads(row["margins"]),
        bodies=bodies,
        events=dataset.events(episode_id).to_pylist(),
        shots=tuple(
            ShotRecord(shot["first_frame"], shot["frames"], shot["setting"], cameras)
            for shot in json.loads(row["shots"])
            for rows in [slice(shot["first_frame"], shot["first_frame"] + shot["frames"])]
            for cameras in [CameraTrack(pose[rows, :3], pose[rows, 3:], intrinsics[rows])]
        ),
        # the arrays are as wide as the bucket's largest episode
        **{name: dataset.read(episode_id, name)[:, : len(bodies)] for name in ARRAYS},
    )


def body_record(body: Body) -> dict[str, Any]:
    """What is kept of a body; look, size and place are of its first visible geom."""
    geom = next((g for g in body.geoms if g.visible), body.geoms[0])
    return {
        "name": body.name,
        "object": body.object_name,
        "label": body.label,
        "colour": geom.material.colour,
        "rgb": list(geom.material.rgb),
        "kind": geom.kind,
        "size": list(geom.size),
        "offset_m": list(geom.position),
        "mass_kg": float(body.mass_kg),
        "restitution": geom.restitution,
        "static": body.motion == "static",
        "free": body.motion == "free",
        "visible": any(g.visible for g in body.geoms),
    }


def are_separate(bodies: list[dict[str, Any]], rows: list[int]) -> bool:
    """Whether an object's bodies are doubles of one thing, not parts that hang together."""
    return len(rows) > 1 and all(bodies[row]["free"] for row in rows)


def event_record(event: Event, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "kind": event.kind,
        "start_s": event.start_s,
        "end_s": event.end_s,
        "body_a": names[event.body_a] if event.body_a >= 0 else "",
        "body_b": names[event.body_b] if event.body_b >= 0 else "",
        "impulse_ns": known(event.impulse_ns),
        "value": str(event.value),
    }


def known(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None
