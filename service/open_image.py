"""An image that was encoded: ask it for masks as often as you like."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor

from ..models.errors import ClosedError, ImageError
from ..models.frame import GRID, Frame
from ..models.transformer import CHANNELS
from .answering import ask_together, segment_each
from .attention import Attention, attention_of
from .embeddings import pack_embedding, write_embedding
from .encoder_attention import EncoderAttention, PatchAttention, encoder_attention_of
from .family import check_family
from .formats.encoding import encode_png
from .images import Picture
from .masks import Mask, PhotoSource, preview
from .network import Network
from .once import Once
from .prompts import Box, Point, Prompt, check_inside, prompt_of, window_box
from .provenance import of_encoder
from .refine.sketch import colours, sketch
from .searchable import Searchable
from .subject.answer import NoSubject, SubjectMask
from .subject.find import find
from .subject.threshold import MIN_CONFIDENCE, check_confidence
from .thing import Thing


class OpenImage(Searchable):
    """An encoded image (or a window of one); prompts and masks are in the whole image's frame.

    Calls change nothing, so threads may share it. Made by `Segmenter.open`; a context manager.
    """

    def __init__(
        self,
        network: Network,
        source: PhotoSource,
        frame: Frame,
        tokens: Tensor,
        sketch: np.ndarray | None = None,
        mirrored: Once[Tensor] | None = None,
    ) -> None:
        self._network, self._source, self._frame = network, source, frame
        self._tokens: Tensor | None = tokens
        self._sketch = sketch
        self._mirrored: Once[Tensor] = mirrored or Once()  # one for all copies that only `refine` differently

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the whole image in pixels."""
        return self._frame.width, self._frame.height

    @property
    def frame(self) -> Frame:
        """Where the encoded part lies in the image."""
        return self._frame

    @property
    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB, the whole image upright, read-only. Raises ClosedError when it is gone."""
        pixels = self._source.get().pixels.view()
        pixels.setflags(write=False)
        return pixels

    @property
    def provenance(self) -> dict[str, Any]:
        """Model, effective precision, fit, device and thread count: with what the answers are made."""
        return dict(self._network.provenance)

    def embedding(self) -> np.ndarray:
        """(256, 64, 64) float32: the image encoder's output, as segment_anything lays it out."""
        return self.encoded()[:CHANNELS]

    def encoded(self) -> np.ndarray:
        """(C, 64, 64) float32: all that the encoder gave, for `Segmenter.open_encoded`; of SAM that is `embedding`."""
        tokens = self._open_tokens()
        return tokens.float().cpu().numpy().T.reshape(tokens.shape[1], GRID, GRID).copy()

    def click(self, x: float, y: float) -> Mask:
        """The best mask for one foreground point (image frame). Raises PromptError for a point outside."""
        return self.segment(points=[(x, y)])

    def segment(
        self,
        points: Sequence[Point] | np.ndarray = (),
        labels: Sequence[int] | np.ndarray | None = None,
        box: Box | Sequence[float] | np.ndarray | None = None,
        previous: Mask | np.ndarray | None = None,
    ) -> Mask:
        """The mask of one object; the arguments are those of `Prompt`.

        One point alone gives the best of three candidates by predicted IoU, anything more the single mask.

        Raises:
            PromptError: the prompt makes no sense on this image. ClosedError: the image was closed.
        """
        return self.segment_many([prompt_of(points, labels, box, previous)])[0]

    def candidates(
        self,
        points: Sequence[Point] | np.ndarray = (),
        labels: Sequence[int] | np.ndarray | None = None,
        box: Box | Sequence[float] | np.ndarray | None = None,
    ) -> list[Mask]:
        """The decoder's three masks for a prompt, best predicted IoU first; `index` is the decoder's order."""
        prompt = prompt_of(points, labels, box, None)
        return self._decode([prompt], multimask=True)[0]

    def segment_many(self, prompts: Iterable[Prompt]) -> list[Mask]:
        """One mask for each prompt, in their order; prompts may differ in everything."""
        return segment_each(self, list(prompts) if isinstance(prompts, Iterable) else [prompts])

    def _decode(self, prompts: Sequence[Prompt], *, multimask: bool) -> list[list[Mask]]:
        """For each prompt its masks, best predicted IoU first."""
        self._open_tokens()
        return ask_together([(self, prompt) for prompt in prompts], multimask=multimask)

    def subject(self, *, min_confidence: float = MIN_CONFIDENCE) -> SubjectMask | NoSubject:
        """The one thing that the image (the encoded window) is of, without a click; for photos with one subject.

        Args:
            min_confidence: 0 to 1; what the model is less sure of is not answered. 0 always answers, where it can.

        Returns:
            The mask, with `.confidence`, or `NoSubject`, which is false and says why.

        Raises:
            SettingsError: another min_confidence. ClosedError: the image was closed.
        """
        check_confidence(min_confidence)
        check_family("subject", self._network.provenance)
        return find(
            self._network.sam, self._open_tokens(), self._frame, self.refined("off").segment_many, min_confidence
        )

    def attention(
        self,
        points: Sequence[Point] | np.ndarray = (),
        labels: Sequence[int] | np.ndarray | None = None,
        box: Box | Sequence[float] | np.ndarray | None = None,
        previous: Mask | np.ndarray | None = None,
    ) -> Attention:
        """What the decoder looks at for this prompt, by layer, head and token: see `Attention`. As `segment` asks, and
        computed when it is asked for.

        Raises:
            PromptError, ClosedError: as `segment` does.
        """
        return attention_of(self, prompt_of(points, labels, box, previous))

    def patch_attention(self, x: float, y: float) -> PatchAttention:
        """What the patch at a point looks at inside the image encoder, block by block: see `PatchAttention`. The image
        is encoded once more for it: for several patches use `encoder_attention`.

        Raises:
            PromptError: a point outside. ClosedError: the image, or its pixels, are not there any more.
        """
        check_inside(Prompt(points=[(x, y)]), self._frame)
        return self.encoder_attention().at(x, y)

    def encoder_attention(self) -> EncoderAttention:
        """The image encoded once more, and watched: `.at(x, y)` is what any patch looks at, at once.

        Raises ClosedError: the image, or its pixels, are not there any more.
        """
        return encoder_attention_of(self)

    def start(self) -> Thing:
        """An empty object to click on: each click refines the mask of the one before."""
        self._open_tokens()
        return Thing(self)

    def window(self, box: Box | Sequence[float] | np.ndarray) -> OpenImage:
        """This image with only the part in `box` encoded, at full resolution: for small things.

        Prompts and masks stay in the whole image's frame. Raises PromptError for a box outside the image.
        """
        self._open_tokens()
        width, height = self.size
        x0, y0, x1, y1 = window = window_box(box, width, height)
        frame = Frame(width, height, window)
        tokens = self._network.encode(np.ascontiguousarray(self._source.get().pixels[y0:y1, x0:x1]), frame)
        source = PhotoSource(width, height, self._source.get())
        return OpenImage(self._network.encoding_anew(), source, frame, tokens)

    def without_pixels(self) -> OpenImage:
        """This image with its embedding alone, for whoever keeps many: all but cut-outs, overlays, windows, and the
        photo's edges, for which `refine` becomes "clicks"."""
        width, height = self.size
        why = "this image was kept without them: use with_picture"
        self.colours()
        source = PhotoSource(width, height, None, why)
        return OpenImage(self._network.without_photo(), source, self._frame, self._open_tokens(), self._sketch)

    def with_picture(self, picture: Picture) -> OpenImage:
        """This image with its pixels again; `refine` stays. Raises ImageError for a picture of another size."""
        if picture.size != self.size:
            raise ImageError(f"expected the picture of {self.size} this image was made from, got one of {picture.size}")
        return OpenImage(
            self._network, PhotoSource(*self.size, picture), self._frame, self._open_tokens(), self._sketch
        )

    def save_embedding(self, path: str | os.PathLike[str]) -> None:
        """Write the embedding as .safetensors; `Segmenter.load_embedding` opens it without encoding again."""
        write_embedding(path, self._open_tokens(), self._frame, self._source.get(), self._encoder)

    def packed_embedding(self) -> bytes:
        """What `save_embedding` writes, but for the thread count: the same on all machines that encode alike."""
        return pack_embedding(self._open_tokens(), self._frame, self._source.get(), of_encoder(self._encoder))

    @property
    def _encoder(self) -> Mapping[str, Any]:
        """The settings that the embedding was made with."""
        settings = self._network.provenance
        return settings.get("embedding", settings)

    def close(self) -> None:
        """Give embedding and pixels back, the latter once the edges of all masks are made that were not looked at;
        masks keep working, but for cut-outs and overlays."""
        self._tokens = None
        self._mirrored.forget()
        self._source.close()

    def refined(self, how: str) -> OpenImage:
        """This image with another `refine` than its segmenter's; "auto" is "clicks" without the image's pixels.

        Raises SettingsError for an unknown one.
        """
        network = self._network.refined(how)
        if how == "auto" and self._source.picture is None:
            network = network.without_photo()
        return OpenImage(network, self._source, self._frame, self._open_tokens(), self._sketch, self._mirrored)

    def colours(self) -> np.ndarray | None:
        """(h, w, 3) float32: the encoded part at the size of the low-res logits; None without the image's pixels."""
        if self._sketch is None and self._source.picture is not None:
            self._sketch = sketch(self._source.picture.window(self._frame.window), self._frame)
        return None if self._sketch is None else colours(self._sketch)

    def _mirrored_tokens(self) -> Tensor:
        """The image tokens of the encoded part with left and right exchanged, encoded when first asked for."""

        def encode() -> Tensor:
            pixels = self._source.get().window(self._frame.window)
            return self._network.encode(pixels[:, ::-1].copy(), self._frame)

        return self._mirrored.get(encode)

    def _open_tokens(self) -> Tensor:
        if self._tokens is None:
            raise ClosedError("this image was closed: open it again to ask for more masks")
        return self._tokens

    def __enter__(self) -> OpenImage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        width, height = self.size
        part = "" if self._frame.is_whole else f", window={self._frame.window}"
        return f"<OpenImage {width} x {height}{part}{', closed' if self._tokens is None else ''}>"

    def _repr_png_(self) -> bytes | None:
        picture = self._source.picture
        return None if picture is None else encode_png(preview(picture.pixels))
