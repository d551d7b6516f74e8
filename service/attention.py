"""What the Transformer looked at for a click: its attention, by layer, head and token, over the photo."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ..models.attention import Trace, trace
from ..models.errors import OutputError, PromptError
from ..models.frame import GRID, MODEL_SIDE, Frame
from ..models.prompt_encoder import PADDING
from ..models.sam import plain_arithmetic
from .files import write_atomic
from .formats.encoding import encode_png
from .masks import Mask
from .prompts import Prompt, to_tensors

if TYPE_CHECKING:
    from .network import Network
    from .open_image import OpenImage

_OWN = ("predicted IoU", "mask 0", "mask 1", "mask 2", "mask 3")
_KINDS = {PADDING: "no point", 0: "background point", 1: "foreground point", 2: "box top left", 3: "box bottom right"}


@dataclass(frozen=True, eq=False)
class Attention:
    """The attention of the mask decoder for one prompt; T tokens, 8 heads. All arrays are float32.

    mask: what was answered. chosen: the name of the token that it came from ("mask 0" to "mask 3").
    tokens: the T tokens' names: predicted IoU, four masks, then the prompt's ("foreground point 1", "box top left").
    token_to_image: (3, 8, T, 64, 64), in layers 1 and 2 and the last look: how much each token looks at each place;
        sums to 1 over the places. image_to_token: (2, 8, 64, 64, T), in layers 1 and 2: how much each place listens to
        each token; sums to 1 over the tokens. token_to_token: (2, 8, T, T): rows look at columns; rows sum to 1.
    walk: what these are computed from, by the attention's name ("token_to_image 3") and, after a slash: queries
        (8, N, d) and keys (8, M, d) after their projections, whose softmax(queries keys^T / sqrt(d)) are the weights
        above; values (8, M, d); projection (8 d, 256) and bias (256,); output (N, 256) = the heads' weights times their
        values, side by side, times projection, plus bias.

    Places are the 64 x 64 of the model frame, row by row: the encoded part of the image, scaled so that its longer side
    is 64 places, lies at the top left, and what is beyond it is padding.
    """

    mask: Mask
    chosen: str
    tokens: tuple[str, ...]
    token_to_image: np.ndarray
    image_to_token: np.ndarray
    token_to_token: np.ndarray
    _found: Trace = field(repr=False)

    @cached_property
    def walk(self) -> Mapping[str, np.ndarray]:
        """See above; made when it is first asked for."""
        return _walk(self._found)

    def heat(self, token: str | None = None, layer: int = -1, head: int | None = None) -> np.ndarray:
        """Where a token looked, over the photo.

        Args:
            token: a name of `tokens`; the chosen mask's by default. layer: 0, 1 or 2; head: 0 to 7, or the mean of all.

        Returns:
            (h, w) float32 over the encoded part of the image, 0 to 1, the place looked at most being 1.

        Raises:
            PromptError: there is no such token, layer or head.
        """
        places = self._of(self.token_to_image, layer, head)[self._number(token)]
        return over(places, self.mask.frame)

    def listening(self, token: str | None = None, layer: int = -1, head: int | None = None) -> np.ndarray:
        """Which places listened to a token; arguments and result as of `heat`, with layers 0 and 1."""
        places = self._of(self.image_to_token, layer, head)[..., self._number(token)]
        return over(places, self.mask.frame)

    def picture(self, token: str | None = None, layer: int = -1, head: int | None = None) -> np.ndarray:
        """(h, w, 3) uint8 RGB: `heat` over the encoded part of the photo. Raises ClosedError without the photo."""
        photo = self.mask.source.get().window_at(self.mask.frame.window)
        return _glowing(photo, self.heat(token, layer, head))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all arrays, names among them, as .npz (without pickles), or `picture` as .png.

        Raises OutputError for another extension, or a path that cannot be written.
        """
        extension = Path(path).suffix.lower()
        if extension == ".png":
            write_atomic(path, encode_png(self.picture()))
        elif extension == ".npz":
            names = {"tokens": np.array(self.tokens), "chosen": np.array(self.chosen)}
            write_atomic(path, npz(names | self._arrays()))
        else:
            raise OutputError(f"{path}: expected .npz for the arrays or .png for a picture, got {extension!r}")

    def _arrays(self) -> dict[str, np.ndarray]:
        own = {name: getattr(self, name) for name in ("token_to_image", "image_to_token", "token_to_token")}
        return own | {f"walk/{name}": array for name, array in self.walk.items()}

    def _number(self, token: str | None) -> int:
        name = self.chosen if token is None else token
        if name not in self.tokens:
            raise PromptError(f"token: there is no {name!r}; there are {', '.join(self.tokens)}")
        return self.tokens.index(name)

    @staticmethod
    def _of(layers: np.ndarray, layer: int, head: int | None) -> np.ndarray:
        if not -len(layers) <= layer < len(layers):
            raise PromptError(f"layer: expected 0 to {len(layers) - 1}, got {layer}")
        if head is None:
            return layers[layer].mean(0)
        if not 0 <= head < layers.shape[1]:
            raise PromptError(f"head: expected 0 to {layers.shape[1] - 1}, got {head}")
        return layers[layer, head]


