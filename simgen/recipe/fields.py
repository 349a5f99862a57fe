"""Kinds of values that recipe tables share: ranges, and tables that refuse unknown keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, FiniteFloat


def ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    """Validator of a range [low, high]."""
    if bounds[0] > bounds[1]:
        raise ValueError(f"[low, high] with low above high: {list(bounds)}")
    return bounds


Range = Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(ordered)]


def within(low: float, high: float) -> AfterValidator:
    """Validator of a range whose ends lie between two bounds."""

    def check(bounds: tuple[float, float]) -> tuple[float, float]:
        if not low <= bounds[0] <= bounds[1] <= high:
            raise ValueError(f"both ends must lie between {low:g} and {high:g}")
        return bounds

    return AfterValidator(check)


class Strict(BaseModel):
    """Frozen, and a key that is not declared is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
