"""Every kind of picture in, upright RGB out; everything else refused by name. Pillow is the oracle."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from clickmask.models.errors import ImageError
from clickmask.service.images import Picture, read_picture


def _save(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _with_alpha(photo: np.ndarray) -> Image.Image:
    """The photo, ever less transparent from left to right."""
    alpha = np.linspace(0, 255, photo.shape[1]).astype(np.uint8)
    image = Image.fromarray(photo)
    image.putalpha(Image.fromarray(np.tile(alpha, (photo.shape[0], 1))))
    return image


def _by_pillow(data: bytes) -> np.ndarray:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode.startswith("I;16"):
        grey = np.rint(np.asarray(image) / 257).astype(int)
        return np.stack((grey, grey, grey), axis=2)
    if image.mode in ("RGBA", "LA") or "transparency" in image.info:
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
        image = ground
    return np.asarray(image.convert("RGB")).astype(int)


def _files(photo: np.ndarray) -> dict[str, bytes]:
    image, clear = Image.fromarray(photo), _with_alpha(photo)
    palette = image.quantize(64)
    grey16 = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 256 + 77)
    done, rgb16 = cv2.imencode(".png", photo[..., ::-1].astype(np.uint16) * 257)
    assert done
    return {
        "jpeg": _save(image, "JPEG"),
        "jpeg progressive": _save(image, "JPEG", progressive=True),
        "jpeg grey": _save(image.convert("L"), "JPEG"),
        "jpeg cmyk": _save(image.convert("CMYK"), "JPEG"),
        "png": _save(image, "PNG"),
        "png bits": _save(image.convert("1"), "PNG"),
        "png palette": _save(palette, "PNG"),
        "png palette, one clear": _save(palette, "PNG", transparency=3),
        "png rgba": _save(clear, "PNG"),
        "png grey and alpha": _save(clear.convert("LA"), "PNG"),
        "png grey 16": _save(grey16, "PNG"),
        "png rgb 16": rgb16.tobytes(),
        "webp": _save(image, "WEBP"),
        "webp lossless": _save(image, "WEBP", lossless=True),
        "webp rgba": _save(clear, "WEBP", lossless=True),
        "webp animated": _save(image, "WEBP", save_all=True, append_images=[image.rotate(180)], lossless=True),
        "gif": _save(palette, "GIF"),
        "gif, one clear": _save(palette, "GIF", transparency=3),
        "gif animated": _save(palette, "GIF", save_all=True, append_images=[palette.rotate(180)]),
        "bmp": _save(image, "BMP"),
        "bmp palette": _save(palette, "BMP"),
        "tiff": _save(image, "TIFF"),
        "tiff lzw": _save(image, "TIFF", compression="tiff_lzw"),
        "tiff grey 16": _save(grey16, "TIFF"),
        "tiff rgba": _save(clear, "TIFF"),
        "tiff cmyk": _save(image.convert("CMYK"), "TIFF"),
    }


def test_every_kind_of_file_shows_the_picture_pillow_shows(photo: np.ndarray) -> None:
    for kind, data in _files(photo).items():
        pixels, expected = read_picture(data).pixels, _by_pillow(data)
        assert pixels.shape == expected.shape, kind
        assert np.abs(pixels - expected).max() <= 1, kind


def test_every_example_photo_opens(photos: list[Path]) -> None:
    assert photos
    for path in photos:
        picture = read_picture(path)
        assert max(picture.size) == 1024
        assert picture.name == path.name
        assert np.array_equal(picture.pixels, _by_pillow(path.read_bytes()))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(photo: np.ndarray, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    options = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif.tobytes()}
    data = _save(Image.fromarray(photo), kind, **options)
    picture = read_picture(data)
    assert picture.orientation == orientation
    assert picture.size == ((170, 256) if orientation < 5 else (256, 170))
    assert np.array_equal(picture.pixels, _by_pillow(data))


def test_big_endian_exif_is_understood(photo: np.ndarray) -> None:
    exif = Image.Exif()
    exif.endian = ">"
    exif[274] = 6
    assert exif.tobytes().startswith(b"Exif\0\0MM")
    assert read_picture(_save(Image.fromarray(photo), "JPEG", exif=exif.tobytes())).size == (256, 170)


def test_damaged_exif_means_upright(photo: np.ndarray) -> None:
    data = _save(Image.fromarray(photo), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_picture(data).orientation == 1


def test_sixteen_bits_span_eight() -> None:
    done, data = cv2.imencode(".png", np.array([[0, 128, 129, 257, 65407, 65535]], np.uint16))
    assert done
    assert read_picture(data.tobytes()).pixels[0, :, 0].tolist() == [0, 0, 1, 1, 255, 255]


def test_transparent_is_white_and_half_transparent_is_between(photo: np.ndarray) -> None:
    red = Image.new("RGBA", (3, 1))
    for x, alpha in enumerate((0, 128, 255)):
        red.putpixel((x, 0), (200, 0, 0, alpha))
    assert read_picture(_save(red, "PNG")).pixels.tolist() == [[[255, 255, 255], [227, 127, 127], [200, 0, 0]]]


@pytest.mark.parametrize("shape", ["path", "str", "bytes", "bytearray", "memoryview", "buffer", "file"])
def test_files_come_in_by_any_handle(photo_path: Path, shape: str) -> None:
    data = photo_path.read_bytes()
    expected = read_picture(data).digest
    if shape == "file":
        with photo_path.open("rb") as file:
            picture = read_picture(file)
        assert picture.name == photo_path.name
    else:
        handles: dict[str, object] = {"path": photo_path, "str": str(photo_path), "bytes": data}
        handles |= {"bytearray": bytearray(data), "memoryview": memoryview(data), "buffer": io.BytesIO(data)}
        picture = read_picture(handles[shape])
    assert picture.digest == expected


def test_arrays_in_either_channel_order_are_the_same_picture(photo: np.ndarray) -> None:
    rgb, bgr = read_picture(photo), read_picture(photo[..., ::-1], channels="bgr")
    assert rgb.digest == bgr.digest
    assert np.array_equal(rgb.pixels, photo)


def test_array_is_copied(photo: np.ndarray) -> None:
    mine = photo.copy()
    picture = read_picture(mine)
    mine[:] = 0
    assert np.array_equal(picture.pixels, photo)


def test_grey_and_rgba_arrays_are_accepted(photo: np.ndarray) -> None:
    grey = read_picture(photo[..., 0]).pixels
    assert all(np.array_equal(grey[..., channel], photo[..., 0]) for channel in range(3))
    clear = _with_alpha(photo)
    assert np.array_equal(read_picture(np.asarray(clear)).pixels, read_picture(_save(clear, "PNG")).pixels)


def test_tensors_of_either_layout_are_the_same_picture(photo: np.ndarray) -> None:
    tensor = torch.from_numpy(photo.copy())
    expected = read_picture(photo).digest
    assert read_picture(tensor).digest == expected
    assert read_picture(tensor.permute(2, 0, 1)).digest == expected
    assert read_picture(tensor.flip(2), channels="bgr").digest == expected


def test_tensor_that_could_be_either_layout_is_refused() -> None:
    with pytest.raises(ImageError, match="could be either"):
        read_picture(torch.zeros(3, 5, 3, dtype=torch.uint8))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "RGBX"])
def test_pillow_images_of_opaque_modes_open(photo: np.ndarray, mode: str) -> None:
    image = Image.fromarray(photo).convert(mode)
    assert np.array_equal(read_picture(image).pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La"])
def test_pillow_images_with_alpha_lie_on_white(mode: str) -> None:
    assert read_picture(Image.new(mode, (4, 3))).pixels.min() == 255


def test_pillow_image_is_turned_upright(photo: np.ndarray) -> None:
    exif = Image.Exif()
    exif[274] = 6
    data = _save(Image.fromarray(photo), "PNG", exif=exif.tobytes())
    picture = read_picture(Image.open(io.BytesIO(data)))
    assert (picture.orientation, picture.digest) == (6, read_picture(data).digest)


def test_truncated_pillow_image_is_refused(photo: np.ndarray) -> None:
    data = _save(Image.fromarray(photo), "PNG")
    with pytest.raises(ImageError, match="PIL"):
        read_picture(Image.open(io.BytesIO(data[: len(data) // 2])))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.bool_, np.uint16, np.int64])
def test_array_of_another_type_is_refused_with_the_way_to_convert(dtype: Any) -> None:
    with pytest.raises(ImageError, match="expected uint8.*pass"):
        read_picture(np.zeros((4, 5, 3), dtype))


def test_float_tensor_is_refused_with_the_way_to_convert() -> None:
    with pytest.raises(ImageError, match=r"torch\.float32.*byte\(\)"):
        read_picture(torch.zeros(3, 4, 5))


@pytest.mark.parametrize(
    ("shape", "hint"), [((3, 40, 41), "transpose"), ((2, 4, 4, 3), "one by one"), ((0, 4, 3), "expected")]
)
def test_array_of_another_shape_is_refused(shape: tuple[int, ...], hint: str) -> None:
    with pytest.raises(ImageError, match=hint):
        read_picture(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("thing", [None, 3, [1, 2], {"a": 1}])
def test_what_is_no_image_at_all_is_refused(thing: object) -> None:
    with pytest.raises(ImageError, match="expected a path, bytes, a binary file"):
        read_picture(thing)


def test_unknown_channel_order_is_refused(photo: np.ndarray) -> None:
    with pytest.raises(ImageError, match="channels"):
        read_picture(photo, channels="gbr")


def test_digest_tells_shapes_apart() -> None:
    assert read_picture(np.zeros((2, 8, 3), np.uint8)).digest != read_picture(np.zeros((4, 4, 3), np.uint8)).digest


@pytest.mark.parametrize("pixels", [np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_picture_cannot_be_built_of_anything_else(pixels: np.ndarray) -> None:
    with pytest.raises(ImageError, match="uint8"):
        Picture(pixels)


def test_picture_cannot_be_built_of_a_strided_view(photo: np.ndarray) -> None:
    with pytest.raises(ImageError, match="contiguous"):
        Picture(photo[:, ::-1])


def test_picture_is_taken_as_it_is(photo: np.ndarray) -> None:
    picture = Picture(photo, "dogs.jpg", 6)
    assert read_picture(picture) is picture
