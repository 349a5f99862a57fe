"""Recipe: the TOML file that says what a dataset is. Validated, frozen, hashed.

    name = "bouncing_balls"
    seed = 0
    episodes = 512
    [video]
    frames = 64
    frame_rate_hz = 24
    height = 128
    width = 128
    [splits]
    train = 0.8
    val = 0.1
    test = 0.1
    [[scene]]
    family = "bouncing_balls"
    engine = "mujoco"
    weight = 1
    camera = { kind = "static" }
    parameters = { bodies = [2, 6] }
    split_parameters = { ood_speed = { speed_m_s = [4.5, 6.0] } }
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PositiveInt

Channel = Literal["rgb", "depth", "segmentation", "normals", "flow"]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Strict(BaseModel):
    """Frozen, and a key that is not declared is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Video(Strict):
    """Shape of the clips. A [[scene]] may override any of it in its own `video` table."""

    frames: Annotated[int, Field(ge=2, le=4096)] = 64
    frame_rate_hz: Annotated[FiniteFloat, Field(gt=0, le=1000)] = 24.0
    height: Annotated[int, Field(ge=16, le=2048, multiple_of=2)] = 128
    width: Annotated[int, Field(ge=16, le=2048, multiple_of=2)] = 128
    channels: tuple[Channel, ...] = ("rgb", "depth", "segmentation", "normals", "flow")
    renderer: str = "raycast"


class CameraRecipe(Strict):
    """A camera move; angles in degrees here (people write recipes), radians everywhere else."""

    kind: Literal["static", "orbit", "dolly"] = "static"
    azimuth_deg: tuple[FiniteFloat, FiniteFloat] = (-90.0, -90.0)  # a range, drawn per episode
    elevation_deg: tuple[FiniteFloat, FiniteFloat] = (15.0, 15.0)
    distance: tuple[FiniteFloat, FiniteFloat] = (1.0, 1.0)  # times the family's own distance
    field_of_view_deg: tuple[FiniteFloat, FiniteFloat] = (45.0, 45.0)  # of the shorter side
    travel: tuple[FiniteFloat, FiniteFloat] = (0.0, 0.0)  # orbit: degrees; dolly: metres, + is in


class SceneRecipe(Strict):
    """One kind of scene in the mixture."""

    family: str
    engine: str = "mujoco"
    weight: Annotated[FiniteFloat, Field(gt=0)] = 1.0
    camera: CameraRecipe | tuple[CameraRecipe, ...] = CameraRecipe()  # several: one is drawn per episode
    video: dict[str, Any] = {}  # overrides of [video]
    parameters: dict[str, Any] = {}  # the family's own, validated by its Parameters model
    split_parameters: dict[str, dict[str, Any]] = {}  # per split, over `parameters`


class Recipe(Strict):
    """A whole dataset. An episode depends on (recipe, index) alone."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    description: Annotated[str, Field(max_length=10_000)] = ""
    licence: str = "CC-BY-4.0"
    seed: Seed = 0
    episodes: PositiveInt = 64
    episodes_per_part: Annotated[int, Field(ge=1, le=1024)] = 16
    state_every: PositiveInt = 8  # frames between restorable states
    video: Video = Video()
    splits: dict[str, Annotated[FiniteFloat, Field(ge=0, le=1)]] = {"train": 0.8, "val": 0.1, "test": 0.1}
    scene: Annotated[tuple[SceneRecipe, ...], Field(min_length=1)]

    @property
    def hash(self) -> str:
        """sha256 over the canonical JSON: two recipes with one hash make the same bytes."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
