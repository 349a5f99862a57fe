"""simgen: recipe -> scene -> motion -> frames and truth -> caption -> store."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`simgen.open`, loaded at first use: the command line's --help must not wait for Arrow."""
    if name == "open":
        return import_module("simgen.store.reader").open
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
