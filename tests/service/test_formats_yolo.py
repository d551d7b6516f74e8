"""YOLO's lines, read as ultralytics documents them: one polygon a line, drawn by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import yaml

from clickmask.models.errors import OutputError
from clickmask.service import rle
from clickmask.service.formats import Options, count_losses, write
from clickmask.service.formats.result import ObjectResult, Result
from clickmask.service.formats.yolo import write_data_yaml, write_yolo, yolo_classes, yolo_losses
from clickmask.service.polygons import from_polygons


def _result(masks: list[np.ndarray], labels: list[str | None] | None = None) -> Result:
    height, width = masks[0].shape
    names = [None] * len(masks) if labels is None else labels
    pairs = enumerate(zip(masks, names, strict=True))
    return Result(width, height, [ObjectResult(mask, 0.9, 0.8, place, name) for place, (mask, name) in pairs])


def _lines(data: bytes) -> list[tuple[int, np.ndarray]]:
    """Class and (N, 2) shares of each line."""
    rows = [line.split(" ") for line in data.decode("ascii").splitlines()]
    return [(int(row[0]), np.array(row[1:], float).reshape(-1, 2)) for row in rows]


def _drawn(shares: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """As ultralytics does: to pixels, decimals cut off, filled with its outline."""
    corners = (shares * (shape[1], shape[0])).astype(np.int32)
    return cv2.fillPoly(np.zeros(shape, np.uint8), [corners], 1) > 0


def _ring_with_hole() -> np.ndarray:
    mask = np.zeros((12, 16), bool)
    mask[2:10, 3:13] = True
    mask[4:7, 5:9] = False
    return mask


def _two_parts() -> np.ndarray:
    mask = np.zeros((12, 16), bool)
    mask[1:3, 1:3] = mask[8:11, 9:15] = True
    return mask


def test_the_line_of_a_square_is_as_worked_out_by_hand() -> None:
    mask = np.zeros((4, 8), bool)
    mask[1:3, 2:6] = True
    # Corners a tenth of a pixel within: x 2.1 and 5.9 of 8, y 1.1 and 2.9 of 4.
    (line,) = write_yolo(_result([mask])).decode().splitlines()
    number, *shares = line.split(" ")
    assert number == "0"
    points = {tuple(shares[at : at + 2]) for at in range(0, 8, 2)}
    assert points == {("0.2625", "0.275"), ("0.7375", "0.275"), ("0.7375", "0.725"), ("0.2625", "0.725")}


@pytest.mark.parametrize("mask", [_ring_with_hole(), np.ones((1, 1), bool), np.ones((7, 5), bool)])
def test_ultralytics_rule_reads_the_very_mask_of_one_part(mask: np.ndarray) -> None:
    ((_, shares),) = _lines(write_yolo(_result([mask])))
    assert len(shares) >= 3 and shares.min() >= 0 and shares.max() <= 1
    assert np.array_equal(_drawn(shares, mask.shape), mask)
    assert yolo_losses(_result([mask])) == []


def test_parts_are_joined_and_what_that_adds_is_counted() -> None:
    mask = _two_parts()
    result = _result([_ring_with_hole(), mask])
    (_, first), (_, shares) = _lines(write_yolo(result))
    drawn = _drawn(shares, mask.shape)
    assert drawn[mask].all() and not np.array_equal(drawn, mask)
    (loss,) = count_losses(result, "yolo")
    assert (loss.place, loss.pixels) == (2, int((drawn & ~mask).sum()))
    assert str(loss) == f"object 2: its 2 parts are joined by lines ({loss.pixels} px)"
    assert loss.pixels <= 12  # a line from the one to the other
    assert np.array_equal(_drawn(first, mask.shape), _ring_with_hole())


def test_by_the_middles_of_pixels_every_mask_is_exact(random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        size = mask.shape[1], mask.shape[0]
        lines = _lines(write_yolo(_result([mask])))
        assert len(lines) == int(mask.any())
        for _, shares in lines:
            assert np.array_equal(from_polygons([[shares * size]], size), mask)


def test_run_lengths_give_the_same_lines_and_losses(random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        height, width = mask.shape
        far = np.zeros((height + 700, width + 900), bool)
        far[700:, 900:] = mask
        pixels, runs = _result([far]), Result(*far.shape[::-1], [ObjectResult(rle.encode(far), 0.9, 0.8)])
        assert write_yolo(pixels) == write_yolo(runs) and yolo_losses(pixels) == yolo_losses(runs)


def test_thousands_of_parts_are_joined_to_the_very_mask() -> None:
    noise = np.random.default_rng(0).random((500, 500)) < 0.5
    ((_, shares),) = _lines(write_yolo(_result([noise])))
    assert np.array_equal(from_polygons([[shares * 500]], (500, 500)), noise)


def test_losses_are_what_the_reader_gets_otherwise(random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        losses = yolo_losses(_result([mask]))
        drawn = [_drawn(shares, mask.shape) for _, shares in _lines(write_yolo(_result([mask])))]
        wrong = sum(int((one != mask).sum()) for one in drawn)
        assert sum(loss.pixels for loss in losses) == wrong
        assert len(losses) == int(wrong > 0 or not mask.any())


def test_an_image_without_objects_has_an_empty_file() -> None:
    empty = np.zeros((3, 3), bool)
    assert write(_result([empty]), "a.txt") == b""
    (loss,) = yolo_losses(_result([empty]))
    assert str(loss) == "object 1: has no pixel and is left out (0 px)"


def test_classes_are_the_labels_in_order_or_those_given() -> None:
    result = _result([_two_parts()] * 4, ["dog", None, "犬", "cat"])
    assert [number for number, _ in _lines(write_yolo(result))] == [1, 2, 3, 0]
    assert yolo_classes([result]) == ["cat", "dog", "object", "犬"]
    given = Options(classes=("object", "犬", "dog", "cat", "bird"))
    assert [number for number, _ in _lines(write(result, "a.txt", "yolo", given))] == [2, 0, 1, 3]
    with pytest.raises(OutputError, match="object 3: its label '犬' is not among the 3 classes"):
        write(result, "a.txt", "yolo", Options(classes=("object", "dog", "cat")))


def test_simpler_outlines_have_fewer_corners() -> None:
    rows, columns = np.mgrid[:60, :60]
    disc = (rows - 30) ** 2 + (columns - 30) ** 2 < 25**2
    (_, exact), (_, simple) = (_lines(write_yolo(_result([disc]), tolerance))[0] for tolerance in (0.0, 1.5))
    assert len(simple) < len(exact) / 3
    (loss,) = count_losses(_result([disc]), "yolo", Options(tolerance=1.5))
    assert 0 < loss.pixels < 0.1 * disc.sum()


def test_lines_of_the_longest_pictures_are_exact() -> None:
    mask = np.zeros((2, 400_000), bool)
    mask[0, 399_998] = mask[1, 123_457] = True
    ((_, shares),) = _lines(write_yolo(_result([mask])))
    assert np.array_equal(from_polygons([[shares * (400_000, 2)]], (400_000, 2)), mask)


@pytest.mark.parametrize(
    "names", [[], ["dog"], ['"', "\\", "a: b # c", "- x", "yes", "0", "é犬🐶", "\n\x85\u2028\x7f\0", "", " a "]]
)
def test_data_yaml_is_read_back_by_a_reader_of_yaml(names: list[str]) -> None:
    document = yaml.safe_load(write_data_yaml(names, "images/été", "images/val").decode())
    assert document == {"train": "images/été", "val": "images/val", "names": dict(enumerate(names))}
