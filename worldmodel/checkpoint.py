"""Checkpoints: one safetensors file with weights, optimizer state, config, hashes and lineage.

Never pickle: a file from a stranger cannot run code. Written beside its place and renamed, so a
crash leaves the checkpoint before it. Every tensor's hash is in the header and the header's own
hash covers the rest, so a flipped bit or a torn end is refused, never trained on.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

FORMAT = 2


class CheckpointError(ValueError):
    """The file is no checkpoint of ours, or not whole."""


@dataclass(frozen=True)
class Lineage:
    """Where weights come from: enough to make them again and to spot judging on training data."""

    dataset_name: str = ""
    dataset_path: str = ""
    recipe_hash: str = ""
    catalog_hash: str = ""  # of the episodes' ids, seeds and content hashes
    split: str = ""
    episodes: tuple[str, ...] = ()  # their ids
    code_version: str = ""
    torch_version: str = ""
    device: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds. `config` is the training's, as JSON values."""

    model: dict[str, Tensor]  # averaged weights: the ones to roll out
    training: dict[str, Tensor]  # raw weights and optimizer state; empty in an exported model
    config: dict
    lineage: Lineage
    step: int
    steps: int  # the run's length, which the schedule depends on
    seed: int
    metrics: dict[str, float] = field(default_factory=dict)


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Writes the checkpoint in one atomic step."""
    tensors = {f"model/{n}": t.detach().contiguous() for n, t in checkpoint.model.items()}
    tensors |= {f"training/{n}": t.detach().contiguous() for n, t in checkpoint.training.items()}
    header = {
        "format": FORMAT,
        "config": checkpoint.config,
        "lineage": asdict(checkpoint.lineage),
        "step": checkpoint.step,
        "steps": checkpoint.steps,
        "seed": checkpoint.seed,
        "metrics": checkpoint.metrics,
        "tensors": {n: _hash(t) for n, t in sorted(tensors.items())},
    }
    text = json.dumps(header, sort_keys=True)
    # One entry: safetensors writes several in an order that changes from process to process
    words = {"physreel": f"{hashlib.sha256(text.encode()).hexdigest()} {text}"}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(tensors, beside, metadata=words)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def load(path: Path) -> Checkpoint:
    """The checkpoint, every tensor compared with its hash.

    Raises:
        FileNotFoundError: No such file.
        CheckpointError: Not a checkpoint, torn or altered; the message names the tensor.
    """
    if not path.exists():
        raise FileNotFoundError(f"no checkpoint at {path}; `worldmodel train STORE RUN` writes one")
    try:
        with safe_open(path, framework="pt") as file:
            words = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be read as safetensors ({error}); it is torn or no checkpoint: "
            "use an older one, or train again"
        ) from error
    header = _header(words, path)
    if set(header["tensors"]) != set(tensors):
        raise CheckpointError(f"{path} lacks or adds tensors against its header: it was altered")
    for name, tensor in tensors.items():
        if _hash(tensor) != header["tensors"][name]:
            raise CheckpointError(
                f"{path}: tensor {name} does not match its hash: the file was altered or damaged; "
                "use an older checkpoint, or train again"
            )
    return Checkpoint(
        model=_part(tensors, "model/"),
        training=_part(tensors, "training/"),
        config=header["config"],
        lineage=_lineage(header["lineage"]),
        step=header["step"],
        steps=header["steps"],
        seed=header["seed"],
        metrics=header["metrics"],
    )


def _header(words: dict[str, str], path: Path) -> dict:
    if "physreel" not in words:
        raise CheckpointError(f"{path} is safetensors, but not a physreel checkpoint")
    digest, _, text = words["physreel"].partition(" ")
    if digest.startswith("{"):
        raise CheckpointError(f"{path} has checkpoint format 1; this version reads {FORMAT}")
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        raise CheckpointError(f"{path}: the header does not match its hash: altered or damaged")
    header = json.loads(text)
    if header["format"] != FORMAT:
        raise CheckpointError(
            f"{path} has checkpoint format {header['format']}; this version reads {FORMAT}"
        )
    return header


def _lineage(words: dict) -> Lineage:
    return Lineage(**words | {"episodes": tuple(words["episodes"])})


def _hash(tensor: Tensor) -> str:
    array = tensor.detach().cpu().contiguous().numpy()
    words = f"{array.dtype.str}{array.shape}".encode()
    return xxhash.xxh3_128_hexdigest(words + array.tobytes())


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
