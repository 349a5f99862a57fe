"""Recipe: the TOML file that says what a dataset is. Start at recipe.py."""

from simgen.recipe.problems import RecipeError
from simgen.recipe.recipe import Assignment, Recipe, load
from simgen.recipe.tables import CameraRecipe, SceneRecipe, Video

__all__ = ["Assignment", "CameraRecipe", "Recipe", "RecipeError", "SceneRecipe", "Video", "load"]
