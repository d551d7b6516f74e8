"""segment_anything's own prompt encoder and mask decoder, on the weights of a checkpoint."""

from __future__ import annotations

from typing import NamedTuple

from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer

from clickmask.models.checkpoints import Checkpoint


class Original(NamedTuple):
    """Both, without gradients."""

    prompts: PromptEncoder
    decoder: MaskDecoder


def original_parts(checkpoint: Checkpoint) -> Original:
    """Both, with the checkpoint's tensors."""
    transformer = TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
    parts = Original(
        PromptEncoder(256, (64, 64), (1024, 1024), 16),
        MaskDecoder(transformer_dim=256, transformer=transformer, num_multimask_outputs=3),
    )
    for part, start in zip(parts, ("prompt_encoder.", "mask_decoder."), strict=True):
        names = [name for name in checkpoint.state if name.startswith(start)]
        part.load_state_dict({name.removeprefix(start): checkpoint.state[name] for name in names}, strict=True)
        part.requires_grad_(False).eval()
    return parts
