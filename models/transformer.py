"""SAM's two-way transformer, with the same weights and the same results, computed in a cheaper order.

A prompt has about 7 tokens, an image 4096. The stock one (segment_anything/modeling/transformer.py)
projects all image tokens to keys, values and queries for each prompt and layer. Matrix products are
associative, so the tokens can be projected instead:

    token to image:  scores  (T Wq) (X Wk)^T  =  (T Wq Wk^T) X^T        output  P (X Wv) = (P X) Wv
    image to token:  scores  (X Wq) (T Wk)^T  =  X (Wq Wk^T T^T)        output  P (T Wv) Wo = P (T Wv Wo)

A key bias adds the same to all scores of a row and cancels in the softmax; a value bias adds once, since
weights sum to 1. Before the first layer all prompts without an earlier mask share the image tokens X.

The image may be cut into parts that are worked on side by side (`crew.py`); tokens go among all of them.
Token-side arithmetic is float32 always; the image side runs in the embedding's dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS, HEADS, HEAD_CHANNELS = 256, 8, 16
R = TypeVar("R")


class Spread(Protocol):
    """Calls a function for each row of some columns, in whatever order and wherever; the values in the rows' order."""

    def __call__(self, function: Callable[..., R], *columns: Sequence[Any]) -> list[R]: ...


def in_turn(function: Callable[..., R], *columns: Sequence[Any]) -> list[R]:
    """The simplest `Spread`: here, one after the other."""
    return [function(*row) for row in zip(*columns, strict=True)]


class Seen(NamedTuple):
    """What tokens saw in a part of the image: softmax(scores) times values, not yet divided by the sum.

    top (B, 8 T, 1): the largest score; total (B, 8 T, 1): sum of exp(score - top); values (B, 8 T, 256); all float32.
    """

    top: Tensor
    total: Tensor
    values: Tensor


class Told(NamedTuple):
    """What tokens have to say to the image: probes (B, 8 T, 256), offset (B, 8, T, 1), answers (B, 8 T, 256)."""

    probes: Tensor
    offset: Tensor
    answers: Tensor


class CrossAttention(nn.Module):
    """Attention between few tokens and many image tokens: 8 heads of 16 channels (official names).

    The image comes in parts. Tokens look at each by itself and the looks are joined, as in "Online normalizer
    calculation for softmax" (Milakov and Gimelshein, 2018).
    """

    def __init__(self, channels: int = CHANNELS, inner: int = HEADS * HEAD_CHANNELS) -> None:
        super().__init__()
        self.q_proj = nn.Linear(channels, inner)
        self.k_proj = nn.Linear(channels, inner)
        self.v_proj = nn.Linear(channels, inner)
        self.out_proj = nn.Linear(inner, channels)

    def probes(self, queries: Tensor) -> Tensor:
        """(B, T, 256) tokens -> (B, 8 T, 256): what is to be multiplied with the image for scores; all float32."""
        return _through(_heads(self.q_proj(queries)), self.k_proj.weight) * HEAD_CHANNELS**-0.5

    def joined(self, parts: Sequence[Seen], count: int) -> Tensor:
        """What `count` tokens saw in all parts -> (B, T, 256) float32."""
        top = torch.stack([part.top for part in parts]).amax(0)
        shares = [torch.exp(part.top - top) for part in parts]
        seen = _sum([share * part.values for share, part in zip(shares, parts, strict=True)])
        seen = seen / _sum([share * part.total for share, part in zip(shares, parts, strict=True)])
        seen = seen.view(len(seen), HEADS, count, -1) @ self.v_proj.weight.unflatten(0, (HEADS, -1)).mT
        return self.out_proj(seen.transpose(1, 2).flatten(2) + self.v_proj.bias)

    def told(self, keys: Tensor, values: Tensor) -> Told:
        """(B, T, 256) float32 tokens, as keys with their origin -> what the image is to hear."""
        heads = _heads(self.k_proj(keys)) * HEAD_CHANNELS**-0.5  # (B, 8, T, 16)
        offset = heads @ self.q_proj.bias.view(HEADS, HEAD_CHANNELS, 1)
        return Told(_through(heads, self.q_proj.weight), offset, self.answers(values))

    def answers(self, values: Tensor) -> Tensor:
        """(B, T, 256) float32 tokens -> (B, 8 T, 256): what the image hears of each head, to be weighted and added."""
        # Each head's weights sum to 1, so an eighth of the output bias in each answer adds it once.
        return _through(_heads(self.v_proj(values)), self.out_proj.weight.T) + self.out_proj.bias / HEADS


def look(probes: Tensor, placed: Tensor, image: Tensor) -> Seen:
    """What probes (B, 8 T, 256) see in a part of the image (1 or B, N, 256); placed: the same with positions."""
    scores = _product(probes.to(image.dtype), placed.transpose(1, 2))
    top = scores.amax(-1, keepdim=True)
    weights = scores.sub_(top).exp_()
    total = weights.sum(-1, keepdim=True, dtype=torch.float32)
    return Seen(top.float(), total, _product(weights, image).float())


