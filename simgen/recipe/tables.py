"""The tables of a recipe: [video], and [[scene]] with its cameras, twins and look. Frozen; unknown
keys are errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    FiniteFloat,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from simgen.recipe.camera import CameraRecipe
from simgen.recipe.fields import Range, Strict, ordered, within
from simgen.recipe.look import LookRecipe

Channel = Literal["rgb", "depth", "segmentation", "normals", "flow", "backward_flow"]
Shape = tuple[
    Annotated[int, Field(ge=16, le=2048, multiple_of=2)],
    Annotated[int, Field(ge=16, le=2048, multiple_of=2)],
]


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


def one_or_many(value: Any) -> str:
    """Which of the two forms of `camera` a recipe uses: a table, or a list of them."""
    return MANY if isinstance(value, list | tuple) else ONE


ONE, MANY = "<one>", "<many>"  # error paths carry these tags; problems.py drops them
Cameras = Annotated[
    Annotated[CameraRecipe, Tag(ONE)]
    | Annotated[tuple[CameraRecipe, ...], Field(min_length=1), Tag(MANY)],
    Discriminator(one_or_many),
]


PHYSICAL = ("mass", "speed", "gravity", "release", "remove")
IMPOSSIBLE = ("vanish", "recolour", "teleport", "pass_through")
KEYS = {  # that a change reads; others stay as they are
    "factor": ("mass", "speed", "gravity"),
    "delay_s": ("release",),
    "at": ("mass", "speed", "gravity", "remove"),
}


class TwinRecipe(Strict):
    """One change to an episode from a given frame on; everything before it stays as it was.

    mass, speed: of one moving body, times `factor`; gravity: times `factor`; release: later by
    `delay_s`; remove: one body is taken away. The impossible ones happen while the body is hidden:
    vanish, recolour, teleport (elsewhere hidden), pass_through (a hidden wall is not there).
    """

    change: Literal[
        "mass", "speed", "gravity", "release", "remove",
        "vanish", "recolour", "teleport", "pass_through",
    ]  # fmt: skip
    factor: Annotated[Range, within(0, 100)] = (2.0, 2.0)
    delay_s: Annotated[Range, within(0, 1)] = (0.08, 0.08)
    at: Annotated[Range, within(0, 1)] = (0.3, 0.5)  # share of the clip; the nearest key frame

    @model_validator(mode="after")
    def only_its_own_keys(self) -> TwinRecipe:
        for key, changes in KEYS.items():
            given = getattr(self, key)
            if self.change not in changes and given != type(self).model_fields[key].default:
                raise ValueError(
                    f"{key} {list(given)} given for change {self.change!r}, which has none; remove "
                    f"it, or use one of: {', '.join(changes)}"
                )
        if self.change == "mass" and self.factor[0] <= 0:
            raise ValueError(f"factor {list(self.factor)} given for a mass; it must be above 0")
        return self

    @property
    def possible(self) -> bool:
        return self.change in PHYSICAL


class SceneRecipe(Strict):
    """One kind of scene in the mixture."""

    family: str
    engine: str = "mujoco"
    weight: Annotated[FiniteFloat, Field(gt=0)] = 1.0
    camera: Cameras = CameraRecipe()  # several: one is drawn per shot
    shots: Annotated[
        tuple[int, int], AfterValidator(ordered), within(1, 4)
    ] = (1, 1)  # of one continuing simulation; not of families with settings  # fmt: skip
    twins: tuple[TwinRecipe, ...] = ()  # each makes one more episode of the same draw
    look: LookRecipe = LookRecipe()
    split_looks: dict[str, LookRecipe] = Field(default_factory=dict)  # per split, instead of look
    shapes: tuple[Shape, ...] = ()  # [height, width] to choose from, equally often
    video: dict[str, Any] = Field(default_factory=dict)  # overrides of [video]
    parameters: dict[str, Any] = Field(
        default_factory=dict
    )  # the family's own, validated by its Parameters model
    # per split, over `parameters`
    split_parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @field_validator("shapes")
    @classmethod
    def no_shape_twice(cls, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
        if len(set(shapes)) < len(shapes):
            raise ValueError("repeats a shape; all are equally often: for more of one, use weight")
        return shapes

    @field_validator("video")
    @classmethod
    def no_size_beside_shapes(cls, video: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if info.data.get("shapes") and video.keys() & {"height", "width"}:
            raise ValueError("its height and width are beside shapes, which give both; keep one")
        return video

    @property
    def cameras(self) -> tuple[CameraRecipe, ...]:
        """The cameras to draw from."""
        return self.camera if isinstance(self.camera, tuple) else (self.camera,)

    def look_of(self, split: str) -> LookRecipe:
        """The look of a split's episodes."""
        return self.split_looks.get(split, self.look)
