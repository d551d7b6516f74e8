"""Embeddings on disk: one .safetensors file, tied to the model and the image it was made from."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..models.errors import EmbeddingError
from ..models.frame import GRID, Frame
from .files import write_atomic
from .images import MAX_PIXELS, Picture

FAMILY = "sam"
PLACES = GRID * GRID


@dataclass(frozen=True, eq=False)
class SavedEmbedding:
    """What an embedding file holds.

    tokens: (4096, C), row by row; C is the model's (256 of SAM). image_digest: the picture's (`Picture.digest`).
    """

    tokens: Tensor
    frame: Frame
    image_digest: str
    image_name: str | None
    provenance: dict[str, Any]


def write_embedding(
    path: str | os.PathLike[str],
    tokens: Tensor,
    frame: Frame,
    picture: Picture,
    provenance: Mapping[str, Any],
) -> None:
    """Write an embedding, whole or not at all. Raises OutputError when the path cannot be written."""
    write_atomic(path, pack_embedding(tokens, frame, picture, provenance))


def pack_embedding(tokens: Tensor, frame: Frame, picture: Picture, provenance: Mapping[str, Any]) -> bytes:
    """An embedding as its file has it."""
    about = {
        "family": FAMILY,
        "image": {
            "width": frame.width,
            "height": frame.height,
            "sha256": picture.digest,
            "name": picture.name,
        },
        "window": list(frame.window),
        "provenance": dict(provenance),
    }
    return save({"tokens": tokens.cpu().contiguous()}, {"clickmask": json.dumps(about)})


def read_embedding(path: str | os.PathLike[str]) -> SavedEmbedding:
    """Read an embedding file, of whatever model.

    Raises:
        EmbeddingError: missing, damaged, or not an embedding of this family; the message names the file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["clickmask"])
            tokens = file.get_tensor("tokens")
        image = about["image"]
        frame = _frame(int(image["width"]), int(image["height"]), *(int(side) for side in about["window"]))
        saved = SavedEmbedding(tokens, frame, image["sha256"], image["name"], dict(about["provenance"]))
    except FileNotFoundError as error:
        raise EmbeddingError(f"{path}: there is no such file") from error
    except (OSError, SafetensorError) as error:
        raise EmbeddingError(f"{path}: cannot be read as an embedding ({error})") from error
    except (KeyError, IndexError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise EmbeddingError(f"{path}: not an embedding written by clickmask") from error
    if about.get("family") != FAMILY:
        raise EmbeddingError(f"{path}: an embedding of family {about.get('family')!r}, expected {FAMILY!r}")
    fits = tokens.dim() == 2 and len(tokens) == PLACES and torch.is_floating_point(tokens)
    if not fits or not bool(torch.isfinite(tokens).all()):
        raise EmbeddingError(f"{path}: expected finite tokens of shape ({PLACES}, channels), got {tuple(tokens.shape)}")
    x0, y0, x1, y1 = frame.window
    inside = 0 <= x0 < x1 <= frame.width and 0 <= y0 < y1 <= frame.height
    if not inside or frame.width * frame.height > MAX_PIXELS:
        raise EmbeddingError(f"{path}: a window {frame.window} of {frame.width} x {frame.height} is impossible")
    return saved


def _frame(width: int, height: int, x0: int, y0: int, x1: int, y1: int) -> Frame:
    """Raises ValueError for a window that is empty, outside the image, or too thin to have been encoded."""
    frame = Frame(width, height, (x0, y0, x1, y1))
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height) or min(frame.scaled_size) < 1:
        raise ValueError(frame)
    return frame
