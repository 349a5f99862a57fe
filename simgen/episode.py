"""Episode: one simulation with its frames, truth, captions and provenance, ready for the store.

`make_episode` is the whole of simgen in one function: read it first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simgen.cameras import CameraTrack, path
from simgen.captions.captions import describe
from simgen.engines import simulate
from simgen.families import Outcome, family
from simgen.motion import Motion, SimulationError
from simgen.quality import objections
from simgen.recipe import Recipe, Video
from simgen.renderers import render
from simgen.scene import Scene
from simgen.truth import Truth, measure


@dataclass(frozen=True)
class Episode:
    """What one (recipe, index) makes.

    With `reasons` it is quarantined, never stored; what could not be made is then None or empty.
    """

    index: int
    episode_id: str  # "<8 hex of the recipe>-<index, 6 digits>"
    family: str
    engine: str
    split: str
    scene: Scene | None
    motion: Motion | None
    cameras: CameraTrack | None
    outcome: Outcome | None
    frames: dict[str, np.ndarray]  # channel -> array as in simgen.renderers
    truth: Truth | None
    captions: dict[str, str]  # short, dense
    clauses: tuple[dict, ...]  # {"caption", "text", "evidence": [paths]}, as simgen.captions says
    reasons: tuple[str, ...] = ()  # quality control's objections
    costs_s: dict[str, float] = field(default_factory=dict)  # CPU seconds: simulate, render, truth


def make_episode(recipe: Recipe, index: int) -> Episode:
    """Episode `index` of the recipe, the same bytes on every call.

    Physics that breaks and clips that fail quality control come back with `reasons`.

    Raises:
        ValueError: A scene that the engine cannot do, or a recipe that `load` would refuse.
        RendererUnavailable: The recipe's renderer is missing something here.
    """
    at = recipe.assign(index)
    table, video = recipe.scene[at.scene_index], recipe.video_of(at.scene_index)
    kind = family(table.family)
    parameters = recipe.parameters_of(at.scene_index, at.split)
    made: dict[str, Any] = {
        "index": index, "episode_id": recipe.episode_id(index), "family": table.family,
        "engine": table.engine, "split": at.split,
    }  # fmt: skip
    clock = Clock()
    try:
        scene = stage(kind, parameters, video, recipe.rng(index))
        motion = simulate(scene, table.engine, state_every=recipe.state_every)
        outcome = kind.outcome(scene, motion)
        cameras = film(recipe, index, *kind.look_at(scene, motion))
    except SimulationError as error:
        return rejected(made, str(error), clock.lap("simulate"))
    clock.lap("simulate")

    channels = tuple(dict.fromkeys((*video.channels, "segmentation")))  # truth is counted in it
    frames = render(
        scene, motion, cameras,
        renderer=video.renderer, height=video.height, width=video.width, channels=channels,
    )  # fmt: skip
    clock.lap("render")
    truth = measure(scene, motion, cameras, outcome, frames["segmentation"])
    reasons = objections(scene, motion, truth, frames)
    captions, clauses = {}, ()
    if not reasons:  # a broken clip has no facts to tell
        rng = recipe.rng(index, "captions")
        captions, clauses = describe(scene, motion, cameras, outcome, truth, rng)
    return Episode(
        **made,
        scene=scene,
        motion=motion,
        cameras=cameras,
        outcome=outcome,
        frames={channel: frames[channel] for channel in video.channels},
        truth=truth,
        captions=captions,
        clauses=clauses,
        reasons=reasons,
        costs_s=clock.lap("truth"),
    )


def stage(kind: Any, parameters: Any, video: Video, rng: np.random.Generator) -> Scene:
    """The episode's scene.

    Raises:
        SimulationError: The draw gives none, such as bodies that found no room.
    """
    try:
        return kind.sample(parameters, rng, frames=video.frames, frame_rate_hz=video.frame_rate_hz)
    except ValueError as error:
        raise SimulationError(f"scene: {error}") from error


def film(recipe: Recipe, index: int, look_at: Any, distance_m: float) -> CameraTrack:
    """The episode's camera: one of the scene's, drawn, and where it stands and goes.

    Raises:
        SimulationError: The draw gives no usable move.
    """
    at = recipe.assign(index)
    video, choices = recipe.video_of(at.scene_index), recipe.scene[at.scene_index].cameras
    rng = recipe.rng(index, "camera")
    camera = choices[int(rng.integers(len(choices)))]
    shape = {"frames": video.frames, "height": video.height, "width": video.width}
    try:
        return path(camera, look_at=look_at, distance_m=distance_m, rng=rng, **shape)
    except ValueError as error:
        raise SimulationError(f"camera: {error}") from error


def rejected(made: dict[str, Any], reason: str, costs_s: dict[str, float]) -> Episode:
    """The episode that ended before it had frames."""
    return Episode(
        **made, scene=None, motion=None, cameras=None, outcome=None, frames={}, truth=None,
        captions={}, clauses=(), reasons=(reason,), costs_s=costs_s,
    )  # fmt: skip


class Clock:
    """CPU seconds of this process by stage, threads of compiled code included."""

    def __init__(self) -> None:
        self.last = time.process_time()
        self.costs_s: dict[str, float] = {}

    def lap(self, stage: str) -> dict[str, float]:
        """Charge the time since the last lap to the stage; all stages so far."""
        now = time.process_time()
        self.costs_s[stage] = now - self.last
        self.last = now
        return self.costs_s
