"""TinyViT-5M, MobileSAM's image encoder, written for speed: tokens last, batch norm folded, any rectangle.

Source: Wu et al., "TinyViT: Fast Pretraining Distillation for Small Vision Transformers" (ECCV 2022),
and Zhang et al., "Faster Segment Anything" (arXiv 2306.14289), which puts stages of 64, 128, 160 and
320 channels behind SAM's neck. The arithmetic is theirs; what differs is the order of memory:
activations are (B, H, W, C), so that every 1 x 1 convolution is a matrix product, and the two stages
with most pixels are computed in strips of rows that stay in the cache.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import Conv3x3, Dense
from .neck import Neck
from .windows import WindowIndex, window_index

CHANNELS = (64, 128, 160, 320)
DEPTHS = (2, 2, 6, 2)
WINDOWS = (7, 7, 14, 7)
HEAD_CHANNELS = 32
STRIP_ROWS = 32
CHUNK_ELEMENTS = 2**21  # of the largest temporary: it should stay in the cache, and below malloc's mmap limit
GPU_ELEMENTS = 2**27  # the same on a GPU, where it is a matter of memory alone
SAFE_SCORE = 75.0  # 196 terms of exp(75) do not overflow bfloat16 or float32, exp(-75) does not vanish


def _strip(x: Tensor) -> int:
    """Rows of a picture at a time; a GPU gains nothing from fewer, and each strip is more to start."""
    return STRIP_ROWS if x.device.type == "cpu" else x.shape[1]


def _chunk(x: Tensor) -> int:
    """Numbers of the largest temporary."""
    return CHUNK_ELEMENTS if x.device.type == "cpu" else GPU_ELEMENTS


class MBConv(nn.Module):
    """Inverted bottleneck: 1 x 1 up, 3 x 3 depthwise, 1 x 1 down, residual, GELU."""

    def __init__(self, channels: int, expand: int = 4) -> None:
        super().__init__()
        inner = channels * expand
        self.up = Dense(channels, inner, "gelu")
        self.mix = Conv3x3(inner, inner, groups=inner, activation="gelu")
        self.down = Dense(inner, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        height, step = x.shape[1], _strip(x)
        out = torch.empty_like(x)
        for top in range(0, height, step):
            bottom = min(top + step, height)
            # One row more on each side: the convolution needs it, its own output there is dropped.
            first, last = max(top - 1, 0), min(bottom + 1, height)
            mixed = self.mix(self.up(x[:, first:last]))[:, top - first : bottom - first]
            out[:, top:bottom] = F.gelu(self.down(mixed, residual=x[:, top:bottom]))
        return out


class Merge(nn.Module):
    """Between stages: 1 x 1, 3 x 3 depthwise (stride 2 or 1), 1 x 1."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.enter = Dense(inputs, outputs, "gelu")
        self.mix = Conv3x3(outputs, outputs, stride, groups=outputs, activation="gelu")
        self.leave = Dense(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H / stride, W / stride, outputs)."""
        s, height, step = self.stride, x.shape[1], _strip(x)
        strips: list[Tensor] = []
        for top in range(0, height // s, step):
            bottom = min(top + step, height // s)
            first, last = max(top - 1, 0), min(bottom + 1, height // s)
            mixed = self.mix(self.enter(x[:, first * s : last * s]))[:, top - first : bottom - first]
            strips.append(self.leave(mixed))
        return torch.cat(strips, dim=1)


class WindowAttention(nn.Module):
    """Multi-head attention inside square windows, with a learned bias for each pair of places."""

    def __init__(self, channels: int, window: int) -> None:
        super().__init__()
        self.window, self.heads = window, channels // HEAD_CHANNELS
        self.norm = nn.LayerNorm(channels)
        self.qkv = Dense(channels, 3 * channels)
        self.proj = Dense(channels, channels)
        self.bias = nn.Parameter(torch.empty(self.heads, window**2, window**2), requires_grad=False)

    def forward(self, x: Tensor, index: WindowIndex) -> Tensor:
        """(B, H, W, C) -> the same plus attention."""
        channels = x.shape[-1]
        tokens = self.norm(x).view(-1, channels)
        if index.padded:
            # Padding is zero before the norm, hence the same query, key and value everywhere: one more token.
            tokens = torch.cat([tokens, self.norm.bias[None]])
        attended = self._attend(self.qkv(tokens).view(-1, HEAD_CHANNELS), index.gather)
        attended = attended.view(-1, HEAD_CHANNELS).index_select(0, index.scatter)
        return self.proj(attended.view(x.shape), residual=x)

    def _attend(self, qkv: Tensor, gather: Tensor) -> Tensor:
        """Rows of one head's channels -> (windows * heads, window^2, channels), a few windows at a time."""
        places = self.window**2
        attended = qkv.new_empty(gather.shape[1], places, HEAD_CHANNELS)
        step = self.heads * max(1, _chunk(qkv) // (self.heads * places**2))
        for first in range(0, gather.shape[1], step):
            rows = gather[:, first : first + step]
            q, k, v = qkv.index_select(0, rows.reshape(-1)).view(*rows.shape, HEAD_CHANNELS)
            scores = torch.bmm(q, k.transpose(1, 2))
            scores.view(-1, *self.bias.shape).add_(self.bias)
            _softmax_product(scores, v, out=attended[first : first + step])
        return attended


def _softmax_product(scores: Tensor, values: Tensor, out: Tensor) -> None:
    """out = softmax(scores) @ values for (B, N, N) and (B, N, C); `scores` is overwritten.

    On a CPU the bfloat16 softmax takes longer than both products. Where no score is near the ends of the number
    range (they lie between -20 and 27 on photos) the maximum need not be subtracted: exp runs over whole
    cache lines, and the small product is divided instead of the large weights.
    """
    if scores.dtype == torch.bfloat16 and scores.device.type == "cpu":
        least, most = torch.aminmax(scores)
        if -SAFE_SCORE < float(least) and float(most) < SAFE_SCORE:
            torch.bmm(scores.exp_(), values, out=out)
            out.div_(scores.sum(-1, keepdim=True))
            return
    torch.bmm(torch.softmax(scores, -1), values, out=out)


class Block(nn.Module):
    """Window attention, 3 x 3 depthwise convolution, feed-forward."""

    def __init__(self, channels: int, window: int) -> None:
        super().__init__()
        self.attention = WindowAttention(channels, window)
        self.local = Conv3x3(channels, channels, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.up = Dense(channels, 4 * channels, "gelu")
        self.down = Dense(4 * channels, channels)

    def forward(self, x: Tensor, index: WindowIndex) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        x = self.local(self.attention(x, index))
        rows = x.view(-1, x.shape[-1])
        for part in rows.split(max(1, _chunk(x) // (4 * x.shape[-1]))):
            part.copy_(self.down(self.up(self.norm(part)), residual=part))
        return x


class Stage(nn.Module):
    """Blocks of one resolution, then the step to the next one."""

    def __init__(self, number: int) -> None:
        super().__init__()
        channels, self.window = CHANNELS[number], WINDOWS[number]
        self.heads = channels // HEAD_CHANNELS
        self.blocks = nn.ModuleList(Block(channels, self.window) for _ in range(DEPTHS[number]))
        last = number + 1 == len(CHANNELS)
        self.merge = None if last else Merge(channels, CHANNELS[number + 1], stride=2 if number == 1 else 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H', W', C')."""
        batch, height, width, _ = x.shape
        index = window_index(batch, height, width, self.window, self.heads, x.device)
        for block in self.blocks:
            x = block(x, index)
        return x if self.merge is None else self.merge(x)


class TinyViT(nn.Module):
    """The whole encoder: picture to embedding."""

    img_size = 1024

    def __init__(self) -> None:
        super().__init__()
        first = CHANNELS[0]
        self.stem1 = Conv3x3(3, first // 2, stride=2, activation="gelu")
        self.stem2 = Conv3x3(first // 2, first, stride=2)
        self.convs = nn.Sequential(*(MBConv(first) for _ in range(DEPTHS[0])))
        self.merge = Merge(first, CHANNELS[1], stride=2)
        self.stages = nn.Sequential(*(Stage(n) for n in (1, 2, 3)))
        self.neck = Neck(CHANNELS[3])

    def use(self, dtype: torch.dtype) -> None:
        """Run in this dtype, but for the parts where rounding costs most and float32 least: stem and last norms.

        Dark pixels are near -2 once normalised, where a step of bfloat16 is a whole grey level.
        """
        for name, weight in self.named_parameters():
            if not name.startswith(("stem1.", "neck.norm")):
                weight.data = weight.data.to(dtype)

    def early(self, x: Tensor) -> Tensor:
        """(B, H, W, 3) float32 normalised pixels -> (B, H / 8, W / 8, 128): what sees only a few pixels around."""
        return self.merge(self.convs(self.stem2(self.stem1(x.float()).to(self.stem2.weight.dtype))))

    def late(self, x: Tensor) -> Tensor:
        """(B, H / 8, W / 8, 128) -> (B, H / 16, W / 16, 256): window attention and neck."""
        return self.neck(self.stages(x))

    def forward_tokens(self, x: Tensor) -> Tensor:
        """(B, H, W, 3) float32 normalised pixels, H and W multiples of 16 -> (B, H / 16, W / 16, 256)."""
        return self.late(self.early(x))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 256, H / 16, W / 16), the shape segment_anything's Sam expects."""
        return self.forward_tokens(x.permute(0, 2, 3, 1).contiguous()).permute(0, 3, 1, 2)
