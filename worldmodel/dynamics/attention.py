"""Causal space-time attention: some heads look across one frame, the others back in time.

Splitting the heads instead of alternating layers lets one projection serve both and keeps the
matrix products large, which is what a CPU needs. Positions enter by rotary phases over
(time, y, x); phases in time are relative, so a rollout of any length stays in the trained range.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

Cache = list[tuple[Tensor, Tensor]]  # per layer: keys and values (batch past heads tokens channel)


def normalise(x: Tensor) -> Tensor:
    """x with zero mean and unit variance over its last axis; no weights, the next matrix has them.

    Layer norm and not RMS norm because PyTorch has one fused CPU kernel for it.
    """
    return F.layer_norm(x, (x.shape[-1],))


def phases(position: Float[Tensor, "*n axis"], channels: int) -> Float[Tensor, "*n half"]:
    """Rotary angles, radians: channels / 2 frequencies shared out over the position's axes."""
    per_axis = channels // 2 // position.shape[-1]
    frequency = torch.logspace(0.5, -1.0, per_axis, base=10.0, device=position.device)
    return (position[..., None] * frequency).flatten(-2)


def rotate(x: Float[Tensor, "*b channel"], angle: Float[Tensor, "*n half"]) -> Tensor:
    """x with each pair of channels (i, i + half) turned by its angle; the rest unchanged."""
    half = angle.shape[-1]
    a, b, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    cos, sin = angle.cos(), angle.sin()
    return torch.cat((a * cos - b * sin, a * sin + b * cos, rest), -1)


class Block(nn.Module):
    """One transformer layer: attention over space and over the last `window` frames, an MLP."""

    def __init__(self, width: int, heads: int, window: int):
        super().__init__()
        if width % heads or heads % 2:
            raise ValueError(f"width {width} must be a multiple of heads {heads}, and heads even")
        self.heads, self.window, self.head_width = heads, window, width // heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(
        self,
        x: Float[Tensor, "b t n d"],
        place: Float[Tensor, "n 2"],
        past: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Features after the layer, and the keys and values that later frames will need.

        Args:
            x: Tokens of t new frames.
            place: Centre (y, x) of each token, in short sides from the middle.
            past: Keys and values of up to window - 1 earlier frames, or None at the start.
        """
        qkv = self.qkv(normalise(x))
        q, k, v = rearrange(qkv, "b t n (three h c) -> three b t h n c", three=3, h=self.heads)
        q, k = normalise(q), normalise(k)
        half = self.heads // 2
        angle = phases(place * 4.0, self.head_width)
        space = F.scaled_dot_product_attention(
            rotate(q[:, :, :half], angle), rotate(k[:, :, :half], angle), v[:, :, :half]
        )
        keys, values = k[:, :, half:], v[:, :, half:]
        if past is not None:
            keys, values = torch.cat((past[0], keys), 1), torch.cat((past[1], values), 1)
        time = self._attend_time(q[:, :, half:], keys, values)
        mixed = rearrange(torch.cat((space, time), 2), "b t h n c -> b t n (h c)")
        x = x + self.out(mixed)
        x = x + self.down(F.relu(self.up(normalise(x))).square())
        forget = max(0, keys.shape[1] + 1 - self.window)
        return x, (keys[:, forget:], values[:, forget:])

    def _attend_time(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Each token attends to its own place in the last `window` frames, itself included."""
        new, known = q.shape[1], k.shape[1]
        q, k, v = (rearrange(z, "b t h n c -> b n h t c") for z in (q, k, v))
        index = torch.arange(known, device=q.device, dtype=q.dtype)
        angle = phases((index - known)[:, None] * 0.25, self.head_width)
        age = index[known - new :, None] - index
        mask = (age >= 0) & (age < self.window)
        q, k = rotate(q, angle[known - new :]), rotate(k, angle)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return rearrange(out, "b n h t c -> b t h n c")
