"""Motion compensation: moving a frame by a flow field, and the flow that a simulator implies."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor


def warp(
    frame: Float[Tensor, "n c h w"], flow: Float[Tensor, "n 2 h w"]
) -> Float[Tensor, "n c h w"]:
    """The frame resampled at each pixel's place plus its flow (x, y), px, bicubic, edges repeated.

    `flow` points back: from a pixel of the new frame to where its content was.
    """
    height, width = frame.shape[-2:]
    x = torch.arange(width, device=flow.device, dtype=flow.dtype) + 0.5
    y = torch.arange(height, device=flow.device, dtype=flow.dtype) + 0.5
    grid = torch.stack(
        ((flow[:, 0] + x) * (2 / width) - 1, (flow[:, 1] + y[:, None]) * (2 / height) - 1), -1
    )
    return F.grid_sample(frame, grid, mode="bicubic", padding_mode="border", align_corners=False)


def backward_flow(
    flow: Float[Tensor, "n 2 h w"], before: UInt8[Tensor, "n h w"], after: UInt8[Tensor, "n h w"]
) -> tuple[Float[Tensor, "n 2 h w"], Float[Tensor, "n h w"]]:
    """Where each pixel of the next frame came from, px, and how well that is known, 0 to 1.

    The simulator stores forward flow on the frame before. Every pixel throws its negated flow
    to where it lands, shared bilinearly over four pixels and kept only by those that show the
    same body afterwards; what a pixel received is averaged. Nothing landed: weight 0 (revealed).
    """
    n, _, height, width = flow.shape
    x = torch.arange(width, device=flow.device) + flow[:, 0]
    y = torch.arange(height, device=flow.device)[:, None] + flow[:, 1]
    left, top = x.floor(), y.floor()
    total = flow.new_zeros(n, 3, height * width)
    source = torch.cat((-flow, torch.ones_like(flow[:, :1])), 1).flatten(2)
    for dx in (0, 1):
        for dy in (0, 1):
            column, row = left + dx, top + dy
            share = (1 - (x - column).abs()) * (1 - (y - row).abs())
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            index = (
                (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long().flatten(1)
            )
            same = after.flatten(1).gather(1, index) == before.flatten(1)
            share = share.flatten(1) * inside.flatten(1) * same
            total.scatter_add_(2, index[:, None].expand(-1, 3, -1), source * share[:, None])
    weight = total[:, 2]
    mean = total[:, :2] / weight.clamp(min=1e-3)[:, None]
    return mean.view(n, 2, height, width), weight.clamp(max=1).view(n, height, width)
