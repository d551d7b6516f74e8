"""SAM's two-way transformer, with the same weights and the same results, computed in a cheaper order.

A prompt has about 7 tokens, an image 4096. The stock one (segment_anything/modeling/transformer.py)
projects all image tokens to keys, values and queries for each prompt and layer. Matrix products are
associative, so the tokens can be projected instead:

    token to image:  scores  (T Wq) (X Wk)^T  =  (T Wq Wk^T) X^T        output  P (X Wv) = (P X) Wv
    image to token:  scores  (X Wq) (T Wk)^T  =  X (Wq Wk^T T^T)        output  P (T Wv) Wo = P (T Wv Wo)

A key bias adds the same to all scores of a row and cancels in the softmax; a value bias adds once, since
weights sum to 1. Before the first layer all prompts without an earlier mask share the image tokens X.
Token-side arithmetic is float32 always; the image side runs in the embedding's dtype.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS, HEADS, HEAD_CHANNELS = 256, 8, 16


class CrossAttention(nn.Module):
    """Attention between few tokens and many image tokens: 8 heads of 16 channels (official names)."""

    def __init__(self, channels: int = CHANNELS, inner: int = HEADS * HEAD_CHANNELS) -> None:
        super().__init__()
        self.q_proj = nn.Linear(channels, inner)
        self.k_proj = nn.Linear(channels, inner)
        self.v_proj = nn.Linear(channels, inner)
        self.out_proj = nn.Linear(inner, channels)

    def tokens_to_image(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(B, T, 256) float32 queries; keys and values (1 or B, 4096, 256), the image without projection."""
        batch, count = queries.shape[:2]
        probes = _through(_heads(self.q_proj(queries)), self.k_proj.weight) * HEAD_CHANNELS**-0.5
        scores = _product(probes.to(keys.dtype), keys.transpose(1, 2))  # (B, 8 T, 4096)
        seen = _product(torch.softmax(scores, -1), values).float()  # (B, 8 T, 256)
        seen = seen.view(batch, HEADS, count, -1) @ self.v_proj.weight.unflatten(0, (HEADS, -1)).mT
        return self.out_proj(seen.transpose(1, 2).flatten(2) + self.v_proj.bias)

    def image_to_tokens(self, residual: Tensor, image: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """What the image sees of the tokens, added to it.

        residual, image: (1 or B, 4096, 256), the second with positions; keys, values: (B, T, 256) float32.
        Returns (B, 4096, 256).
        """
        batch, count = keys.shape[:2]
        heads = _heads(self.k_proj(keys)) * HEAD_CHANNELS**-0.5  # (B, 8, T, 16)
        probes = _through(heads, self.q_proj.weight)
        offset = heads @ self.q_proj.bias.view(HEADS, HEAD_CHANNELS, 1)  # (B, 8, T, 1)
        scores = _product(probes.to(image.dtype), image.transpose(1, 2)).view(batch, HEADS, count, -1)
        weights = torch.softmax(scores.add_(offset.to(scores.dtype)), 2).flatten(1, 2)  # (B, 8 T, 4096)
        # Each head's weights sum to 1, so an eighth of the output bias in each answer adds it once.
        answers = _through(_heads(self.v_proj(values)), self.out_proj.weight.T) + self.out_proj.bias / HEADS
        return _add_product(residual, weights, answers.to(image.dtype))


def _heads(x: Tensor) -> Tensor:
    """(B, T, 8 * 16) -> (B, 8, T, 16)."""
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def _through(heads: Tensor, weight: Tensor) -> Tensor:
    """(B, 8, T, 16) times each head's rows of a (128, 256) matrix -> (B, 8 T, 256)."""
    return (heads @ weight.unflatten(0, (HEADS, -1))).flatten(1, 2)


def _product(few: Tensor, many: Tensor) -> Tensor:
    """(B, M, K) @ (1 or B, K, N); one matrix product when all share the right side."""
    if many.shape[0] == 1:
        return (few.flatten(0, 1) @ many[0]).view(*few.shape[:2], -1)
    return few @ many


def _add_product(base: Tensor, many: Tensor, few: Tensor) -> Tensor:
    """base (1 or B, N, C) + many (B, M, N)^T @ few (B, M, C); without copies for one prompt."""
    if many.shape[0] == 1:
        return torch.addmm(base[0], many[0].T, few[0])[None]
    return torch.baddbmm(base.expand(many.shape[0], -1, -1), many.transpose(1, 2), few)


class SelfAttention(nn.Module):
    """Plain attention among the tokens, 8 heads of 32 channels (official names)."""

    def __init__(self, channels: int = CHANNELS) -> None:
        super().__init__()
        self.q_proj = nn.Linear(channels, channels)
        self.k_proj = nn.Linear(channels, channels)
        self.v_proj = nn.Linear(channels, channels)
        self.out_proj = nn.Linear(channels, channels)

    def forward(self, query: Tensor, value: Tensor) -> Tensor:
        """(B, T, 256) twice -> (B, T, 256); the query is the key too."""
        q, k, v = _heads(self.q_proj(query)), _heads(self.k_proj(query)), _heads(self.v_proj(value))
        weights = torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, -1)
        return self.out_proj((weights @ v).transpose(1, 2).flatten(2))


class _FeedForward(nn.Module):
    def __init__(self, channels: int = CHANNELS, hidden: int = 2048) -> None:
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(F.relu(self.lin1(x)))


class TwoWayLayer(nn.Module):
    """One layer: tokens among themselves, tokens to image, feed-forward, image to tokens."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = SelfAttention()
        self.cross_attn_token_to_image = CrossAttention()
        self.mlp = _FeedForward()
        self.cross_attn_image_to_token = CrossAttention()
        self.norm1, self.norm2 = nn.LayerNorm(CHANNELS), nn.LayerNorm(CHANNELS)
        self.norm3, self.norm4 = nn.LayerNorm(CHANNELS), nn.LayerNorm(CHANNELS)

    def forward(self, tokens: Tensor, origin: Tensor, image: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """tokens, origin (B, T, 256) float32; image (1 or B, 4096, 256); positions (4096, 256)."""
        if self.first:
            tokens = self.self_attn(tokens, tokens)
        else:
            tokens = tokens + self.self_attn(tokens + origin, tokens)
        tokens = self.norm1(tokens)
        placed = image + positions
        tokens = self.norm2(tokens + self.cross_attn_token_to_image.tokens_to_image(tokens + origin, placed, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.cross_attn_image_to_token.image_to_tokens(image, placed, tokens + origin, tokens)
        return tokens, _norm(self.norm4, image)


def _norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """A float32 layer norm applied in the dtype of x."""
    return F.layer_norm(x, norm.normalized_shape, norm.weight.to(x.dtype), norm.bias.to(x.dtype), norm.eps)


class TwoWayTransformer(nn.Module):
    """Two layers and a last look of the tokens at the image."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([TwoWayLayer(first=True), TwoWayLayer(first=False)])
        self.final_attn_token_to_image = CrossAttention()
        self.norm_final_attn = nn.LayerNorm(CHANNELS)

    def forward(self, origin: Tensor, image: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """origin (B, T, 256) float32, image (1 or B, 4096, 256) -> tokens and image after the last layer."""
        tokens = origin
        for layer in self.layers:
            tokens, image = layer(tokens, origin, image, positions)
        last = self.final_attn_token_to_image
        tokens = tokens + last.tokens_to_image(tokens + origin, image + positions, image)
        return self.norm_final_attn(tokens), image
