"""HQ-SAM: SAM's network with one more token, and features of an early layer, for finer masks.

Source: Ke et al., "Segment Anything in High Quality" (NeurIPS 2023); names and order of github.com/SysCV/sam-hq. An
image's embedding has 512 numbers a token more: for each of its 4 x 4 low-res pixels 32, fused of the encoder's output
and of the output of its first global block. They are part of the image, so a click does not compute them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .frame import GRID, LOW_RES
from .layers import Conv3x3
from .mask_decoder import (
    MASK_TOKENS,
    Head,
    MaskDecoder,
    Upscaling,
    mask_decoder_state,
    normed_few,
    row_by_row,
    upscaling_state,
)
from .transformer import CHANNELS, Spread

FINE = 32  # channels of a low-res pixel
FINE_CHANNELS = 16 * FINE  # of a token: it has 4 x 4 of them
_OWN = ("hf_token.", "hf_mlp.", "compress_vit_feat.", "embedding_encoder.", "embedding_maskfeature.")


class HqFeatures(nn.Module):
    """What the encoder adds to its embedding (official names).

    width: channels of its blocks.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding_encoder = Upscaling(CHANNELS, CHANNELS // 4, "none")
        self.compress_vit_feat = Upscaling(width, CHANNELS, "none")

    def forward(self, tokens: Tensor, early: Tensor) -> Tensor:
        """(B, 64, 64, 256) embedding and (B, 64, 64, C), after the first global block -> (B, 64, 64, 512)."""
        fine = self.embedding_encoder(tokens.flatten(1, 2)) + self.compress_vit_feat(early.flatten(1, 2))
        return fine.view(*tokens.shape[:3], -1)


class MaskFeature(nn.Module):
    """(B, 256, 256, 32) -> the same: two convolutions over the upscaled image."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = Conv3x3(FINE, 2 * FINE)
        self.norm = nn.LayerNorm(2 * FINE, eps=1e-6)
        self.leave = Conv3x3(2 * FINE, FINE)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.leave(F.gelu(normed_few(self.norm, self.enter(pixels))))


class HqDecoder(MaskDecoder):
    """Every mask is SAM's own plus the finer one. Image tokens are (1 or B, 4096, 768)."""

    whole: Tensor

    def __init__(self, parts: int = 1) -> None:
        super().__init__(parts)
        self.hf_token = nn.Embedding(1, CHANNELS)
        self.hf_mlp = Head(FINE)
        self.mask_feature = MaskFeature()
        self.register_buffer("whole", row_by_row(GRID), persistent=False)

    def use(self, dtype: torch.dtype) -> None:
        super().use(dtype)
        self.mask_feature.to(dtype)

    def own_tokens(self) -> Tensor:
        """(6, 256) float32: SAM's five and its own."""
        return torch.cat([super().own_tokens(), self.hf_token.weight])

    def forward(
        self, image: Tensor, dense: Tensor, positions: Tensor, prompts: Tensor, wanted: slice, spread: Spread
    ) -> tuple[Tensor, Tensor]:
        """As `MaskDecoder` does; of several candidates each is given, where the original gives the best alone."""
        own, fine = image[..., :CHANNELS], image[..., CHANNELS:]
        tokens, pixels = self.looked(own, dense, positions, prompts, spread)
        logits, predicted_iou = self.masks_of(tokens, pixels, wanted, spread)
        grid = torch.cat([part.index_select(1, self.order) for part in pixels], 1)
        grid = self.mask_feature(grid.view(len(grid), LOW_RES, LOW_RES, FINE))
        grid = grid.flatten(1, 2) + fine.reshape(len(fine), -1, FINE).index_select(1, self.whole)
        filters = self.hf_mlp(tokens[:, 1 + MASK_TOKENS]).to(image.dtype)
        finer = (grid @ filters[..., None]).float().view(len(filters), 1, LOW_RES, LOW_RES)
        return logits + finer, predicted_iou


def hq_decoder_state(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of `HqDecoder` from tensors under the official names, without the leading `mask_decoder.`."""
    plain = {name: tensor for name, tensor in official.items() if not name.startswith(_OWN)}
    state = mask_decoder_state(plain)
    state |= {name: tensor for name, tensor in official.items() if name.startswith(("hf_token.", "hf_mlp."))}
    for ours, theirs in (("enter", "0"), ("norm", "1"), ("leave", "3")):
        for kind in ("weight", "bias"):
            state[f"mask_feature.{ours}.{kind}"] = official[f"embedding_maskfeature.{theirs}.{kind}"]
    return state


def hq_features_state(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same of `HqFeatures`."""
    state = dict[str, Tensor]()
    for part in ("embedding_encoder", "compress_vit_feat"):
        state |= upscaling_state(official, part, part)
    return state
