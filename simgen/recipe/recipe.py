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
    split_parameters = { test = { speed_m_s = [4.5, 6.0] } }

`load` reads one and refuses what is wrong in it by name; `Recipe.assign` says which scene, split
and bucket an episode index belongs to.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import (
    BaseModel,
    Field,
    FiniteFloat,
    PositiveInt,
    ValidationError,
    field_validator,
)

from simgen.families import FAMILIES, family
from simgen.recipe.fields import Strict
from simgen.recipe.overrides import apply_overrides
from simgen.recipe.problems import (
    IMPOSSIBLE_SPLIT,
    Problem,
    RecipeError,
    check_numbers,
    explain,
    objections,
)
from simgen.recipe.tables import SceneRecipe, Video
from simgen.recipe.twin_problems import twin_problems

FILE_BYTES_MAX = 1_000_000
# Separate, so that a new camera leaves the physics alone
STREAMS = ("scene", "camera", "captions", "look", "twin")
# R2 low-discrepancy sequence: powers of 1 / plastic number, as 64-bit fractions so that the
# arithmetic is exact (Roberts 2018, "The unreasonable effectiveness of quasirandom sequences")
PLASTIC = 1.3247179572447460260
R2 = (int(2**64 / PLASTIC), int(2**64 / PLASTIC**2))


Splits = dict[str, Annotated[FiniteFloat, Field(ge=0, le=1)]]


@dataclass(frozen=True)
class Assignment:
    """Where one episode index belongs.

    Twins of one draw share everything but `variant`: 0 is the original, n its n-th twin.
    """

    scene_index: int
    split: str
    bucket: str
    group: int = 0
    variant: int = 0
    drawn_split: str = ""  # whose parameters it has; `split` may be "impossible" instead