@plain_arithmetic
def attention_of(image: OpenImage, prompt: Prompt) -> Attention:
    """The attention for the mask that `segment` answers. Raises PromptError and ClosedError as that does."""
    (mask,) = image.segment_many([prompt])
    network, frame = image._network, image.frame
    found = _traced(network, image._open_tokens(), prompt, frame)
    number = 1 + mask.index if prompt.is_ambiguous else 0
    side = (GRID, GRID)
    return Attention(
        mask=mask,
        chosen=_OWN[1 + number],
        tokens=(*_OWN, *_names(prompt, frame)),
        token_to_image=np.stack([_array(look.weights).reshape(8, -1, *side) for look in found.to_image]),
        image_to_token=np.stack([_array(look.weights).reshape(8, *side, -1) for look in found.to_tokens]),
        token_to_token=np.stack([_array(look.weights) for look in found.among]),
        _found=found,
    )


def _traced(network: Network, tokens: Any, prompt: Prompt, frame: Frame) -> Trace:
    sam, tensors = network.sam, to_tensors(prompt, frame)
    low_res = tensors.low_res
    dense = sam.no_mask if low_res is None else sam.prompt_encoder.dense(low_res[None].to(sam.device)).to(sam.dtype)
    sparse = sam.prompt_encoder.points(tensors.coords[None].to(sam.device), tensors.labels[None].to(sam.device))
    return trace(sam.decoder, tokens, dense[0], sam.positions, sparse[0])


def _names(prompt: Prompt, frame: Frame) -> list[str]:
    names, counts = list[str](), dict[int, int]()
    for label in to_tensors(prompt, frame).labels.tolist():
        counts[label] = counts.get(label, 0) + 1
        names.append(f"{_KINDS[label]} {counts[label]}" if label in (0, 1) else _KINDS[label])
    return names


@plain_arithmetic
def _walk(found: Trace) -> dict[str, np.ndarray]:
    named = {f"token_to_token {number}": look for number, look in enumerate(found.among, 1)}
    named |= {f"token_to_image {number}": look for number, look in enumerate(found.to_image, 1)}
    named |= {f"image_to_token {number}": look for number, look in enumerate(found.to_tokens, 1)}
    walk = dict[str, np.ndarray]()
    for name, look in named.items():
        parts = {"queries": look.queries, "keys": look.keys, "values": look.values, "output": look.output}
        parts |= {"projection": look.layer.out_proj.weight.T, "bias": look.layer.out_proj.bias}
        walk |= {f"{name}/{part}": _array(tensor) for part, tensor in parts.items()}
    return walk


def _array(tensor: Any) -> np.ndarray:
    return tensor.float().cpu().numpy()


def over(places: np.ndarray, frame: Frame) -> np.ndarray:
    """(64, 64) over the model frame -> (h, w) over the encoded part of the image; the largest becomes 1."""
    width, height = frame.scaled_size
    model = cv2.resize(places, (MODEL_SIDE, MODEL_SIDE), interpolation=cv2.INTER_LINEAR)[:height, :width]
    heat = cv2.resize(model, frame.window_size, interpolation=cv2.INTER_LINEAR)
    return heat / max(float(heat.max()), np.finfo(np.float32).tiny)


def _glowing(photo: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 RGB: the photo in grey, and the heat's colour over it, the stronger the more."""
    grey = cv2.cvtColor(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.float32)
    colours = cv2.applyColorMap(np.rint(heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    share = np.sqrt(heat)[..., None] * np.float32(0.85)
    return np.rint(grey * (1 - share) + colours * share).astype(np.uint8)


def npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as a compressed file of NumPy's; spaces in names become underscores."""
    file = io.BytesIO()
    np.savez_compressed(file, **{name.replace(" ", "_"): array for name, array in arrays.items()})  # pyright: ignore[reportArgumentType]
    return file.getvalue()
