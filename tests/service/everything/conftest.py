"""Masks drawn by hand, and candidates made of them."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from clickmask.models.frame import Frame
from clickmask.service.everything.found import Found
from clickmask.service.everything.grids import Crop
from clickmask.service.everything.options import Search
from clickmask.service.everything.proposals import Proposals
from clickmask.service.everything.runs import Runs
from clickmask.service.everything.search import Candidate, Finds
from clickmask.service.masks import PhotoSource

WIDTH, HEIGHT = 120, 90

MakeCandidate = Callable[..., Candidate]
MakeProposals = Callable[..., Proposals]


def _disc(x: int, y: int, radius: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    mask = np.zeros(size[::-1], np.uint8)
    cv2.circle(mask, (x, y), radius, 1, -1)
    return mask.astype(bool)


def _square(x: int, y: int, side: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    mask = np.zeros(size[::-1], bool)
    mask[y : y + side, x : x + side] = True
    return mask


@pytest.fixture(scope="session")
def disc() -> Callable[..., np.ndarray]:
    """(x, y, radius, size=(120, 90)) -> (H, W) bool."""
    return _disc


@pytest.fixture(scope="session")
def square() -> Callable[..., np.ndarray]:
    """(x, y, side, size=(120, 90)) -> (H, W) bool, from its top left corner."""
    return _square


@pytest.fixture(scope="session")
def candidate() -> MakeCandidate:
    """A candidate of a mask, (H, W) bool."""

    def make(
        mask: np.ndarray, score: float = 0.9, stability: float = 0.96, crop: int = 0, is_cut: bool = False
    ) -> Candidate:
        return Candidate(Runs.of(mask), score, stability, (3.5, 4.5), 1, crop, is_cut)

    return make


@pytest.fixture(scope="session")
def proposals() -> MakeProposals:
    """Proposals of candidates: nothing but what a search would have left behind."""

    def make(candidates: list[Candidate], windows: tuple[tuple[int, int, int, int], ...] = ()) -> Proposals:
        size = candidates[0].runs.width, candidates[0].runs.height
        whole = (0, 0, *size)
        crops = [Crop(window, np.zeros((0, 2))) for window in windows or (whole,)]
        finds = Finds(size, whole, crops, candidates, 0, True)
        search = Search(floor_score=0.0, floor_stability=0.0)

        def again(frame: Frame, prompt: object, number: int) -> np.ndarray:
            return np.zeros((256, 256), np.float32)

        return Proposals(search, finds, {}, PhotoSource(*size, None), again)

    return make


@pytest.fixture(scope="session")
def found(proposals: MakeProposals, candidate: MakeCandidate) -> Callable[..., Found]:
    """What is found of masks with scores, all of them kept."""

    def make(masks: list[np.ndarray], scores: list[float] | None = None, **options: object) -> Found:
        scores = scores or [0.9] * len(masks)
        candidates = [candidate(mask, score) for mask, score in zip(masks, scores, strict=True)]
        return proposals(candidates).filter(**{"box_nms_thresh": 1.0, **options})  # pyright: ignore[reportArgumentType]

    return make
