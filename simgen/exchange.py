"""What exports and imports share. Apart from them, so that catching their error loads neither."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

PACKAGES = {"av": ("av", "export"), "rerun": ("rerun-sdk", "rerun")}  # and the extra that has it


class ExchangeError(ValueError):
    """Something asked for is not there or cannot be; the message says what to do."""


def require(modules: Iterable[str], what: str) -> None:
    """Raise ExchangeError, with what to install, unless those modules are there."""
    if lacking := [name for name in modules if find_spec(name) is None]:
        package, extra = PACKAGES[lacking[0]]
        raise ExchangeError(f"{what} needs {package}: pip install 'physreel[{extra}]'")
