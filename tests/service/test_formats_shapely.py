"""Outlines beside shapely, which reckons areas and points inside for itself, and knows what a valid polygon is."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import shapely
from shapely.geometry import MultiPolygon, Polygon, shape

from clickmask.service.formats.geojson import write_geojson
from clickmask.service.formats.result import ObjectResult, Result
from clickmask.service.formats.rings import INSET, to_rings
from clickmask.service.polygons import to_polygons


@pytest.fixture
def masks(random_masks: list[np.ndarray]) -> list[np.ndarray]:
    """Noise, a hundred small ones more, and a frame in a frame with an island."""
    draw = np.random.default_rng(11)
    small = [draw.random((6, 7)) < share for share in np.linspace(0.3, 0.97, 100)]
    frames = np.zeros((11, 13), bool)
    frames[0:11, 0:13] = True
    frames[1:10, 1:12] = False
    frames[2:9, 3:10] = True
    frames[3:8, 4:9] = False
    frames[5, 6] = True
    return [*random_masks, *small, frames]


def _inside(polygon: shapely.Geometry, size: tuple[int, ...]) -> np.ndarray:
    """(H, W) bool: whether the middle of a pixel is inside."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    shapely.prepare(polygon)
    return shapely.contains_xy(polygon, columns + 0.5, rows + 0.5)


def _holes(mask: np.ndarray) -> int:
    """What each part leaves open within; parts and holes hang together by sides, and may touch by corners."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    around = (np.pad(labels != label, 1, constant_values=True).astype(np.uint8) for label in range(1, count))
    return sum(cv2.connectedComponents(outside, connectivity=4)[0] - 2 for outside in around)


def test_geojson_is_valid_and_as_large_as_its_pixels(masks: list[np.ndarray]) -> None:
    for mask in masks:
        result = Result(mask.shape[1], mask.shape[0], [ObjectResult(mask)])
        (feature,) = json.loads(write_geojson(result))["features"]
        if not mask.any():
            continue
        polygon = shape(feature["geometry"])
        assert isinstance(polygon, Polygon | MultiPolygon)
        assert polygon.is_valid, shapely.is_valid_reason(polygon)
        assert polygon.area == mask.sum() and polygon.bounds == tuple(feature["bbox"])
        parts = [polygon] if isinstance(polygon, Polygon) else polygon.geoms
        assert sum(len(part.interiors) for part in parts) == _holes(mask)
        assert np.array_equal(_inside(polygon, mask.shape), mask)


def test_parts_and_holes_are_as_large_as_their_pixels(masks: list[np.ndarray]) -> None:
    for mask in masks:
        polygons = [Polygon(outer, holes) for outer, *holes in to_polygons(mask)]
        assert sum(polygon.area for polygon in polygons) == mask.sum()


def test_rings_with_slits_enclose_the_very_pixels(masks: list[np.ndarray]) -> None:
    for mask in masks:
        rings = [Polygon(ring) for ring in to_rings(mask)]
        inside = [_inside(ring, mask.shape) for ring in rings]  # a slit is crossed twice: no matter to what is inside
        assert np.array_equal(sum(inside, np.zeros(mask.shape, int)), mask)
        exact = [Polygon(outer, holes) for outer, *holes in to_polygons(mask)]
        within = sum(part.area - INSET * part.length for part in exact)  # and a tenth squared more or less a corner
        corners = sum(shapely.get_num_coordinates(part) for part in exact)
        assert abs(sum(ring.area for ring in rings) - within) <= INSET**2 * corners + 1e-6
