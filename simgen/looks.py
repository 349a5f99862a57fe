"""Looks: the light, sky and surfaces of a scene, drawn from a recipe."""

from __future__ import annotations

import numpy as np

from simgen.recipe.look import LookRecipe
from simgen.scene import Scene


def dress(scene: Scene, look: LookRecipe, rng: np.random.Generator) -> Scene:
    """The scene in a look drawn from the recipe's."""
    return scene
