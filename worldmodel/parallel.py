"""Data parallelism: what torchrun's ranks must agree on, and nothing when there is one.

Every rank draws the same noise and takes its share of the same batch, and gradients are averaged,
so any number of ranks makes the same run up to the order of floating-point sums.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Ranks:
    """This process's place among those that train one model."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def average(self, tensors: list[Tensor]) -> None:
        """Each tensor replaced by its mean over ranks; one message for all."""
        if self.count == 1:
            return
        flat = torch.cat([t.flatten() for t in tensors])
        dist.all_reduce(flat)
        parts = (flat / self.count).split([t.numel() for t in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def agree(self, value: float) -> float:
        """The largest of the ranks' values, so that all decide alike."""
        if self.count == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64)
        if dist.get_backend() == "nccl":
            shared = shared.cuda()
        dist.all_reduce(shared, op=dist.ReduceOp.MAX)
        return float(shared)


def start() -> Ranks:
    """This process's ranks; joins the others if torchrun started it."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Ranks()
    if not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return Ranks(dist.get_rank(), count)


def average_gradients(model: nn.Module, ranks: Ranks) -> None:
    """Gradients of the whole batch on every rank."""
    ranks.average([p.grad for p in model.parameters() if p.grad is not None])
