"""What the server forgets, the client sends again: images, windows, and the chain of clicks behind a mask."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from stand_in import StandIn, refusal

from clickmask.models.errors import ServiceError, ServiceUnavailableError
from clickmask.service.client import Client, RemoteImage, RemoteMask


@pytest.fixture
def image(client: Client, png: bytes) -> RemoteImage:
    return client.open(png)


def _chain(image: RemoteImage, length: int) -> RemoteMask:
    mask = image.click(3, 4)
    for n in range(1, length):
        mask = image.segment([(3, 4), (10 + n, 7)], previous=mask)
    return mask


@pytest.mark.parametrize("unknown", [False, True], ids=["gone", "unknown"])
def test_forgotten_image_is_uploaded_again_and_asked_again(
    image: RemoteImage, server: StandIn, png: bytes, unknown: bool
) -> None:
    before = image.click(3, 4)
    server.images.clear()
    server.first = [refusal(404, "not_found")] if unknown else []
    assert np.array_equal(image.click(3, 4).pixels, before.pixels)
    assert server.uploads == 2 and server.asked(ending="/images")[-1].content == png


def test_image_that_is_forgotten_at_once_is_an_error(image: RemoteImage, server: StandIn) -> None:
    gone = refusal(410, "image_gone")
    server.first = [gone, lambda request: httpx.Response(201, json={"id": "img_1"}), gone]
    with pytest.raises(ServiceError, match="image_gone") as caught:
        image.click(3, 4)
    assert caught.value.status == 410


def test_sixteen_threads_that_notice_upload_once(image: RemoteImage, server: StandIn) -> None:
    all_asked = threading.Barrier(16)

    def gone_for_all(request: httpx.Request) -> httpx.Response:
        all_asked.wait()
        return refusal(410, "image_gone")(request)

    server.first = [gone_for_all] * 16
    with ThreadPoolExecutor(16) as pool:
        masks = list(pool.map(lambda n: image.click(n, 4), range(16)))
    assert server.uploads == 2
    assert all(np.array_equal(mask.pixels, image.click(n, 4).pixels) for n, mask in enumerate(masks))


def test_who_waits_for_anothers_upload_waits_no_longer_than_the_deadline(server: StandIn, png: bytes) -> None:
    uploading, over = threading.Event(), threading.Event()

    def hang(request: httpx.Request) -> httpx.Response:
        uploading.set()
        over.wait()
        return httpx.Response(201, json={"id": "img_1"})

    with Client("http://clickmask.test", transport=server.transport(), timeout=0.5) as client:
        image = client.open(png)
        server.images.clear()
        server.first = [refusal(410, "image_gone"), hang]
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(image.click, 3, 4)
            uploading.wait()
            with pytest.raises(ServiceUnavailableError, match=r"within 0\.5 s: an earlier upload"):
                image.click(3, 4)
            over.set()
            assert first.exception() is not None


def test_forgotten_window_is_made_again_from_the_image(image: RemoteImage, server: StandIn) -> None:
    near = image.window((10, 10, 50, 50))
    before = near.click(20, 20)
    server.images.clear()
    assert np.array_equal(near.click(20, 20).pixels, before.pixels)
    assert server.uploads == 2 and len(server.asked(ending="/windows")) == 3


def test_window_outlives_its_image(image: RemoteImage, server: StandIn) -> None:
    near = image.window((10, 10, 50, 50))
    image.close()
    server.images.clear()
    assert near.click(20, 20).pixels.any()


def test_forgotten_mask_is_found_out_again_by_its_chain(image: RemoteImage, server: StandIn) -> None:
    mask = _chain(image, 4)
    expected = image.segment([(9, 9)], previous=mask)
    server.masks.clear()
    before = len(server.bodies())
    again = image.segment([(9, 9)], previous=mask)
    assert np.array_equal(again.pixels, expected.pixels)
    assert server.uploads == 1
    assert len(server.bodies()) - before == 1 + 4 + 1  # in vain, each of the chain once, and again


def test_restarted_server_is_told_all_that_it_needs(image: RemoteImage, server: StandIn) -> None:
    thing = image.start()
    for n in range(3):
        thing.add(10 + n, 7)
    expected = image.segment([*thing.points, (20, 20)], previous=thing.mask)
    server.images.clear()
    server.masks.clear()
    assert np.array_equal(thing.add(20, 20).pixels, expected.pixels)
    assert server.uploads == 2


def test_chosen_candidate_is_found_out_again(image: RemoteImage, server: StandIn) -> None:
    for number in range(3):
        candidate = image.candidates([(3, 4)])[number]
        expected = image.segment([(9, 9)], previous=candidate)
        server.masks.clear()
        assert np.array_equal(image.segment([(9, 9)], previous=candidate).pixels, expected.pixels)


def test_mask_once_found_out_again_goes_inline(image: RemoteImage, server: StandIn) -> None:
    mask = image.click(3, 4)
    for _ in range(2):
        server.masks.clear()
        image.segment([(9, 9)], previous=mask)
    objects = [body["objects"][0] for body in server.bodies()]
    assert [isinstance(item["previous"], dict) for item in objects] == [False, False, False, True, True]


def test_masks_whose_logits_are_at_hand_are_not_asked_again(image: RemoteImage, server: StandIn) -> None:
    mask = _chain(image, 3)
    assert (mask.logits == mask.logits[0, 0]).all()
    server.masks.clear()
    before = len(server.bodies())
    image.segment([(9, 9)], previous=mask)
    assert len(server.bodies()) == before + 2


def test_long_chain_is_cut_and_still_found_out_again(image: RemoteImage, server: StandIn) -> None:
    mask = _chain(image, 80)
    expected = image.segment([(9, 9)], previous=mask)
    server.masks.clear()
    before = len(server.bodies())
    assert np.array_equal(image.segment([(9, 9)], previous=mask).pixels, expected.pixels)
    assert len(server.bodies()) - before <= 32 + 2


def test_mask_gone_is_an_error_when_nothing_earlier_was_sent(image: RemoteImage, server: StandIn) -> None:
    server.first = [refusal(410, "mask_gone")]
    with pytest.raises(ServiceError, match="mask_gone"):
        image.click(3, 4)
    assert server.uploads == 1
