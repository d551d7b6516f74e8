"""A real photo, real weights, the settings everybody has: over HTTP comes what comes in process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from app_under_test import hover, running, upload

from clickmask import Mask, OpenImage, Segmenter
from clickmask.service import rle

DOGS = [(290.0, 300.0), (420.5, 610.25), (40.0, 40.0)]
BOX = (180.0, 120.0, 420.0, 610.0)


@pytest.fixture(scope="module")
def everyday(cache_folder: Path) -> Segmenter:
    return Segmenter(refine="off", cache_dir=cache_folder)


@pytest.fixture(scope="module")
def near(everyday: Segmenter, photo_path: Path) -> OpenImage:
    return everyday.open(photo_path.read_bytes())


@pytest.fixture(scope="module")
def client(everyday: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running(everyday, tmp_path_factory.mktemp("state")) as service, service.client() as client:
        yield client


@pytest.fixture(scope="module")
def path(client: httpx.Client, photo_path: Path) -> str:
    return f"/v1/images/{upload(client, photo_path.read_bytes())}/masks"


def _ask(client: httpx.Client, path: str, *objects: dict[str, Any], **wishes: Any) -> Any:
    answer = client.post(path, json={"objects": list(objects), **wishes})
    assert answer.status_code == 200, answer.text
    return answer.json()["objects"]


def _agree(found: dict[str, Any], mask: Mask) -> None:
    assert found["rle"] == rle.encode(mask.pixels)
    assert (found["score"], found["stability"]) == (round(mask.score, 5), round(mask.stability, 5))
    assert (found["index"], found["area"], tuple(found["box"])) == (mask.index, mask.area, mask.box)


@pytest.mark.parametrize("point", DOGS)
def test_a_click_is_that_of_the_segmenter(
    client: httpx.Client, path: str, near: OpenImage, point: tuple[float, float]
) -> None:
    ((best, *others),) = _ask(client, path, {"points": [point]})
    _agree(best, near.click(*point))
    for found, mask in zip([best, *others], near.candidates(points=[point]), strict=True):
        _agree(found, mask)


def test_prompts_together_are_those_of_the_segmenter(client: httpx.Client, path: str, near: OpenImage) -> None:
    prompts: list[dict[str, Any]] = [
        {"box": BOX},
        {"points": DOGS[:2], "labels": [1, 0], "box": BOX},
        {"points": [DOGS[0], DOGS[2]], "labels": [1, 0]},
    ]
    for (found,), prompt in zip(_ask(client, path, *prompts), prompts, strict=True):
        _agree(found, near.segment(**prompt))


def test_a_chain_of_clicks_is_as_good_as_that_of_the_segmenter(
    client: httpx.Client, path: str, near: OpenImage
) -> None:
    """What goes back and forth is float16, so the masks need not be equal: IoU 0.99 is promised."""
    thing, previous = near.start(), None
    clicks: list[tuple[float, float]] = []
    for point in (DOGS[0], (300.0, 500.0), DOGS[1]):
        clicks.append(point)
        mask = thing.add(*point)
        prompt = {"points": clicks} if previous is None else {"points": clicks, "previous": previous}
        found = _ask(client, path, prompt)[0][0]
        previous = found["mask_id"]
        theirs = rle.decode(found["rle"])
        assert np.count_nonzero(theirs & mask.pixels) / np.count_nonzero(theirs | mask.pixels) >= 0.99
        assert found["score"] == pytest.approx(mask.score, abs=0.01)


def test_a_preview_is_the_mask_at_its_scale(client: httpx.Client, path: str, near: OpenImage) -> None:
    _, answer = hover(client, path, "page", 1, objects=[{"points": [DOGS[0]]}], scale="model", limit=1)
    assert answer["objects"][0][0]["rle"] == rle.encode(
        near.click(*DOGS[0]).pixels
    )  # the photo is no larger than the model's side
