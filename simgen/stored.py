"""A clip again from what is stored of it, without simulating: what can be drawn, filmed and told.

Sampling gives the scene (it moves nothing), the catalog what a twin changed in it, the arrays its
motion and its cameras. What the catalog says of the bodies must agree: other code, other scenes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from simgen.cameras import CameraTrack, Shot, rotation_matrix
from simgen.captions.records import body_record
from simgen.episode import stage
from simgen.events import Event
from simgen.families import Outcome, family
from simgen.families.objects import two_tone
from simgen.masses import mass_properties
from simgen.motion import CONTACT_DTYPE, Change, Motion
from simgen.recipe import Recipe
from simgen.scene import Body, Scene

Read = Callable[[str], np.ndarray]  # name -> the episode's array as stored


class ForeignError(RuntimeError):
    """Sampling here gives another scene than was stored; the message says what to do."""


@dataclass(frozen=True)
class Clip:
    """An episode without its frames.

    Of the row past the clip's end only poses and centres of mass are known, the rest repeats the
    last frame; energies and penetrations are those of no body (0).
    """

    index: int
    episode_id: str
    scene: Scene
    motion: Motion
    shots: tuple[Shot, ...]
    outcome: Outcome
    change: Change | None
    events: tuple[Event, ...]


def stored_clip(dataset: Any, episode_id: str) -> Clip:
    """The clip of an episode of a finished dataset.

    Args:
        dataset: As `simgen.open` gives it.
    Raises:
        KeyError: It is not in the catalog.
        ValueError: The dataset was imported: footage has no scene.
        ForeignError: As `clip`.
        IntegrityError: Bytes are missing or damaged.
    """
    if dataset.attrs["recipe"] is None:
        raise ValueError(f"{dataset.url} was imported; only what was simulated has a scene")
    recipe = Recipe.model_validate_json(json.dumps(dataset.attrs["recipe"]))
    events = dataset.events(episode_id).to_pylist()
    return clip(
        recipe, dataset.row(episode_id), events, lambda name: dataset.read(episode_id, name)
    )


def clip(
    recipe: Recipe, row: Mapping[str, Any], events: Iterable[Mapping[str, Any]], read: Read
) -> Clip:
    """The clip of a catalog row, its events and its arrays.

    Raises:
        ForeignError: The stored bodies are not those that sampling gives.
    """
    told = json.loads(row["twin"]) if row["twin"] else None
    change = None
    if told:
        change = Change(**{name: math.nan if v is None else v for name, v in told.items()})
    scene = edited(stage(recipe, row["index"]), row, change)
    events = tuple(_event(event, scene) for event in events)
    margins = json.loads(row["margins"])
    return Clip(
        index=row["index"],
        episode_id=row["episode_id"],
        scene=scene,
        motion=_motion(scene, row, events, read),
        shots=_shots(scene, row, read),
        outcome=Outcome(
            row["outcome"], {k: math.nan if v is None else v for k, v in margins.items()}
        ),
        change=change,
        events=events,
    )


def edited(scene: Scene, row: Mapping[str, Any], change: Change | None) -> Scene:
    """The scene as the twin has it, by what the catalog says.

    Raises:
        ForeignError: As `clip`.
    """
    records = json.loads(row["bodies"])
    bodies = list(scene.bodies)
    if change and change.kind == "recolour" and len(records) == len(bodies) + 1:
        bodies.append(_double(scene.bodies[scene.body_index(change.body)], records[-1]))
    for number, (body, record) in enumerate(zip(bodies, records, strict=False)):
        if body.mass_kg != record["mass_kg"] and body.mass_kg:
            bodies[number] = _heavier(body, record["mass_kg"])
    if change and change.kind == "remove":
        gone = scene.body_index(change.body)
        geoms = tuple(replace(geom, collide=False) for geom in bodies[gone].geoms)
        bodies[gone] = replace(bodies[gone], geoms=geoms)
    here = json.loads(json.dumps([body_record(body) for body in bodies]))
    if here != records:
        raise ForeignError(
            f"episode {row['episode_id']}: sampling its recipe gives other bodies than are stored "
            f"(physreel {row['simgen_version']} made it); use that release"
        )
    return replace(scene, bodies=tuple(bodies), gravity=tuple(row["gravity_m_s2"]))


def _double(body: Body, record: Mapping[str, Any]) -> Body:
    """What comes out in another colour."""
    material = replace(two_tone(record["colour"]), pattern=body.geoms[0].material.pattern)
    return replace(
        body,
        name=record["name"],
        object=record["object"],
        geoms=tuple(replace(geom, material=material) for geom in body.geoms),
    )


def _heavier(body: Body, mass_kg: float) -> Body:
    inertia = body.inertia_kgm2
    factor = mass_kg / body.mass_kg
    return replace(
        body, mass_kg=mass_kg, inertia_kgm2=inertia and tuple(factor * i for i in inertia)
    )


def _event(told: Mapping[str, Any], scene: Scene) -> Event:
    point = tuple(told[f"point_{axis}"] for axis in "xyz")
    return Event(
        told["event_id"], told["kind"], told["start_s"], told["end_s"],
        *(scene.body_index(told[name]) if told[name] else -1 for name in ("body_a", "body_b")),
        math.nan if told["impulse_ns"] is None else told["impulse_ns"],
        None if None in point else point,
        told["value"],
    )  # fmt: skip


def _motion(scene: Scene, row: Mapping[str, Any], events: tuple[Event, ...], read: Read) -> Motion:
    bodies, frames = len(scene.bodies), scene.frames
    poses = {
        name: np.concatenate([read(name)[:, :bodies], read(f"end_{name}")[None, :bodies]])
        for name in ("position", "quaternion")
    }
    arrays = {name: read(name)[:, :bodies] for name in ("velocity", "angular_velocity")}
    ahead = [
        poses["position"][-1, n] + rotation_matrix(poses["quaternion"][-1, n]) @ arm
        for n, arm in enumerate(mass_properties(body)[0] for body in scene.bodies)
    ]
    centres = np.concatenate([read("centre_of_mass")[:, :bodies], np.array(ahead)[None]])
    actions = len(json.loads(row["actions"]))
    widths = {"joint_torque": len(scene.actuators), "joint_position": None, "joint_velocity": None}
    for name, width in widths.items():
        arrays[name] = _columns(read, name, width, frames)
    return Motion(
        engine=row["engine"],
        engine_version=row["engine_version"],
        **poses,
        **{name: np.concatenate([array, array[-1:]]) for name, array in arrays.items()},
        centre_of_mass=centres,
        action=_columns(read, "action", actions, frames).astype(np.float64),
        contacts=_contacts(events),
        **{
            name: np.zeros(frames + 1)
            for name in ("deepest_penetration_m", "kinetic_energy_j", "potential_energy_j")
        },
        state=read("state")[: len(row["state_frames"]), : row["state_size"]],
        state_frames=np.array(row["state_frames"], np.int32),
    )


def _columns(read: Read, name: str, width: int | None, frames: int) -> np.ndarray:
    """An array without the columns that the episode lacks; the bucket may lack it altogether."""
    try:
        array = read(name)
    except KeyError:
        return np.zeros((frames, 0))
    return array[:, np.isfinite(array[0])] if width is None else array[:, :width]


def _contacts(events: tuple[Event, ...]) -> np.ndarray:
    """Touches as the events tell them; directions and peaks are not stored (NaN)."""
    told = [event for event in events if event.kind == "contact"]
    contacts = np.zeros(len(told), CONTACT_DTYPE)
    for name in ("impulse_vector_ns", "peak_force_n", "normal"):
        contacts[name] = np.nan
    for row, event in enumerate(told):
        for name in ("body_a", "body_b", "start_s", "end_s", "impulse_ns"):
            contacts[name][row] = getattr(event, name)
        contacts["point"][row] = event.point or math.nan
    return contacts


def _shots(scene: Scene, row: Mapping[str, Any], read: Read) -> tuple[Shot, ...]:
    kind = family(scene.family)
    places = {}
    if hasattr(kind, "settings"):
        places = {place.first_frame: place for place in kind.settings(scene)}
    pose, ends = read("camera_pose"), read("end_camera_pose")
    lens, last = read("camera_intrinsics"), read("end_camera_intrinsics")
    shots = []
    for number, told in enumerate(json.loads(row["shots"])):
        first = told["first_frame"]
        rows = slice(first, first + told["frames"])
        poses = np.concatenate([pose[rows], ends[number : number + 1]])
        intrinsics = np.concatenate([lens[rows], last[number : number + 1]])
        place = places.get(first)
        shots.append(
            Shot(
                first, CameraTrack(poses[:, :3], poses[:, 3:], intrinsics), told["move"],
                told["setting"], place and place.light, place and place.sky,
            )
        )  # fmt: skip
    return tuple(shots)
