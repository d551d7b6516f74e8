"""Checkpoints that are near SAM but not SAM: known by the names of their tensors, refused by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .errors import CheckpointError

_OFFICIAL = "Use an official SAM or MobileSAM checkpoint (vit_t, vit_b, vit_l, vit_h)."
_PARTS = {
    "image_encoder.": "the image encoder",
    "prompt_encoder.": "the prompt encoder",
    "mask_decoder.": "the mask decoder",
}


class _Family(NamedTuple):
    """A family is recognised when any tensor's name starts with one of `starts`."""

    title: str
    starts: tuple[str, ...]
    advice: str


_FAMILIES = (
    _Family(
        "SAM 2 (or 2.1)",
        ("image_encoder.trunk.", "memory_attention.", "memory_encoder.", "sam_mask_decoder.", "sam_prompt_"),
        "SAM 2 is another network and is not supported yet. " + _OFFICIAL,
    ),
    _Family(
        "SAM in the layout of Hugging Face transformers",
        ("vision_encoder.", "shared_image_embedding."),
        "The names differ from Meta's: take the .pth file that Meta published instead.",
    ),
    _Family("EfficientSAM", ("prompt_encoder.bbox_top_left_embeddings.",), _OFFICIAL),
    _Family("EfficientViT-SAM", ("image_encoder.backbone.",), _OFFICIAL),
    _Family("a RepViT model (EdgeSAM, RepViT-SAM)", ("image_encoder.features.",), _OFFICIAL),
)


_HQ = tuple(
    f"mask_decoder.{part}."
    for part in ("hf_token", "hf_mlp", "compress_vit_feat", "embedding_encoder", "embedding_maskfeature")
)


def is_hq(names: Iterable[str]) -> bool:
    """Whether any of them is HQ-SAM's, which holds all of SAM's own names too."""
    return any(name.startswith(_HQ) for name in names)


def refuse_other_families(names: Iterable[str]) -> None:
    """Raise `CheckpointError` unless `names` have all three parts of a SAM, and none of another family."""
    every = list(names)
    for family in _FAMILIES:
        if any(name.startswith(family.starts) for name in every):
            raise CheckpointError(f"it is {family.title}, not SAM. {family.advice}")
    if is_hq(every) and any(name.startswith("image_encoder.patch_embed.seq.") for name in every):
        raise CheckpointError(f"it is Light HQ-SAM, with a TinyViT, which is not supported yet. {_OFFICIAL}")
    there = {start: any(name.startswith(start) for name in every) for start in _PARTS}
    if not any(there.values()):
        raise CheckpointError(_describe_strangers(every))
    _refuse_halves(there)
    if not any(name.startswith(_ENCODERS) for name in every):
        raise CheckpointError(f"its image encoder is neither SAM's ViT nor MobileSAM's TinyViT. {_OFFICIAL}")


_ENCODERS = ("image_encoder.pos_embed", "image_encoder.blocks.", "image_encoder.patch_embed.seq.")


def _refuse_halves(there: Mapping[str, bool]) -> None:
    absent = [_PARTS[start] for start, found in there.items() if not found]
    if absent:
        present = [_PARTS[start] for start, found in there.items() if found]
        raise CheckpointError(f"it holds only {' and '.join(present)}; {' and '.join(absent)} missing. {_OFFICIAL}")


def _describe_strangers(names: list[str]) -> str:
    """What to say of a file in which no tensor has one of SAM's names."""
    if any(name.startswith(("iou_token.", "output_hypernetworks_mlps.")) for name in names):
        return f"it holds a mask decoder alone; image and prompt encoder are missing. {_OFFICIAL}"
    if any(name.startswith("neck.") for name in names) and any(n.startswith("patch_embed.") for n in names):
        return f"it holds an image encoder alone; prompt encoder and mask decoder are missing. {_OFFICIAL}"
    if {"head.weight", "fc.weight", "classifier.weight"} & set(names):
        return f"it is an image classifier, not SAM. {_OFFICIAL}"
    found = ", ".join(names[:3]) or "no tensors at all"
    return (
        "it is not SAM weights: expected names such as image_encoder.pos_embed and "
        f"mask_decoder.iou_token.weight, found {found}. {_OFFICIAL}"
    )
