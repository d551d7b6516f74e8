"""The whole network, without state between calls: `encode` a picture, `decode` prompts on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import lru_cache, partial, wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from .checkpoints import Checkpoint
from .crew import crew
from .frame import MODEL_SIDE, Frame
from .graphs import Graphs, Record, filled, portions
from .hq import FINE_CHANNELS, HqDecoder, hq_decoder_state
from .image_encoder import ImageEncoder, build_image_encoder
from .layers import has_fused_kernels, pack_layers
from .mask_decoder import MULTI, SINGLE, MaskDecoder, mask_decoder_state
from .padding import Padding, encode_picture, pad
from .prompt_encoder import PromptEncoder
from .prompt_tensors import PromptTensors, same_shape, shared, stacked
from .recognise import Architecture
from .tiny_vit import TinyViT
from .transformer import CHANNELS, Spread, in_turn

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
P = ParamSpec("P")
R = TypeVar("R")

CPU_PARTS = 4  # of the image, worked on side by side; the last bits of an answer depend on it, and on nothing else
GPU_CHUNK = 64  # prompts decoded at once where there is memory bandwidth for it
MOST_RECORDED = 16  # points of a prompt, padding included: longer ones are rare


class Sam:
    """Image encoder, prompt encoder and mask decoder on one device.

    The encoder and the decoder's image side run in `dtype`; everything on the prompts' side is float32. On a CPU
    pictures and prompts are computed one at a time, so that an answer never depends on its neighbours.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        dtype: torch.dtype,
        encoder: ImageEncoder | None = None,
        *,
        together: bool | None = None,
    ) -> None:
        """`encoder`: one that exists already, on that device and in that dtype; else it is built from the weights.

        together: compute pictures and prompts many at once; None: everywhere but on a CPU.
        """
        self.architecture: Architecture = checkpoint.architecture
        self.device, self.dtype = device, dtype
        self.together = device.type != "cpu" if together is None else together
        self.encoder: ImageEncoder = encoder or build_image_encoder(checkpoint, device, dtype)
        self.padding: Padding | None = None  # set once, by `build_sam`, where it helps
        with torch.random.fork_rng(devices=[]):  # torch fills new layers at random: not with the caller's numbers
            self.prompt_encoder = PromptEncoder()
            decoder = HqDecoder if self.architecture.is_hq else MaskDecoder
            self.decoder = decoder(1 if self.together else CPU_PARTS)
        # Assigned, not copied: float32 whatever the caller's default dtype is.
        self.prompt_encoder.load_state_dict(_part(checkpoint, "prompt_encoder."), assign=True)
        state = hq_decoder_state if self.architecture.is_hq else mask_decoder_state
        self.decoder.load_state_dict(state(_part(checkpoint, "mask_decoder.")), assign=True)
        for part in (self.prompt_encoder, self.decoder):
            part.requires_grad_(False).eval().to(device)
        self.decoder.use(dtype)
        if device.type == "cpu":
            crew()  # made now, rather than when many threads ask at once
            if has_fused_kernels():
                pack_layers(self.decoder)
        self.graphs: Graphs | None = None
        self.positions = self.prompt_encoder.image_positions().to(dtype)
        self.no_mask = self.prompt_encoder.no_mask_embed.weight[None].to(dtype)

    @property
    def channels(self) -> int:
        """Of an image token."""
        return CHANNELS + FINE_CHANNELS * self.architecture.is_hq

    def encode(self, pixels: Tensor, frame: Frame, *, margin: int | None = None) -> Tensor:
        """Image tokens of a picture.

        Args:
            pixels: (H, W, 3) uint8 RGB of the frame's window.
            margin: leave out the padding farther than so many pixels of the model frame from the picture;
                only for a TinyViT whose `padding` is known (see `padding.py`). None: the whole square.

        Returns:
            (4096, 256) in `dtype`, row by row; of HQ-SAM (4096, 768).
        """
        scaled = self.normalise(resize(pixels.to(self.device), frame.scaled_size))
        if margin is not None:
            assert self.padding is not None and isinstance(self.encoder, TinyViT), "a margin needs known padding"
            return encode_picture(self.encoder, scaled, self.padding, margin=margin)
        return self.encode_square(scaled[None])[0]

    def encode_each(self, pictures: Sequence[tuple[Tensor, Frame]], *, margin: int | None = None) -> list[Tensor]:
        """Image tokens of several pictures, as `encode` gives them; on a GPU in one pass."""
        if not self.together or margin is not None or len(pictures) < 2:
            return [self.encode(pixels, frame, margin=margin) for pixels, frame in pictures]
        squares = [
            pad(self.normalise(resize(pixels.to(self.device), frame.scaled_size))[None], MODEL_SIDE, MODEL_SIDE)
            for pixels, frame in pictures
        ]
        return list(self._encode_together(torch.cat(squares)))

    def encode_square(self, scaled: Tensor) -> Tensor:
        """(B, h, w, 3) normalised pixels, longer side 1024 -> (B, 4096, 256)."""
        if self.together:
            return self._encode_together(pad(scaled, MODEL_SIDE, MODEL_SIDE))
        return torch.stack([self._encode_one(picture) for picture in scaled])

    def _encode_together(self, squares: Tensor) -> Tensor:
        """(B, 1024, 1024, 3) -> (B, 4096, 256)."""
        if self.graphs is None:
            return self._encoded(squares)[0]
        encoded = self.graphs.of("encode", self._encoded)
        return torch.cat([encoded(part)[0] for part in squares.split(portions(len(squares)))])

    def _encoded(self, squares: Tensor) -> tuple[Tensor]:
        return (self.encoder.forward_tokens(squares).flatten(1, 2),)

    def _encode_one(self, scaled: Tensor) -> Tensor:
        """(h, w, 3) -> (4096, 256); the same bits with and without known padding."""
        if self.padding is not None and isinstance(self.encoder, TinyViT):
            return encode_picture(self.encoder, scaled, self.padding, margin=None)
        return self.encoder.forward_tokens(pad(scaled[None], MODEL_SIDE, MODEL_SIDE))[0].flatten(0, 1)

    def normalise(self, scaled: Tensor) -> Tensor:
        """(..., 3) RGB, 0 to 255 -> float32, zero mean and unit variance as SAM was trained."""
        mean, std = _statistics(scaled.device)
        return scaled.float().sub_(mean).div_(std)

    def decode(
        self, tokens: Tensor, prompts: Sequence[PromptTensors], *, multimask: bool
    ) -> list[tuple[Tensor, Tensor]]:
        """Masks of prompts on one image.

        Args:
            tokens: (4096, 256), as `encode` gives them.
            prompts: any number; each may have its own number of points.
            multimask: three candidates (tokens 1 to 3) instead of the single mask (token 0).

        Returns:
            For each prompt (C, 256, 256) float32 low-res logits and (C,) float32 predicted IoU.
        """
        return self.decode_each([tokens] * len(prompts), prompts, multimask=multimask)

    def decode_each(
        self, tokens: Sequence[Tensor], prompts: Sequence[PromptTensors], *, multimask: bool
    ) -> list[tuple[Tensor, Tensor]]:
        """Masks of prompts, each on its own image: `decode` with the tokens of one image for each prompt."""
        if not self.together:
            threads = crew()
            alone = partial(self._decode_alone, multimask=multimask, spread=threads.spread)
            return threads.map(alone, tokens, prompts)
        answers: dict[int, tuple[Tensor, Tensor]] = {}
        for group in same_shape(prompts):
            for first in range(0, len(group), GPU_CHUNK):
                numbers = group[first : first + GPU_CHUNK]
                logits, scores = self._decode_together(
                    [tokens[n] for n in numbers], [prompts[n] for n in numbers], multimask
                )
                answers.update(zip(numbers, zip(logits, scores, strict=True), strict=True))
        return [answers[n] for n in range(len(prompts))]

    def _decode_alone(
        self, tokens: Tensor, prompt: PromptTensors, multimask: bool, spread: Spread
    ) -> tuple[Tensor, Tensor]:
        logits, scores = self._answer(multimask, spread, tokens[None], *stacked([prompt]))
        return logits[0], scores[0]

    def _decode_together(
        self, tokens: list[Tensor], prompts: list[PromptTensors], multimask: bool
    ) -> tuple[Tensor, Tensor]:
        """Prompts of one token count, all with an earlier mask or none -> (B, C, 256, 256) and (B, C)."""
        if self.graphs is None or len(prompts[0].labels) > MOST_RECORDED:
            moved = (tensor.to(self.device) for tensor in stacked(prompts))
            return self._answer(multimask, in_turn, shared(tokens), *moved)
        count, more = len(prompts), filled(len(prompts)) - len(prompts)
        images = shared(tokens + more * tokens[-1:])
        answer = self.graphs.of(f"decode, {multimask}", partial(self._answer, multimask, in_turn))
        logits, scores = answer(images, *stacked(prompts + more * prompts[-1:]))
        return logits[:count], scores[:count]

    def _answer(
        self, multimask: bool, spread: Spread, image: Tensor, coords: Tensor, labels: Tensor, *earlier: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Tensors of `stacked` on the device, and the (1 or B, 4096, 256) image they ask."""
        dense = self.prompt_encoder.dense(*earlier).to(self.dtype) if earlier else self.no_mask
        sparse = self.prompt_encoder.points(coords, labels)
        return self.decoder(image, dense, self.positions, sparse, MULTI if multimask else SINGLE, spread)

    def use_graphs(self, record: Record | None = None) -> None:
        """From now on, have encoder and decoder recorded: see `graphs.py`. Once, before any call.

        record: None is CUDA's.
        """
        self.graphs = Graphs(self.device, record)

    def give_back_memory(self) -> None:
        """What is held beside weights: memory ran out. Nothing is recorded any more from then on."""
        if self.graphs is not None:
            self.graphs.give_up()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def plain_arithmetic(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function as written: no gradients, and none of the caller's autocast."""

    @wraps(function)
    def plainly(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch.inference_mode(), ExitStack() as off:
            for kind in ("cpu", "cuda"):
                off.enter_context(torch.autocast(kind, enabled=False))
            return function(*args, **kwargs)

    return plainly


def resize(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """(H, W, 3) uint8 -> (height, width, 3) uint8 by antialiased bilinear filtering, `size` = (width, height).

    At most one grey level from segment_anything's own (Pillow's) result, and ten times quicker.
    """
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    image = pixels.permute(2, 0, 1)[None]
    if pixels.device.type != "cpu":
        image = image.float()
    image = F.interpolate(image, size[::-1], mode="bilinear", align_corners=False, antialias=True)
    return image[0].permute(1, 2, 0)


@lru_cache
def _statistics(device: torch.device) -> Tensor:
    """(2, 3) float32: mean and standard deviation, made once: a GPU waits for what comes from its host."""
    return torch.tensor((PIXEL_MEAN, PIXEL_STD), dtype=torch.float32, device=device)


def _part(checkpoint: Checkpoint, prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in checkpoint.state.items() if name.startswith(prefix)}