def listen(told: Told, placed: Tensor, image: Tensor) -> Tensor:
    """A part of the image (1 or B, N, 256) and what it heard, added; placed: the same with positions."""
    batch, _, count, _ = told.offset.shape
    scores = _product(told.probes.to(image.dtype), placed.transpose(1, 2)).view(batch, HEADS, count, -1)
    weights = torch.softmax(scores.add_(told.offset.to(scores.dtype)), 2).flatten(1, 2)  # (B, 8 T, N)
    return add_product(image, weights, told.answers.to(image.dtype))


def _sum(terms: Sequence[Tensor]) -> Tensor:
    """Their sum, added up in order."""
    return reduce(torch.add, terms)


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


def add_product(base: Tensor, many: Tensor, few: Tensor) -> Tensor:
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

    def among_themselves(self, tokens: Tensor, origin: Tensor) -> Tensor:
        """What tokens make of each other; (B, T, 256) float32 throughout."""
        if self.first:
            return self.norm1(self.self_attn(tokens, tokens))
        return self.norm1(tokens + self.self_attn(tokens + origin, tokens))

    def having_seen(self, tokens: Tensor, parts: Sequence[Seen]) -> Tensor:
        """What tokens make of what they saw."""
        return self.after_looking(tokens, self.cross_attn_token_to_image.joined(parts, tokens.shape[1]))

    def after_looking(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """The same of what they saw in all; both (B, T, 256) float32."""
        tokens = self.norm2(tokens + seen)
        return self.norm3(tokens + self.mlp(tokens))

    def having_heard(self, told: Told, placed: Tensor, image: Tensor) -> Tensor:
        """What a part of the image makes of what it is told."""
        return normed(self.norm4, listen(told, placed, image))


def normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """A float32 layer norm applied in the dtype of x."""
    return F.layer_norm(x, norm.normalized_shape, norm.weight.to(x.dtype), norm.bias.to(x.dtype), norm.eps)


class TwoWayTransformer(nn.Module):
    """Two layers and a last look of the tokens at the image."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([TwoWayLayer(first=True), TwoWayLayer(first=False)])
        self.final_attn_token_to_image = CrossAttention()
        self.norm_final_attn = nn.LayerNorm(CHANNELS)

    def two_layers(self) -> tuple[TwoWayLayer, TwoWayLayer]:
        """The first and the second."""
        first, second = (layer for layer in self.layers if isinstance(layer, TwoWayLayer))
        return first, second

    def forward(
        self,
        origin: Tensor,
        image: Sequence[Tensor],
        dense: Sequence[Tensor],
        positions: Sequence[Tensor],
        finish: Callable[[Tensor], R],
        spread: Spread,
    ) -> tuple[Tensor, list[R]]:
        """Between two exchanges of tokens and image, each part of the image goes its own way: three rounds.

        Args:
            origin: (B, T, 256) float32 tokens.
            image: parts of (1 or B, N, 256). dense: what is to be added to each. positions: theirs, (N, 256).
            finish: what is to be made of each part after the last layer, in the same go.
            spread: does a round's work for each part.

        Returns:
            The tokens after the last look, and what `finish` made of each part.
        """
        first, second = self.two_layers()
        last = self.final_attn_token_to_image
        tokens = first.among_themselves(origin, origin)
        work = _first_round(first, tokens + origin)
        image, placed, seen = _columns(spread(work, image, dense, positions))
        tokens = first.having_seen(tokens, seen)
        told = first.cross_attn_image_to_token.told(tokens + origin, tokens)
        tokens = second.among_themselves(tokens, origin)
        work = _next_round(first, told, second.cross_attn_token_to_image, tokens + origin)
        image, placed, seen = _columns(spread(work, image, placed, positions))
        tokens = second.having_seen(tokens, seen)
        told = second.cross_attn_image_to_token.told(tokens + origin, tokens)
        work = _next_round(second, told, last, tokens + origin, finish)
        finished, _, seen = _columns(spread(work, image, placed, positions))
        return self.norm_final_attn(tokens + last.joined(seen, tokens.shape[1])), finished


def _first_round(layer: TwoWayLayer, queries: Tensor) -> Callable[..., tuple[Tensor, Tensor, Seen]]:
    probes = layer.cross_attn_token_to_image.probes(queries)

    def work(image: Tensor, dense: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Seen]:
        image = image + dense
        placed = image + positions
        return image, placed, look(probes, placed, image)

    return work


def _next_round(
    layer: TwoWayLayer,
    told: Told,
    looking: CrossAttention,
    queries: Tensor,
    finish: Callable[[Tensor], Any] = lambda image: image,
) -> Callable[..., tuple[Any, Tensor, Seen]]:
    probes = looking.probes(queries)

    def work(image: Tensor, placed: Tensor, positions: Tensor) -> tuple[Any, Tensor, Seen]:
        image = layer.having_heard(told, placed, image)
        placed = image + positions
        return finish(image), placed, look(probes, placed, image)

    return work


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
