"""SAM's prompt encoder: points, box corners and earlier masks become embeddings.

Source: Kirillov et al., "Segment Anything" (arXiv 2304.02643), section 3 and appendix A;
segment_anything/modeling/prompt_encoder.py. Tensor names are the official ones.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .frame import GRID, MODEL_SIDE

PADDING, BACKGROUND, FOREGROUND, BOX_TOP_LEFT, BOX_BOTTOM_RIGHT, UNKNOWN = -1, 0, 1, 2, 3, 4


class _RandomFourier(nn.Module):
    """Positional encoding with random spatial frequencies (Tancik et al., arXiv 2006.10739)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.positional_encoding_gaussian_matrix = nn.Parameter(torch.empty(2, channels // 2), requires_grad=False)

    def forward(self, unit: Tensor) -> Tensor:
        """(..., 2) x y in [0, 1] -> (..., channels)."""
        phase = 2 * math.pi * ((2 * unit - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([phase.sin(), phase.cos()], dim=-1)


class _ChannelNorm(nn.Module):
    """Layer norm over the channels of (B, C, H, W), SAM's LayerNorm2d."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(channels), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.layer_norm(x.movedim(1, -1), self.weight.shape, self.weight, self.bias, 1e-6)
        return x.movedim(-1, 1)


class PromptEncoder(nn.Module):
    """Prompts in the model frame to 256-channel embeddings, float32."""

    def __init__(self, channels: int = 256) -> None:
        super().__init__()
        self.pe_layer = _RandomFourier(channels)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, channels) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, channels)
        self.no_mask_embed = nn.Embedding(1, channels)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, kernel_size=2, stride=2),
            _ChannelNorm(4),
            nn.GELU(),
            nn.Conv2d(4, 16, kernel_size=2, stride=2),
            _ChannelNorm(16),
            nn.GELU(),
            nn.Conv2d(16, channels, kernel_size=1),
        )

    def points(self, coords: Tensor, labels: Tensor) -> Tensor:
        """Embeddings of points and box corners.

        Args:
            coords: (B, N, 2) float32, x y in the model frame; the half pixel is added here and nowhere else.
            labels: (B, N) int64: 1 foreground, 0 background, 2 and 3 a box's corners, -1 padding, 4 a place alone.

        Returns:
            (B, N, 256) float32.
        """
        table = torch.cat([self.not_a_point_embed.weight, *(kind.weight for kind in self._kinds())])
        table = F.pad(table, (0, 0, 0, 1))  # UNKNOWN: nothing is added to the position
        position = self.pe_layer((coords + 0.5) / MODEL_SIDE)
        return position.masked_fill((labels == PADDING)[..., None], 0.0) + table[labels + 1]

    def _kinds(self) -> list[nn.Embedding]:
        return [kind for kind in self.point_embeddings if isinstance(kind, nn.Embedding)]

    def dense(self, low_res_logits: Tensor) -> Tensor:
        """(B, 256, 256) float32 low-res logits -> (B, 4096, 256) to be added to the image tokens."""
        return self.mask_downscaling(low_res_logits[:, None]).flatten(2).transpose(1, 2)

    def image_positions(self) -> Tensor:
        """(4096, 256) float32: the positional encoding of the image tokens, row by row."""
        steps = (torch.arange(GRID, dtype=torch.float32, device=self.no_mask_embed.weight.device) + 0.5) / GRID
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        return self.pe_layer(torch.stack([x, y], dim=-1)).flatten(0, 1)
