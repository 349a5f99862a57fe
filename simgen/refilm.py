"""A stored clip seen anew, by another camera or in another size: its truth, its captions."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from simgen.cameras import Shot
from simgen.captions.captions import tell
from simgen.captions.facts import gather
from simgen.captions.records import event_record, recorded
from simgen.captions.words import Words
from simgen.episode import Episode, picture
from simgen.events import Event, edits, sight, spurious
from simgen.families import family
from simgen.filming import Stage, shoot, stages
from simgen.motion import SimulationError
from simgen.quality import Bounds, unseen
from simgen.recipe import CameraRecipe, Recipe, Video
from simgen.recipe.recipe import STREAMS
from simgen.store.layers import Layer
from simgen.stored import Clip
from simgen.truth import Silhouettes, Truth, inside_picture, silhouettes, tracks
from simgen.twins import unfilmed

SEEN_BY_A_CAMERA = ("occlusion", "out_of_frame", "cut")  # events that another view has others of


@dataclass(frozen=True)
class Wording:
    """Captions and their clauses, as simgen.captions.captions gives them."""

    captions: dict[str, str]
    clauses: tuple[dict, ...]


def rng_of(recipe: Recipe, index: int, stream: str, salt: int) -> np.random.Generator:
    """A generator of the episode's group that no build draws from."""
    key = (index // recipe.group_size, STREAMS.index(stream), salt)
    return np.random.default_rng(np.random.SeedSequence(recipe.seed, spawn_key=key))


def retold(clip: Clip, rng: np.random.Generator) -> Wording:
    """The clip's captions in a wording of that generator's."""
    facts = gather(recorded(clip.scene, clip.motion, clip.shots, clip.outcome, clip.events))
    return Wording(*tell(facts, getattr(family(clip.scene.family), "words", Words()), rng))


def viewed(clip: Clip, original: Clip, recipe: Recipe, layer: Layer) -> tuple[Episode, dict]:
    """The clip in that view, as an episode whose truth is what the view shows.

    Twins are filmed by their original's cameras.

    Args:
        original: Of the clip's group, in whose motion the cameras are drawn; the clip itself where
            there is none.
    Returns:
        The episode, and what the catalog's column `views` says of it, hashes and place apart.
    Raises:
        SimulationError: What the clip is about cannot be seen there; the message says why.
    """
    at = recipe.assign(clip.index)
    video = layer.video(recipe.video_of(at.scene_index))
    if layer.camera is None:
        shots = resized(clip.shots, recipe.video_of(at.scene_index), video)
    else:
        shots = filmed(clip, original, recipe, layer, video)
    channels = tuple(dict.fromkeys((*video.channels, "segmentation")))
    frames = picture(clip.scene, clip.motion, shots, video, channels)
    seen = silhouettes(clip.scene, clip.motion, shots, frames["segmentation"])
    truth = _truth(clip, shots, seen)
    _require_seen(clip, truth)
    filmed_clip = replace(clip, shots=shots, events=truth.events)
    told = retold(filmed_clip, recipe.rng(clip.index, "captions"))
    episode = Episode(
        index=clip.index, episode_id=clip.episode_id, family=clip.scene.family,
        engine=clip.motion.engine, split=at.split, scene=clip.scene, motion=clip.motion,
        shots=shots, outcome=clip.outcome, truth=truth, captions=told.captions,
        clauses=told.clauses, change=clip.change,
        frames={channel: frames[channel] for channel in video.channels},
    )  # fmt: skip
    return episode, {
        "height": video.height,
        "width": video.width,
        "camera": layer.camera,
        "filmed_in": original.index,
        "captions": told.captions,
        "clauses": list(told.clauses),
        "events": [event_record(event, clip.scene.body_names) for event in truth.events],
    }


def resized(shots: tuple[Shot, ...], video: Video, other: Video) -> tuple[Shot, ...]:
    """The shots through the same lens on pictures of another size.

    The angle of view of the shorter side stays, and the middle of the picture.
    """
    scale = min(other.height, other.width) / min(video.height, video.width)
    factor = np.array([scale, scale, other.width / video.width, other.height / video.height])
    return tuple(
        replace(shot, cameras=replace(shot.cameras, intrinsics=shot.cameras.intrinsics * factor))
        for shot in shots
    )


def filmed(
    clip: Clip, original: Clip, recipe: Recipe, layer: Layer, video: Video
) -> tuple[Shot, ...]:
    """The clip under the layer's camera, without a cut but those between a family's places.

    Raises:
        SimulationError: No draw shows it, or a twin's splice is hidden from the first camera alone.
    """
    if clip.change and not clip.change.possible:
        raise SimulationError(
            f"view: what hides the {clip.change.kind} from the clip's own camera may not hide it "
            "from another"
        )
    scene, motion, kind = original.scene, original.motion, family(original.scene.family)
    rng = rng_of(recipe, clip.index, "camera", zlib.crc32(layer.name.encode()))
    table = recipe.scene[recipe.assign(clip.index).scene_index]
    camera = CameraRecipe.model_validate_json(json.dumps(layer.camera))
    if hasattr(kind, "settings"):
        takes = stages(scene, motion, kind, table, rng)
    else:
        moving = tuple(n for n, body in enumerate(scene.bodies) if body.motion != "static")
        takes = [Stage(0, scene.frames, *kind.look_at(scene, motion), moving)]
    shots: list[Shot] = []
    for take in takes:
        shots.append(shoot(scene, motion, take, (camera,), video, rng, shots[-1:]))
    if clip.change and (reason := unfilmed(clip.scene, clip.motion, shots, clip.change, video)):
        raise SimulationError(reason)
    return tuple(shots)


def _truth(clip: Clip, shots: tuple[Shot, ...], seen: Silhouettes) -> Truth:
    """What the view shows, and the clip's events as seen from there; the rest of truth is empty."""
    track, depth = (
        np.concatenate(rows)
        for rows in zip(*(tracks(shot, clip.motion) for shot in shots), strict=True)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        visibility = np.where(seen.whole > 0, np.minimum(seen.area / seen.whole, 1.0), np.nan)
    inside = inside_picture(track, seen.height, seen.width)
    found = sorted(
        _events(clip, shots, seen, inside), key=lambda e: (e.start_s, e.kind, e.body_a, e.body_b)
    )
    nothing = np.zeros(0, np.float32)
    return Truth(
        track=track.astype(np.float32),
        track_depth=depth.astype(np.float32),
        area=seen.area,
        visibility=visibility.astype(np.float32),
        energy=nothing,
        momentum=nothing.reshape(0, 3),
        penetration=nothing,
        events=tuple(replace(event, event_id=f"e{n}") for n, event in enumerate(found)),
    )


def _events(
    clip: Clip, shots: tuple[Shot, ...], seen: Silhouettes, inside: np.ndarray
) -> Iterator[Event]:
    yield from (event for event in clip.events if event.kind not in SEEN_BY_A_CAMERA)
    yield from edits(clip.scene, tuple(shot.first_frame for shot in shots[1:]), None)
    for event in sight(clip.scene, seen.area, seen.whole, inside):
        if not (clip.change and spurious(event, clip.scene, clip.motion, clip.change)):
            yield event


def _require_seen(clip: Clip, truth: Truth) -> None:
    """
    Raises:
        SimulationError: Nothing that moves is seen, or a splice is that must not be.
    """
    if reasons := list(unseen(clip.scene, truth, Bounds())):
        raise SimulationError(f"view: {'; '.join(reasons)}")
    change = clip.change
    if change and not change.possible:
        row = clip.scene.body_index(change.body)
        rows = [row, len(clip.scene.bodies) - 1] if change.kind == "recolour" else [row]
        if truth.area[max(change.frame - 1, 0) : change.frame + 1, rows].any():
            raise SimulationError(f"view: the {change.kind} of {change.body} shows in it")
