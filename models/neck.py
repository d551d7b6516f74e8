"""TinyViT's neck, SAM's own: 1 x 1 to 256 channels, norm, 3 x 3, norm; kept exact in half precision.

In MobileSAM's weights each channel of the 3 x 3 convolution's output is a large constant (up to 11 standard deviations
of a token) plus what the picture adds, and the norm behind it takes the constant away again. Rounded to bfloat16
in between, the constant's error is as large as the signal's small part: 1.2 % of the embedding, more than all stages
before together. Convolution is linear, so the input's mean is convolved apart in float32, and the norms are float32.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import Conv3x3, Dense

CHANNELS = 256


class Neck(nn.Module):
    """(B, H, W, C) image tokens -> (B, H, W, 256) embedding."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.enter = Dense(inputs, CHANNELS)
        self.norm1 = nn.LayerNorm(CHANNELS, eps=1e-6)
        self.mix = Conv3x3(CHANNELS, CHANNELS)
        self.norm2 = nn.LayerNorm(CHANNELS, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """The embedding, in the dtype of x."""
        tokens = self.norm1(self.enter(x).float())
        if x.dtype == torch.float32:
            return self.norm2(self.mix(tokens))
        mean = tokens.mean((1, 2), keepdim=True)
        mixed = self.mix((tokens - mean).to(x.dtype)).float()
        return self.norm2(mixed.add_(self._mix_of_constant(mean, *x.shape[1:3]))).to(x.dtype)

    def _mix_of_constant(self, mean: Tensor, height: int, width: int) -> Tensor:
        """The convolution of a picture that is (B, 1, 1, 256) everywhere -> (B, height, width, 256) float32."""
        taps = torch.einsum("oiyx,bi->boyx", self.mix.weight.float(), mean.flatten(1))  # each tap's share
        ones = mean.new_ones(1, 1, height, width)
        field = F.conv2d(ones, taps.flatten(0, 1)[:, None], padding=1)  # zero padding: fewer taps at the edges
        return field.unflatten(1, taps.shape[:2])[0].permute(0, 2, 3, 1)
