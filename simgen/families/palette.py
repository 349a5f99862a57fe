"""The colours of moving things. A module of its own, as captions need them and no physics."""

from __future__ import annotations

from simgen.scene import Vector3

# Hues at least 25 degrees apart, in linear light: a moving thing's colour is its identity
PALETTE: dict[str, Vector3] = {
    "red": (0.78, 0.03, 0.03),
    "orange": (0.85, 0.24, 0.01),
    "yellow": (0.85, 0.66, 0.02),
    "green": (0.05, 0.46, 0.06),
    "cyan": (0.02, 0.58, 0.62),
    "blue": (0.03, 0.12, 0.72),
    "purple": (0.26, 0.04, 0.62),
    "pink": (0.85, 0.10, 0.46),
}
