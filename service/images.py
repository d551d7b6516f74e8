"""From whatever the caller holds to a `Picture`: upright RGB pixels.

Files and bytes are decoded by OpenCV, after their header was read (`image_headers`): wrong kinds, cut-off
files and outsized pictures are refused before any pixel is decoded. Transparency is composited on white;
colour profiles are not applied (nor does segment_anything); of animations the first frame is taken.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sized
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from ..models.errors import ImageError
from .image_arrays import from_array, from_pillow, from_tensor
from .image_headers import Header, read_header, sniff
from .image_pixels import to_rgb8, turn_upright

MAX_PIXELS = 100_000_000
_MODEL_SIDE = 1024  # SAM scales the longer side to this
_SNIFFED = 64
_REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}


@dataclass(frozen=True, eq=False)
class Picture:
    """One decoded image, upright.

    `pixels`: (H, W, 3) uint8 RGB, C-contiguous; H and W are those of the image frame.
    `name`: the file's name where there was one. `orientation`: EXIF orientation as stored, 1..8; it has
    been applied already. `reduced_from`: (width, height) of the image frame where fewer pixels than that were
    decoded, see `read_reduced`. Raises ImageError when built of anything else.
    """

    pixels: np.ndarray
    name: str | None = None
    orientation: int = 1
    reduced_from: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Refuse what is no image, so that everything behind may trust it."""
        pixels = self.pixels
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or pixels.size == 0:
            raise ImageError(f"pixels must be (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}")
        if not pixels.flags.c_contiguous:
            raise ImageError("pixels must be C-contiguous: use numpy.ascontiguousarray")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the image frame in pixels."""
        return self.reduced_from or (self.pixels.shape[1], self.pixels.shape[0])

    def window(self, box: tuple[int, int, int, int]) -> np.ndarray:
        """(h, w, 3) uint8, C-contiguous: the pixels in (x0, y0, x1, y1)."""
        x0, y0, x1, y1 = box
        return np.ascontiguousarray(self.pixels[y0:y1, x0:x1])

    def window_at(self, box: tuple[int, int, int, int]) -> np.ndarray:
        """The same in the image frame's own resolution, where fewer pixels were decoded."""
        if self.reduced_from is None:
            return self.window(box)
        x0, y0, x1, y1 = box
        return np.ascontiguousarray(cv2.resize(self.pixels, self.reduced_from)[y0:y1, x0:x1])

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 over shape and pixels: equal for equal pictures, whatever file they came from."""
        height, width, _ = self.pixels.shape
        digest = hashlib.sha256(f"{height}x{width}x3 uint8 RGB\n".encode())
        digest.update(self.pixels.data)
        return digest.hexdigest()


def read_picture(
    source: object, *, channels: str = "rgb", name: str | None = None, max_pixels: int = MAX_PIXELS
) -> Picture:
    """A picture from a file or from pixels.

    `source` is one of:
    - a path (str or path-like), bytes (bytes, bytearray, memoryview), or a binary file object, holding a
      JPEG, PNG, WebP, BMP, GIF or TIFF; EXIF orientation is applied, 16 bits are scaled to 8;
    - an array (H, W, 3) uint8, or (H, W) grey, or (H, W, 4) with alpha; it is copied;
    - a torch tensor, uint8, (3, H, W) or (H, W, 3), on any device; (3, H, 3) could be either and is refused;
    - a PIL image of any 8- or 16-bit mode; its EXIF orientation is applied;
    - a `Picture`, which is returned as it is.
    `channels` ("rgb" or "bgr") is the order in arrays and tensors; files know their own.
    `name` stands for the file's name in messages and outputs; `max_pixels` bounds width x height.

    Raises ImageError, naming the file or argument, when there is no such file, or it is no whole image of
    these kinds, too large, or so thin that its short side would vanish at SAM's 1024 pixels; MemoryError when
    its pixels do not fit into memory.
    """
    if channels not in ("rgb", "bgr"):
        raise ImageError(f'channels must be "rgb" or "bgr", got {channels!r}')
    if isinstance(source, Picture):
        return source
    file = read_file(source, name=name)
    if file is not None:
        return _decode(file.data, file.what, file.name, max_pixels)
    return _from_memory(source, channels, name, max_pixels)


def read_reduced(data: bytes, *, name: str) -> Picture:
    """A picture for the encoder alone, which scales pictures down anyway, and sees nearly the same.

    Of a JPEG of twice the model's side or more a half, a quarter or an eighth of the pixels each way are decoded. What
    shows the photo cannot be made of that. Other pictures, and all errors, are as of `read_picture`.
    """
    header = read_header(data, name)
    _check_size(header.width, header.height, name, MAX_PIXELS)
    longer = max(header.width, header.height)
    scale = next((scale for scale in (8, 4, 2) if longer >= scale * _MODEL_SIDE), 1)
    if header.kind != "JPEG" or scale == 1:
        return read_picture(data, name=name)
    pixels = _imdecode(data, header, name, scale)
    size = (header.width, header.height) if header.orientation < 5 else (header.height, header.width)
    return Picture(turn_upright(pixels, header.orientation), name, header.orientation, size)


@dataclass(frozen=True)
class ImageFile:
    """An image file's bytes; its name, where there is one; and what messages call it."""

    data: bytes
    name: str | None
    what: str


