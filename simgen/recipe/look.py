"""The look of a scene in a recipe: what light, sky and surfaces episodes draw from."""

from __future__ import annotations

from simgen.recipe.fields import Strict


class LookRecipe(Strict):
    """Empty: every scene looks as its family made it."""
