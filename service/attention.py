"""What the Transformer looked at for a click: its attention, by layer, head and token, over the photo."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ..models.attention import Look, Trace, trace
from ..models.crew import crew
from ..models.errors import OutputError, PromptError
from ..models.frame import GRID, MODEL_SIDE, Frame
from ..models.prompt_encoder import PADDING
from ..models.sam import plain_arithmetic
from ..models.transformer import in_turn
from .family import check_family
from .files import write_atomic
from .formats.encoding import encode_png
from .masks import Mask
from .prompts import Prompt, to_tensors

if TYPE_CHECKING:
    from .open_image import OpenImage

TOP = ("token_to_image", "image_to_token", "token_to_token")
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
    walk: what these are computed from, by the attention's name ("token_to_image 3") and, after a slash: asked (N, 256)
        times query_projection (256, 8 d) plus query_bias (8 d,) are, head by head, the queries (8, N, d); with the keys
        (8, M, d) they make scores (8, N, M) = queries keys^T / sqrt(d), whose softmax are the weights above; times
        values (8, M, d) those are heard (8, N, d); the heads' side by side, times projection (8 d, 256), plus bias
        (256,), are the output (N, 256). "mask/filter" (32,) is what the chosen token becomes, and "mask/pixels" (256,
        256, 32) the upscaled image: their product is "mask/logits", the mask's low-res logits.

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
        """See above; each array is made when it is first asked for."""
        return _Walk(self._found, _OWN.index(self.chosen) - 1)

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
            write_atomic(path, npz(self.described | {name: self.array(name) for name in self.names}))
        else:
            raise OutputError(f"{path}: expected .npz for the arrays or .png for a picture, got {extension!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """Of all arrays: the three above, and those of the walk after "walk/"."""
        return (*TOP, *(f"walk/{name}" for name in self.walk))

    def array(self, name: str) -> np.ndarray:
        """An array by its name. Raises PromptError when there is none such."""
        if name not in self.names:
            raise PromptError(f"arrays: there is no {name!r}; there are {', '.join(self.names)}")
        return getattr(self, name) if name in TOP else self.walk[name.removeprefix("walk/")]

    @property
    def described(self) -> dict[str, np.ndarray]:
        """What goes into a file beside the arrays: the names of the tokens, and which of them was "chosen"."""
        return {"tokens": np.array(self.tokens), "chosen": np.array(self.chosen)}

    def _number(self, token: str | None) -> int:
        name = self.chosen if token is None else token
        if name not in self.tokens:
            raise PromptError(f"token: there is no {name!r}; there are {', '.join(self.tokens)}")
        return self.tokens.index(name)

    @staticmethod
    def _of(layers: np.ndarray, layer: int, head: int | None) -> np.ndarray:
        chosen = layers[whole("layer", layer, len(layers))]
        return by_head(chosen, head)


@plain_arithmetic
def attention_of(image: OpenImage, prompt: Prompt) -> Attention:
    """The attention for the mask that `segment` answers. Raises PromptError and ClosedError as that does, and
    SettingsError for a family with another decoder."""
    check_family("attention", image._network.provenance)
    frame, works = image.frame, (partial(image.segment_many, [prompt]), partial(_traced, image, prompt))
    is_cpu = image._network.sam.device.type == "cpu"  # where each is work for one thread, helped by those that idle
    (mask,), found = crew().map(_call, works) if is_cpu else map(_call, works)
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


@plain_arithmetic
def _traced(image: OpenImage, prompt: Prompt) -> Trace:
    sam, tensors = image._network.sam, to_tensors(prompt, image.frame)
    low_res = tensors.low_res
    dense = sam.no_mask if low_res is None else sam.prompt_encoder.dense(low_res[None].to(sam.device)).to(sam.dtype)
    sparse = sam.prompt_encoder.points(tensors.coords[None].to(sam.device), tensors.labels[None].to(sam.device))
    spread = crew().spread if sam.device.type == "cpu" else in_turn
    return trace(sam.decoder, image._open_tokens(), dense[0], sam.positions, sparse[0], spread)


def _call(work: Callable[[], Any]) -> Any:
    return work()


def _names(prompt: Prompt, frame: Frame) -> list[str]:
    names, counts = list[str](), dict[int, int]()
    for label in to_tensors(prompt, frame).labels.tolist():
        counts[label] = counts.get(label, 0) + 1
        names.append(f"{_KINDS[label]} {counts[label]}" if label in (0, 1) else _KINDS[label])
    return names


class _Walk(Mapping[str, np.ndarray]):
    """The walk's arrays by name, each made when it is first asked for."""

    def __init__(self, found: Trace, mask: int) -> None:
        self._make: dict[str, Callable[[], Any]] = {
            "mask/filter": lambda: found.filter(mask),
            "mask/pixels": lambda: found.pixels,
            "mask/logits": lambda: found.pixels @ found.filter(mask),
        }
        for kind, looks in (
            ("token_to_token", found.among),
            ("token_to_image", found.to_image),
            ("image_to_token", found.to_tokens),
        ):
            for number, look in enumerate(looks, 1):
                self._add(f"{kind} {number}", look)
        self._made = dict[str, np.ndarray]()

    def _add(self, name: str, look: Look) -> None:
        parts = ("queries", "keys", "values", "scores", "heard", "output")
        self._make |= {f"{name}/{part}": partial(getattr, look, part) for part in parts}
        self._make[f"{name}/asked"] = look.asking
        self._make[f"{name}/query_projection"] = lambda: look.layer.q_proj.weight.T
        self._make[f"{name}/query_bias"] = lambda: look.layer.q_proj.bias
        self._make[f"{name}/projection"] = lambda: look.layer.out_proj.weight.T
        self._make[f"{name}/bias"] = lambda: look.layer.out_proj.bias

    @plain_arithmetic
    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._made:
            self._made[name] = _array(self._make[name]())
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._make)

    def __len__(self) -> int:
        return len(self._make)


def _array(tensor: Any) -> np.ndarray:
    return tensor.float().cpu().numpy()


def whole(name: str, value: int, count: int) -> int:
    """One of so many, from the end too where it is negative. Raises PromptError, which names it."""
    if not isinstance(value, int | np.integer) or not -count <= value < count:
        raise PromptError(f"{name}: expected 0 to {count - 1}, got {value!r}")
    return int(value)


def by_head(heads: np.ndarray, head: int | None) -> np.ndarray:
    """(H, ...) -> one of them, or the mean of all. Raises PromptError."""
    return heads.mean(0) if head is None else heads[whole("head", head, len(heads))]


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
