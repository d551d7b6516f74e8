"""Distances across a picture, against Dijkstra's."""

from __future__ import annotations

import heapq

import cv2
import numpy as np
import pytest

from clickmask.service.refine.geodesic import geodesic


def _dijkstra(colours: np.ndarray, start: tuple[int, int], edge: float) -> np.ndarray:
    height, width = colours.shape[:2]
    lengths = np.full((height, width), np.inf)
    lengths[start[1], start[0]] = 0
    waiting = [(0.0, start)]
    while waiting:
        length, (x, y) = heapq.heappop(waiting)
        for column in range(max(0, x - 1), min(width, x + 2)):
            for row in range(max(0, y - 1), min(height, y + 2)):
                step = np.hypot(column - x, row - y) + edge * np.abs(colours[y, x] - colours[row, column]).sum()
                if length + step < lengths[row, column]:
                    lengths[row, column] = length + step
                    heapq.heappush(waiting, (length + step, (column, row)))
    return lengths


def test_distances_are_those_of_the_shortest_ways() -> None:
    draw = np.random.default_rng(3)
    for size, start in (((30, 40), (5, 20)), ((17, 9), (8, 0)), ((1, 6), (2, 0)), ((6, 1), (0, 5))):
        colours = cv2.GaussianBlur(draw.random((*size, 3)).astype(np.float32), (0, 0), 2).reshape(*size, 3) * 2
        found, exact = geodesic(colours, start, 10.0), _dijkstra(colours, start, 10.0)
        assert found[start[1], start[0]] == 0
        assert (found > exact - 1e-3).all() and (found < 1.05 * exact + 0.5).all()  # two sweeps may miss a short cut


def test_on_one_colour_a_distance_is_that_of_a_king_who_pays_for_slanting() -> None:
    found = geodesic(np.zeros((5, 7, 3), np.float32), (1, 2), 50.0)
    assert found[2].tolist() == pytest.approx([1, 0, 1, 2, 3, 4, 5])
    assert found[4, 3] == pytest.approx(2 * 2**0.5) and found[0, 6] == pytest.approx(3 + 2 * 2**0.5)


def test_across_an_edge_it_is_far_and_around_it_near() -> None:
    colours = np.zeros((9, 9, 3), np.float32)
    colours[:8, 4] = 1.0  # a wall with a gate at the bottom
    found = geodesic(colours, (0, 0), 100.0)
    assert found[0, 8] == pytest.approx(16, abs=4)
    colours[8, 4] = 1.0
    assert geodesic(colours, (0, 0), 100.0)[0, 8] > 600
