"""The client against the real service: what it answers is what a segmenter in process answers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clickmask import ImageError, OpenImage, Prompt, PromptError, Segmenter
from clickmask.models.errors import AccessError
from clickmask.service.client import AsyncClient, Client, RemoteImage
from clickmask.service.formats.encoding import encode_png
from clickmask.service.http.app import create_app
from clickmask.service.http.settings import Access, Decoders, ServeSettings, Storage

sys.path.append(str(Path(__file__).parents[1] / "http"))

from serving import serve

A, B, BOX = (600, 20), (500, 40), (300, 0, 1000, 64)


@pytest.fixture(scope="module")
def app(strip_segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("state")
    settings = ServeSettings(storage=Storage(images=128 << 20, folder=folder), decoders=Decoders(count=1))
    return create_app([strip_segmenter], settings)


@pytest.fixture(scope="module")
def url(app: Any) -> Iterator[str]:
    with serve(app) as url:
        yield url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


@pytest.fixture(scope="module")
def far(client: Client, strip: np.ndarray) -> RemoteImage:
    return client.open(strip)


@pytest.fixture(scope="module")
def near(strip_segmenter: Segmenter, strip: np.ndarray) -> OpenImage:
    return strip_segmenter.open(strip)


@pytest.mark.parametrize(
    "ask",
    [
        lambda image: image.click(*A),
        lambda image: image.segment([A, B], [1, 0]),
        lambda image: image.segment(box=BOX),
        lambda image: image.segment([A], box=BOX),
        lambda image: image.candidates([A])[2],
        lambda image: image.segment_many([Prompt(box=BOX), Prompt([A])])[1],
        lambda image: image.window((400, 0, 700, 64)).click(*A),
    ],
    ids=["click", "points", "box", "point and box", "candidate", "many", "window"],
)
def test_answers_are_those_of_the_segmenter(far: RemoteImage, near: OpenImage, ask: Callable[[Any], Any]) -> None:
    there, here = ask(far), ask(near)
    assert np.array_equal(there.pixels, here.pixels)
    assert there.score == pytest.approx(here.score, abs=1e-5) and there.index == here.index
    assert there.stability == pytest.approx(here.stability, abs=1e-5)
    assert (there.box, there.area) == (here.box, here.area)
    np.testing.assert_allclose(there.logits, here.logits, rtol=1e-3, atol=1e-3)
    assert there.provenance == here.provenance


def test_chain_of_clicks_is_that_of_the_segmenter(far: RemoteImage, near: OpenImage) -> None:
    there, here = far.start(), near.start()
    for thing in (there, here):
        thing.add(*A)
        thing.add(*B)
        thing.add(90, 30, label=0)
    assert there.mask is not None and here.mask is not None
    differing = np.count_nonzero(there.mask.pixels != here.mask.pixels)  # the chain is of half precision there
    assert differing <= 0.001 * here.mask.area


def test_local_mask_refines_a_remote_one_and_the_other_way_round(far: RemoteImage, near: OpenImage) -> None:
    there, here = far.click(*A), near.click(*A)
    expected = near.segment([A, B], previous=here)
    for image, mask in ((far, here), (near, there), (far, there)):
        answer = image.segment([A, B], previous=mask)
        assert np.count_nonzero(answer.pixels != expected.pixels) <= 0.001 * expected.area


@pytest.mark.parametrize("forgotten", [False, True])
def test_mask_of_an_image_is_refined_in_its_window(
    far: RemoteImage, near: OpenImage, app: Any, forgotten: bool
) -> None:
    box = (400, 0, 700, 64)
    expected = near.window(box).segment([A], previous=near.click(*A))
    mask = far.click(*A)
    if forgotten:
        app.state.service.store.masks.clear()
    answer = far.window(box).segment([A], previous=mask)
    assert np.count_nonzero(answer.pixels != expected.pixels) <= 0.001 * expected.area


@pytest.mark.parametrize("lost", ["masks", "everything"])
def test_service_that_forgot_is_told_all_again(client: Client, app: Any, strip: np.ndarray, lost: str) -> None:
    store = app.state.service.store
    with client.open(strip[:, :900]) as image:
        thing = image.start()
        thing.add(*A)
        thing.add(*B)
        expected = thing.add(90, 30, label=0)
        thing.undo()
        store.masks.clear() if lost == "masks" else store.forget_all("local")
        again = thing.add(90, 30, label=0)
        assert np.array_equal(again.pixels, expected.pixels)


def test_threads_share_a_client(far: RemoteImage) -> None:
    points = [(20 + 50 * n, 30) for n in range(16)]
    with ThreadPoolExecutor(8) as pool:
        masks = list(pool.map(lambda point: far.click(*point), points))
    for point, mask in zip(points, masks, strict=True):
        assert np.array_equal(mask.pixels, far.click(*point).pixels)


def test_errors_are_those_of_the_segmenter(
    client: Client, far: RemoteImage, strip_segmenter: Segmenter, strip: np.ndarray
) -> None:
    with pytest.raises(PromptError, match=r"^points\[0\]: .* outside the 1024 x 64 image"):
        far.click(5000, 1)
    damaged = bytearray(encode_png(strip))
    damaged[200:400] = bytes(200)
    for opener in (client, strip_segmenter):
        with pytest.raises(ImageError, match="damaged"):
            opener.open(bytes(damaged))


def test_tasks_share_a_client(url: str, strip: np.ndarray, far: RemoteImage) -> None:
    async def main() -> list[np.ndarray]:
        async with AsyncClient(url) as client:
            image = await client.open(strip)
            masks = await asyncio.gather(*(image.click(20 + 50 * n, 30) for n in range(8)))
            return [mask.pixels for mask in masks]

    for n, pixels in enumerate(asyncio.run(main())):
        assert np.array_equal(pixels, far.click(20 + 50 * n, 30).pixels)


def test_service_lists_its_models(client: Client) -> None:
    assert [model["name"] for model in client.models() if model["served"]] == ["vit_t"]


def test_token_opens_and_its_lack_does_not(strip_segmenter: Segmenter, strip: np.ndarray, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("ann:0123456789abcdef0123456789abcdef\n")
    tokens.chmod(0o600)
    settings = ServeSettings(
        storage=Storage(folder=tmp_path), decoders=Decoders(count=1), access=Access(token_file=tokens)
    )
    with serve(create_app([strip_segmenter], settings)) as url:
        with Client(url, token="0123456789abcdef0123456789abcdef") as client:
            assert client.open(strip).click(*A).area > 0
        with Client(url) as client, pytest.raises(AccessError) as caught:
            client.open(strip)
    assert caught.value.status == 401 and caught.value.request_id
