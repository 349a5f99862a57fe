"""What can be wrong in a recipe, said so that its author can mend it.

Every problem is (key path, sentence). Nothing here decides what a dataset is; simgen.recipe does.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from simgen.engines import ENGINES
from simgen.families import FAMILIES, family
from simgen.renderers import RENDERERS

Problem = tuple[tuple, str]
IMPOSSIBLE_SPLIT = "impossible"  # of twins that no physics makes, so that no training sees them
EPISODES_TRIED = 50_000  # to find how many would give every split one
CLIP_BYTES_MAX = 8 * 2**30  # one clip's channels stand in memory at once
# bytes a pixel as rendered: rgb u8 x 3, depth f32, segmentation u8, normals f32 x 3, flow f32 x 2
BYTES_PER_PIXEL = {
    "rgb": 3,
    "depth": 4,
    "segmentation": 1,
    "normals": 12,
    "flow": 8,
    "backward_flow": 8,
}


class RecipeError(ValueError):
    """A recipe that cannot be used; the message names the file, the key and what is allowed."""

    @classmethod
    def of(cls, path: Path, problems: Iterable[Problem]) -> RecipeError:
        """One line a problem."""
        return cls("\n".join(f"{said} ({path}: {dotted(loc)})" for loc, said in problems))


def dotted(loc: Iterable) -> str:
    """A key's path as recipes and overrides write it: `scene.0.camera.kind`."""
    return ".".join(str(part) for part in loc) or "recipe"


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` if a known name is close, else nothing."""
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def unknown(what: str, given: object, known: Iterable[str]) -> str:
    """`unknown engine 'mujco'; did you mean 'mujoco'?; known: bullet, mujoco`."""
    known = sorted(known)
    return f"unknown {what} {given!r}{nearest(str(given), known)}; known: {', '.join(known)}"


def check_numbers(node: Any, loc: tuple = ()) -> list[Problem]:
    """TOML can write nan and inf; no key of a recipe can mean them."""
    if isinstance(node, float) and not math.isfinite(node):
        return [(loc, f"{node} given; a finite number is needed")]
    items: Iterable = ()
    if isinstance(node, Mapping):
        items = node.items()
    elif isinstance(node, list):
        items = enumerate(node)
    return [problem for key, value in items for problem in check_numbers(value, (*loc, key))]


def explain(error: ValidationError, model: type[BaseModel], at: tuple = ()) -> list[Problem]:
    """Pydantic's objections as problems: path as the author wrote it, given, allowed, nearest."""
    items = error.errors()
    inner = {item["loc"][:n] for item in items for n in range(len(item["loc"]))}
    # a list whose only item is wrong is also reported as too short; the item says it better
    items = [i for i in items if i["type"] != "too_short" or i["loc"] not in inner]
    return [((*at, *written(item["loc"])), sentence(item, model)) for item in items]


def written(loc: tuple) -> Iterator:
    """The path as the author wrote it: without the tags of simgen.recipe.tables."""
    return (part for part in loc if not str(part).startswith("<"))


def sentence(item: dict, model: type[BaseModel]) -> str:
    """One pydantic error in our words."""
    loc, given = item["loc"], item["input"]
    last = loc[-1] if loc else ""
    if item["type"] == "extra_forbidden":
        return unknown("key", last, model_of(model, loc[:-1]).model_fields)
    if item["type"] == "missing":
        return f"{last!r} is missing"
    said = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not loc:  # an objection to the whole table
        return said
    close = ""
    if item["type"] == "literal_error":
        close = nearest(
            given, item["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        )
    if last in ("height", "width") and item["type"] == "less_than_equal":
        side = given * given * sum(BYTES_PER_PIXEL.values())
        close = f"; one frame of {given} x {given} takes {amount(side)} in all channels"
    return f"{shortened(given)} given; {said}{close}"


def shortened(value: Any, most: int = 60) -> str:
    """The value as Python writes it, cut where it would drown the message."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def model_of(model: Any, loc: Iterable) -> type[BaseModel]:
    """The pydantic model that a path inside another one leads to."""
    for part in loc:
        if isinstance(part, int):
            continue  # a list's items have the model of the list
        fields = getattr(model, "model_fields", {})
        if part in fields:
            model = innermost(fields[part].annotation) or model
    return model


def innermost(annotation: Any) -> type[BaseModel] | None:
    """The pydantic model inside an annotation such as `tuple[Model, ...]`, or None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (innermost(inner) for inner in get_args(annotation))
    return next((model for model in found if model), None)


def objections(recipe: Any, video_model: type[BaseModel]) -> list[Problem]:
    """Names that do not exist, shapes that do not fit, shares that give nothing."""
    problems = video_problems(recipe, recipe.video, ("video",))
    for i, scene in enumerate(recipe.scene):
        problems += scene_problems(recipe, scene, ("scene", i), video_model)
    return problems or uneven(recipe) or bucket_problems(recipe) or split_problems(recipe)


def scene_problems(
    recipe: Any, scene: Any, at: tuple, video_model: type[BaseModel]
) -> list[Problem]:
    """What is wrong with one [[scene]]: family, engine, its own video, parameters."""
    if scene.family not in FAMILIES:
        return [((*at, "family"), unknown("family", scene.family, FAMILIES))]
    problems: list[Problem] = []
    if scene.engine not in ENGINES:
        problems.append(((*at, "engine"), unknown("engine", scene.engine, ENGINES)))
    elif scene.engine not in (claimed := family(scene.family).engines):
        said = f"engine {scene.engine!r} cannot simulate family {scene.family!r}"
        problems.append(((*at, "engine"), f"{said}; it runs on: {', '.join(claimed)}"))
    try:
        merged = {**recipe.video.model_dump(mode="json"), **scene.video}
        video = video_model.model_validate_json(json.dumps(merged), strict=True)
        problems += video_problems(recipe, video, (*at, "video")) if scene.video else []
        problems += shot_problems(scene, video.frames, at)
    except ValidationError as error:
        problems += explain(error, video_model, (*at, "video"))
    return problems + parameter_problems(recipe, scene, at)


def uneven(recipe: Any) -> list[Problem]:
    """Every scene of a recipe has as many twins, since an index alone says which it is."""
    counts = [len(scene.twins) for scene in recipe.scene]
    return [
        (("scene", i, "twins"), f"{count} twins where scene 0 has {counts[0]}; give each as many")
        for i, count in enumerate(counts)
        if count != counts[0]
    ]


def shot_problems(scene: Any, frames: int, at: tuple) -> list[Problem]:
    """Shots in a family that cuts by itself, or more of them than the clip has room for."""
    given = f"{list(scene.shots)} given"
    if scene.shots != (1, 1) and hasattr(family(scene.family), "settings"):
        said = f"family {scene.family!r} shows each of its settings in one shot; remove shots"
        return [((*at, "shots"), f"{given}; {said}")]
    if frames < 2 * scene.shots[1]:
        return [((*at, "shots"), f"{given}; {frames} frames have room for {frames // 2} shots")]
    return []


def parameter_problems(recipe: Any, scene: Any, at: tuple) -> list[Problem]:
    """Splits that do not exist, and what the family's own model says of `parameters`, alone and
    under each split's overrides."""
    model = family(scene.family).Parameters
    problems: list[Problem] = []
    for table in ("split_parameters", "split_looks"):
        for split in getattr(scene, table):
            if split not in recipe.splits:
                problems.append(((*at, table, split), unknown("split", split, recipe.splits)))
    for where, over in [(("parameters",), {})] + [
        (("split_parameters", split), values) for split, values in scene.split_parameters.items()
    ]:
        values = {**scene.parameters, **over}
        try:
            model.model_validate_json(json.dumps(values), strict=True)
        except ValidationError as error:
            problems += explain(error, model, (*at, *where))
        if problems:
            break  # every split would repeat what is wrong in `parameters`
    return problems


def video_problems(recipe: Any, video: Any, at: tuple) -> list[Problem]:
    """A renderer that does not exist, a channel twice, a clip too large for the memory."""
    problems: list[Problem] = []
    if video.renderer not in RENDERERS:
        problems.append(((*at, "renderer"), unknown("renderer", video.renderer, RENDERERS)))
    if len(set(video.channels)) < len(video.channels):
        problems.append(((*at, "channels"), f"{list(video.channels)} repeats a channel"))
    pixels = video.frames * video.height * video.width
    if (size := pixels * sum(BYTES_PER_PIXEL[c] for c in video.channels)) > CLIP_BYTES_MAX:
        shape = f"{video.frames} frames of {video.height} x {video.width}"
        said = f"{shape} take {amount(size)} of memory a clip; at most {amount(CLIP_BYTES_MAX)}"
        problems.append((at, said))
    return problems


def amount(size: float) -> str:
    """Bytes as people read them."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def bucket_problems(recipe: Any) -> list[Problem]:
    """Scenes that share a bucket share its arrays, so their channels and frame rate agree."""
    first: dict[str, tuple[int, Any]] = {}
    problems: list[Problem] = []
    for i in range(len(recipe.scene)):
        video = recipe.video_of(i)
        j, other = first.setdefault(video.bucket, (i, video))
        for name in ("channels", "frame_rate_hz"):
            mine, theirs = getattr(video, name), getattr(other, name)
            if mine != theirs:
                said = f"{mine} differs from scene {j}'s {theirs}, and both fill {video.bucket}"
                problems.append((("scene", i, "video", name), said))
    return problems


def split_problems(recipe: Any) -> list[Problem]:
    """Shares must add to 1 and every split must get an episode of this count."""
    if not recipe.splits or abs((total := sum(recipe.splits.values())) - 1) > 1e-6:
        total = sum(recipe.splits.values())
        return [(("splits",), f"the shares add to {total:g}; they must add to 1")]
    if IMPOSSIBLE_SPLIT in recipe.splits:
        said = "is the split of twins that no physics makes; choose another name"
        return [(("splits", IMPOSSIBLE_SPLIT), f"{IMPOSSIBLE_SPLIT!r} {said}")]
    waiting = {split: share for split, share in recipe.splits.items() if share > 0}
    empty = [split for split in recipe.splits if split not in waiting]
    if empty:
        return [(("splits", empty[0]), "a share of 0 gives no episode; remove the split")]
    for index in range(tried := max(EPISODES_TRIED, recipe.episodes)):
        waiting.pop(recipe.assign(index).split, None)
        if index == recipe.episodes - 1:
            empty = sorted(waiting)
        if not waiting:
            needed = f"{index + 1} episodes"
            break
    else:
        needed = f"more than {tried:,} episodes"
    if not empty:
        return []
    said = f"{recipe.episodes} episodes leave {', '.join(empty)} without any"
    return [(("splits", empty[0]), f"{said}; it takes {needed}, or a larger share")]
