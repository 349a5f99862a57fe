"""The tables of a recipe: [video], [[scene]] and its cameras. Frozen; unknown keys are errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, FiniteFloat, Tag


def ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    """Validator of a range [low, high]."""
    if bounds[0] > bounds[1]:
        raise ValueError(f"[low, high] with low above high: {list(bounds)}")
    return bounds


Channel = Literal["rgb", "depth", "segmentation", "normals", "flow"]
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


class Video(Strict):
    """Shape of the clips. A [[scene]] may override any of it in its own `video` table."""

    frames: Annotated[int, Field(ge=2, le=4096)] = 64
    frame_rate_hz: Annotated[FiniteFloat, Field(gt=0, le=1000)] = 24.0
    height: Annotated[int, Field(ge=16, le=2048, multiple_of=2)] = 128
    width: Annotated[int, Field(ge=16, le=2048, multiple_of=2)] = 128
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)] = (
        "rgb", "depth", "segmentation", "normals", "flow",
    )  # fmt: skip
    renderer: str = "raycast"

    @property
    def bucket(self) -> str:
        """Name of the store's group for clips of this shape."""
        return f"t{self.frames}_{self.height}x{self.width}"


class CameraRecipe(Strict):
    """A camera move; angles in degrees here (people write recipes), radians everywhere else."""

    kind: Literal["static", "orbit", "dolly"] = "static"
    azimuth_deg: Range = (-90.0, -90.0)  # a range, drawn per episode
    elevation_deg: Annotated[Range, within(-90, 90)] = (15.0, 15.0)
    distance: Annotated[Range, within(0.05, 100)] = (1.0, 1.0)  # times the family's own distance
    field_of_view_deg: Annotated[Range, within(1, 160)] = (45.0, 45.0)  # of the shorter side
    travel: Range = (0.0, 0.0)  # orbit: degrees; dolly: metres, + is in


def one_or_many(value: Any) -> str:
    """Which of the two forms of `camera` a recipe uses: a table, or a list of them."""
    return MANY if isinstance(value, list | tuple) else ONE


ONE, MANY = "<one>", "<many>"  # error paths carry these tags; problems.py drops them
Cameras = Annotated[
    Annotated[CameraRecipe, Tag(ONE)]
    | Annotated[tuple[CameraRecipe, ...], Field(min_length=1), Tag(MANY)],
    Discriminator(one_or_many),
]


class SceneRecipe(Strict):
    """One kind of scene in the mixture."""

    family: str
    engine: str = "mujoco"
    weight: Annotated[FiniteFloat, Field(gt=0)] = 1.0
    camera: Cameras = CameraRecipe()  # several: one is drawn per episode
    video: dict[str, Any] = {}  # overrides of [video]
    parameters: dict[str, Any] = {}  # the family's own, validated by its Parameters model
    split_parameters: dict[str, dict[str, Any]] = {}  # per split, over `parameters`

    @property
    def cameras(self) -> tuple[CameraRecipe, ...]:
        """The cameras to draw from."""
        return self.camera if isinstance(self.camera, tuple) else (self.camera,)
