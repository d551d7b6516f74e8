"""MobileSAM's official tensors -> the tensors of our TinyViT: batch norm folded, biases spread out, queries scaled."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .tiny_vit import CHANNELS, DEPTHS, HEAD_CHANNELS, WINDOWS

BATCH_NORM_EPS = 1e-5


def tiny_vit_state(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of `TinyViT`.

    Args:
        official: float32 tensors under the names of `mobile_sam.pt`, without the leading `image_encoder.`.

    Raises:
        KeyError: a tensor is missing (`recognise` has checked names and shapes before).
    """
    source = _Official(official)
    state: dict[str, Tensor] = {}
    source.convolution(state, "stem1", "patch_embed.seq.0")
    source.convolution(state, "stem2", "patch_embed.seq.2")
    for i in range(DEPTHS[0]):
        source.bottleneck(state, f"convs.{i}", f"layers.0.blocks.{i}", ("up", "mix", "down"))
    source.bottleneck(state, "merge", "layers.0.downsample", ("enter", "mix", "leave"))
    for stage in (1, 2, 3):
        for i in range(DEPTHS[stage]):
            source.block(state, f"stages.{stage - 1}.blocks.{i}", f"layers.{stage}.blocks.{i}", stage)
        if stage < 3:
            names = ("enter", "mix", "leave")
            source.bottleneck(state, f"stages.{stage - 1}.merge", f"layers.{stage}.downsample", names)
    source.neck(state)
    return state


class _Official:
    """Reads layers by their official names and writes them under ours."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors

    def convolution(self, state: dict[str, Tensor], ours: str, theirs: str) -> None:
        """A convolution and its batch norm, folded into one; 1 x 1 kernels become matrices."""
        norm = {k: self.tensors[f"{theirs}.bn.{k}"] for k in ("weight", "bias", "running_mean", "running_var")}
        scale = norm["weight"] / torch.sqrt(norm["running_var"] + BATCH_NORM_EPS)
        weight = self.tensors[f"{theirs}.c.weight"] * scale[:, None, None, None]
        state[f"{ours}.weight"] = weight.flatten(1) if weight.shape[-1] == 1 else weight
        state[f"{ours}.bias"] = norm["bias"] - norm["running_mean"] * scale

    def bottleneck(self, state: dict[str, Tensor], ours: str, theirs: str, names: tuple[str, ...]) -> None:
        for number, name in enumerate(names, start=1):
            self.convolution(state, f"{ours}.{name}", f"{theirs}.conv{number}")

    def copy(self, state: dict[str, Tensor], ours: str, theirs: str) -> None:
        for kind in ("weight", "bias"):
            state[f"{ours}.{kind}"] = self.tensors[f"{theirs}.{kind}"]

    def block(self, state: dict[str, Tensor], ours: str, theirs: str, stage: int) -> None:
        self.copy(state, f"{ours}.attention.norm", f"{theirs}.attn.norm")
        self.copy(state, f"{ours}.attention.proj", f"{theirs}.attn.proj")
        heads = CHANNELS[stage] // HEAD_CHANNELS
        for kind in ("weight", "bias"):
            state[f"{ours}.attention.qkv.{kind}"] = _sort_qkv(self.tensors[f"{theirs}.attn.qkv.{kind}"], heads)
        biases = self.tensors[f"{theirs}.attn.attention_biases"]
        state[f"{ours}.attention.bias"] = biases[:, _offsets(WINDOWS[stage])]
        self.convolution(state, f"{ours}.local", f"{theirs}.local_conv")
        self.copy(state, f"{ours}.norm", f"{theirs}.mlp.norm")
        self.copy(state, f"{ours}.up", f"{theirs}.mlp.fc1")
        self.copy(state, f"{ours}.down", f"{theirs}.mlp.fc2")

    def neck(self, state: dict[str, Tensor]) -> None:
        state["neck.enter.weight"] = self.tensors["neck.0.weight"].flatten(1)
        state["neck.mix.weight"] = self.tensors["neck.2.weight"]
        for name in ("neck.enter", "neck.mix"):
            state[f"{name}.bias"] = torch.zeros(256)  # the official neck has none
        self.copy(state, "neck.norm1", "neck.1")
        self.copy(state, "neck.norm2", "neck.3")


def _sort_qkv(tensor: Tensor, heads: int) -> Tensor:
    """Rows (head, which, channel) -> (which, head, channel), queries scaled by 1 / sqrt(channels of a head)."""
    rows = tensor.unflatten(0, (heads, 3, HEAD_CHANNELS)).transpose(0, 1).clone()
    rows[0] *= HEAD_CHANNELS**-0.5
    return rows.flatten(0, 2)


def _offsets(window: int) -> Tensor:
    """(window^2, window^2) int64: the row of the bias table for each pair of places, |dy| * window + |dx|."""
    y, x = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    y, x = y.flatten(), x.flatten()
    return (y[:, None] - y).abs() * window + (x[:, None] - x).abs()
