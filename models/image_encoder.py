"""Image encoders behind one call: normalised pixels in, image tokens out."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from .checkpoints import Checkpoint
from .frame import MODEL_SIDE
from .hq import HqFeatures, hq_features_state
from .layers import has_fused_kernels, pack_layers
from .plain_vit import PlainViT
from .recognise import Architecture
from .tiny_vit import TinyViT
from .tiny_vit_weights import tiny_vit_state


def plain_vit(architecture: Architecture) -> nn.Module:
    """segment_anything's `ImageEncoderViT` of that size."""
    # Imported here: it brings torchvision along, which the embedded model does not need.
    from segment_anything.modeling.image_encoder import ImageEncoderViT

    return ImageEncoderViT(
        img_size=MODEL_SIDE,
        patch_size=16,
        embed_dim=architecture.embed_dim,
        depth=architecture.depth,
        num_heads=architecture.heads,
        mlp_ratio=4,
        out_chans=256,
        qkv_bias=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),  # pyright: ignore[reportArgumentType]
        use_rel_pos=True,
        window_size=14,
        global_attn_indexes=architecture.global_attention,
    )


def _plain(architecture: Architecture) -> PlainViT:
    return PlainViT(plain_vit(architecture), HqFeatures(architecture.embed_dim) if architecture.is_hq else None)


ImageEncoder = TinyViT | PlainViT


def build_image_encoder(checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype) -> ImageEncoder:
    """The encoder of a checkpoint, on a device, in a dtype, ready to run."""
    prefix = "image_encoder."
    official = {k.removeprefix(prefix): v for k, v in checkpoint.state.items() if k.startswith(prefix)}
    encoder: ImageEncoder
    with torch.device("meta"):  # no memory, no initialisation: every tensor is assigned below
        encoder = TinyViT() if checkpoint.architecture.kind == "tiny_vit" else _plain(checkpoint.architecture)
    if isinstance(encoder, TinyViT):
        encoder.load_state_dict(tiny_vit_state(official), assign=True)
    else:
        encoder.network.load_state_dict(official, assign=True)
    if isinstance(encoder, PlainViT) and encoder.fine is not None:
        prefix = "mask_decoder."  # where the original keeps them
        named = {k.removeprefix(prefix): v for k, v in checkpoint.state.items() if k.startswith(prefix)}
        encoder.fine.load_state_dict(hq_features_state(named), assign=True)
    encoder.requires_grad_(False).eval().to(device)
    if isinstance(encoder, TinyViT):
        encoder.use(dtype)
    else:
        encoder.to(dtype)
    if device.type == "cpu" and has_fused_kernels():
        if isinstance(encoder, PlainViT):
            encoder.fuse()
        pack_layers(encoder, keep=isinstance(encoder, TinyViT))
    return encoder
