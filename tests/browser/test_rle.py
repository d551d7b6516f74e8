"""rle.js against pycocotools and service/rle.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page
from pycocotools import mask as coco

from clickmask import Segmenter
from clickmask.service import rle as ours

PHOTO = Path(__file__).resolve().parents[2] / "examples" / "photos" / "dogs.jpg"


def _blobs(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    mask = np.zeros((height, width), bool)
    for _ in range(4):
        cy, cx, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(1, height / 2 + 1)
        mask ^= (y - cy) ** 2 + (x - cx) ** 2 < radius**2
    return mask


def _masks() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    plain = [np.full(size, value) for size in ((1, 1), (1, 9), (9, 1), (7, 5)) for value in (False, True)]
    noise = [rng.random((h, w)) < share for h, w in ((1, 40), (40, 1), (33, 65)) for share in (0.03, 0.5, 0.97)]
    return [*plain, *noise, *(_blobs(rng, h, w) for h, w in ((60, 80), (80, 60), (200, 300)))]


@pytest.fixture(scope="module")
def photo_masks(segmenter: Segmenter) -> list[np.ndarray]:
    """Two masks of a photo, of one size."""
    image = segmenter.open(PHOTO)
    return [image.click(290, 300).pixels, image.click(450, 200).pixels]


def _bits(mask: np.ndarray) -> str:
    """One character a pixel, row by row."""
    return (mask.astype(np.uint8) + ord("0")).tobytes().decode()


def _coco(mask: np.ndarray) -> dict[str, Any]:
    found = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(found["size"]), "counts": found["counts"].decode()}


def _ask(page: Page, expression: str, *arguments: object) -> Any:
    """The value of an expression over the module `rle` and the arguments `a`."""
    return page.evaluate(f"async (a) => {{ const rle = await import('./rle.js'); return {expression}; }}", arguments)


def test_bitmaps_are_written_as_pycocotools_and_the_service_write_them(
    functions: Page, photo_masks: list[np.ndarray]
) -> None:
    masks = [*_masks(), photo_masks[0]]
    given = [[_bits(mask), mask.shape[1], mask.shape[0]] for mask in masks]
    written = _ask(functions, "a[0].map(([bits, w, h]) => rle.fromBitmap(Uint8Array.from(bits), w, h))", given)
    assert written == [_coco(mask) for mask in masks] == [ours.encode(mask) for mask in masks]


def test_text_is_read_back_to_the_same_bitmaps(functions: Page, photo_masks: list[np.ndarray]) -> None:
    masks = [*_masks(), photo_masks[0]]
    read = _ask(functions, "a[0].map((m) => rle.toBitmap(m).join(''))", [_coco(mask) for mask in masks])
    assert read == [_bits(mask) for mask in masks]


def test_runs_and_back_are_the_same_text(functions: Page) -> None:
    given = [_coco(mask) for mask in _masks()]
    assert _ask(functions, "a[0].map((m) => rle.fromRuns(rle.toRuns(m), m.size))", given) == given


def test_runs_of_a_small_mask_are_as_counted_by_hand(functions: Page) -> None:
    """. # #
    . # .   down the columns: 2 background, 3 object, 1 background."""
    mask = np.array([[0, 1, 1], [0, 1, 0]], bool)
    assert _ask(functions, "Array.from(rle.toRuns(a[0]))", _coco(mask)) == [2, 3, 1]
    assert _ask(functions, "Array.from(rle.toSpans(a[0]))", _coco(mask)) == [2, 5]


def test_runs_of_no_length_in_the_middle_are_read_as_others_mean_them(functions: Page) -> None:
    found = _ask(functions, "rle.toBitmap(rle.fromRuns([1, 2, 0, 1, 2, 0, 1, 1], [4, 2])).join('')")
    assert found == "00101011"
    assert _ask(functions, "rle.area(rle.fromRuns([1, 2, 0, 1, 2, 0, 1, 1], [4, 2]))") == 4


