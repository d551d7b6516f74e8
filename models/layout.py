"""Which tensors a SAM checkpoint holds, and their shapes: the official names, written once.

Linear weights are (out, in); convolutions (out, in / groups, height, width); transposed
convolutions (in, out, height, width). A window of w x w tokens has 2w - 1 relative positions a side.
"""

from __future__ import annotations

from collections.abc import Iterator

Shape = tuple[int, ...]
Entry = tuple[str, Shape]

PROMPT_DIM = 256  # width of prompt tokens, embedding and decoder
GRID = 64  # the embedding is GRID x GRID, for an image of 1024 x 1024
PATCH = 16
MASK_TOKENS = 4  # one single-mask token and three for an ambiguous prompt
LOCAL_POSITIONS = 2 * 14 - 1
GLOBAL_POSITIONS = 2 * GRID - 1

TINY_WIDTHS = (64, 128, 160, 320)
TINY_DEPTHS = (2, 2, 6, 2)
TINY_HEADS = (2, 4, 5, 10)
TINY_WINDOWS = (7, 7, 14, 7)


def vit_layout(embed_dim: int, depth: int, heads: int, global_attention: tuple[int, ...]) -> dict[str, Shape]:
    """Name -> shape of every tensor of SAM with a plain ViT encoder of that size."""
    return {**dict(_vit_encoder(embed_dim, depth, heads, global_attention)), **_prompt_and_mask()}


def tiny_vit_layout() -> dict[str, Shape]:
    """Name -> shape of every tensor of MobileSAM (TinyViT-5M encoder, no classification head)."""
    return {**dict(_tiny_encoder()), **_prompt_and_mask()}


def hq_layout(embed_dim: int) -> dict[str, Shape]:
    """Name -> shape of the tensors that HQ-SAM has besides, with a plain ViT of that width."""
    return dict(_hq(embed_dim))


def count_numbers(layout: dict[str, Shape]) -> int:
    """How many numbers the tensors of a layout hold together."""
    total = 0
    for shape in layout.values():
        size = 1
        for side in shape:
            size *= side
        total += size
    return total


def _linear(name: str, into: int, out: int) -> Iterator[Entry]:
    yield f"{name}.weight", (out, into)
    yield f"{name}.bias", (out,)


def _norm(name: str, width: int) -> Iterator[Entry]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _conv_norm(name: str, out: int, into: int, side: int) -> Iterator[Entry]:
    """TinyViT's convolution `c` followed by batch norm `bn`."""
    yield f"{name}.c.weight", (out, into, side, side)
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.bn.{part}", (out,)


def _neck(width: int) -> Iterator[Entry]:
    yield "image_encoder.neck.0.weight", (PROMPT_DIM, width, 1, 1)
    yield from _norm("image_encoder.neck.1", PROMPT_DIM)
    yield "image_encoder.neck.2.weight", (PROMPT_DIM, PROMPT_DIM, 3, 3)
    yield from _norm("image_encoder.neck.3", PROMPT_DIM)


