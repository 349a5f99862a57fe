"""Recipe: the TOML file that says what a dataset is. Start at recipe.py."""

from simgen.recipe.camera import CameraRecipe
from simgen.recipe.look import LookRecipe
from simgen.recipe.problems import RecipeError
from simgen.recipe.recipe import Assignment, Recipe, load
from simgen.recipe.tables import SceneRecipe, TwinRecipe, Video

__all__ = [
    "Assignment",
    "CameraRecipe",
    "LookRecipe",
    "Recipe",
    "RecipeError",
    "SceneRecipe",
    "TwinRecipe",
    "Video",
    "load",
]
