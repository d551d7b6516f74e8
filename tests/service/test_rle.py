"""Run lengths, byte for byte as pycocotools writes them."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from clickmask.models.errors import PromptError
from clickmask.service import rle


def test_encoding_equals_pycocotools(random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert rle.encode(mask) == {"size": expected["size"], "counts": expected["counts"].decode()}


def test_long_runs_equal_pycocotools() -> None:
    mask = np.zeros((2000, 1500), bool)
    mask[10:1990, 700:1400] = True
    mask[0, 0] = mask[-1, -1] = True
    expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert rle.encode(mask)["counts"] == expected["counts"].decode()
    assert np.array_equal(rle.decode(rle.encode(mask)), mask)


def test_decoding_gives_the_mask_back(random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        decoded = rle.decode(rle.encode(mask))
        assert decoded.dtype == np.bool_ and decoded.flags.c_contiguous
        assert np.array_equal(decoded, mask)


def test_a_box_is_decoded_as_it_is_cut_from_the_whole(random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        runs = rle.encode(mask)
        part, corner = rle.decode_box(runs)
        x0, y0, x1, y1 = rle.box(runs) or (0, 0, 0, 0)
        assert corner == (x0, y0) and part.dtype == np.bool_ and part.flags.c_contiguous
        assert np.array_equal(part, mask[y0:y1, x0:x1])


def test_hand_worked_mask() -> None:
    mask = np.array([[0, 1, 1], [0, 1, 0]], bool)  # by columns: 00 11 10
    plain = {"size": [2, 3], "counts": [2, 3, 1]}
    assert np.array_equal(rle.decode(plain), mask)
    assert rle.encode(mask) == {"size": [2, 3], "counts": "231"}
    assert rle.area(plain) == 3
    assert rle.box(plain) == (1, 0, 3, 2)


def test_bytes_are_read_as_pycocotools_gives_them() -> None:
    mask = np.eye(9, dtype=bool)
    assert np.array_equal(rle.decode(coco.encode(np.asfortranarray(mask.astype(np.uint8)))), mask)


def test_area_and_box_equal_the_mask_s(random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        runs = rle.encode(mask)
        rows, columns = np.nonzero(mask)
        expected = None
        if len(rows):
            expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert rle.box(runs) == expected
        assert rle.area(runs) == len(rows)


def test_box_ignores_runs_of_nothing() -> None:
    assert rle.box({"size": [3, 3], "counts": [0, 0, 4, 1, 4, 0]}) == (1, 1, 2, 2)


def test_another_size_than_the_image_s_is_refused() -> None:
    runs = rle.encode(np.ones((4, 6), bool))
    assert rle.decode(runs, size=(6, 4)).all()
    with pytest.raises(PromptError, match="rle.*6 x 4.*4 x 6"):
        rle.decode(runs, size=(4, 6))


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"size": [2, 2]},
        {"size": [2, 2], "counts": ""},
        {"size": [2, 2], "counts": []},
        {"size": [2, 2], "counts": "5"},
        {"size": [2, 2], "counts": "é"},
        {"size": [2, 2], "counts": "p"},
        {"size": [2, 2], "counts": "4\n"},
        {"size": [2, 2], "counts": "P"},
        {"size": [2, 2], "counts": "PPPPPPPPPPPPPP1"},
        {"size": [2, 2], "counts": [5, -1]},
        {"size": [2, 2], "counts": [4.0]},
        {"size": [2, 2], "counts": [True, 3]},
        {"size": [2, 2], "counts": [2**80]},
        {"size": [2, 2], "counts": 4},
        {"size": [-2, -2], "counts": [4]},
        {"size": [0, 2], "counts": [0]},
        {"size": [2, 2, 1], "counts": [4]},
        {"size": "22", "counts": [4]},
        {"size": [2**20, 2**20], "counts": [2**40]},
    ],
)
def test_malformed_rle_is_refused_by_name(broken: dict[str, object]) -> None:
    for read in (rle.decode, rle.area, rle.box):
        with pytest.raises(PromptError, match="^rle: "):
            read(broken)


@pytest.mark.parametrize("shape", [(4,), (2, 2, 1), (0, 3)])
def test_only_masks_with_pixels_can_be_encoded(shape: tuple[int, ...]) -> None:
    with pytest.raises(PromptError, match="rle"):
        rle.encode(np.zeros(shape, bool))


def test_spans_are_the_pixels_read_column_by_column(random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        starts, lengths = rle.spans(rle.encode(mask))
        places = [
            place for start, length in zip(starts, lengths, strict=True) for place in range(start, start + length)
        ]
        assert np.array_equal(places, np.flatnonzero(mask.T))
