"""What can be wrong with a recipe's twins: changes that its families have nothing to make of."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.changeable import lacking
from simgen.families import family
from simgen.recipe.problems import Problem
from simgen.recipe.tables import IMPOSSIBLE, PHYSICAL
from simgen.scene import Scene

RESUMED = ("mass", "speed", "gravity", "remove")  # go on from a stored state
DRAWS = 3  # scenes of each split that are looked at


def twin_problems(recipe: Any) -> list[Problem]:
    """Twins that could never be made, judged by a few scenes that the recipe draws."""
    problems: list[Problem] = []
    for i, scene in enumerate(recipe.scene):
        problems += repeated(scene.twins, ("scene", i, "twins"))
        if not scene.twins:
            continue
        drawn, hidden_wall = draws(recipe, i), hasattr(family(scene.family), "pass_through")
        lacks = {
            change: [lacking(one, change, hidden_wall=hidden_wall) for one in drawn]
            for change in (*PHYSICAL, *IMPOSSIBLE)
        }
        allowed = [change for change, said in lacks.items() if not all(said)]
        for j, twin in enumerate(scene.twins):
            at = ("scene", i, "twins", j, "change")
            if drawn and twin.change not in allowed:
                said = f"{twin.change!r} given; family {scene.family!r} has {lacks[twin.change][0]}"
                problems.append((at, f"{said}; it can have: {', '.join(allowed) or 'no twins'}"))
            frames = recipe.video_of(i).frames
            if twin.change in RESUMED and recipe.state_every >= frames:
                said = f"{recipe.state_every} given; a clip of {frames} frames has then no state"
                said += f" that twin {twin.change!r} could go on from; at most {frames - 1}"
                problems.append((("state_every",), said))
    return problems


def repeated(twins: tuple, at: tuple) -> list[Problem]:
    """All twins of a draw share their random numbers, so equal tables make equal clips."""
    return [
        ((*at, j), f"says the same as twin {twins.index(twin)}, and would be the same clip")
        for j, twin in enumerate(twins)
        if twins.index(twin) < j
    ]


def draws(recipe: Any, scene_index: int) -> list[Scene]:
    """A few scenes of every split; fewer where a draw gives none."""
    kind, video = family(recipe.scene[scene_index].family), recipe.video_of(scene_index)
    found = []
    for split in recipe.splits:
        parameters = recipe.parameters_of(scene_index, split)
        for seed in range(DRAWS):
            try:
                found.append(
                    kind.sample(
                        parameters, np.random.default_rng(seed),
                        frames=video.frames, frame_rate_hz=video.frame_rate_hz,
                    )
                )  # fmt: skip
            except ValueError:
                continue  # such as bodies that found no room: quarantined one by one
    return found
