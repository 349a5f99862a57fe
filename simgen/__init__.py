"""simgen: recipe -> scene -> motion -> frames and truth -> caption -> store.

dataset = simgen.open("balls.zarr")          # a built dataset
recipe = simgen.load("recipe.toml")          # a validated recipe
episode = simgen.make_episode(recipe, 0)     # one episode in memory
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Imported on first use: `import simgen` stays light, and --help instant
_EXPORTS = {
    "open": "simgen.store.reader",
    "load": "simgen.recipe",
    "make_episode": "simgen.episode",
}


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'simgen' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_EXPORTS])
