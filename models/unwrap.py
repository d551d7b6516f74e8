"""From whatever a training script saved to plain SAM weights: official names, float32, finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from .errors import CheckpointError

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "model.", "sam.")
# SAM never uses TinyViT's classification head; the rest is bookkeeping of training.
_UNUSED_STARTS = ("image_encoder.head.", "image_encoder.norm_head.")
_UNUSED_ENDS = (".num_batches_tracked", ".attention_bias_idxs")
_PIXELS = {"pixel_mean": (123.675, 116.28, 103.53), "pixel_std": (58.395, 57.12, 57.375)}
_ACCEPTED = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def unwrap(content: object) -> dict[str, Tensor]:
    """Find the named tensors in what a checkpoint holds, and drop what SAM does not use.

    Looks inside {"model": ...}, {"state_dict": ...} and {"model_state_dict": ...}, and strips
    "module.", "_orig_mod.", "model." and "sam." where every name begins so. Dtypes stay as stored.
    Raises `CheckpointError` when there are no tensors, or the image normalisation is not SAM's.
    """
    named = {name: value for name, value in _innermost(content).items() if isinstance(value, Tensor)}
    if not named:
        raise CheckpointError("it holds no named tensors; a state dict was expected.")
    named = _strip(named)
    _check_pixels(named)
    return {name: tensor for name, tensor in named.items() if is_used(name)}


def as_float32(named: Mapping[str, Tensor], *, copy: bool = False) -> dict[str, Tensor]:
    """The same tensors as contiguous float32 on the CPU; those that are so already are copied only if asked.

    Raises `CheckpointError` for a tensor that is quantised, of integers, or not finite.
    """
    return {name: _plain(name, tensor, copy) for name, tensor in named.items()}


def _innermost(content: object) -> Mapping[str, object]:
    mapping = _as_mapping(content)
    inner = next((mapping[key] for key in _WRAPPERS if isinstance(mapping.get(key), Mapping)), None)
    return mapping if inner is None else _innermost(inner)


def _as_mapping(content: object) -> Mapping[str, object]:
    if not isinstance(content, Mapping):
        raise CheckpointError(f"it holds a {type(content).__name__}; a dict of named tensors was expected.")
    mapping = cast("Mapping[object, object]", content)
    return {name: value for name, value in mapping.items() if isinstance(name, str)}


def _strip(named: dict[str, Tensor]) -> dict[str, Tensor]:
    """Remove prefixes that every name shares, however many there are."""
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in named):
            return _strip({name.removeprefix(prefix): tensor for name, tensor in named.items()})
    return named


def is_used(name: str) -> bool:
    """Whether SAM needs the tensor of that official name."""
    return not (name in _PIXELS or name.startswith(_UNUSED_STARTS) or name.endswith(_UNUSED_ENDS))


def _check_pixels(named: Mapping[str, Tensor]) -> None:
    """Another normalisation of the image, silently ignored, would give poor masks."""
    for name, expected in _PIXELS.items():
        if name not in named:
            continue
        if named[name].numel() != 3:
            raise CheckpointError(f"its {name} holds {named[name].numel()} numbers; SAM's holds 3.")
        found = [round(float(value), 4) for value in named[name].flatten()]
        if len(found) != 3 or any(abs(a - b) > 0.01 for a, b in zip(found, expected, strict=True)):
            raise CheckpointError(f"its {name} is {found}; SAM's is {list(expected)}.")


def _plain(name: str, tensor: Tensor, copy: bool) -> Tensor:
    if tensor.layout != torch.strided or tensor.dtype not in _ACCEPTED or tensor.device.type == "meta":
        kind = str(tensor.dtype).removeprefix("torch.")
        raise CheckpointError(f"{name} holds {kind}; float32, float16 or bfloat16 weights are needed.")
    # A tensor may claim more numbers than the file holds (stride 0) and so fill the memory.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise CheckpointError(f"{name} claims {tensor.numel():,} numbers, more than are stored.")
    plain = tensor.detach().to("cpu", torch.float32, copy=copy).contiguous()
    # Smallest and largest are NaN if any number is, and need no second tensor as isfinite would.
    if plain.numel() and not all(bool(torch.isfinite(end)) for end in torch.aminmax(plain)):
        raise CheckpointError(f"{name} holds numbers that are not finite (NaN or infinity).")
    return plain
