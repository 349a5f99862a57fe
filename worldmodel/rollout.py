"""Rollouts: context frames in, predicted frames out, one after another, for as long as asked.

The trunk runs once a frame and keeps keys and values of the last few only, so memory does not grow
with the rollout. One sampling step is deterministic; more draw from the model's distribution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from worldmodel import checkpoint
from worldmodel.clip import Clip
from worldmodel.data import to_float, to_uint8
from worldmodel.dynamics.model import Features, ModelConfig, State, WorldModel

# Sampled frames go back into the context at this share of noise: the trunk learnt such frames
# (diffusion forcing) and trusts their finest detail less, which is where samples are wrong.
SAMPLED_LEVEL = 0.1


@torch.no_grad()
def stream(
    model: WorldModel,
    context: Float[Tensor, "b t 3 h w"],
    *,
    sampling_steps: int = 1,
    generator: torch.Generator | None = None,
) -> Iterator[Float[Tensor, "b 3 h w"]]:
    """Endless predicted frames in [-1, 1].

    Args:
        context: At least 2 frames, in [-1, 1]; velocity cannot be seen in one.
        sampling_steps: 1 is deterministic; more integrate the flow from noise.
        generator: Of the noise; needed with more than one step.
    Raises:
        ValueError: Too short a context, no steps, or steps without a generator.
    """
    if context.shape[1] < 2:
        raise ValueError(
            f"context of {context.shape[1]} frame; at least 2 are needed to see motion"
        )
    if sampling_steps < 1 or (sampling_steps > 1 and generator is None):
        raise ValueError(
            f"sampling_steps={sampling_steps}: must be at least 1, and above 1 needs a generator"
        )
    level = 0.0 if sampling_steps == 1 else SAMPLED_LEVEL
    features, state = model.encode(context, context.new_zeros(context.shape[:2]), None)
    while True:
        frame = sample(model, features, sampling_steps, generator)
        yield frame
        features, state = write(model, frame, state, level, generator)


def sample(
    model: WorldModel, features: Features, steps: int, generator: torch.Generator | None
) -> Float[Tensor, "b 3 h w"]:
    """The frame after the last encoded one: `steps` Euler steps of the flow from noise to it."""
    frame, fine = features.frame[:, -1], features.fine[:, -1]
    tau = frame.new_zeros(len(frame))
    predicted = model.decode(frame, fine, None, tau).frame
    if steps > 1:
        noise = torch.randn(frame.shape, generator=generator, dtype=frame.dtype).to(frame)
        noisy = noise
        for k in range(1, steps + 1):
            # toward the prediction, by this step's part of the way that is left
            noisy = noisy + (predicted - noisy) / (steps - k + 1)
            if k < steps:
                predicted = model.decode(frame, fine, noisy, tau + k / steps).frame
        predicted = noisy
    return predicted.clamp(-1.0, 1.0)


def write(
    model: WorldModel,
    frame: Float[Tensor, "b 3 h w"],
    state: State,
    level: float,
    generator: torch.Generator | None,
) -> tuple[Features, State]:
    """Features of a finished frame, seen at a level of noise, and the state after it."""
    if level > 0:
        noise = torch.randn(frame.shape, generator=generator, dtype=frame.dtype).to(frame)
        seen = (1 - level) * frame + level * noise
    else:
        seen = frame
    features, state = model.encode(seen[:, None], frame.new_full((len(frame), 1), level), state)
    return Features(frame[:, None], features.fine), state


def rollout(
    model: WorldModel,
    context: UInt8[np.ndarray, "batch time height width 3"],
    horizon: int,
    *,
    sampling_steps: int = 1,
    seed: int = 0,
) -> UInt8[np.ndarray, "batch horizon height width 3"]:
    """Predicted frames of several clips at once, as bytes."""
    device = next(model.parameters()).device
    frames = torch.from_numpy(np.ascontiguousarray(context)).to(device)
    given = to_float(rearrange(frames, "b t h w c -> b t c h w"))
    source = stream(
        model, given, sampling_steps=sampling_steps,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    out = [to_uint8(next(source)) for _ in range(horizon)]
    if not out:
        return np.empty((len(context), 0, *context.shape[2:]), np.uint8)
    return rearrange(torch.stack(out, 1), "b t c h w -> b t h w c").cpu().numpy()


@dataclass(frozen=True)
class ModelPredictor:
    """A trained model behind the interface that the baselines share."""

    model: WorldModel
    sampling_steps: int = 1
    seed: int = 0
    lineage: checkpoint.Lineage = field(default_factory=checkpoint.Lineage)

    def __call__(
        self,
        context: UInt8[np.ndarray, "time height width 3"],
        horizon: int,
        *,
        clip: Clip | None = None,
    ) -> UInt8[np.ndarray, "horizon height width 3"]:
        """Predicted frames of one clip; what else the clip tells is not used."""
        return rollout(
            self.model, context[None], horizon, sampling_steps=self.sampling_steps, seed=self.seed
        )[0]


def load_predictor(path: Path, *, sampling_steps: int = 1, seed: int = 0) -> ModelPredictor:
    """The averaged weights of a checkpoint, ready to predict.

    Raises:
        CheckpointError: The file is torn or altered.
    """
    saved = checkpoint.load(path)
    model = WorldModel(ModelConfig(**saved.config["model"]))
    model.load_state_dict(saved.model)
    model.eval().requires_grad_(False)
    return ModelPredictor(
        model.to(memory_format=torch.channels_last), sampling_steps, seed, lineage=saved.lineage
    )
