"""The browser shows the pixels that the server segments: upright, of the same size, on white."""

from __future__ import annotations

import base64
import io
import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Error, Page

from clickmask.service.images import read_picture

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"

READ = """async ([name, text]) => {
  const { decodePhoto } = await import('./decode.js');
  const file = new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name);
  const { bitmap, width, height } = await decodePhoto(file);
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  let out = '';
  for (let at = 0; at < data.length; at += 32768) out += String.fromCharCode(...data.subarray(at, at + 32768));
  return { width, height, pixels: btoa(out) };
}"""


def shown(page: Page, data: bytes, name: str = "photo") -> np.ndarray:
    """(H, W, 3) uint8: the pixels that the browser shows."""
    answer = page.evaluate(READ, [name, base64.b64encode(data).decode()])
    pixels = np.frombuffer(base64.b64decode(answer["pixels"]), np.uint8)
    return pixels.reshape(answer["height"], answer["width"], 4)[..., :3]


def small() -> Image.Image:
    """A photo whose every side and corner differs."""
    with Image.open(PHOTOS / "dogs.jpg") as photo:
        return photo.convert("RGB").resize((97, 64))


def file(image: Image.Image, kind: str, **values: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **values)
    return out.getvalue()


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = orientation
    return exif


def wide(channels: int) -> bytes:
    """A 16-bit PNG."""
    pixels = np.asarray(small()).astype(np.uint16) * 256 + 77
    ok, data = cv2.imencode(".png", pixels[..., 0] if channels == 1 else pixels)
    assert ok
    return data.tobytes()


def see_through() -> Image.Image:
    """With alpha from 0 at the left to 255 at the right."""
    image = small().convert("RGBA")
    image.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 97).astype(np.uint8), (64, 1))))
    return image


def moving() -> bytes:
    frames = [small().quantize(64), small().rotate(180).quantize(64)]
    return file(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50)


FILES = {
    "grey JPEG": lambda: file(small().convert("L"), "JPEG", quality=90),
    "CMYK JPEG": lambda: file(small().convert("CMYK"), "JPEG", quality=90),
    "progressive JPEG": lambda: file(small(), "JPEG", progressive=True),
    "PNG": lambda: file(small(), "PNG"),
    "palette PNG": lambda: file(small().quantize(32), "PNG"),
    "palette PNG with a transparent colour": lambda: file(small().quantize(32), "PNG", transparency=3),
    "bilevel PNG": lambda: file(small().convert("1"), "PNG"),
    "grey PNG of 16 bits": lambda: wide(1),
    "PNG of 16 bits": lambda: wide(3),
    "PNG with alpha": lambda: file(see_through(), "PNG"),
    "lossy WebP": lambda: file(small(), "WEBP", quality=90),
    "WebP with alpha": lambda: file(see_through(), "WEBP", lossless=True, exact=True),
    "BMP": lambda: file(small(), "BMP"),
    "GIF": moving,
}


def test_the_browser_shows_what_the_server_reads(functions: Page) -> None:
    """Up to rounding: of CMYK, of 16 bits and of alpha."""
    for name, write in FILES.items():
        data = write()
        expected = read_picture(data).pixels
        found = shown(functions, data)
        assert found.shape == expected.shape == (64, 97, 3), name
        assert np.abs(found.astype(int) - expected).max() <= 1, name


def test_every_orientation_is_upright(functions: Page) -> None:
    """Browsers apply that of JPEG and PNG, and pass over WebP's."""
    for kind, orientation in itertools.product(("JPEG", "PNG", "WEBP"), range(1, 9)):
        data = file(small(), kind, exif=turned(orientation))
        expected = read_picture(data).pixels
        assert expected.shape == ((97, 64, 3) if orientation > 4 else (64, 97, 3))
        assert np.array_equal(shown(functions, data), expected), (kind, orientation)


def test_a_damaged_orientation_is_none(functions: Page) -> None:
    data = file(small(), "WEBP", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff\0\0")
    assert np.array_equal(shown(functions, data), read_picture(data).pixels)


CUT = [file(small(), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP")]


def test_what_is_damaged_or_of_another_kind_is_refused_by_name(functions: Page) -> None:
    """As by the server, but for TIFF."""
    for data in (*(data[:-100] for data in CUT), b"\xff\xd8\xff", file(small(), "TIFF"), b""):
        with pytest.raises(Error, match="DamagedPhoto: bad.jpg cannot be shown"):
            shown(functions, data, "bad.jpg")


def test_a_damaged_file_keeps_no_other_from_being_shown(functions: Page) -> None:
    script = """async (text) => {
      const { decodePhoto, decodeThumbnail } = await import('./decode.js');
      const good = new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], 'good');
      const bad = new File(['words'], 'bad');
      const all = [decodePhoto(bad), decodePhoto(good), decodeThumbnail(bad, 32), decodeThumbnail(good, 32)];
      return (await Promise.allSettled(all)).map(({ value }) => value && [value.width, value.height]);
    }"""
    assert functions.evaluate(script, base64.b64encode(CUT[0]).decode()) == [None, [97, 64], None, [32, 21]]
