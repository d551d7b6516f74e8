"""Label maps, GeoJSON and measurements: by hand, and read back by others."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from clickmask.models.errors import OutputError
from clickmask.service.formats import count_losses, write
from clickmask.service.formats.geojson import write_geojson
from clickmask.service.formats.labelmap import to_labelmap, write_labelmap
from clickmask.service.formats.measurements import COLUMNS, plain, write_csv
from clickmask.service.formats.png_text import add_text, find_text
from clickmask.service.formats.result import ObjectResult, Result
from clickmask.service.polygons import from_polygons

ODD = 'chien "été", \\ 犬 \U0001f436'


def _result(masks: list[np.ndarray], label: str | None = "dog", name: str | None = "dogs.jpg") -> Result:
    height, width = masks[0].shape
    objects = [ObjectResult(mask, 0.5, 0.25, place, label) for place, mask in enumerate(masks)]
    return Result(width, height, objects, {"variant": "vit_t"}, name=name, sha256="ab", orientation=6)


def _nested() -> list[np.ndarray]:
    """A small object on a large one, and one that stands alone."""
    masks = [np.zeros((6, 8), bool) for _ in range(3)]
    masks[0][1, 1] = True
    masks[1][0:4, 0:4] = True
    masks[2][5, 7] = True
    return masks


def test_the_label_map_has_the_smallest_on_top() -> None:
    image = Image.open(io.BytesIO(write_labelmap(_result(_nested()))))
    assert (image.format, image.mode) == ("PNG", "L")
    expected = np.zeros((6, 8), int)
    expected[0:4, 0:4], expected[1, 1], expected[5, 7] = 2, 1, 3
    assert np.array_equal(np.asarray(image), expected)
    (loss,) = count_losses(_result(_nested()), "labelmap")
    assert (loss.place, loss.pixels) == (2, 1)


def test_of_equally_large_objects_the_earlier_is_on_top() -> None:
    one, other = np.zeros((1, 3), bool), np.zeros((1, 3), bool)
    one[0, :2] = other[0, 1:] = True
    assert to_labelmap(_result([one, other])).tolist() == [[1, 1, 2]]


@pytest.mark.parametrize(("count", "mode"), [(0, "L"), (255, "L"), (256, "I;16"), (300, "I;16")])
def test_many_objects_take_16_bits(count: int, mode: str) -> None:
    objects = [ObjectResult(np.arange(300).reshape(10, 30) == place, index=place) for place in range(count)]
    image = Image.open(io.BytesIO(write_labelmap(Result(30, 10, objects))))
    assert image.mode == mode
    expected = np.arange(1, 301)
    expected[count:] = 0
    assert np.array_equal(np.asarray(image).ravel(), expected)


def test_more_objects_than_numbers_are_refused() -> None:
    item = ObjectResult({"size": [1, 1], "counts": "01"})
    with pytest.raises(OutputError, match="labelmap has numbers for 65535 objects, got 65536: choose coco"):
        write_labelmap(Result(1, 1, [item] * 65_536))


def test_a_label_map_tells_labels_and_provenance_to_who_asks() -> None:
    data = write_labelmap(_result(_nested(), ODD, "犬.jpg"))
    image: Any = Image.open(io.BytesIO(data))
    image.load()
    said = json.loads(image.text["clickmask"])
    assert said["name"] == "犬.jpg" and said["provenance"] == {"variant": "vit_t"} and said["orientation"] == 6
    assert said["objects"][2] == {"label": ODD, "score": 0.5, "stability": 0.25, "index": 2}
    assert json.loads(find_text(data, "clickmask") or "") == said
    with pytest.raises(OutputError, match="JSON"):
        write_labelmap(Result(3, 3, [], {"device": object()}))


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + b"\xff" * 40])
def test_no_text_is_found_where_there_is_none(data: bytes) -> None:
    assert find_text(data, "clickmask") is None


def test_a_text_that_was_damaged_is_none() -> None:
    data = write_labelmap(_result(_nested()))
    at = data.index(b"iTXt") + 4 + len("clickmask") + 5
    assert find_text(data[:at] + b"\xff" * 9 + data[at + 9 :], "clickmask") is None
    assert find_text(add_text(data, "other", "犬"), "other") == "犬"


def test_the_geojson_of_a_frame_is_as_worked_out_by_hand() -> None:
    mask = np.zeros((4, 5), bool)
    mask[0:3, 1:4] = True
    mask[1, 2] = False
    document = json.loads(write_geojson(_result([mask])))
    assert isinstance(document["clickmask"].pop("version"), str)
    assert document == {
        "type": "FeatureCollection",
        "clickmask": {
            "coordinates": "pixels of the upright image: x right, y down, from its top left corner",
            "image": {"name": "dogs.jpg", "width": 5, "height": 4, "sha256": "ab", "orientation": 6},
            "provenance": {"variant": "vit_t"},
        },
        "features": [
            {
                "type": "Feature",
                "id": 0,
                "bbox": [1, 0, 4, 3],
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [
                        [[1, 0], [4, 0], [4, 3], [1, 3], [1, 0]],
                        [[2, 2], [3, 2], [3, 1], [2, 1], [2, 2]],
                    ],
                },
                "properties": {"index": 0, "label": "dog", "score": 0.5, "stability": 0.25, "area": 8},
            }
        ],
    }


def _polygons(feature: dict[str, Any]) -> list[list[list[list[int]]]]:
    geometry = feature["geometry"]
    if geometry is None:
        return []
    return geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]


def _signed_area(ring: list[list[int]]) -> float:
    """Positive counter-clockwise, as if y went up: what RFC 7946 asks of outer rings."""
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, ring[1:], strict=False)) / 2


def test_geojson_rings_are_closed_simple_and_wound_as_the_rfc_asks(random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        (feature,) = json.loads(write_geojson(_result([mask])))["features"]
        polygons = _polygons(feature)
        area = 0.0
        for outer, *holes in polygons:
            for ring in (outer, *holes):
                assert ring[0] == ring[-1] and len(ring) >= 5
                assert len({tuple(corner) for corner in ring}) == len(ring) - 1  # it never comes by twice
            assert _signed_area(outer) > 0 and all(_signed_area(hole) < 0 for hole in holes)
            area += sum(_signed_area(ring) for ring in (outer, *holes))
        assert area == mask.sum() == feature["properties"]["area"]
        parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[0] - 1
        assert len(polygons) == parts
        rings = [[np.array(ring[:-1]) for ring in part] for part in polygons]
        assert np.array_equal(from_polygons(rings, (mask.shape[1], mask.shape[0])), mask)


def test_geojson_without_pixels_has_a_null_geometry() -> None:
    document = json.loads(write_geojson(_result([np.zeros((3, 3), bool)], ODD, "犬.jpg")))
    (feature,) = document["features"]
    assert feature["geometry"] is None and "bbox" not in feature and feature["properties"]["label"] == ODD
    assert document["clickmask"]["image"]["name"] == "犬.jpg"
    assert json.loads(write_geojson(Result(3, 3)))["features"] == []


def _rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_measurements_of_a_frame_are_as_worked_out_by_hand() -> None:
    mask = np.zeros((6, 7), bool)
    mask[1:4, 2:5] = True
    mask[2, 3] = False
    (row,) = _rows(write_csv(_result([mask])))
    assert tuple(row) == COLUMNS
    # 8 pixels about the middle of pixel 3, 2; 12 edges outside, 4 inside.
    expected = "dogs.jpg 0 dog 0.5 0.25 8 2 1 5 4 3.5 2.5 16 false"
    assert " ".join(row.values()) == expected


def test_measurements_of_one_pixel_and_of_none() -> None:
    one, none = np.ones((1, 1), bool), np.zeros((1, 1), bool)
    first, second = _rows(write_csv(_result([one, none], None, None)))
    assert list(first.values()) == ["", "0", "", "0.5", "0.25", "1", "0", "0", "1", "1", "0.5", "0.5", "4", "true"]
    assert list(second.values()) == ["", "1", "", "0.5", "0.25", "0", "", "", "", "", "", "", "0", "false"]
    assert _rows(write_csv(Result(3, 3))) == []


def test_measurements_agree_with_opencv_s_moments(random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        (row,) = _rows(write(_result([mask]), "a.csv"))
        moments = cv2.moments(mask.astype(np.uint8), binaryImage=True)
        assert int(row["area"]) == moments["m00"]
        if mask.any():
            middle = moments["m10"] / moments["m00"] + 0.5, moments["m01"] / moments["m00"] + 0.5
            assert (float(row["centroid_x"]), float(row["centroid_y"])) == pytest.approx(middle, abs=0.001)
            border = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
            assert row["touches_border"] == ("true" if border else "false")


@pytest.mark.parametrize("label", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1"])
def test_no_label_or_name_is_a_formula(label: str) -> None:
    (row,) = _rows(write_csv(_result([np.ones((2, 2), bool)], label, f"{label}.jpg")))
    assert (row["label"], row["image"]) == (f"'{label}", f"'{label}.jpg")


@pytest.mark.parametrize("label", [ODD, "a=b", "a,b", 'a"b', "a\nb", "'", "1-2", "\ud800"])
def test_other_labels_come_through_as_they_are(label: str) -> None:
    (row,) = _rows(write_csv(_result([np.ones((2, 2), bool)], label)))
    assert row["label"] == label.replace("\ud800", "?") == plain(label).replace("\ud800", "?")
