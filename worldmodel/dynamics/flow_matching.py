"""The training objective: diffusion forcing with x-prediction (Dreamer 4, arXiv 2509.24527).

Context frames carry noise of their own level each; the decoder sees the next frame at signal
level tau and predicts it whole. At tau = 0 that is plain regression, which a fixed share of the
frames trains, so one network gives a deterministic predictor (K = 1) and a sampler (K > 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from worldmodel.dynamics.model import WorldModel
from worldmodel.dynamics.warp import backward_flow

STILL_PX = 0.05  # pixels that move less count as still


@dataclass(frozen=True)
class ObjectiveConfig:
    """Weights and shares of the loss."""

    regression_share: float = 0.75  # of the predictions made at tau = 0
    corrupted_share: float = 0.15  # of the context frames that carry noise
    corruption: float = 0.15  # their largest share of noise
    flow_weight: float = 0.3  # of the distance to the simulator's flow, px, mean over the picture
    still_weight: float = 0.02  # in it, of pixels that do not move, over the moving ones' 1
    body_weight: float = 4.0  # of a pixel that a body covers, over the background's 1


@dataclass(frozen=True)
class Draws:
    """The random part of a step, for the whole batch."""

    level: Float[Tensor, "b context"]  # share of noise in each frame the trunk sees
    tau: Float[Tensor, "b target"]  # signal level of each noisy next frame
    noise: Float[Tensor, "b t 3 h w"]

    def share(self, rank: int, ranks: int) -> Draws:
        """What one of several ranks needs."""
        return Draws(*(x.chunk(ranks)[rank] for x in (self.level, self.tau, self.noise)))

    def to(self, device: torch.device) -> Draws:
        return Draws(*(x.to(device) for x in (self.level, self.tau, self.noise)))


def draw(shape: tuple[int, ...], config: ObjectiveConfig, generator: torch.Generator) -> Draws:
    """Noise and its levels for a batch of frames of the given shape (b, t, 3, h, w).

    The generator is the step's own, on the CPU: a resumed run draws the same, on any device.
    """
    b, t = shape[:2]
    level = torch.rand(b, t - 1, generator=generator) * config.corruption
    level = level * (torch.rand(b, t - 1, generator=generator) < config.corrupted_share)
    tau = torch.rand(b, t - 2, generator=generator)
    tau = tau * (torch.rand(b, t - 2, generator=generator) >= config.regression_share)
    return Draws(level, tau, torch.randn(shape, generator=generator))


def loss(
    model: WorldModel, batch: dict[str, Tensor], draws: Draws, config: ObjectiveConfig
) -> tuple[Tensor, dict[str, Tensor]]:
    """The batch's mean loss and its parts (detached).

    Frame 0 has no past and is never predicted from; frames 1 to t - 2 predict 2 to t - 1.

    Args:
        batch: rgb (batch time 3 height width) in [-1, 1], flow (batch time 2 height width) px
            forward, segmentation (batch time height width).
        draws: The step's randomness.
    """
    rgb, noise = batch["rgb"], draws.noise
    share = draws.level[:, :, None, None, None]
    seen = rgb[:, :-1] + share * (noise[:, :-1] - rgb[:, :-1])
    features, _ = model.encode(seen, draws.level, None)
    present, target = rgb[:, 1:-1].flatten(0, 1), rgb[:, 2:].flatten(0, 1)
    tau = draws.tau.flatten()
    noisy = torch.lerp(noise[:, 2:].flatten(0, 1), target, tau[:, None, None, None])
    predicted = model.decode(present, features.fine[:, 1:].flatten(0, 1), noisy, tau)

    before, after = (batch["segmentation"][:, i : i - 2 or None].flatten(0, 1) for i in (1, 2))
    true_flow, known = backward_flow(batch["flow"][:, 1:-1].flatten(0, 1), before, after)
    moving = known * (true_flow.abs().amax(1) > STILL_PX)
    # a body's own pixels and those it has just left
    weight = 1 + config.body_weight * ((moving > 0) | (before != after))
    ramp = torch.where(tau > 0, 0.1 + 0.9 * tau, 1.0)[:, None, None]
    pixel = ((predicted.frame - target).square().mean(1) * weight * ramp).mean()
    off_px = ((predicted.flow - true_flow).square().sum(1) + 1e-2).sqrt() - 0.1  # Charbonnier
    motion = (off_px * (moving + config.still_weight * known) * ramp).mean()
    total = pixel + config.flow_weight * motion
    return total, {"loss": total.detach(), "pixel": pixel.detach(), "flow_px": motion.detach()}
