"""Documents of photos that nobody took: a few discs each, of which everything can be reckoned."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from clickmask.service import rle

Documents = Callable[..., list[dict[str, Any]]]
LABELS = ("dog", "cat", None)


def disc(number: int) -> np.ndarray:
    """(24, 32) bool, another one for each number."""
    y, x = np.mgrid[:24, :32]
    return (x - 8 - number % 16) ** 2 + (y - 12) ** 2 < (3 + number % 5) ** 2


def document(name: str, objects: int, *, seed: int = 0) -> dict[str, Any]:
    """What is known of a photo of 32 x 24 pixels."""
    image = {"name": name, "width": 32, "height": 24, "sha256": _digest(f"{name} {seed}"), "orientation": 6}
    found = [_object(name, number, seed) for number in range(objects)]
    key = name.rpartition(".")[0]
    return {"image": image, "key": key, "file_sha256": _digest(f"file {name} {seed}"), "objects": found}


def _object(name: str, number: int, seed: int) -> dict[str, Any]:
    mask = disc(number + seed) if number % 7 != 6 else np.zeros((24, 32), bool)
    runs = rle.encode(mask)
    box = rle.box(runs)
    return {
        "index": number,
        "label": LABELS[number % 3],
        "score": 0.1 + number / 3,
        "stability": None if number % 2 else 1 / (number + 3),
        "area": rle.area(runs),
        "box": None if box is None else list(box),
        "rle": runs,
        "prompt": None if number % 4 == 3 else {"points": [[1.5, 2.0]], "labels": [1], "box": None, "previous": False},
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def documents() -> Documents:
    """Of so many photos, with 0, 1, 2, ... up to 8 objects in turn."""
    return lambda count: [document(f"sub/{number:05}.jpg", number % 9) for number in range(count)]
