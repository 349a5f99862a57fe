"""The words that a family of scenes is told in. Import-light, so that families can have some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Words:
    """How a family likes to be told, its class attribute `words`. Phrases continue "the <label>".

    A phrase with other grammar begins with `with`: `with two balls thrown out`.

    `Words(opening=("swings on a high bar",), outcomes={"landed": ("lands on the feet",)})` says
    `A gymnast swings on a high bar and lands on the feet`. Every phrase must hold whenever its
    label does. A phrase may give margins as numbers: `turns {somersaults:.1f} somersaults`.
    """

    opening: tuple[str, ...] = ()  # instead of the measured "falls, bounces twice and collides"
    outcomes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # label -> phrases
    together: tuple[str, ...] = ()  # labels of the things that do it together: phrases are plural
    apparatus: tuple[str, ...] = ()  # labels of things that move but are part of the setting
    events: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # kind of event -> phrases
