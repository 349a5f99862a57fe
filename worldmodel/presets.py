"""Presets: configurations by name, and `key=value` changes to them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from worldmodel.dynamics.model import ModelConfig
from worldmodel.optimizer import OptimizerConfig
from worldmodel.train import TrainConfig


class PresetError(ValueError):
    """An unknown preset or key, or a value of the wrong type."""


PRESETS: dict[str, TrainConfig] = {
    # 0.34M parameters: what two CPU cores teach a model of 64 x 64 clips in minutes
    "tiny": TrainConfig(),
    # 2.2M parameters, for an hour of CPU or one GPU, at 64 to 128 px; not trained yet
    "small": TrainConfig(
        model=ModelConfig(width=160, depth=6, heads=8, window=6, fine_width=64, fine_depth=3),
        batch=16, length=13, budget_s=3600.0,
    ),
    # 27M parameters, for one large GPU at 128 px; not trained yet
    "base": TrainConfig(
        model=ModelConfig(width=512, depth=8, heads=8, window=8, fine_width=128, fine_depth=4),
        optimizer=OptimizerConfig(adamw_rate=1e-3, warmup_steps=200, average=0.995),
        batch=32, length=17, budget_s=1200.0,
    ),
    # 209M parameters, for many GPUs by torchrun; not trained yet
    "pro": TrainConfig(
        model=ModelConfig(width=1280, depth=10, heads=20, window=12, fine_width=256, fine_depth=6),
        optimizer=OptimizerConfig(adamw_rate=5e-4, warmup_steps=1000, average=0.999),
        batch=256, length=25, budget_s=24 * 3600.0,
    ),
}  # fmt: skip


def configure(preset: str, overrides: Sequence[str] = ()) -> TrainConfig:
    """A preset with changes.

    Args:
        preset: Its name.
        overrides: `key=value`, dots into parts: `optimizer.muon_rate=0.01`. Values are JSON, or
            plain words.
    Raises:
        PresetError: Nothing has that name; the message suggests one.
    """
    if preset not in PRESETS:
        raise PresetError(_unknown("preset", preset, PRESETS))
    config = PRESETS[preset]
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals:
            raise PresetError(f"{text!r} is no key=value; for example: steps=500")
        config = _changed(config, key.split("."), value, key)
    return config


def _changed(config: Any, path: list[str], text: str, key: str) -> Any:
    known = {f.name: getattr(config, f.name) for f in fields(config)}
    if path[0] not in known:
        raise PresetError(_unknown("key", key, known))
    now = known[path[0]]
    if is_dataclass(now):
        if len(path) == 1:
            inner = ", ".join(f"{key}.{f.name}" for f in fields(now))
            raise PresetError(f"{key} is a group; set one of: {inner}")
        return replace(config, **{path[0]: _changed(now, path[1:], text, key)})
    if len(path) > 1:
        raise PresetError(f"{key}: {path[0]} is a value and has no parts")
    return replace(config, **{path[0]: _value(text, now, key)})


def _value(text: str, now: Any, key: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    wanted = type(now)
    if wanted is float and type(value) is int:
        value = float(value)
    if type(value) is not wanted:
        raise PresetError(f"{key}={text}: must be {wanted.__name__}, such as {now!r}")
    return value


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name.split(".")[-1], known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"unknown {what} {name!r}{hint} Known: {', '.join(known)}"
