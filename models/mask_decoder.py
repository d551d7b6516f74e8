"""SAM's mask decoder: prompt tokens and image tokens to mask logits and predicted IoU.

Source: "Segment Anything", section 3; segment_anything/modeling/mask_decoder.py. The transposed convolutions
(2 x 2, stride 2) are matrix products, since the tokens come last: each token gives its four pixels. Only the
masks that are asked for are multiplied out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .frame import GRID, LOW_RES
from .layers import Dense
from .transformer import CHANNELS, Spread, TwoWayTransformer, in_turn

MASK_TOKENS = 4
SINGLE, MULTI = slice(0, 1), slice(1, MASK_TOKENS)


class Head(nn.Module):
    """A three-layer perceptron of the tokens (official names)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        sizes = (CHANNELS, CHANNELS, CHANNELS, outputs)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class Upscaling(nn.Module):
    """(B, N, inputs) image tokens -> (B, 16 N, 32): pixels in the order (y, x, ky1, kx1, ky2, kx2)."""

    def __init__(self, inputs: int = CHANNELS, middle: int = 64, activation: str = "gelu") -> None:
        super().__init__()
        self.middle = middle
        self.first = Dense(inputs, 4 * middle)
        self.norm = nn.LayerNorm(middle, eps=1e-6)
        self.second = Dense(middle, 4 * 32, activation)

    def forward(self, image: Tensor) -> Tensor:
        pixels = self.first(image).view(image.shape[0], -1, self.middle)
        return self.second(F.gelu(normed_few(self.norm, pixels))).view(image.shape[0], -1, 32)