def read_file(source: object, *, name: str | None = None) -> ImageFile | None:
    """The bytes behind a path, bytes or a binary file, not decoded; None for pixels in memory.

    Raises ImageError when it cannot be read, or does not begin like an image file of the kinds that are known.
    """
    if isinstance(source, str | os.PathLike):
        path = os.fsdecode(source)
        return ImageFile(_read_path(path), name or Path(path).name, path)
    if isinstance(source, bytes | bytearray | memoryview):
        return ImageFile(bytes(source), name, name or "the image")
    return _read_object(source, name) if hasattr(source, "read") else None


def _read_path(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return _read_all(file, path)
    except ImageError:  # it is a ValueError too
        raise
    except FileNotFoundError:
        advice = "clickmask opens no web addresses: download it first" if "://" in path else "check the path"
        raise ImageError(f"{path!r} does not exist: {advice}") from None
    except IsADirectoryError:
        raise ImageError(f"{path!r} is a folder, expected an image file: give its files one by one") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{path!r} cannot be read: {reason}") from None


def _read_object(file: Any, name: str | None) -> ImageFile:
    stated = getattr(file, "name", None)
    name = name or (Path(stated).name if isinstance(stated, str) else None)
    what = name or "the file object"
    try:
        data = _read_all(file, what)
    except ImageError:  # it is a ValueError too
        raise
    except (OSError, ValueError) as error:
        raise ImageError(f'{what} cannot be read: {error}; open image files in mode "rb"') from None
    return ImageFile(data, name, what)


def _read_all(file: BinaryIO, what: str) -> bytes:
    head = file.read(_SNIFFED)
    if not isinstance(head, bytes):
        raise ImageError(f'{what} gives {type(head).__name__}, expected bytes: open it in mode "rb"')
    sniff(head, what)  # a film of many gigabytes is refused here, not after it filled the memory
    return head + file.read()


def _decode(data: bytes, what: str, name: str | None, max_pixels: int) -> Picture:
    header = read_header(data, what)
    _check_size(header.width, header.height, what, max_pixels)
    try:
        return Picture(_upright_pixels(data, header, what), name, header.orientation)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(f"{what}: {header.width} x {header.height} pixels do not fit into memory") from None
        raise


def _upright_pixels(data: bytes, header: Header, what: str) -> np.ndarray:
    pixels = _imdecode(data, header, what)
    if header.kind != "JPEG":
        # Where alpha is stated to be straight, libtiff multiplies by it as it reads, but 8-bit colours only.
        by_libtiff = header.extra_samples == 2 and pixels.dtype == np.uint8
        premultiplied = header.extra_samples == 1 or by_libtiff
        pixels = to_rgb8(pixels, "bgr", what, premultiplied=premultiplied)
    if header.kind != "TIFF":  # libtiff has turned it already
        pixels = turn_upright(pixels, header.orientation)
    return pixels


def _imdecode(data: bytes, header: Header, what: str, scale: int = 1) -> np.ndarray:
    # Orientation is ours to apply, so that what we report is what we did. A JPEG, which has neither alpha nor
    # 16 bits, comes as RGB at once; the others as they are, so that their alpha and depth survive.
    jpeg = header.kind == "JPEG"
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION if jpeg else cv2.IMREAD_UNCHANGED
    if scale > 1:
        flags = _REDUCED[scale] | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise
        pixels = None
    # Another size than the header's: the file tells two stories, and the limits were checked on one only.
    expected = (-(-header.width // scale), -(-header.height // scale))
    if pixels is None or sorted(pixels.shape[:2]) != sorted(expected):
        raise ImageError(
            f"{what} cannot be decoded: the {header.kind} data are damaged, or of a kind that OpenCV "
            f"{cv2.__version__} does not know; open it in an image editor and save it as JPEG or PNG"
        )
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if scale > 1 else pixels


def _check_size(width: int, height: int, what: str, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(
            f"{what} has {width} x {height} = {width * height / 1e6:.1f} megapixels, "
            f"more than the limit of {max_pixels / 1e6:g}: scale it down"
        )
    longer, shorter = max(width, height), min(width, height)
    if int(shorter * _MODEL_SIDE / longer + 0.5) < 1:
        raise ImageError(
            f"{what} is {width} x {height} pixels, too thin: scaled to SAM's {_MODEL_SIDE} pixels "
            "its short side would vanish; cut it into shorter pieces"
        )


def _from_memory(source: object, channels: str, name: str | None, max_pixels: int) -> Picture:
    what, orientation = name or "the image", 1
    kinds = {(kind.__module__, kind.__name__) for kind in type(source).__mro__}
    if isinstance(source, np.ndarray):
        pixels = from_array(source, channels, what)
    elif ("torch", "Tensor") in kinds:
        pixels = from_tensor(source, channels, what)
    elif ("PIL.Image", "Image") in kinds:
        pixels, orientation = from_pillow(source, what)
    else:
        size = f" of length {len(source)}" if isinstance(source, Sized) else ""
        raise ImageError(
            f"{what} is of type {type(source).__name__}{size}: expected a path, bytes, a binary file, "
            "a numpy array, a torch tensor or a PIL image"
        )
    _check_size(pixels.shape[1], pixels.shape[0], what, max_pixels)
    return Picture(pixels, name, orientation)
