"""A device that has no memory left for so many points at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from clickmask import OpenImage, Segmenter
from clickmask.models.point_decoder import Answers, PointDecoder, Wanted


@pytest.fixture
def narrow(strip_segmenter: Segmenter, strip: np.ndarray) -> OpenImage:
    return strip_segmenter.open(strip)


def _limit(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """From here on a decoder has room for `most` points; how many it was asked for, each time."""
    decode, asked = PointDecoder.decode, list[int]()

    def limited(self: PointDecoder, points: Tensor, wanted: Wanted) -> Answers:
        asked.append(len(points))
        if len(points) > most:
            raise torch.OutOfMemoryError("injected")
        return decode(self, points, wanted)

    monkeypatch.setattr(PointDecoder, "decode", limited)
    return asked


def test_fewer_points_go_at_once_and_nothing_is_missing(narrow: OpenImage, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = narrow.proposals(points_per_side=4, floor_score=0.0, floor_stability=0.0)
    asked = _limit(monkeypatch, 1)
    given = narrow.proposals(points_per_side=4, floor_score=0.0, floor_stability=0.0)
    assert given.is_complete and len(given) == len(expected) > 0
    assert [c.point for c in given.finds.candidates] == [c.point for c in expected.finds.candidates]
    assert asked.count(2) <= 2 and asked.count(1) == 16  # not tried again and again


def test_not_even_one_point_is_an_error(narrow: OpenImage, monkeypatch: pytest.MonkeyPatch) -> None:
    _limit(monkeypatch, 0)
    with pytest.raises(torch.OutOfMemoryError):
        narrow.everything(points_per_side=4)
