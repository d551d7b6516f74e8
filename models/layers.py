"""The three layers TinyViT is made of, tokens last, with bias and activation fused where the CPU library can.

On a CPU, oneDNN computes a matrix product or a depthwise convolution and applies GELU or adds a
residual in the same pass over memory (the operators behind torch.compile's CPU back end). `pack`
lays the weights out for it once. Everywhere else, and where those operators are absent, the plain
torch functions give the same result.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def has_fused_kernels() -> bool:
    """Whether this torch build carries oneDNN's fused operators."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class _Packable(nn.Module):
    """A layer with a weight, a bias, and a copy of the weight in oneDNN's own layout once packed."""

    def __init__(self, weight_shape: tuple[int, ...], activation: str = "none") -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(weight_shape), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(weight_shape[0]), requires_grad=False)
        self.activation = activation
        self._packed: Tensor | None = None

    def _apply(self, fn: Any, recurse: bool = True) -> nn.Module:
        self._packed = None  # another device or dtype: the packed copy is stale
        return super()._apply(fn, recurse)

    def _activate(self, x: Tensor) -> Tensor:
        return F.gelu(x) if self.activation == "gelu" else x


class Dense(_Packable):
    """y = activation(x W^T + b), or x W^T + b + residual, over the last axis."""

    def __init__(self, inputs: int, outputs: int, activation: str = "none") -> None:
        super().__init__((outputs, inputs), activation)

    @staticmethod
    def of(layer: nn.Linear, activation: str = "none") -> Dense:
        """The same on the same tensors."""
        with torch.device("meta"):  # no memory: both are assigned
            dense = Dense(layer.in_features, layer.out_features, activation)
        dense.load_state_dict(layer.state_dict(), assign=True)
        return dense.requires_grad_(False)

    def pack(self) -> None:
        """Lay the weight out for oneDNN; call after the last change of device and dtype."""
        self._packed = torch.ops.mkldnn._reorder_linear_weight(self.weight.data, 4096)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """(..., inputs) -> (..., outputs); `residual` (..., outputs) is added instead of an activation."""
        if self._packed is None:
            y = F.linear(x, self.weight, self.bias)
            return self._activate(y) if residual is None else y + residual
        fused = torch.ops.mkldnn._linear_pointwise
        if residual is None:
            return fused(x, self._packed, self.bias, self.activation, [], "none")
        return fused.binary(x, residual, self._packed, self.bias, "add")


class Conv3x3(_Packable):
    """A 3 x 3 convolution with padding 1 on (B, H, W, C) tokens; depthwise when groups = channels."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, groups: int = 1, activation: str = "none") -> None:
        super().__init__((outputs, inputs // groups, 3, 3), activation)
        self.stride, self.groups = [stride, stride], groups

    def pack(self) -> None:
        """Lay the weight out for oneDNN; call after the last change of device and dtype."""
        self._packed = torch.ops.mkldnn._reorder_convolution_weight(
            self.weight.data, [1, 1], self.stride, [1, 1], self.groups, None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, ceil(H / stride), ceil(W / stride), outputs), contiguous."""
        nchw = x.permute(0, 3, 1, 2)  # a channels_last tensor: no copy
        if self._packed is None:
            y = F.conv2d(nchw, self.weight, self.bias, self.stride, 1, 1, self.groups)
            y = self._activate(y)
        else:
            y = torch.ops.mkldnn._convolution_pointwise(
                nchw,
                self._packed,
                self.bias,
                [1, 1],
                self.stride,
                [1, 1],
                self.groups,
                self.activation,
                [],
                "none",
            )
        return y.permute(0, 2, 3, 1).contiguous()


def pack_layers(module: nn.Module, *, keep: bool = True) -> None:
    """Pack every layer of a module for oneDNN, in place; but bfloat16 on processors for which oneDNN has no kernels.

    keep: whether the weights stay as they were, too, for others who look at them: they take as much memory again.
    """
    has_bfloat16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    for part in module.modules():
        if isinstance(part, (Dense, Conv3x3)) and (has_bfloat16 or part.weight.dtype != torch.bfloat16):
            part.pack()
            if not keep:
                part.weight = nn.Parameter(torch.empty_like(part.weight, device="meta"), requires_grad=False)
