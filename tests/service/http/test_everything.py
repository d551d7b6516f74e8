"""All objects over HTTP are those of `OpenImage.everything`, and other thresholds need no model."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from app_under_test import Running, as_png, error_of, pixels_of, running, upload
from everything import GRID, events, path, steps

from clickmask import OpenImage, Segmenter
from clickmask.models.frame import Frame
from clickmask.service import rle
from clickmask.service.everything.found import Found
from clickmask.service.everything.runs import Runs
from clickmask.service.http.found_answers import _sampled

LOW: dict[str, Any] = {**GRID, "pred_iou_thresh": 0.75, "stability_score_thresh": 0.85}


@pytest.fixture(scope="module")
def service(strip_segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(strip_segmenter, tmp_path_factory.mktemp("state")) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Running) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def near(strip_segmenter: Segmenter, strip: np.ndarray) -> OpenImage:
    return strip_segmenter.open(strip)


@pytest.fixture
def key(service: Running, client: httpx.Client, strip: np.ndarray) -> str:
    """The strip, left with the service, of which nothing was found yet."""
    service.app.state.service.store.forget_all("local")
    return upload(client, as_png(strip))


def _ask(client: httpx.Client, key: str, **wishes: Any) -> dict[str, Any]:
    answer = client.post(path(key), json=wishes)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _same(answer: dict[str, Any], found: Found) -> None:
    assert len(found) > 3, "too few for a comparison"
    masks = answer["masks"]
    assert [mask["rle"] for mask in masks] == [mask.rle() for mask in found]
    assert [mask["parent"] for mask in masks] == found.parents
    assert (answer["complete"], answer["points"]) == (found.is_complete, found.points)
    for there, here in zip(masks, found, strict=True):
        assert there["score"] == pytest.approx(here.score, abs=1e-5) and there["index"] == here.index
        assert there["stability"] == pytest.approx(here.stability, abs=1e-5)
        assert (there["area"], tuple(there["box"])) == (here.area, here.box)
        assert (tuple(there["point"]), tuple(there["crop"])) == (here.point, here.crop)


@pytest.mark.parametrize(
    "wishes",
    [
        GRID,
        LOW,
        {**LOW, "adaptive": True, "floor_score": 0.75, "floor_stability": 0.85},
        {**LOW, "dedup": "mask", "min_area": 100, "holes": 0.01, "min_mask_region_area": 20},
        {**LOW, "non_overlapping": True},
        {**LOW, "points_per_side": 2, "tiles": 300},
        pytest.param({**LOW, "points_per_side": 3, "crop_n_layers": 1}, marks=pytest.mark.soak),
    ],
    ids=["defaults", "thresholds", "adaptive", "cleaned", "apart", "tiles", "crops"],
)
def test_answer_is_that_of_the_open_image(
    service: Running, client: httpx.Client, key: str, near: OpenImage, wishes: dict[str, Any]
) -> None:
    service.app.state.service.store.pixels.clear()  # as when others' images came meanwhile
    options = {name: value for name, value in wishes.items() if not name.startswith("floor")}
    _same(_ask(client, key, **wishes), near.everything(**options))


def test_grids_of_ones_own_are_asked(client: httpx.Client, key: str, near: OpenImage) -> None:
    grid = [[0.6, 0.3], [0.5, 0.6], [0.75, 0.25], [0.4, 0.5], [0.9, 0.5]]
    answer = _ask(client, key, **{**LOW, "points_per_side": None}, point_grids=[grid], dedup="mask")
    wishes: Any = {**LOW, "points_per_side": None, "point_grids": [np.array(grid)], "dedup": "mask"}
    found = near.everything(**wishes)
    assert len(found) and [mask["rle"] for mask in answer["masks"]] == [mask.rle() for mask in found]
    assert answer == _ask(client, key, point_grids=[grid], dedup="mask", pred_iou_thresh=0.75,
                          stability_score_thresh=0.85)  # fmt: skip


def test_window_is_searched_in_the_images_frame(client: httpx.Client, key: str, near: OpenImage) -> None:
    box = (400, 0, 900, 64)
    window = client.post(f"/v1/images/{key}/windows", json={"box": box}).json()["id"]
    found = near.window(box).everything(**LOW)
    answer = _ask(client, window, **LOW)
    _same(answer, found)
    assert answer["raster"] == {"width": 1024, "height": 64, "box": [0, 0, 1024, 64]}
    small = _ask(client, window, **LOW, scale="model")
    assert small["raster"] == {"width": 500, "height": 64, "box": list(box)}
    for mask, here in zip(small["masks"], found, strict=True):
        assert (rle.decode(mask["rle"]) == here.pixels[:, 400:900]).all()


def test_other_thresholds_are_answered_without_the_model(
    service: Running, client: httpx.Client, key: str, near: OpenImage
) -> None:
    _ask(client, key, **GRID)
    before = steps(service)
    assert before > 0
    for wishes in (LOW, {**GRID, "pred_iou_thresh": 0.95, "dedup": "mask"}, {**GRID, "min_area": 1500}):
        answer = _ask(client, key, **wishes)
        found = near.everything(**wishes)
        assert [mask["rle"] for mask in answer["masks"]] == [mask.rle() for mask in found]
    assert steps(service) == before


@pytest.mark.soak
@pytest.mark.parametrize(
    "wishes",
    [
        {"pred_iou_thresh": 0.6},
        {"stability_score_thresh": 0.7},
        {"points_per_side": 7},
        {"stability_score_offset": 2.0},
        {"adaptive": True},
    ],
    ids=lambda wishes: next(iter(wishes)),
)
def test_what_was_not_kept_is_searched_again(
    service: Running, client: httpx.Client, key: str, wishes: dict[str, Any]
) -> None:
    _ask(client, key, **GRID)
    before = steps(service)
    _ask(client, key, **{**GRID, **wishes})
    assert steps(service) > before


def test_adaptive_search_with_other_floors_is_another(service: Running, client: httpx.Client, key: str) -> None:
    _ask(client, key, **LOW, adaptive=True)
    before = steps(service)
    _ask(client, key, **GRID, adaptive=True)
    assert steps(service) == before
    _ask(client, key, **GRID, adaptive=True, floor_score=0.8)
    assert steps(service) > before


def test_what_was_found_goes_with_the_image_and_in_its_budget(
    service: Running, client: httpx.Client, key: str, strip: np.ndarray
) -> None:
    shelf = service.app.state.service.store.masks
    before = shelf.counts()
    _ask(client, key, **LOW)
    kept = shelf.counts()
    assert kept.things == before.things + 1 and kept.size > before.size + 10_000
    _ask(client, key, **{**LOW, "points_per_side": 4})
    assert shelf.counts().things == kept.things  # the last search of an image alone
    assert client.delete(f"/v1/images/{key}").status_code == 204
    assert shelf.counts().things == before.things
    error_of(client.post(path(key), json=LOW), 410, "image_gone")
    count = steps(service)
    _ask(client, upload(client, as_png(strip)), **LOW)
    assert steps(service) > count
    shelf.clear()
    count = steps(service)
    _ask(client, key, **LOW)
    assert steps(service) > count


@pytest.mark.parametrize("scale", ["full", "model"])
def test_formats_show_the_same_masks(client: httpx.Client, strip: np.ndarray, scale: str) -> None:
    """Of a picture so wide that scale model is half of it."""
    wide = cv2.resize(strip, (2048, 128))
    key = upload(client, as_png(wide))
    full = _ask(client, key, **LOW)
    shown = {shape: _ask(client, key, **LOW, format=shape, scale=scale) for shape in ("rle", "polygons", "png")}
    step = 1 if scale == "full" else 2
    assert shown["rle"]["raster"] == {"width": 2048 // step, "height": 128 // step, "box": [0, 0, 2048, 128]}
    assert len(full["masks"]) > 3 and ("provenance" in shown["rle"]) == (scale == "full")
    for number, mask in enumerate(full["masks"]):
        expected = rle.decode(mask["rle"])[step // 2 :: step, step // 2 :: step]
        runs, polygons, png = (shown[shape]["masks"][number] for shape in ("rle", "polygons", "png"))
        assert (rle.decode(runs["rle"]) == expected).all()
        assert ((_pixels_of_base64(png["png"]) > 0) == expected).all()
        x, y = np.array([point for rings in polygons["polygons"] for point in rings[0]]).T
        assert abs(x.min() - mask["box"][0]) <= step and abs(y.max() - mask["box"][3]) <= step
        same = ("score", "stability", "area", "box", "point", "parent")
        assert [one[name] for one in (runs, polygons, png) for name in same] == [mask[name] for name in same] * 3


def _pixels_of_base64(text: str) -> np.ndarray:
    return pixels_of(base64.b64decode(text))


def test_samples_are_the_middles_of_a_rasters_pixels() -> None:
    draw = np.random.default_rng(3)
    for share in (0.0, 0.3, 0.9, 1.0):
        mask = draw.random((61, 103)) < share
        box, size = (7, 5, 97, 59), (31, 20)
        columns = [7 + int((n + 0.5) * 90 / 31) for n in range(31)]
        rows = [5 + int((n + 0.5) * 54 / 20) for n in range(20)]
        assert (_sampled(Runs.of(mask), size, box) == mask[rows][:, columns]).all()


@pytest.mark.parametrize("ask", ["accept", "stream"])
def test_events_tell_how_far_it_is_and_end_with_the_answer(
    service: Running, client: httpx.Client, key: str, ask: str
) -> None:
    with events(client, key, accept=ask == "accept", **LOW, stream=ask == "stream") as told:
        seen = [one for one in told if one[0]]
    names = [name for name, _ in seen]
    assert names[:-1] == ["progress"] * (len(seen) - 1) and names[-1] == "result" and len(seen) > 3
    counts = [data["done"] for _, data in seen[:-1]]
    assert counts == sorted(set(counts)) and counts[-1] <= seen[0][1]["total"] == 36
    assert seen[-1][1] == _ask(client, key, **LOW)
    with events(client, key, **LOW) as told:  # from what is kept
        assert [name for name, _ in told if name] == ["result"]


def test_image_without_anything_has_an_empty_list(client: httpx.Client) -> None:
    key = upload(client, as_png(np.full((64, 1024, 3), 90, np.uint8)))
    answer = _ask(client, key, **GRID, pred_iou_thresh=2.0)
    assert answer["masks"] == [] and answer["complete"] and answer["points"] == 36
    assert Frame.whole(1024, 64).window == tuple(answer["raster"]["box"])