def test_masks_are_joined_cut_and_subtracted_pixel_by_pixel(functions: Page, photo_masks: list[np.ndarray]) -> None:
    rng = np.random.default_rng(6)
    sizes = ((1, 1), (1, 30), (30, 1), (40, 50))
    pairs = [(rng.random(size) < p, rng.random(size) < q) for size in sizes for p in (0, 0.5, 1) for q in (0, 0.5, 1)]
    pairs.append((photo_masks[0], photo_masks[1]))
    made = _ask(
        functions,
        "a[0].map(([p, q]) => [rle.union(p, q), rle.intersect(p, q), rle.subtract(p, q)])",
        [[_coco(first), _coco(second)] for first, second in pairs],
    )
    assert made == [[_coco(p | q), _coco(p & q), _coco(p & ~q)] for p, q in pairs]


def test_masks_of_other_sizes_are_not_joined(functions: Page) -> None:
    wide, tall = _coco(np.ones((2, 3), bool)), _coco(np.ones((3, 2), bool))
    with pytest.raises(Exception, match="masks of one size"):
        _ask(functions, "rle.union(a[0], a[1])", wide, tall)


def test_area_bounds_and_emptiness_are_those_of_the_service(functions: Page, photo_masks: list[np.ndarray]) -> None:
    given = [_coco(mask) for mask in [*_masks(), photo_masks[0]]]
    told = _ask(functions, "a[0].map((m) => [rle.area(m), rle.bounds(m), rle.isEmpty(m)])", given)
    boxes = [ours.box(one) for one in given]
    assert told == [
        [ours.area(one), list(box) if box else None, box is None] for one, box in zip(given, boxes, strict=True)
    ]


def test_every_pixel_and_none_outside_is_contained_as_in_the_bitmap(functions: Page) -> None:
    mask = _blobs(np.random.default_rng(7), 30, 40)
    found = _ask(
        functions,
        "Array.from({length: 34 * 44}, (_, i) => +rle.contains(a[0], i % 44 - 2, Math.floor(i / 44) - 2)).join('')",
        _coco(mask),
    )
    assert found == _bits(np.pad(mask, 2))


def _raster(width: int, height: int, box: tuple[float, ...]) -> dict[str, Any]:
    return {"width": width, "height": height, "box": list(box)}


def _nearest(mask: np.ndarray, old: dict[str, Any], new: dict[str, Any]) -> np.ndarray:
    def centres(low: float, high: float, count: int) -> np.ndarray:
        return low + (np.arange(count) + 0.5) * ((high - low) / count)

    (left, top, right, bottom), (x0, y0, x1, y1) = old["box"], new["box"]
    columns = np.floor((centres(x0, x1, new["width"]) - left) * (mask.shape[1] / (right - left))).astype(int)
    rows = np.floor((centres(y0, y1, new["height"]) - top) * (mask.shape[0] / (bottom - top))).astype(int)
    inside = np.outer((rows >= 0) & (rows < mask.shape[0]), (columns >= 0) & (columns < mask.shape[1]))
    return mask[np.clip(rows, 0, mask.shape[0] - 1)][:, np.clip(columns, 0, mask.shape[1] - 1)] & inside


@pytest.mark.parametrize(
    "new",
    [
        _raster(40, 30, (0, 0, 400, 300)),
        _raster(400, 300, (0, 0, 400, 300)),
        _raster(123, 77, (0, 0, 400, 300)),
        _raster(9, 7, (0, 0, 400, 300)),
        _raster(50, 60, (-40, 100, 160, 340)),
        _raster(20, 20, (500, 0, 520, 20)),
    ],
)
def test_another_raster_takes_the_pixel_under_each_centre(functions: Page, new: dict[str, Any]) -> None:
    old = _raster(40, 30, (0, 0, 400, 300))
    masks = [_blobs(np.random.default_rng(8), 30, 40), np.ones((30, 40), bool), np.zeros((30, 40), bool)]
    made = _ask(functions, "a[0].map((m) => rle.resample(m, a[1], a[2]))", [_coco(mask) for mask in masks], old, new)
    assert made == [_coco(_nearest(mask, old, new)) for mask in masks]


@pytest.mark.parametrize("counts", ["", "0", "6", "o", "~0", "6é", "5:", "oooooooooo0", "00000"])
def test_malformed_text_is_refused(functions: Page, counts: str) -> None:
    with pytest.raises(Exception, match="rle: "):
        _ask(functions, "rle.toRuns(a[0])", {"size": [5, 1], "counts": counts})
