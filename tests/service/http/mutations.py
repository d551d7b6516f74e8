"""Small valid images of every kind we take, and twelve ways to damage them.

rng = random.Random(7)
for name, data in seeds().items():
    damaged = mutate(data, rng.choice(list(KINDS)), rng)
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import cv2
import numpy as np
from PIL import Image

_PNG, _JPEG, _GIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8"
_HEADS = (
    _PNG,
    _JPEG + b"\xe0",
    b"GIF89a",
    b"RIFF\x40\x00\x00\x00WEBPVP8 ",
    b"BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00",
    b"II*\x00\x08\x00\x00\x00",
    b"MM\x00*\x00\x00\x00\x08",
    b"<svg xmlns='http://www.w3.org/2000/svg'>",
    b"%!PS-Adobe-3.0 EPSF-3.0\n",
)
_SIDES = (0, 1, 2, 7, 255, 256, 4095, 16383, 32768, 65535)
_GIANTS = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x00\xff\xff\xff")


def seeds() -> dict[str, bytes]:
    """By a telling name: whole images of 48 x 36 pixels, in every allowed format and the modes each may have."""
    image = _image()
    clear, palette = image.copy(), image.quantize(32)
    clear.putalpha(Image.linear_gradient("L").resize(image.size))
    exif = Image.Exif()
    exif[274] = 6
    return {
        "jpeg": _save(image, "JPEG"),
        "jpeg progressive": _save(image, "JPEG", progressive=True),
        "jpeg restarts": _save(image, "JPEG", restart_marker_blocks=2),
        "jpeg grey": _save(image.convert("L"), "JPEG"),
        "jpeg cmyk": _save(image.convert("CMYK"), "JPEG"),
        "jpeg turned": _save(image, "JPEG", exif=exif.tobytes()),
        "png": _save(image, "PNG"),
        "png bits": _save(image.convert("1"), "PNG"),
        "png palette": _save(palette, "PNG", transparency=3),
        "png alpha": _save(clear, "PNG"),
        "png 16": _encode_16(".png", image),
        "png turned": _save(image, "PNG", exif=exif.tobytes()),
        "webp": _save(image, "WEBP"),
        "webp alpha": _save(clear, "WEBP"),
        "webp lossless": _save(clear, "WEBP", lossless=True),
        "webp animated": _save(image, "WEBP", save_all=True, append_images=[image.rotate(180)]),
        "gif": _save(palette, "GIF", transparency=3),
        "gif animated": _save(palette, "GIF", save_all=True, append_images=[palette.rotate(180)]),
        "bmp": _save(image, "BMP"),
        "bmp palette": _save(palette, "BMP"),
        "tiff": _save(image, "TIFF"),
        "tiff lzw": _save(clear, "TIFF", compression="tiff_lzw"),
        "tiff jpeg": _save(image, "TIFF", compression="jpeg"),
        "tiff turned": _save(image, "TIFF", tiffinfo={274: 6}),
        "tiff 16": _encode_16(".tiff", image),
    }


def mutate(data: bytes, kind: str, rng: Random) -> bytes:
    """`data`, an image file, damaged in one of the KINDS; where and how much `rng` decides."""
    return bytes(KINDS[kind](bytearray(data), rng))


def _image() -> Image.Image:
    """Half smooth, half noise, so that every coder has something to do."""
    y, x = np.mgrid[:36, :48]
    smooth = np.stack((x * 5, y * 7, (x + y) * 3), axis=2).astype(np.uint8)
    smooth[:, 24:] ^= np.random.default_rng(3).integers(0, 256, (36, 24, 3), dtype=np.uint8)
    return Image.fromarray(smooth)


def _save(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _encode_16(suffix: str, image: Image.Image) -> bytes:
    done, data = cv2.imencode(suffix, np.asarray(image)[..., ::-1].astype(np.uint16) * 257)
    assert done
    return data.tobytes()


def _cut(data: bytearray, rng: Random) -> bytearray:
    return data[: rng.randrange(len(data))]


def _flip_bits(data: bytearray, rng: Random) -> bytearray:
    for _ in range(rng.choice((1, 2, 8, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _splice(data: bytearray, rng: Random) -> bytearray:
    """A piece of the file stands once more, over other bytes of it."""
    start, length = rng.randrange(len(data)), rng.randrange(1, 200)
    piece, target = data[start : start + length], rng.randrange(len(data))
    data[target : target + len(piece)] = piece
    return data


def _change_size(data: bytearray, rng: Random) -> bytearray:
    """The header tells another width and height; a PNG's checksum is made to fit again."""
    at, form = _size_field(data)
    struct.pack_into(form, data, at, rng.choice(_SIDES), rng.choice(_SIDES))
    if data.startswith(_PNG):
        struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    return data


