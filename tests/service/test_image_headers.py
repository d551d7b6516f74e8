"""What is refused before a pixel is decoded: other formats, cut-off files, outsized pictures."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clickmask.models.errors import ImageError
from clickmask.service.image_headers import read_header
from clickmask.service.images import read_picture

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("JPEG", {}),
    "jpeg progressive": ("JPEG", {"progressive": True}),
    "jpeg with restarts": ("JPEG", {"restart_marker_rows": 1}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {}),
    "webp lossless": ("WEBP", {"lossless": True}),
    "webp extended": ("WEBP", {"exif": b"Exif\0\0II*\0"}),
    "gif": ("GIF", {}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {}),
    "tiff lzw": ("TIFF", {"compression": "tiff_lzw"}),
}


def _save(photo: np.ndarray, kind: str) -> bytes:
    name, options = KINDS[kind]
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, name, **options)
    return buffer.getvalue()


def _png(width: int, height: int) -> bytes:
    """A whole PNG that claims a size and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", KINDS)
def test_header_states_the_size(photo: np.ndarray, kind: str) -> None:
    header = read_header(_save(photo, kind), "it")
    assert (header.width, header.height, header.orientation) == (170, 256, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_file_cut_anywhere_is_refused(photo: np.ndarray, kind: str) -> None:
    data = _save(photo, kind)
    for length in {*range(1, len(data), len(data) // 40), len(data) - 1, len(data) - 2}:
        with pytest.raises(ImageError):
            read_picture(data[:length])


@pytest.mark.parametrize("kind", KINDS)
def test_junk_after_a_whole_file_does_no_harm(photo: np.ndarray, kind: str) -> None:
    data = _save(photo, kind)
    assert read_picture(data + b"junk \xff\xd9 \xff\xd8 junk").digest == read_picture(data).digest


def test_end_marker_of_a_thumbnail_does_not_make_a_photo_whole(photo: np.ndarray) -> None:
    thumbnail = io.BytesIO()
    Image.fromarray(photo).resize((17, 25)).save(thumbnail, "JPEG")
    buffer = io.BytesIO()
    exif = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail.getvalue()
    Image.fromarray(photo).save(buffer, "JPEG", exif=exif)
    data = buffer.getvalue()
    assert data.count(b"\xff\xd9") == 2
    assert read_picture(data).size == (170, 256)
    with pytest.raises(ImageError, match="cut short"):
        read_picture(data[: len(data) // 2 + len(exif) // 2])


def test_jpeg_cut_short_says_what_to_do(photo_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.jpg"
    path.write_bytes(photo_path.read_bytes()[:50_000])
    with pytest.raises(ImageError, match=r"half\.jpg is cut short.*download it again"):
        read_picture(path)


def test_files_of_endlessly_many_parts_are_refused() -> None:
    crowds = [
        b"\xff\xd8" + b"\xff\xe1\0\2" * 600_000 + b"\xff\xd9",
        b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0aaaa\0\0\0\0" * 600_000,
        b"RIFF" + (8 * 600_000 + 4).to_bytes(4, "little") + b"WEBP" + b"aaaa\0\0\0\0" * 600_000,
    ]
    for crowd in crowds:
        with pytest.raises(ImageError, match="more parts than any photo has"):
            read_header(crowd, "the file")


def test_damaged_data_are_refused(photo: np.ndarray) -> None:
    data = bytearray(_save(photo, "png"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(ImageError, match="damaged"):
        read_picture(bytes(data))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "video"),
        (b"%PDF-1.7\n%", "PDF"),
        (b'<svg xmlns="http://www.w3.org/2000/svg">', "SVG"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\x93NUMPY\1\0v\0", "NumPy"),
        (b"PK\3\4\x14\0", "zip"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"BMW makes cars, and this is a text about them", "text"),
        (b"hello, world\n", "text"),
        (b"x" + "é".encode() * 40, "text"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "unknown data"),
        (bytes(range(200, 240)), "unknown data"),
    ],
)
def test_other_formats_are_named(data: bytes, name: str) -> None:
    with pytest.raises(ImageError, match=f"looks like .*{name}.*convert"):
        read_picture(data)


def test_camera_raw_is_refused_rather_than_its_preview_taken(photo: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "TIFF", tiffinfo={254: 1})
    with pytest.raises(ImageError, match="raw"):
        read_picture(buffer.getvalue())


@pytest.mark.parametrize("data", [b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"MM\0*", b"\x89PNG\r\n\x1a\n"])
def test_mere_beginnings_are_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match="cut short"):
        read_picture(data)


@pytest.mark.parametrize("name", ["empty.png", "text.jpg", "missing.jpg", "folder"])
def test_message_names_the_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("not a photo")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ImageError, match=name):
        read_picture(tmp_path / name)


def test_web_address_is_not_fetched() -> None:
    with pytest.raises(ImageError, match="download it first"):
        read_picture("https://example.org/dog.jpg")


def test_file_in_text_mode_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.jpg"
    path.write_text("not a photo")
    with path.open() as file, pytest.raises(ImageError, match='"rb"'):
        read_picture(file)


def test_outsized_picture_is_refused_by_its_header() -> None:
    with pytest.raises(ImageError, match="10000.0 megapixels.*100"):
        read_picture(_png(100_000, 100_000))


def test_limit_can_be_moved(photo: np.ndarray) -> None:
    assert read_picture(photo, max_pixels=170 * 256).size == (170, 256)
    for source in (photo, _save(photo, "webp"), _save(photo, "tiff")):
        with pytest.raises(ImageError, match="scale it down"):
            read_picture(source, max_pixels=170 * 256 - 1)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 2048), (2048, 1), (3, 6000)])
def test_thin_pictures_open_while_a_pixel_is_left_of_them(width: int, height: int) -> None:
    assert read_picture(np.zeros((height, width, 3), np.uint8)).size == (width, height)


@pytest.mark.parametrize(("width", "height"), [(1, 2049), (2049, 1), (1, 60_000), (60_000, 1)])
def test_thinner_pictures_are_refused(width: int, height: int) -> None:
    with pytest.raises(ImageError, match="too thin"):
        read_picture(np.zeros((height, width, 3), np.uint8))
    with pytest.raises(ImageError, match="too thin"):
        read_picture(_png(width, height))
