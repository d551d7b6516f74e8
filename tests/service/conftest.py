"""Real photographs, shipped with the examples, for the tests of the service."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

PHOTOS = Path(__file__).resolve().parents[2] / "examples" / "photos"


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    """All example photos, JPEG, longer side 1024."""
    return sorted(PHOTOS.glob("*.jpg"))


@pytest.fixture(scope="session")
def photo_path() -> Path:
    """Two dogs, upright, 682 x 1024."""
    return PHOTOS / "dogs.jpg"


@pytest.fixture(scope="session")
def photo(photo_path: Path) -> np.ndarray:
    """The dogs at a quarter of their size, 170 x 256: (256, 170, 3) uint8 RGB."""
    pixels = cv2.imread(str(photo_path), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    return cv2.resize(pixels, (170, 256), interpolation=cv2.INTER_AREA)


@pytest.fixture
def random_masks() -> list[np.ndarray]:
    """Sixty-odd noise masks, from one pixel to 40 x 60, from empty to full."""
    draw = np.random.default_rng(5)
    shapes = [(1, 1), (1, 7), (7, 1), (2, 2), (3, 5), (12, 9), (40, 60)]
    shares = [0.0, 0.05, 0.3, 0.5, 0.7, 0.95, 1.0]
    return [draw.random(shape) < share for shape in shapes for share in shares]