def _vit_encoder(width: int, depth: int, heads: int, global_attention: tuple[int, ...]) -> Iterator[Entry]:
    yield "image_encoder.pos_embed", (1, GRID, GRID, width)
    yield "image_encoder.patch_embed.proj.weight", (width, 3, PATCH, PATCH)
    yield "image_encoder.patch_embed.proj.bias", (width,)
    for index in range(depth):
        positions = GLOBAL_POSITIONS if index in global_attention else LOCAL_POSITIONS
        yield from _vit_block(f"image_encoder.blocks.{index}", width, width // heads, positions)
    yield from _neck(width)


def _vit_block(name: str, width: int, head_width: int, positions: int) -> Iterator[Entry]:
    yield from _norm(f"{name}.norm1", width)
    yield f"{name}.attn.rel_pos_h", (positions, head_width)
    yield f"{name}.attn.rel_pos_w", (positions, head_width)
    yield from _linear(f"{name}.attn.qkv", width, 3 * width)
    yield from _linear(f"{name}.attn.proj", width, width)
    yield from _norm(f"{name}.norm2", width)
    yield from _linear(f"{name}.mlp.lin1", width, 4 * width)
    yield from _linear(f"{name}.mlp.lin2", 4 * width, width)


def _tiny_encoder() -> Iterator[Entry]:
    yield from _conv_norm("image_encoder.patch_embed.seq.0", TINY_WIDTHS[0] // 2, 3, 3)
    yield from _conv_norm("image_encoder.patch_embed.seq.2", TINY_WIDTHS[0], TINY_WIDTHS[0] // 2, 3)
    for stage, width in enumerate(TINY_WIDTHS):
        for index in range(TINY_DEPTHS[stage]):
            name = f"image_encoder.layers.{stage}.blocks.{index}"
            yield from _tiny_block(name, stage) if stage else _tiny_convolutions(name, width)
        if stage + 1 < len(TINY_WIDTHS):
            yield from _tiny_downsample(f"image_encoder.layers.{stage}.downsample", stage)
    yield from _neck(TINY_WIDTHS[-1])


def _tiny_convolutions(name: str, width: int) -> Iterator[Entry]:
    yield from _conv_norm(f"{name}.conv1", 4 * width, width, 1)
    yield from _conv_norm(f"{name}.conv2", 4 * width, 1, 3)
    yield from _conv_norm(f"{name}.conv3", width, 4 * width, 1)


def _tiny_downsample(name: str, stage: int) -> Iterator[Entry]:
    into, out = TINY_WIDTHS[stage], TINY_WIDTHS[stage + 1]
    yield from _conv_norm(f"{name}.conv1", out, into, 1)
    yield from _conv_norm(f"{name}.conv2", out, 1, 3)
    yield from _conv_norm(f"{name}.conv3", out, out, 1)


def _tiny_block(name: str, stage: int) -> Iterator[Entry]:
    width = TINY_WIDTHS[stage]
    yield f"{name}.attn.attention_biases", (TINY_HEADS[stage], TINY_WINDOWS[stage] ** 2)
    yield from _norm(f"{name}.attn.norm", width)
    yield from _linear(f"{name}.attn.qkv", width, 3 * width)
    yield from _linear(f"{name}.attn.proj", width, width)
    yield from _conv_norm(f"{name}.local_conv", width, 1, 3)
    yield from _norm(f"{name}.mlp.norm", width)
    yield from _linear(f"{name}.mlp.fc1", width, 4 * width)
    yield from _linear(f"{name}.mlp.fc2", 4 * width, width)


def _prompt_and_mask() -> dict[str, Shape]:
    return {**dict(_prompt_encoder()), **dict(_mask_decoder())}


def _prompt_encoder() -> Iterator[Entry]:
    yield "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", (2, PROMPT_DIM // 2)
    for label in range(4):
        yield f"prompt_encoder.point_embeddings.{label}.weight", (1, PROMPT_DIM)
    yield "prompt_encoder.not_a_point_embed.weight", (1, PROMPT_DIM)
    yield "prompt_encoder.no_mask_embed.weight", (1, PROMPT_DIM)
    for index, (out, into, side) in {0: (4, 1, 2), 3: (16, 4, 2), 6: (PROMPT_DIM, 16, 1)}.items():
        yield f"prompt_encoder.mask_downscaling.{index}.weight", (out, into, side, side)
        yield f"prompt_encoder.mask_downscaling.{index}.bias", (out,)
    yield from _norm("prompt_encoder.mask_downscaling.1", 4)
    yield from _norm("prompt_encoder.mask_downscaling.4", 16)


def _mask_decoder() -> Iterator[Entry]:
    yield "mask_decoder.iou_token.weight", (1, PROMPT_DIM)
    yield "mask_decoder.mask_tokens.weight", (MASK_TOKENS, PROMPT_DIM)
    for index in range(2):
        yield from _two_way_block(f"mask_decoder.transformer.layers.{index}")
    yield from _attention("mask_decoder.transformer.final_attn_token_to_image", PROMPT_DIM // 2)
    yield from _norm("mask_decoder.transformer.norm_final_attn", PROMPT_DIM)
    yield from _upscaling("mask_decoder.output_upscaling", PROMPT_DIM, PROMPT_DIM // 4)
    for token in range(MASK_TOKENS):
        yield from _perceptron(f"mask_decoder.output_hypernetworks_mlps.{token}", PROMPT_DIM // 8)
    yield from _perceptron("mask_decoder.iou_prediction_head", MASK_TOKENS)


def _hq(width: int) -> Iterator[Entry]:
    fine = PROMPT_DIM // 8
    yield "mask_decoder.hf_token.weight", (1, PROMPT_DIM)
    yield from _perceptron("mask_decoder.hf_mlp", fine)
    yield from _upscaling("mask_decoder.compress_vit_feat", width, PROMPT_DIM)
    yield from _upscaling("mask_decoder.embedding_encoder", PROMPT_DIM, PROMPT_DIM // 4)
    name = "mask_decoder.embedding_maskfeature"
    for index, (out, into) in {0: (2 * fine, fine), 3: (fine, 2 * fine)}.items():
        yield f"{name}.{index}.weight", (out, into, 3, 3)
        yield f"{name}.{index}.bias", (out,)
    yield from _norm(f"{name}.1", 2 * fine)


def _upscaling(name: str, into: int, middle: int) -> Iterator[Entry]:
    """Two transposed convolutions, with a norm between, to PROMPT_DIM // 8 channels."""
    for index, (first, second) in {0: (into, middle), 3: (middle, PROMPT_DIM // 8)}.items():
        yield f"{name}.{index}.weight", (first, second, 2, 2)
        yield f"{name}.{index}.bias", (second,)
    yield from _norm(f"{name}.1", middle)


def _two_way_block(name: str) -> Iterator[Entry]:
    yield from _attention(f"{name}.self_attn", PROMPT_DIM)
    yield from _attention(f"{name}.cross_attn_token_to_image", PROMPT_DIM // 2)
    yield from _attention(f"{name}.cross_attn_image_to_token", PROMPT_DIM // 2)
    yield from _linear(f"{name}.mlp.lin1", PROMPT_DIM, 8 * PROMPT_DIM)
    yield from _linear(f"{name}.mlp.lin2", 8 * PROMPT_DIM, PROMPT_DIM)
    for norm in range(1, 5):
        yield from _norm(f"{name}.norm{norm}", PROMPT_DIM)


def _attention(name: str, inner: int) -> Iterator[Entry]:
    for side in ("q_proj", "k_proj", "v_proj"):
        yield from _linear(f"{name}.{side}", PROMPT_DIM, inner)
    yield from _linear(f"{name}.out_proj", inner, PROMPT_DIM)


def _perceptron(name: str, out: int) -> Iterator[Entry]:
    """Three linear layers."""
    yield from _linear(f"{name}.layers.0", PROMPT_DIM, PROMPT_DIM)
    yield from _linear(f"{name}.layers.1", PROMPT_DIM, PROMPT_DIM)
    yield from _linear(f"{name}.layers.2", PROMPT_DIM, out)