class Recipe(Strict):
    """A whole dataset. An episode depends on (recipe, index) alone."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    description: Annotated[str, Field(max_length=10_000)] = ""
    licence: str = "CC-BY-4.0"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    episodes: PositiveInt = 64
    episodes_per_part: Annotated[int, Field(ge=1, le=1024)] = 16
    state_every: PositiveInt = 8  # frames between restorable states
    video: Video = Video()
    splits: Splits = Field(default_factory=lambda: {"train": 0.8, "val": 0.1, "test": 0.1})
    scene: Annotated[tuple[SceneRecipe, ...], Field(min_length=1)]

    @field_validator("scene", mode="after")
    @classmethod
    def one_scene_a_shape(cls, scenes: tuple[SceneRecipe, ...]) -> tuple[SceneRecipe, ...]:
        """A scene with `shapes` stands for one scene a shape, each with its share of the weight."""
        spread = []
        for scene in scenes:
            for height, width in scene.shapes:
                video = {**scene.video, "height": height, "width": width}
                weight = scene.weight / len(scene.shapes)
                spread.append(
                    scene.model_copy(update={"shapes": (), "video": video, "weight": weight})
                )
            spread += [] if scene.shapes else [scene]
        return tuple(spread)

    @property
    def group_size(self) -> int:
        """Episodes of one draw: the original and its twins; the same in every scene."""
        return 1 + len(self.scene[0].twins)

    @property
    def hash(self) -> str:
        """sha256 over the canonical JSON: two recipes with one hash make the same bytes."""
        return self._digest()

    @property
    def buckets(self) -> tuple[str, ...]:
        """Names of every bucket that any scene fills, sorted."""
        return tuple(sorted({self.video_of(i).bucket for i in range(len(self.scene))}))

    def video_of(self, scene_index: int) -> Video:
        """The clip shape of that scene: [video] under the scene's own overrides."""
        return Video.model_validate({**self.video.model_dump(), **self.scene[scene_index].video})

    def parameters_of(self, scene_index: int, split: str) -> BaseModel:
        """The family's validated Parameters: `parameters` under the split's own."""
        scene = self.scene[scene_index]
        values = {**scene.parameters, **scene.split_parameters.get(split, {})}
        return family(scene.family).Parameters.model_validate_json(json.dumps(values), strict=True)

    def assign(self, index: int) -> Assignment:
        """Scene, split and bucket of an episode.

        Both come from a low-discrepancy sequence over the index, so every prefix has nearly the
        asked shares, and the number of episodes changes no assignment.

        Raises:
            ValueError: A negative index.
        """
        if index < 0:
            raise ValueError(f"episode index {index} is negative; indices start at 0")
        group, variant = divmod(index, self.group_size)
        at = self.point(group)
        scene_index = share_of(at[0], [scene.weight for scene in self.scene])
        drawn = split = list(self.splits)[share_of(at[1], list(self.splits.values()))]
        if variant and not self.scene[scene_index].twins[variant - 1].possible:
            split = IMPOSSIBLE_SPLIT
        bucket = self.video_of(scene_index).bucket
        return Assignment(scene_index, split, bucket, group, variant, drawn)

    def point(self, index: int) -> tuple[float, float]:
        """A group's point of the R2 sequence in the unit square, shifted by the seed."""
        offsets = np.random.SeedSequence(self.seed).generate_state(2, np.uint64)
        x, y = (
            ((int(offset) + index * step) % 2**64) / 2**64
            for offset, step in zip(offsets, R2, strict=True)
        )
        return x, y

    def rng(self, index: int, stream: str = "scene") -> np.random.Generator:
        """The generator of the episode's group, from (seed, group) alone; one per STREAMS name."""
        key = (index // self.group_size, STREAMS.index(stream))
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    @cached_property
    def content_hash(self) -> str:
        """sha256 over all that decides what an episode holds; the number of episodes does not."""
        return self._digest("episodes", "episodes_per_part", "description", "licence")

    def _digest(self, *without: str) -> str:
        told = self.model_dump(mode="json", exclude=set(without))
        told["splits"] = list(self.splits.items())  # their order decides which episode goes where
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def episode_id(self, index: int) -> str:
        """Name of an episode: what decides its content in 8 hex digits, then its index."""
        return f"{self.content_hash[:8]}-{index:06d}"

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """JSON Schema of a recipe file, each family's parameters included."""
        schema = cls.model_json_schema()
        scene = schema["$defs"]["SceneRecipe"]
        scene["properties"]["family"]["enum"] = sorted(FAMILIES)
        scene["properties"]["video"] = {"$ref": "#/$defs/Video"}
        scene["allOf"] = []
        for name in sorted(FAMILIES):
            parameters = family(name).Parameters.model_json_schema(ref_template="#/$defs/{model}")
            schema["$defs"].update(parameters.pop("$defs", {}))
            schema["$defs"][f"{name}.parameters"] = parameters
            ref = {"$ref": f"#/$defs/{name}.parameters"}
            given = {"parameters": ref, "split_parameters": {"additionalProperties": ref}}
            is_family = {"properties": {"family": {"const": name}}}
            scene["allOf"].append({"if": is_family, "then": {"properties": given}})
        return schema


def share_of(at: float, weights: Sequence[float]) -> int:
    """Index of the interval of [0, 1) that holds `at`, the intervals as wide as the weights."""
    edges = list(accumulate(weights))
    return next((i for i, edge in enumerate(edges) if at * edges[-1] < edge), len(edges) - 1)


def load(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a TOML file under `key=value` overrides, validated down to the families.

    Args:
        path: The recipe file.
        overrides: `video.height=64`, `scene.0.engine=bullet`, `scene.engine=bullet` (every scene)
            or a last name alone where only one key has it (`engine=bullet`). Values are TOML; what
            is not is a string.
    Raises:
        RecipeError: Anything wrong; the message names the file, the key, what was given and what
            is allowed.
    """
    path = Path(path)
    raw = read(path)
    problems = apply_overrides(raw, overrides, Recipe) or check_numbers(raw)
    if problems:
        raise RecipeError.of(path, problems)
    try:
        recipe = Recipe.model_validate_json(json.dumps(raw, default=str), strict=True)
    except ValidationError as error:
        raise RecipeError.of(path, explain(error, Recipe)) from None
    if problems := objections(recipe, Video) or twin_problems(recipe):
        raise RecipeError.of(path, as_written(problems, raw))
    return recipe


def as_written(problems: Sequence[Problem], raw: dict[str, Any]) -> list[Problem]:
    """The problems once each, scenes counted as in the file: `shapes` made several of one."""
    numbers = [i for i, table in enumerate(raw["scene"]) for _ in table.get("shapes") or [None]]
    paths = [
        ("scene", numbers[loc[1]], *loc[2:]) if loc[0] == "scene" else loc for loc, _ in problems
    ]
    return list(dict.fromkeys(zip(paths, (said for _, said in problems), strict=True)))


def read(path: Path) -> dict[str, Any]:
    """The file's TOML as it stands."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        if len(data) <= FILE_BYTES_MAX:
            return tomllib.loads(data.decode())
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such recipe; `simgen recipes` lists those here") from None
    except IsADirectoryError:
        raise RecipeError(f"{path}: is a folder; give the file, {path / 'recipe.toml'}") from None
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except (ValueError, RecursionError) as error:  # also numbers too long, tables too deep
        raise RecipeError(f"{path}: not TOML: {error}") from None
    raise RecipeError(f"{path}: too large; a recipe has at most {FILE_BYTES_MAX} bytes")
