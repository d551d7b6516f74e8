"""Answers: the same mask at both scales and in every format, always in the image's frame."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np
import pytest

from clickmask import Mask, OpenImage, Prompt
from clickmask.models.frame import Frame
from clickmask.service import polygons, rle
from clickmask.service.http.answers import Wanted, decode_logits, describe, encode_logits, half, raster_place
from clickmask.service.http.schemas import MaskAnswer, MasksRequest, Raster
from clickmask.service.images import Picture
from clickmask.service.masks import PhotoSource


def _wanted(**fields: Any) -> Wanted:
    return Wanted.of(MasksRequest.model_validate({"objects": [{"points": [(1, 1)]}], **fields}))


def _mask(frame: Frame, logits: np.ndarray) -> Mask:
    source = PhotoSource(frame.width, frame.height, None)
    return Mask(logits.astype(np.float32), 0.9123456, 1, frame, Prompt(points=[(1, 1)]), {}, source)


def _disc(frame: Frame, x: float, y: float, radius: float, hole: float = 0.0) -> Mask:
    """A round object of that place and size in the image's frame, with a round hole in it."""
    left, top, _, _ = frame.window
    scale = 256 / max(frame.window_size)
    rows, columns = np.mgrid[:256, :256] + 0.5
    away = np.hypot(columns / scale + left - x, rows / scale + top - y)
    return _mask(frame, np.minimum(radius - away, np.where(hole > 0, away - hole, np.inf)) / radius * 20)


def _pixels(answer: dict[str, Any], place: dict[str, Any], shape: str) -> np.ndarray:
    """(H, W) bool over the box of `place`, read back from an answer's rle or png, blown up to image pixels."""
    if shape == "rle":
        pixels = rle.decode(answer["rle"], size=(place["width"], place["height"]))
    else:
        read = cv2.imdecode(np.frombuffer(base64.b64decode(answer["png"]), np.uint8), cv2.IMREAD_UNCHANGED)
        assert read is not None and set(np.unique(read)) <= {0, 255}
        pixels = read > 127
    assert pixels.shape == (place["height"], place["width"])
    x0, y0, x1, y1 = place["box"]
    return cv2.resize(pixels.astype(np.uint8), (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST) > 0


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


@pytest.fixture(scope="module")
def dog(dogs: OpenImage) -> Mask:
    """A dog of the photo, 682 x 1024."""
    return dogs.click(341, 512)


@pytest.fixture(scope="module")
def large() -> Mask:
    """A ring in an image of 3000 x 2000 pixels."""
    return _disc(Frame.whole(3000, 2000), 1200, 900, 600, hole=200)


@pytest.mark.parametrize("shape", ["rle", "png"])
def test_both_scales_show_the_same_mask(dog: Mask, large: Mask, shape: str) -> None:
    for mask in (dog, large):
        place = raster_place(mask.frame, "model")
        small = describe(mask, _wanted(scale="model", format=shape))
        assert max(place["width"], place["height"]) <= 1024
        assert _iou(_pixels(small, place, shape), mask.pixels) >= 0.95
        full = describe(mask, _wanted(scale="full", format=shape))
        assert np.array_equal(_pixels(full, raster_place(mask.frame, "full"), shape), mask.pixels)


def test_the_full_scale_says_exactly_what_the_mask_is_and_the_models_nearly_so(dog: Mask, large: Mask) -> None:
    for mask in (dog, large):
        full, small = (describe(mask, _wanted(scale=scale)) for scale in ("full", "model"))
        assert (full["area"], full["box"], full["index"]) == (mask.area, mask.box, mask.index)
        assert full["stability"] == pytest.approx(mask.stability, abs=1e-5)
        assert full["score"] == small["score"] == round(mask.score, 5)
        assert small["area"] == pytest.approx(full["area"], rel=0.02)
        assert small["stability"] == pytest.approx(full["stability"], abs=0.02)
        step = max(mask.frame.window_size) / 1024
        assert np.abs(np.subtract(small["box"], full["box"])).max() <= 2 * step + 1


def test_an_answer_is_what_the_schema_promises(dog: Mask) -> None:
    for shape in ("rle", "polygons", "png", "logits"):
        for scale in ("full", "model"):
            answer = describe(dog, _wanted(format=shape, scale=scale))
            assert getattr(MaskAnswer.model_validate(answer), shape) is not None
            Raster.model_validate(raster_place(dog.frame, scale))


def test_a_click_at_the_models_scale_is_small_on_the_wire(dog: Mask) -> None:
    assert len(MaskAnswer.model_validate(describe(dog, _wanted(scale="model"))).model_dump_json()) < 4096


def test_describing_a_mask_leaves_no_pixels_on_it() -> None:
    mask = _disc(Frame.whole(300, 200), 100, 100, 50)
    describe(mask, _wanted(scale="full"))
    assert "pixels" not in vars(mask)


@pytest.mark.parametrize("window", [(1000, 500, 1300, 700), (0, 0, 2000, 1500), (1701, 1203, 3000, 1999)])
@pytest.mark.parametrize("shape", ["rle", "png"])
def test_a_windows_masks_lie_where_they_are_in_the_image(window: tuple[int, int, int, int], shape: str) -> None:
    x0, y0, x1, y1 = window
    frame = Frame(3000, 2000, window)
    mask = _disc(frame, (x0 + x1) / 2 + 20, (y0 + y1) / 2, min(x1 - x0, y1 - y0) / 3)
    small, full = (describe(mask, _wanted(scale=scale, format=shape)) for scale in ("model", "full"))
    place = raster_place(frame, "model")
    assert place["box"] == window, "the raster shows the window alone"
    assert place["width"] <= x1 - x0 and place["height"] <= y1 - y0, "and never more pixels than there are"
    assert _iou(_pixels(small, place, shape), mask.pixels[y0:y1, x0:x1]) >= 0.98
    assert np.array_equal(_pixels(full, raster_place(frame, "full"), shape), mask.pixels)
    assert full["box"] == mask.box and full["area"] == mask.area
    step = max(1.0, max(x1 - x0, y1 - y0) / 1024)
    assert np.abs(np.subtract(small["box"], full["box"])).max() <= 2 * step + 1
    assert small["area"] == pytest.approx(full["area"], rel=0.02)


@pytest.mark.parametrize("window", [None, (1000, 500, 2600, 1900)])
@pytest.mark.parametrize("scale", ["model", "full"])
def test_polygons_are_in_the_images_frame_at_both_scales(window: tuple[int, int, int, int] | None, scale: str) -> None:
    mask = _disc(Frame(3000, 2000, window or (0, 0, 3000, 2000)), 1800, 1200, 500, hole=150)
    answer = describe(mask, _wanted(scale=scale, format="polygons"))
    (part,) = answer["polygons"]
    assert len(part) == 2, "an outer ring and a hole"
    drawn = polygons.from_polygons([[np.array(ring) for ring in part]], (3000, 2000))
    assert _iou(drawn, mask.pixels) >= (1.0 if scale == "full" else 0.98)


@pytest.mark.parametrize("scale", ["model", "full"])
def test_an_empty_mask_has_no_box_and_no_cutout_but_the_rest(scale: str) -> None:
    mask = _mask(Frame.whole(300, 200), np.full((256, 256), -5.0))
    picture = Picture(np.zeros((200, 300, 3), np.uint8))
    for shape in ("rle", "polygons", "png", "logits", "cutout"):
        answer = describe(mask, _wanted(format=shape, scale=scale), picture)
        assert (answer["area"], answer["box"], answer["stability"]) == (0, None, 0.0)
        assert (answer[shape] is None) == (shape == "cutout")
    assert describe(mask, _wanted(format="polygons"))["polygons"] == []


@pytest.mark.parametrize("scale", ["model", "full"])
@pytest.mark.parametrize("window", [None, (0, 100, 1500, 1200)])
def test_a_cutout_has_the_photos_own_pixels_whatever_the_scale(
    scale: str, window: tuple[int, int, int, int] | None
) -> None:
    mask = _disc(Frame(1500, 1200, window or (0, 0, 1500, 1200)), 700, 600, 300)
    photo = np.random.default_rng(1).integers(0, 255, (1200, 1500, 3), np.uint8)
    text = describe(mask, _wanted(format="cutout", scale=scale, pad=3), Picture(photo))["cutout"]
    read = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_UNCHANGED)
    assert read is not None and mask.box is not None
    x0, y0, x1, y1 = mask.box[0] - 3, mask.box[1] - 3, mask.box[2] + 3, mask.box[3] + 3
    assert np.array_equal(read[:, :, 3] > 0, mask.pixels[y0:y1, x0:x1])
    assert np.array_equal(read[:, :, 2::-1], photo[y0:y1, x0:x1])