def normed_few(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """A layer norm of few channels: torch's own kernel for GPUs takes a block of threads for each 64 numbers."""
    if x.device.type != "cuda":
        return norm(x)
    variance, mean = torch.var_mean(x.float(), -1, correction=0, keepdim=True)
    scale = torch.rsqrt(variance + norm.eps)
    return torch.addcmul(norm.bias, (x - mean.to(x.dtype)) * scale.to(x.dtype), norm.weight)


def row_by_row(rows: int) -> Tensor:
    """(16 GRID rows,) int64: for each low-res pixel of so many rows of tokens, its number in the upscaling's order."""
    cells = torch.arange(16 * GRID * rows).view(rows, GRID, 2, 2, 2, 2)  # y, x, ky1, kx1, ky2, kx2
    return cells.permute(0, 2, 4, 1, 3, 5).reshape(-1)


class MaskDecoder(nn.Module):
    """Transformer, upscaling and heads. Names are the official ones but for `upscaling`."""

    order: Tensor

    def __init__(self, parts: int = 1) -> None:
        """parts: how many the image is cut into, each so many rows of tokens (a divisor of 64)."""
        super().__init__()
        self.parts = parts
        self.iou_token = nn.Embedding(1, CHANNELS)
        self.mask_tokens = nn.Embedding(MASK_TOKENS, CHANNELS)
        self.transformer = TwoWayTransformer()
        self.upscaling = Upscaling()
        self.output_hypernetworks_mlps = nn.ModuleList(Head(32) for _ in range(MASK_TOKENS))
        self.iou_prediction_head = Head(MASK_TOKENS)
        self.register_buffer("order", row_by_row(GRID // parts), persistent=False)

    def forward(
        self, image: Tensor, dense: Tensor, positions: Tensor, prompts: Tensor, wanted: slice, spread: Spread
    ) -> tuple[Tensor, Tensor]:
        """Masks of prompts with one token count.

        Args:
            image: (1 or B, 4096, 256) image embedding; 1 when all prompts share it.
            dense: (1 or B, 1 or 4096, 256), the dense prompt, same dtype.
            positions: (4096, 256), the image tokens' positional encoding, same dtype.
            prompts: (B, N, 256) float32 prompt tokens.
            wanted: SINGLE (for unambiguous prompts) or MULTI (three candidates).
            spread: does the work on each part of the image.

        Returns:
            (B, C, 256, 256) float32 low-res logits and (B, C) float32 predicted IoU.
        """
        tokens, pixels = self.looked(image, dense, positions, prompts, spread)
        return self.masks_of(tokens, pixels, wanted, spread)

    def use(self, dtype: torch.dtype) -> None:
        """Run the image's side in this dtype."""
        self.upscaling.to(dtype)

    def looked(
        self, image: Tensor, dense: Tensor, positions: Tensor, prompts: Tensor, spread: Spread
    ) -> tuple[Tensor, list[Tensor]]:
        """The tokens (B, T, 256) after the last look, own ones first, and the upscaled image's parts (B, P, 32)."""
        own = self.own_tokens()
        tokens = torch.cat([own.expand(len(prompts), -1, -1), prompts], dim=1)
        denses = dense.expand(-1, image.shape[1], -1)
        images, denses, places = (whole.chunk(self.parts, -2) for whole in (image, denses, positions))
        return self.transformer(tokens, images, denses, places, self.upscaling, spread)

    def masks_of(
        self, tokens: Tensor, pixels: Sequence[Tensor], wanted: slice, spread: Spread
    ) -> tuple[Tensor, Tensor]:
        """Those masks' logits and predicted IoU, as of `forward`."""
        filters = self.filters(tokens, wanted).to(pixels[0].dtype)
        predicted_iou = self.iou_prediction_head(tokens[:, 0])[:, wanted]
        return self.multiplied(filters, pixels, spread), predicted_iou

    def own_tokens(self) -> Tensor:
        """(5, 256) float32: the tokens that stand before every prompt's, that of predicted IoU first."""
        return torch.cat([self.iou_token.weight, self.mask_tokens.weight])

    def multiplied(self, filters: Tensor, pixels: Sequence[Tensor], spread: Spread = in_turn) -> Tensor:
        """Filters (B, C, 32) and the upscaled image's parts (B, P, 32) -> (B, C, 256, 256) float32 low-res logits."""
        logits = torch.cat(spread(lambda part: self._multiply(filters, part), pixels), -1)
        return logits.view(*filters.shape[:2], LOW_RES, LOW_RES)

    def filters(self, tokens: Tensor, wanted: slice) -> Tensor:
        """(B, 5 or more, 256) tokens -> (B, C, 32), a filter for each mask that is wanted."""
        mask_tokens, numbers = tokens[:, 1 : 1 + MASK_TOKENS], range(MASK_TOKENS)[wanted]
        return torch.stack([self.output_hypernetworks_mlps[n](mask_tokens[:, n]) for n in numbers], dim=1)

    def _multiply(self, filters: Tensor, pixels: Tensor) -> Tensor:
        """(B, C, 32) and (B, P, 32) -> (B, C, P) float32, pixels row by row."""
        if len(filters) == 1:  # a plain product: no transposed copy of the pixels
            return (filters[0] @ pixels[0].T).float().index_select(1, self.order)[None]
        return (filters @ pixels.mT).float().index_select(2, self.order)


def mask_decoder_state(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of `MaskDecoder` from tensors under the official names, without the leading `mask_decoder.`."""
    state = {name: tensor for name, tensor in official.items() if not name.startswith("output_upscaling.")}
    return state | upscaling_state(official, "output_upscaling", "upscaling")


def upscaling_state(official: Mapping[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    """Tensors of an `Upscaling` called `ours`, from those of the original's transposed convolutions."""
    state = dict[str, Tensor]()
    for part, number in (("first", "0"), ("second", "3")):
        weight = official[f"{theirs}.{number}.weight"]  # (in, out, 2, 2)
        state[f"{ours}.{part}.weight"] = weight.permute(2, 3, 1, 0).reshape(-1, weight.shape[0])
        state[f"{ours}.{part}.bias"] = official[f"{theirs}.{number}.bias"].repeat(4)
    for kind in ("weight", "bias"):
        state[f"{ours}.norm.{kind}"] = official[f"{theirs}.1.{kind}"]
    return state
