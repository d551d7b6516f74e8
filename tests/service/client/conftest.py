"""Lets the tests of this folder import its stand-in, however pytest was started; a server, a client and a photo."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

_FOLDER = str(Path(__file__).parent)
if _FOLDER not in sys.path:
    sys.path.append(_FOLDER)

from stand_in import StandIn  # noqa: E402  (the folder has to be known first)

from clickmask.service.client import Client  # noqa: E402


@pytest.fixture
def server() -> StandIn:
    """A service that answers by the contract, and as badly as a test tells it to."""
    return StandIn()


@pytest.fixture
def client(server: StandIn) -> Iterator[Client]:
    """A client of it with 5 seconds for each verb."""
    with Client("http://clickmask.test", transport=server.transport(), timeout=5) as client:
        yield client


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """(60, 90, 3) uint8 RGB noise."""
    return np.random.default_rng(1).integers(0, 256, (60, 90, 3), np.uint8)


@pytest.fixture(scope="session")
def png(pixels: np.ndarray) -> bytes:
    """The noise as a PNG file."""
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