@pytest.mark.parametrize("scale", ["model", "full"])
def test_specks_and_holes_are_cleaned_away_as_asked(scale: str) -> None:
    frame = Frame.whole(2000, 1500)
    ring, speck = _disc(frame, 800, 700, 500, hole=60), _disc(frame, 1700, 1300, 40)
    mask = _mask(frame, np.maximum(ring.logits, speck.logits))
    plain = describe(mask, _wanted(scale=scale, format="polygons"))
    cleaned = describe(mask, _wanted(scale=scale, format="polygons", clean={"specks": 0.1, "holes": 0.1}))
    assert sorted(len(part) for part in plain["polygons"]) == [1, 2]
    assert [len(part) for part in cleaned["polygons"]] == [1]
    assert cleaned["box"][2] < 1400 < plain["box"][2]
    speckless = describe(mask, _wanted(scale=scale, format="polygons", clean={"specks": 0.1}))
    assert [len(part) for part in speckless["polygons"]] == [2]
    exact = mask.clean(0.1, 0.1).area
    assert cleaned["area"] == pytest.approx(exact, rel=0 if scale == "full" else 0.02)


def test_logits_come_back_as_they_were_in_half_precision(dog: Mask) -> None:
    answer = describe(dog, _wanted(format="logits", scale="model"))
    back = decode_logits(answer["logits"])
    assert back.dtype == np.float32 and back.shape == (256, 256)
    assert np.array_equal(back, half(dog.logits).astype(np.float32))
    assert np.abs(back - dog.logits).max() <= np.abs(dog.logits).max() / 1024
    assert encode_logits(back) == answer["logits"]


def test_logits_beyond_half_precision_stay_finite() -> None:
    wild = np.full((256, 256), 1e30, np.float32)
    wild[0] = -1e30
    back = decode_logits(encode_logits(wild))
    assert back[0, 0] == -65504 and back[1, 0] == 65504


@pytest.mark.parametrize("text", ["", "AAAA", "!" * 174764, "ß", "A" * 174768])
def test_what_are_no_logits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_logits(text)


def test_only_answers_of_a_moment_count_as_light() -> None:
    every = {(shape, scale) for shape in ("rle", "polygons", "png", "logits", "cutout") for scale in ("full", "model")}
    quick = {("rle", "model"), ("logits", "model")}
    for frame, expected in (
        (Frame.whole(2000, 1001), quick),
        (Frame.whole(2000, 1000), quick | {("rle", "full"), ("logits", "full")}),
    ):
        assert {(f, scale) for f, scale in every if _wanted(format=f, scale=scale).is_light(frame)} == expected
