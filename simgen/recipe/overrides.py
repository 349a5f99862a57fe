"""`key=value` overrides of a recipe, from command lines: which key is meant, and its TOML value."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from simgen.families import FAMILIES, family
from simgen.recipe.problems import Problem, dotted, model_of, nearest


def apply_overrides(raw: dict, overrides: Sequence[str], model: type[BaseModel]) -> list[Problem]:
    """Write `key=value` overrides into the raw TOML; what could not be is said."""
    problems: list[Problem] = []
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            problems.append((("override",), f"{override!r} is not key=value"))
            continue
        paths = full_paths(key.strip(), raw, model)
        if len(paths) == 1:
            problems += write(raw, paths[0], toml_value(text))
        elif paths:
            full = ", ".join(dotted(p) for p in paths)
            problems.append((("override",), f"{key!r} could be {full}; write one of them in full"))
        else:
            known = {dotted(p) for p in every_path(raw, model)}
            last = {k.rsplit(".", 1)[-1] for k in known}
            said = f"unknown key {key!r}{nearest(key, known | last)}"
            problems.append(
                (("override",), f"{said}; keys are as in the recipe, e.g. video.height")
            )
    return problems


def toml_value(text: str) -> Any:
    """The text as a TOML value, or itself if it is none (`engine=bullet` needs no quotes)."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text.strip()


def full_paths(key: str, raw: dict, model: type[BaseModel]) -> list[tuple]:
    """The recipe keys that an override's key can mean."""
    parts = tuple(key.split("."))
    if len(parts) > 1 or parts[0] in model.model_fields:
        return [parts]
    return [path for path in every_path(raw, model) if path[-1] == key]


def every_path(raw: dict, model: type[BaseModel]) -> list[tuple]:
    """Every key that this recipe could set, scenes and cameras without their numbers."""
    paths = [(name,) for name in model.model_fields]
    paths += [("video", name) for name in model_of(model, ("video",)).model_fields]
    paths += [("splits", name) for name in raw.get("splits", {})]
    scene = model_of(model, ("scene", 0))
    paths += [("scene", name) for name in scene.model_fields]
    paths += [("scene", "camera", n) for n in model_of(scene, ("camera", 0)).model_fields]
    for table in raw.get("scene", []):
        paths += [("scene", "video", name) for name in table.get("video", {})]
        if table.get("family") in FAMILIES:
            names = family(table["family"]).Parameters.model_fields
            paths += [("scene", "parameters", name) for name in names]
    return list(dict.fromkeys(paths))


def write(node: Any, path: tuple, value: Any, done: tuple = ()) -> list[Problem]:
    """Set the value at a path; a list without a number in the path means each of its items."""
    if isinstance(node, list):
        if not path[0].isdigit():
            return [p for i, item in enumerate(node) for p in write(item, path, value, (*done, i))]
        if int(path[0]) >= len(node) or len(path) < 2:
            return [((*done, path[0]), f"no such item; there are {len(node)}, counted from 0")]
        return write(node[int(path[0])], path[1:], value, (*done, path[0]))
    if not isinstance(node, dict):
        return [(done, f"{node!r} has no key {path[0]!r}")]
    if len(path) == 1:
        node[path[0]] = value
        return []
    return write(node.setdefault(path[0], {}), path[1:], value, (*done, path[0]))
