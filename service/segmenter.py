"""The door of clickmask: a model on a device, to which images are opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import torch

from ..models.checkpoints import Source, load_checkpoint
from ..models.download import Progress
from ..models.errors import ClickmaskError, EmbeddingError, ImageError, SettingsError
from ..models.facts import Facts
from ..models.frame import GRID, Frame
from ..models.precision import build_sam, choose_device
from ..models.sam import Sam
from .cache import cache_folder
from .embeddings import read_embedding
from .images import Picture, read_picture
from .masks import PhotoSource
from .network import REFINES, Network, check
from .open_image import OpenImage
from .prompts import Box, window_box

FITS = ("auto", "square", "rectangle")
AUTO_MARGIN = 48  # pixels of the model frame
READ_AHEAD = 2  # pictures decoded while one is encoded

Skip = Callable[[object, ClickmaskError], None]


class Segmenter:
    """A SAM model, ready to open images. It holds no state that a call changes: threads may share it.

    Args:
        model: "vit_t" (MobileSAM, in the package), "vit_b", "vit_l" or "vit_h" (fetched once, and checked), a path to
            a .pth, .pt or .safetensors checkpoint, a segment_anything `Sam`, or a state dict.
        device: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1" or "mps".
        precision: "auto" (bfloat16 where the hardware has it and it passes a self-check), "float32", "bfloat16", or
            "float16" (GPUs).
        fit: "square" encodes as SAM does. "rectangle" leaves the padding out (vit_t on a CPU; quickest, but gives
            other masks, on some photos worse ones). "auto" keeps a margin of it there, as good as the square by
            measure (benchmarks/quality.md), and is the square elsewhere.
        refine: "clicks" has every foreground point inside the mask and every background point outside; "edges", which
            is "auto", lays the masks' edges on those of the photo besides, when their pixels are first looked at;
            "views" asks about the mirrored photo too where a box or several points got a low score, for which it is
            encoded once more; "off" is plain SAM, which ignores some clicks. All measured: benchmarks/quality.md. Of
            masks for prompts: those of `everything` and `subject` are the decoder's own.
        graphs: on a CUDA GPU, record what encodes and decodes once for each shape and start it as a whole from then
            on (CUDA graphs): the same kernels, with less waiting for the host.
        cache_dir: where downloads and the self-check's result are kept; the user's cache folder by default.
        progress: called with (bytes so far, bytes in all or None) while a model is fetched.

    Raises:
        SettingsError: an unknown or impossible setting. WeightsError: the model cannot be used.
    """

    def __init__(
        self,
        model: Source = "vit_t",
        *,
        device: str = "auto",
        precision: str = "auto",
        fit: str = "auto",
        refine: str = "auto",
        graphs: bool = False,
        cache_dir: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        check("fit", fit, FITS)
        check("refine", refine, REFINES)
        place = choose_device(device)
        if graphs and place.type != "cuda":
            raise SettingsError(f"graphs=True is for CUDA GPUs, and the device is {place.type}; leave it out")
        folder = cache_folder(cache_dir)
        checkpoint = load_checkpoint(model, cache_dir=folder, progress=progress)
        facts = Facts(folder, checkpoint.digest, place)
        sam = build_sam(checkpoint, place, precision, facts)
        if graphs:
            sam.use_graphs()
        # For the drop-in classes. Mapped from its file, or shared with the network, wherever that is possible.
        self._checkpoint = checkpoint
        self._facts = facts
        self._precision_chosen = precision != "auto"
        self._refine = refine
        margin = _margin(fit, checkpoint.architecture.kind, place)
        self._network = Network(
            sam,
            checkpoint.digest,
            margin,
            {
                "model": checkpoint.architecture.variant or checkpoint.architecture.title,
                "digest": checkpoint.digest,
                "device": place.type,
                "precision": str(sam.dtype).removeprefix("torch."),
                "fit": _fit_name(margin),
                "refine": "off",
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
            },
        ).refined(refine)

    @cached_property
    def _drop_in_sam(self) -> Sam:
        """The network of the drop-in classes: float32, unless a precision was asked for by name."""
        sam = self._network.sam
        if self._precision_chosen or sam.dtype == torch.float32:
            return sam
        return build_sam(self._checkpoint, sam.device, "float32", self._facts)

    @property
    def provenance(self) -> dict[str, Any]:
        """Model, digest, and the settings in effect; part of every output."""
        return dict(self._network.provenance)

    def __repr__(self) -> str:
        p = self._network.provenance
        return f"<Segmenter {p['model']} on {p['device']}, {p['precision']}, {p['fit']}>"

    def open(
        self,
        source: object,
        *,
        channels: str = "rgb",
        name: str | None = None,
        window: Box | Sequence[float] | None = None,
    ) -> OpenImage:
        """Read and encode one image.

        Args:
            source: a path, bytes, a binary file, an (H, W, 3) uint8 array, a torch tensor or a PIL image.
            channels: "rgb" or "bgr", the order in arrays and tensors.
            name: the image's name in outputs and messages, where the source has none.
            window: (x0, y0, x1, y1), the only part to encode, as `OpenImage.window` does.

        Raises:
            ImageError: the image cannot be read or used. PromptError: the window lies outside the image.
        """
        return self._encode(read_picture(source, channels=channels, name=name), window)

    def open_together(self, pictures: Sequence[tuple[Picture, Frame]]) -> list[OpenImage]:
        """Encode decoded pictures, each the window its frame tells; on a GPU in one pass."""
        parts = [(picture.window(frame.window), frame) for picture, frame in pictures]
        tokens = self._network.encode_each(parts)
        return [
            OpenImage(self._network, PhotoSource(*picture.size, picture), frame, own)
            for (picture, frame), own in zip(pictures, tokens, strict=True)
        ]

    def scale(self, picture: Picture, frame: Frame) -> np.ndarray:
        """What to encode elsewhere for `open_encoded`: (h, w, 3) uint8, the frame's window or that made smaller."""
        return self._network.scale(picture.window(frame.window), frame)

    def open_encoded(self, picture: Picture, frame: Frame, embedding: np.ndarray) -> OpenImage:
        """An image that a segmenter with the same settings encoded elsewhere.

        Args:
            embedding: (C, 64, 64) float32, as `OpenImage.encoded` gives it of what `scale` makes.

        Raises:
            EmbeddingError: it has other channels than this model's.
        """
        sam = self._network.sam
        if embedding.shape != (self.channels, GRID, GRID):
            raise EmbeddingError(f"expected an embedding of {(self.channels, GRID, GRID)}, got {embedding.shape}")
        tokens = torch.from_numpy(embedding.reshape(self.channels, -1).T.copy()).to(sam.device, sam.dtype)
        return OpenImage(self._network, PhotoSource(*picture.size, picture), frame, tokens)

    def open_many(self, sources: Iterable[object], *, on_error: Skip | None = None) -> Iterator[OpenImage]:
        """Open images one after the other, in order; the next ones are decoded while one is encoded.

        At most three are held at a time, besides those the caller keeps.

        Args:
            on_error: called with (source, error) for an image that cannot be opened, which is then left out;
                without it the error is raised.
        """
        if isinstance(sources, str | bytes | os.PathLike) or not isinstance(sources, Iterable):
            raise ImageError(f"sources: expected several images, got {sources!r}; use open for one")
        rest = iter(sources)
        with ThreadPoolExecutor(1, thread_name_prefix="clickmask-read") as pool:

            def submit(count: int) -> list[tuple[object, Future[Picture]]]:
                return [(source, pool.submit(read_picture, source)) for source in islice(rest, count)]

            waiting = submit(READ_AHEAD)
            while waiting:
                source, picture = waiting.pop(0)
                waiting += submit(1)
                try:
                    image = self._encode(picture.result())
                except ClickmaskError as error:
                    if on_error is None:
                        raise
                    on_error(source, error)
                else:
                    del picture
                    yield image
                    del image  # while the next one is encoded, only the caller may still hold it

    def give_back_memory(self) -> None:
        """What a device holds beside the weights, once its memory ran out; with graphs, none is recorded any more."""
        self._network.sam.give_back_memory()

    @property
    def has_graphs(self) -> bool:
        """Whether it was made with graphs=True."""
        return self._network.sam.graphs is not None

    @property
    def channels(self) -> int:
        """Numbers in the embedding of a patch: 256 of SAM."""
        return self._network.sam.channels

    @property
    def embedding_bytes(self) -> int:
        """How much memory an encoded image takes, in float32."""
        return GRID**2 * self.channels * 4

    def load_embedding(self, path: str | os.PathLike[str], *, image: object = None) -> OpenImage:
        """An image from its saved embedding, without encoding it.

        Args:
            image: the image itself, as `open` takes it; needed for cut-outs, overlays, windows and the photo's edges
                (without it, refine="auto" is "clicks", and clicks that are enforced know no colours).

        Raises:
            EmbeddingError: the file is no embedding, or one of another model or of another image.
        """
        saved = read_embedding(path)
        if saved.provenance.get("digest") != self._network.digest:
            raise EmbeddingError(
                f"{path}: made with model {saved.provenance.get('model')} ({saved.provenance.get('digest')}), "
                f"not with this one ({self._network.digest}); encode the image again"
            )
        if saved.tokens.shape[1] != self.channels:
            raise EmbeddingError(f"{path}: expected tokens of {self.channels} channels, got {saved.tokens.shape[1]}")
        picture = None if image is None else read_picture(image)
        if picture is not None and picture.digest != saved.image_digest:
            raise EmbeddingError(f"{path}: made from another image than the one given ({saved.image_name})")
        sam = self._network.sam
        source = PhotoSource(saved.frame.width, saved.frame.height, picture)
        is_asked = self._refine in ("edges", "views")  # then clicks fail, saying why
        network = self._network if picture is not None or is_asked else self._network.without_photo()
        network = network.with_embedding_of(saved.provenance)
        return OpenImage(network, source, saved.frame, saved.tokens.to(sam.device, sam.dtype))

    def _encode(self, picture: Picture, window: Box | Sequence[float] | None = None) -> OpenImage:
        width, height = picture.size
        frame = (
            Frame.whole(width, height) if window is None else Frame(*picture.size, window_box(window, width, height))
        )
        return self.open_together([(picture, frame)])[0]


def _margin(fit: str, kind: str, device: torch.device) -> int | None:
    """How much padding is encoded beside the picture (None: all of it), by wish or by default."""
    possible = kind == "tiny_vit" and device.type == "cpu"
    if fit == "rectangle" and not possible:
        raise SettingsError("fit='rectangle' is for vit_t on a CPU; use auto or square")
    if not possible:
        return None
    return {"auto": AUTO_MARGIN, "rectangle": 0, "square": None}[fit]


def _fit_name(margin: int | None) -> str:
    return "square" if margin is None else f"rectangle+{margin}" if margin else "rectangle"
