"""Episode: one simulation with its frames, truth, captions and provenance, ready for the store."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from simgen.cameras import CameraTrack
from simgen.families import Outcome
from simgen.motion import Motion
from simgen.scene import Scene
from simgen.truth import Truth


@dataclass(frozen=True)
class Episode:
    """What one (recipe, index) makes. `reasons` not empty: it is quarantined, never stored."""

    index: int
    episode_id: str  # "<recipe hash, 8 hex>-<index, 6 digits>"
    family: str
    engine: str
    split: str
    scene: Scene
    motion: Motion
    cameras: CameraTrack
    outcome: Outcome
    frames: dict[str, np.ndarray]  # channel -> array as in simgen.renderers
    truth: Truth
    captions: dict[str, str]  # short, dense
    clauses: tuple[dict, ...]  # {"caption", "text", "evidence": event id or body attribute}
    reasons: tuple[str, ...] = ()  # quality control's objections
    costs_s: dict[str, float] = field(default_factory=dict)  # CPU seconds: simulate, render, truth
