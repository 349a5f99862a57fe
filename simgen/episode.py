"""Episode: one simulation with its frames, truth, captions and provenance, ready for the store.

`make_episode` is the whole of simgen in one function: read it first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from simgen.cameras import Shot
from simgen.captions.captions import describe
from simgen.engines import simulate
from simgen.families import Outcome, family
from simgen.filming import film
from simgen.looks import dress
from simgen.motion import Change, Motion, SimulationError
from simgen.quality import objections, residuals
from simgen.recipe import Recipe, Video
from simgen.renderers import render
from simgen.scene import Scene
from simgen.truth import Truth, measure, silhouettes
from simgen.twins import changed, left


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
    shots: tuple[Shot, ...]  # what was filmed, in order; one unless the recipe cuts
    outcome: Outcome | None
    frames: dict[str, np.ndarray]  # channel -> array as in simgen.renderers
    truth: Truth | None
    captions: dict[str, str]  # short, dense, timeline, false
    clauses: tuple[dict, ...]  # what each piece of a caption claims, as simgen.captions says
    change: Change | None = None  # of a twin, against the group's original
    quality: dict[str, float] = field(default_factory=dict)  # residuals, see simgen.quality
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
    made: dict[str, Any] = {
        "index": index, "episode_id": recipe.episode_id(index), "family": table.family,
        "engine": table.engine, "split": at.split,
    }  # fmt: skip
    clock = Clock()
    try:
        scene = original = stage(recipe, index)
        motion = simulate(scene, table.engine, state_every=recipe.state_every)
        shots = film(scene, motion, kind, table, video, recipe.rng(index, "camera"))
        change = None
        if at.variant:
            twin, rng = table.twins[at.variant - 1], recipe.rng(index, "twin")
            again = partial(stage, recipe, index)
            scene, motion, change = changed(
                scene, motion, shots, twin, table.engine, rng, again, video
            )
        outcome = ended(kind, scene, motion, change)
    except SimulationError as error:
        return rejected(made, str(error), clock.lap("simulate"))
    clock.lap("simulate")

    channels = tuple(dict.fromkeys((*video.channels, "segmentation")))  # truth is counted in it
    frames = picture(scene, motion, shots, video, channels)
    seen = silhouettes(scene, motion, shots, frames["segmentation"])
    clock.lap("render")
    truth = measure(scene, motion, shots, outcome, seen, change, original)
    reasons = objections(scene, motion, truth, frames, change)
    captions, clauses = {}, ()
    if not reasons:  # a broken clip has no facts to tell
        rng = recipe.rng(index, "captions")
        captions, clauses = describe(scene, motion, shots, outcome, truth, rng)
    return Episode(
        **made,
        scene=scene,
        motion=motion,
        shots=shots,
        outcome=outcome,
        frames={channel: frames[channel] for channel in video.channels},
        truth=truth,
        captions=captions,
        clauses=clauses,
        reasons=reasons,
        change=change,
        quality=residuals(scene, motion, change),
        costs_s=clock.lap("truth"),
    )


def stage(recipe: Recipe, index: int) -> Scene:
    """The episode's scene in its look, as it is before anything moves.

    Raises:
        SimulationError: The draw gives none, such as bodies that found no room.
    """
    at = recipe.assign(index)
    table, video = recipe.scene[at.scene_index], recipe.video_of(at.scene_index)
    parameters = recipe.parameters_of(at.scene_index, at.drawn_split)
    try:
        scene = family(table.family).sample(
            parameters, recipe.rng(index), frames=video.frames, frame_rate_hz=video.frame_rate_hz
        )
    except ValueError as error:
        raise SimulationError(f"scene: {error}") from error
    return dress(scene, table.look_of(at.drawn_split), recipe.rng(index, "look"))


def ended(kind: Any, scene: Scene, motion: Motion, change: Change | None) -> Outcome:
    """How it ended; of a clip that no physics makes, what was done to it.

    Raises:
        SimulationError: What was taken away is what the family's outcome is about.
    """
    if change and not change.possible:
        return Outcome(change.kind)
    try:
        return kind.outcome(*left(scene, motion, change))
    except (ValueError, LookupError) as error:
        if change is None or change.kind != "remove":
            raise
        said = f"twin: without {change.body} there is no outcome of {scene.family!r}"
        raise SimulationError(f"{said}: {error}") from error


def picture(
    scene: Scene, motion: Motion, shots: tuple[Shot, ...], video: Video, channels: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Every channel of the clip, its shots one after the other.

    The last frame of a shot flows to where the shot would have gone on, not across the cut.
    """
    drawn = [
        render(
            shot.dressed(scene), motion.window(shot.first_frame, shot.frames), shot.cameras,
            renderer=video.renderer, height=video.height, width=video.width, channels=channels,
        )
        for shot in shots
    ]  # fmt: skip
    if len(drawn) == 1:
        return drawn[0]
    return {channel: np.concatenate([shot[channel] for shot in drawn]) for channel in channels}


def rejected(made: dict[str, Any], reason: str, costs_s: dict[str, float]) -> Episode:
    """The episode that ended before it had frames."""
    return Episode(
        **made, scene=None, motion=None, shots=(), outcome=None, frames={}, truth=None,
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
