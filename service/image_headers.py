"""What the first bytes of an image file say, before anything is decoded.

Which of the six allowed formats it is, its size, how it must be turned, and whether the file is whole.
Nothing here decodes pixels; `images.py` does, once this has let the file through.
"""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..models.errors import ImageError

ALLOWED = "JPEG, PNG, WebP, BMP, GIF, TIFF"
_MEND = "open it in an image editor and save it as JPEG or PNG"

# No photo has as many segments or chunks as this; crafted files of millions would keep us busy for seconds.
_MOST_PARTS = 500_000
_CROWDED = "is no photo but a {} of more parts than any photo has"

# A JPEG marker with a segment. FF 00 is a stuffed byte of a scan; restarts, starts and FF 01 stand by themselves.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd8]")
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_END, _JPEG_EXIF = 0xD9, 0xE1

_TIFF_SUBFILE, _TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_ORIENTATION = 254, 256, 257, 274
_TIFF_EXTRA, _TIFF_DNG = 338, 50706
_TIFF_TYPES = {1: "B", 3: "H", 4: "I"}

_FOREIGN: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ftyphei", "a HEIC photo"),
    (4, b"ftyphev", "a HEIC photo"),
    (4, b"ftypmif1", "a HEIF photo"),
    (4, b"ftypmsf1", "a HEIF photo"),
    (4, b"ftypavi", "an AVIF picture"),
    (4, b"ftypcrx", "a Canon raw photo"),
    (4, b"ftyp", "a video"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (4, b"JXL ", "a JPEG XL picture"),
    (4, b"jP  ", "a JPEG 2000 picture"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"v/1\x01", "an OpenEXR picture"),
    (0, b"\x00\x00\x01\x00", "an icon file"),
    (0, b"II+\x00", "a BigTIFF"),
    (0, b"MM\x00+", "a BigTIFF"),
    (0, b"PK\x03\x04", "a zip archive or office document"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x93NUMPY", "a NumPy file (load it with numpy.load and pass the array)"),
)


@dataclass(frozen=True)
class Header:
    """An image file's own account of itself: size as stored, and EXIF orientation 1..8.

    `extra_samples`: TIFF's word on its alpha: 1 colours are multiplied by it, 2 they are not, 0 unknown.
    """

    kind: str
    width: int
    height: int
    orientation: int = 1
    extra_samples: int = 0


def sniff(head: bytes, what: str) -> str:
    """The format ("JPEG", "PNG", ...) that the first 64 bytes of a file announce.

    Raises ImageError, naming `what` and what the bytes look like, for everything not in ALLOWED.
    """
    if not head:
        raise ImageError(f"{what} is empty (0 bytes): expected an image ({ALLOWED})")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:2] == b"BM" and head[14:15] in _BMP_HEADERS:  # two letters alone could be a text's first
        return "BMP"
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    raise ImageError(f"{what} looks like {_guess(head)}; clickmask reads {ALLOWED}: convert it to one of them first")


def read_header(data: bytes, what: str) -> Header:
    """Size, orientation and wholeness of an image file's bytes.

    Raises ImageError, naming `what`, for other formats, files cut short and damaged headers.
    """
    kind = sniff(data[:64], what)
    try:
        header = _READERS[kind](data)
    except (struct.error, IndexError):
        raise ImageError(f"{what} is cut short: the {kind} data end too early; copy or download it again") from None
    except ValueError as error:
        raise ImageError(f"{what} {error}; {_MEND}") from None
    if header.width < 1 or header.height < 1:
        raise ImageError(f"{what} states a size of {header.width} x {header.height} pixels; {_MEND}")
    return header


def _guess(head: bytes) -> str:
    for offset, magic, name in _FOREIGN:
        if head[offset:].startswith(magic):
            return name
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<svg", b"<?xml")):
        return "an SVG or XML document"
    if start.startswith((b"<!doctype", b"<html")):
        return "a web page"
    if _is_text(head):
        return "text"
    return f"unknown data (first bytes {head[:8].hex(' ')})"


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # its last letter may be cut in two
    except UnicodeDecodeError:
        return False
    return all(letter >= " " or letter in "\t\r\n" for letter in text)