def _size_field(data: bytearray) -> tuple[int, str]:
    if data.startswith(_PNG):
        return 16, ">II"
    if data.startswith(_JPEG):
        return max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) + 5, ">HH"
    if data.startswith(_GIF):
        return 6, "<HH"
    if data.startswith(b"BM"):
        return 18, "<ii"
    if data.startswith(b"RIFF"):
        return {b"VP8X": 24, b"VP8L": 21}.get(bytes(data[12:16]), 26), "<HH"
    (directory,) = struct.unpack_from("<I", data, 4)
    return directory + 2 + 8, "<I8xI"  # width and height are the first two tags, or nearly: then others change


def _double_chunk(data: bytearray, rng: Random) -> bytearray:
    chunks = _chunks(data)
    number = rng.randrange(len(chunks))
    return bytearray().join(chunks[: number + 1] + chunks[number:])


def _drop_chunk(data: bytearray, rng: Random) -> bytearray:
    chunks = _chunks(data)
    del chunks[rng.randrange(len(chunks))]
    return bytearray().join(chunks)


def _shuffle_chunks(data: bytearray, rng: Random) -> bytearray:
    chunks = _chunks(data)
    rest = chunks[1:]
    rng.shuffle(rest)
    return bytearray().join([chunks[0], *rest])


def _chunks(data: bytearray) -> list[bytearray]:
    """A file's head and its chunks or segments; formats without any: pieces of 48 bytes."""
    if data.startswith(_PNG):
        cuts = _cuts(data, 8, lambda at: struct.unpack_from(">I", data, at)[0] + 12)
    elif data.startswith(b"RIFF"):
        cuts = _cuts(data, 12, lambda at: struct.unpack_from("<I", data, at + 4)[0] + 9 & ~1)
    elif data.startswith(_JPEG):
        cuts = _cuts(data, 2, lambda at: struct.unpack_from(">H", data, at + 2)[0] + 2)
    else:
        cuts = list(range(0, len(data), 48))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if start < end]


def _cuts(data: bytearray, at: int, length: Callable[[int], int]) -> list[int]:
    cuts = []
    while at + 8 < len(data) and not (data.startswith(_JPEG) and data[at] != 0xFF):
        cuts.append(at)
        at += length(at)
    return cuts


def _lie_about_format(data: bytearray, rng: Random) -> bytearray:
    """Another format's first bytes stand over this one's, or before them."""
    head = rng.choice(_HEADS)
    return bytearray(head) + data[rng.choice((0, len(head))) :]


def _zero_run(data: bytearray, rng: Random) -> bytearray:
    start = rng.randrange(len(data))
    length = min(rng.randrange(1, 400), len(data) - start)
    data[start : start + length] = bytes(length)
    return data


def _append_garbage(data: bytearray, rng: Random) -> bytearray:
    return data + rng.randbytes(rng.randrange(1, len(data)))


def _giant_length(data: bytearray, rng: Random) -> bytearray:
    """A field of a chunk's first bytes, mostly its length, becomes a huge number."""
    chunks = _chunks(data)
    number = rng.randrange(len(chunks))
    chunks[number][(at := rng.choice((0, 2, 4))) : at + 4] = rng.choice(_GIANTS)
    return bytearray().join(chunks)


def _damage_exif(data: bytearray, rng: Random) -> bytearray:
    """An EXIF block that points into itself, beyond its end, or nowhere; a file that holds none: near its start."""
    directory = struct.pack("<HHHII", rng.choice((1, 3, 65535)), 274, rng.randrange(14), rng.choice((1, 1 << 31)), 8)
    exif = b"II*\x00" + struct.pack("<I", rng.choice((0, 8, 9, 1 << 31))) + directory + rng.randbytes(12)
    if data.startswith(_JPEG):
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif + data[2:]
    if data.startswith(_PNG):
        crc = zlib.crc32(b"eXIf" + exif)
        return data[:33] + struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", crc) + data[33:]
    if data.startswith(b"RIFF"):
        grown = data + b"EXIF" + struct.pack("<I", len(exif)) + exif + bytes(len(exif) % 2)
        struct.pack_into("<I", grown, 4, len(grown) - 8)
        return grown
    start = rng.randrange(4, 32)
    data[start : start + 8] = rng.randbytes(8)
    return data


KINDS: dict[str, Callable[[bytearray, Random], bytearray]] = {
    "cut": _cut,
    "bits flipped": _flip_bits,
    "spliced": _splice,
    "size changed": _change_size,
    "chunk doubled": _double_chunk,
    "chunk dropped": _drop_chunk,
    "chunks shuffled": _shuffle_chunks,
    "format lied about": _lie_about_format,
    "zeros": _zero_run,
    "garbage appended": _append_garbage,
    "giant length": _giant_length,
    "exif damaged": _damage_exif,
}
