"""The world model: frames so far -> the next frame, as the last one moved plus what is new.

A causal transformer trunk runs once a frame on the frame and its change since the last. A light
decoder takes the trunk's features, a fine convolutional level and a noisy next frame, and predicts

    next = (1 - mask) * warp(frame, flow) + mask * paint

Motion by flow keeps shapes and colours exact over long rollouts; paint covers what motion cannot
explain (revealed background, shadows). Trained by flow matching: see flow_matching.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from worldmodel.dynamics.attention import Block, Cache, normalise
from worldmodel.dynamics.warp import warp


class FrameSizeError(ValueError):
    """The model's cells do not tile the frames."""


@dataclass(frozen=True)
class ModelConfig:
    """Sizes. Frames of any height and width that are multiples of 2 * patch fit one model."""

    patch: int = 4  # pixels a side of one fine cell; a trunk token is 2 x 2 cells
    width: int = 64  # channels of the trunk
    depth: int = 3
    heads: int = 4  # half look across the frame, half back in time
    window: int = 4  # frames that attention sees, the present one included
    fine_width: int = 48
    fine_depth: int = 2  # residual blocks of the decoder


@dataclass(frozen=True)
class Features:
    """What the decoder needs of one frame; independent of the noisy next frame."""

    frame: Float[Tensor, "b t 3 h w"]
    fine: Float[Tensor, "b t c fy fx"]


@dataclass(frozen=True)
class Prediction:
    """The next frame and how it was composed."""

    frame: Float[Tensor, "n 3 h w"]
    flow: Float[Tensor, "n 2 h w"]  # px, backwards: from the new pixel to its source
    mask: Float[Tensor, "n 1 h w"]  # share painted, 0 to 1


@dataclass(frozen=True)
class State:
    """Everything a rollout carries from frame to frame; bounded by the attention window."""

    last: Float[Tensor, "b 3 h w"]
    cache: Cache


class ConvBlock(nn.Module):
    """Residual 3 x 3 convolution and a pointwise one, on normalised channels."""

    def __init__(self, channels: int):
        super().__init__()
        self.mix = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.out = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        normal = normalise(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return x + self.out(F.relu(self.mix(normal)))


class WorldModel(nn.Module):
    """Trunk, fine level and decoder. `encode` once a frame, `decode` once a sampling step."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = c = config
        self.stem = nn.Conv2d(6, c.fine_width, 2 * c.patch, stride=c.patch, padding=c.patch // 2)
        self.stem_block = ConvBlock(c.fine_width)
        self.to_trunk = nn.Conv2d(c.fine_width, c.width, 2, stride=2)
        self.place = nn.Linear(16, c.width, bias=False)
        self.level = nn.Linear(8, c.width, bias=False)
        self.blocks = nn.ModuleList(Block(c.width, c.heads, c.window) for _ in range(c.depth))
        self.from_trunk = nn.Linear(c.width, 4 * c.fine_width, bias=False)
        self.noisy = nn.Conv2d(3, c.fine_width, c.patch, stride=c.patch, bias=False)
        self.tau = nn.Linear(8, c.fine_width)
        self.decoder = nn.ModuleList(ConvBlock(c.fine_width) for _ in range(c.fine_depth))
        self.head = nn.Linear(c.fine_width, 6 * c.patch**2)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @property
    def multiple(self) -> int:
        """Pixels that height and width must be multiples of."""
        return 2 * self.config.patch

    def encode(
        self, frames: Float[Tensor, "b t 3 h w"], level: Float[Tensor, "b t"], state: State | None
    ) -> tuple[Features, State]:
        """Features of t new frames, each from itself and its past only.

        Args:
            frames: In [-1, 1].
            level: Share of noise in each frame, 0 is clean.
            state: Of the frames before, None at a clip's start.
        Raises:
            FrameSizeError: Height or width is not a multiple of 2 * patch.
        """
        b, _, _, height, width = frames.shape
        if height % self.multiple or width % self.multiple:
            raise FrameSizeError(
                f"frames of {height}x{width} px; height and width must be multiples of "
                f"{self.multiple} px for patch={self.config.patch}"
            )
        before = frames[:, :1] if state is None else state.last[:, None]
        change = frames - torch.cat((before, frames[:, :-1]), 1)
        x = torch.cat((frames, change), 2).flatten(0, 1)
        fine = self.stem_block(self.stem(x.contiguous(memory_format=torch.channels_last)))
        tokens = self.to_trunk(fine)
        rows, columns = tokens.shape[-2:]
        place = _places(rows, columns, frames)
        tokens = rearrange(tokens, "(b t) d y x -> b t (y x) d", b=b)
        tokens = (
            tokens
            + self.place(_waves(place, 4))
            + self.level(_waves(level[..., None], 4))[:, :, None]
        )
        cache: Cache = []
        for i, block in enumerate(self.blocks):
            tokens, kept = block(tokens, place, None if state is None else state.cache[i])
            cache.append(kept)
        coarse = rearrange(
            self.from_trunk(normalise(tokens)),
            "b t (y x) (p q c) -> (b t) c (y p) (x q)",
            y=rows,
            p=2,
            q=2,
        )
        features = rearrange(fine + coarse, "(b t) c y x -> b t c y x", b=b)
        return Features(frames, features), State(frames[:, -1], cache)

    def decode(
        self,
        frame: Float[Tensor, "n 3 h w"],
        fine: Float[Tensor, "n c fy fx"],
        noisy: Float[Tensor, "n 3 h w"] | None,
        tau: Float[Tensor, " n"],
    ) -> Prediction:
        """The next frame, from the features of the present one and a noisy view of the next.

        Args:
            frame: The present frame, which is moved.
            fine: Its features.
            noisy: tau * next + (1 - tau) * noise; None stands for tau = 0, pure noise that
                says nothing and is left out, which makes this a deterministic regression.
            tau: Signal level of each noisy frame.
        """
        x = fine + self.tau(_waves(tau[:, None], 4))[:, :, None, None]
        if noisy is not None:  # times tau: what enters fades out with what it tells
            x = x + self.noisy(noisy * tau[:, None, None, None])
        x = x.contiguous(memory_format=torch.channels_last)
        for block in self.decoder:
            x = block(x)
        out = rearrange(
            self.head(normalise(x.permute(0, 2, 3, 1))),
            "n y x (c p q) -> n c (y p) (x q)",
            p=self.config.patch,
            q=self.config.patch,
        )
        flow, paint = 4.0 * out[:, :2], out[:, 3:]
        mask = torch.sigmoid(out[:, 2:3] - 2.0)  # starts near copy-last
        moved = warp(frame, flow)
        return Prediction(moved + mask * (paint - moved), flow, mask)


def _places(rows: int, columns: int, like: Tensor) -> Float[Tensor, "n 2"]:
    """Token centres (y, x) from the picture's middle, in units of its short side."""
    short = min(rows, columns)
    y = (torch.arange(rows, device=like.device) + 0.5 - rows / 2) / short
    x = (torch.arange(columns, device=like.device) + 0.5 - columns / 2) / short
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).flatten(0, 1)


def _waves(x: Float[Tensor, "*n axis"], count: int) -> Float[Tensor, "*n wave"]:
    """Sine and cosine of each axis of x at `count` octaves, side by side."""
    angle = x[..., None] * (torch.pi * 2.0 ** torch.arange(count, device=x.device))
    return torch.cat((angle.sin(), angle.cos()), -1).flatten(-2)