def _jpeg(data: bytes) -> Header:
    size, orientation = None, 1
    for marker, segment in _jpeg_segments(data):
        if marker in _JPEG_SIZES and size is None:
            size = struct.unpack_from(">HH", segment, 1)
        elif marker == _JPEG_EXIF and segment.startswith(b"Exif\0\0") and orientation == 1:
            orientation = exif_orientation(segment[6:])
    if size is None:
        raise ValueError("is a damaged JPEG: it states no size")
    return Header("JPEG", size[1], size[0], orientation)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each segment up to the end marker; segments are stepped over whole, with any thumbnail in them."""
    at = 2
    for _ in range(_MOST_PARTS):
        found = _JPEG_MARKER.search(data, at)
        if found is None:
            raise IndexError("no end marker")
        marker, at = data[found.end() - 1], found.end()
        if marker == _JPEG_END:
            return
        (length,) = struct.unpack_from(">H", data, at)
        yield marker, data[at + 2 : at + length]
        at += max(length, 2)
    raise ValueError(_CROWDED.format("JPEG"))


def _png(data: bytes) -> Header:
    width, height = struct.unpack_from(">II", data, 16)
    at, orientation = 8, 1
    for _ in range(_MOST_PARTS):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"eXIf":
            orientation = exif_orientation(data[at + 8 : at + 8 + length])
        at += length + 12
        if at > len(data):
            raise IndexError("no end chunk")
        if name == b"IEND":
            return Header("PNG", width, height, orientation)
    raise ValueError(_CROWDED.format("PNG"))


def _webp(data: bytes) -> Header:
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 > len(data):
        raise IndexError("shorter than it says")
    size, orientation = None, 1
    for name, chunk in _riff_chunks(data, length + 8):
        if size is None and name in _WEBP_SIZES:
            size = _WEBP_SIZES[name](chunk)
        elif name == b"EXIF":
            orientation = exif_orientation(chunk.removeprefix(b"Exif\0\0"))
    if size is None:
        raise ValueError("is a damaged WebP: it states no size")
    return Header("WebP", *size, orientation)


def _riff_chunks(data: bytes, end: int) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    for _ in range(_MOST_PARTS):
        if at + 8 > end:
            return
        name, length = struct.unpack_from("<4sI", data, at)
        yield name, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    raise ValueError(_CROWDED.format("WebP"))


def _webp_lossy(chunk: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", chunk, 6)
    return width & 0x3FFF, height & 0x3FFF


def _webp_lossless(chunk: bytes) -> tuple[int, int]:
    (bits,) = struct.unpack_from("<I", chunk, 1)
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _webp_extended(chunk: bytes) -> tuple[int, int]:
    low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", chunk, 4)
    return (high_width << 16 | low_width) + 1, (high_height << 16 | low_height) + 1


def _gif(data: bytes) -> Header:
    return Header("GIF", *struct.unpack_from("<HH", data, 6))


def _bmp(data: bytes) -> Header:
    (header_length,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header_length == 12 else "<ii", data, 18)
    return Header("BMP", width, abs(height))  # a negative height means rows from the top


def _tiff(data: bytes) -> Header:
    tags = _tiff_tags(data)
    if tags.get(_TIFF_SUBFILE, 0) & 1 or _TIFF_DNG in tags:
        raise ValueError("is a camera raw file (a TIFF whose first picture is a preview)")
    if _TIFF_WIDTH not in tags or _TIFF_HEIGHT not in tags:
        raise ValueError("is a damaged TIFF: it states no size")
    orientation = _valid_orientation(tags.get(_TIFF_ORIENTATION, 1))
    return Header("TIFF", tags[_TIFF_WIDTH], tags[_TIFF_HEIGHT], orientation, tags.get(_TIFF_EXTRA, 0))


def exif_orientation(exif: bytes) -> int:
    """The orientation (1..8) in an EXIF block, which is a small TIFF; 1 when it has none or is damaged."""
    try:
        return _valid_orientation(_tiff_tags(exif).get(_TIFF_ORIENTATION, 1))
    except (struct.error, IndexError):
        return 1


def _valid_orientation(value: int) -> int:
    return value if 1 <= value <= 8 else 1


def _tiff_tags(data: bytes) -> dict[int, int]:
    """The first value of each whole-number tag in the first directory."""
    order = ">" if data[:2] == b"MM" else "<"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    tags: dict[int, int] = {}
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", data, at)
        if kind in _TIFF_TYPES and length:
            size = struct.calcsize(_TIFF_TYPES[kind])
            where = at + 8
            if size * length > 4:  # it does not fit into the entry, which then says where it is
                (where,) = struct.unpack_from(order + "I", data, where)
            if where + size <= len(data):
                (tags[tag],) = struct.unpack_from(order + _TIFF_TYPES[kind], data, where)
    return tags


_BMP_HEADERS = tuple(bytes([length]) for length in (12, 40, 52, 56, 64, 108, 124))
_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
_WEBP_SIZES = {b"VP8 ": _webp_lossy, b"VP8L": _webp_lossless, b"VP8X": _webp_extended}
_READERS: dict[str, Callable[[bytes], Header]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WebP": _webp,
    "GIF": _gif,
    "BMP": _bmp,
    "TIFF": _tiff,
}
