"""Muon for matrices, AdamW for everything else, one schedule, and the moving average of weights.

Muon (Jordan et al., 2024) steps along the nearest orthogonal matrix of the momentum: every
direction of a layer learns at the same rate. On this model it halves the time to a given loss,
on convolutions too. Matrices of one shape are orthogonalised together: few, larger products.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class OptimizerConfig:
    """Learning rates and their course over a run."""

    muon_rate: float = 0.015
    adamw_rate: float = 1.5e-3
    warmup_steps: int = 40
    flat_share: float = 0.4  # of the run, before the linear descent
    final_share: float = 0.03  # of the rate, at the end
    momentum: float = 0.95
    clip: float = 1.0
    weight_decay: float = 0.01
    average: float = 0.98  # of the weights that roll out


def schedule(step: int, steps: int, config: OptimizerConfig) -> float:
    """The learning rate's factor at a step: linear warm-up, flat, linear descent.

    A run whose length is not known yet (steps = 0) has not left the flat part.
    """
    warm = min(1.0, (step + 1) / config.warmup_steps)
    if steps == 0:
        return warm
    flat = config.flat_share * steps
    fall = max(0.0, step - flat) / max(1.0, steps - flat)
    return warm * (1 - (1 - config.final_share) * fall)


def orthogonal(matrix: Float[Tensor, "n rows columns"]) -> Float[Tensor, "n rows columns"]:
    """Nearly the orthogonal factor of each matrix: five Newton-Schulz steps, singular values ~1."""
    a, b, c = 3.4445, -4.7750, 2.0315  # Jordan's quintic: steep at 0, within 0.7 to 1.2 at the end
    x = matrix.mT if matrix.shape[1] > matrix.shape[2] else matrix
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if matrix.shape[1] > matrix.shape[2] else x


class Optimizer:
    """Steps a model's parameters and their moving average; its whole state is named tensors."""

    def __init__(self, model: nn.Module, config: OptimizerConfig):
        self.config = config
        self.parameters = dict(model.named_parameters())
        self.average = {n: p.detach().clone() for n, p in self.parameters.items()}
        self.momentum = {n: torch.zeros_like(p) for n, p in self.parameters.items()}
        self.square = {
            n: torch.zeros_like(p) for n, p in self.parameters.items() if not self._is_matrix(n)
        }
        self.groups: dict[tuple[int, int], list[str]] = defaultdict(list)
        for name, p in self.parameters.items():
            if self._is_matrix(name):
                self.groups[(p.shape[0], p[0].numel())].append(name)

    def _is_matrix(self, name: str) -> bool:
        """Whether Muon steps it. The head and the small embeddings learn better with AdamW."""
        embedding = name.split(".")[0] in ("head", "place", "level", "tau")
        return self.parameters[name].ndim >= 2 and not embedding

    @torch.no_grad()
    def clip(self) -> Tensor:
        """Scales the gradients down to the largest norm allowed; returns the norm they had."""
        gradients = [p.grad for p in self.parameters.values()]
        norm = torch.stack([g.square().sum() for g in gradients]).sum().sqrt()
        torch._foreach_mul_(gradients, (self.config.clip / (norm + 1e-6)).clamp(max=1))
        return norm

    @torch.no_grad()
    def step(self, step: int, steps: int) -> float:
        """Applies and forgets the gradients of step number `step`; returns the rate's factor.

        Args:
            steps: The run's length; 0 while it is not known and the rate stays flat.
        """
        factor = schedule(step, steps, self.config)
        gradients = {n: p.grad for n, p in self.parameters.items()}
        self._muon(gradients, factor * self.config.muon_rate)
        self._adamw(gradients, factor * self.config.adamw_rate, step + 1)
        keep = min(self.config.average, (step + 1) / (step + 10))
        torch._foreach_lerp_(list(self.average.values()), list(self.parameters.values()), 1 - keep)
        for p in self.parameters.values():
            p.grad = None
        return factor

    def _muon(self, gradients: dict[str, Tensor], rate: float) -> None:
        mu = self.config.momentum
        for (rows, columns), names in self.groups.items():
            for n in names:
                self.momentum[n].lerp_(gradients[n], 1 - mu)
            nesterov = [
                gradients[n].lerp(self.momentum[n], mu).reshape(rows, columns) for n in names
            ]
            update = orthogonal(torch.stack(nesterov)) * max(1.0, rows / columns) ** 0.5
            for n, u in zip(names, update, strict=True):
                p = self.parameters[n]
                p.mul_(1 - rate * self.config.weight_decay).sub_(u.view(p.shape), alpha=rate)

    def _adamw(self, gradients: dict[str, Tensor], rate: float, count: int) -> None:
        for n, second in self.square.items():
            first, g, p = self.momentum[n], gradients[n], self.parameters[n]
            first.lerp_(g, 0.1)
            second.lerp_(g.square(), 0.01)
            denominator = (second / (1 - 0.99**count)).sqrt_().add_(1e-8)
            p.mul_(1 - rate * self.config.weight_decay)
            p.addcdiv_(first, denominator, value=-rate / (1 - 0.9**count))

    def state(self) -> dict[str, Tensor]:
        """Every tensor of the state, by name, for a checkpoint."""
        parts = {"average": self.average, "momentum": self.momentum, "square": self.square}
        return {f"{k}/{n}": t for k, part in parts.items() for n, t in part.items()}

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Takes back what `state` gave."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])
