"""The models of existing segment_anything code: `sam_model_registry`, whose modules hold the official tensors.

A module built here is a `segment_anything.modeling.Sam` with segment_anything's own prompt encoder, mask decoder and
plain ViT encoders. Only MobileSAM's encoder is ours, under the official names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import Tensor, nn

from ..models.checkpoints import EMBEDDED, Checkpoint, load_checkpoint
from ..models.errors import CheckpointError
from ..models.frame import GRID, MODEL_SIDE
from ..models.image_encoder import build_image_encoder, plain_vit
from ..models.layout import tiny_vit_layout
from ..models.recognise import Architecture
from ..models.unwrap import is_used
from ..models.variants import VARIANTS

_ENCODER = "image_encoder."


class MissingCheckpointError(CheckpointError, FileNotFoundError):
    """The checkpoint given to the registry does not exist; segment_anything raises FileNotFoundError."""


class OtherVariantError(CheckpointError, RuntimeError):
    """The checkpoint is of another size than asked for; segment_anything raises RuntimeError."""


class MobileEncoder(nn.Module):
    """MobileSAM's encoder in a `Sam`: parameters and buffers under the official names, computed by our `TinyViT`.

    Whatever changes them (`load_state_dict`, `.to`, an assignment in place) takes effect at the next call. It always
    runs as in `eval()` and gives no gradients: to train the encoder itself, use MobileSAM's own module.
    """

    img_size = MODEL_SIDE

    def __init__(self) -> None:
        super().__init__()
        for name, shape in tiny_vit_layout().items():
            if name.startswith(_ENCODER):
                _plant(self, name.removeprefix(_ENCODER), torch.empty(shape))
        self._folded: tuple[object, nn.Module] | None = None
        self.register_load_state_dict_pre_hook(_drop_unused)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 1024, 1024) normalised pixels -> (B, 256, 64, 64)."""
        now = fingerprint(self)
        if self._folded is None or self._folded[0] != now:
            self._folded = now, self._fold()
        network = self._folded[1]
        # One at a time, so that an answer does not depend on its neighbours.
        return torch.cat([network(image[None]) for image in x.to(next(self.parameters()).dtype)]).contiguous()

    def _fold(self) -> nn.Module:
        first = next(self.parameters())
        state = {_ENCODER + name: tensor.detach().float() for name, tensor in self.state_dict().items()}
        weights = Checkpoint(state, _architecture("vit_t"), "a MobileEncoder")
        return build_image_encoder(weights, first.device, first.dtype)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_folded": None}  # copies and pickles fold their own


def fingerprint(*modules: nn.Module) -> tuple[object, ...]:
    """Differs whenever a tensor of the modules was moved, exchanged or written to (but through `.data`)."""
    tensors = chain.from_iterable(chain(module.parameters(), module.buffers()) for module in modules)
    return tuple((t.data_ptr(), t.dtype, 0 if t.is_inference() else t._version) for t in tensors)


def module_of(architecture: Architecture, state: Mapping[str, Tensor] | None = None) -> Sam:
    """A segment_anything `Sam` in `eval()`, holding copies of the weights; without weights, begun at random."""
    with nullcontext() if state is None else torch.device("meta"):
        encoder: Any = MobileEncoder() if architecture.kind == "tiny_vit" else plain_vit(architecture)
        prompts = PromptEncoder(
            embed_dim=256,
            image_embedding_size=(GRID, GRID),
            input_image_size=(MODEL_SIDE, MODEL_SIDE),
            mask_in_chans=16,
        )
        transformer = TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
        decoder = MaskDecoder(transformer_dim=256, transformer=transformer, num_multimask_outputs=3)
    sam = Sam(encoder, prompts, decoder)
    if state is not None:
        sam.load_state_dict({name: tensor.clone() for name, tensor in state.items()}, assign=True)
    return sam.eval()


def _build(variant: str, checkpoint: str | os.PathLike[str] | None = None) -> Sam:
    """One size of SAM, on the CPU, in `eval()`.

    Args:
        checkpoint: path to a .pth, .pt or .safetensors file, read without running anything in it. None gives weights
            begun at random, as in segment_anything; for vit_t the weights that come with clickmask.

    Raises:
        CheckpointError: the file is missing (also a FileNotFoundError), of another size (also a RuntimeError),
            or not plain SAM weights.
    """
    if checkpoint is None and variant != "vit_t":
        return module_of(_architecture(variant))
    path = EMBEDDED if checkpoint is None else Path(checkpoint).expanduser()
    if not path.exists():
        raise MissingCheckpointError(f"{path}: there is no such file.")
    weights = load_checkpoint(path, cache_dir=path.parent)
    found = weights.architecture
    if found.variant != variant:
        key = "" if found.variant is None else f" Use sam_model_registry[{found.variant!r}]."
        key = " Use clickmask.Segmenter, which runs it." if found.is_hq else key
        raise OtherVariantError(
            f"{path} holds {found.title} ({found.variant or 'no official size'}), "
            f"but {VARIANTS[variant].title} ({variant}) was asked for.{key}"
        )
    return module_of(found, weights.state)


def _architecture(variant: str) -> Architecture:
    row = VARIANTS[variant]
    return Architecture(row.kind, row.embed_dim, row.depth, row.heads, row.global_attention, variant)


def _plant(root: nn.Module, name: str, tensor: Tensor) -> None:
    """Register a tensor under a dotted name; modules on the way are made as needed."""
    *way, last = name.split(".")
    for part in way:
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    if last.startswith("running_"):
        root.register_buffer(last, tensor)
    else:
        root.register_parameter(last, nn.Parameter(tensor, requires_grad=False))


def _drop_unused(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """mobile_sam.pt also holds a classification head and counters of training: not an error, not kept."""
    for name in [name for name in state if name.startswith(prefix)]:
        if not is_used(_ENCODER + name.removeprefix(prefix)):
            del state[name]


sam_model_registry: dict[str, Callable[..., Sam]] = {
    "default": partial(_build, "vit_h"),
    **{variant: partial(_build, variant) for variant in ("vit_h", "vit_l", "vit_b", "vit_t")},
}
