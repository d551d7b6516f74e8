"""The verbs of a client are those of a segmenter; what goes over the wire is what the contract says."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from stand_in import PROVENANCE, StandIn, refusal

from clickmask import ClosedError, ImageError, Prompt, PromptError, SettingsError
from clickmask.service.client import Client, RemoteImage, RemoteMask
from clickmask.service.images import read_picture


@pytest.fixture
def image(client: Client, png: bytes) -> RemoteImage:
    return client.open(png)


def test_files_are_sent_as_they_are_and_their_names_are_not(
    client: Client, server: StandIn, png: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "secret-name.png"
    path.write_bytes(png)
    for source in (png, path, str(path), io.BytesIO(png)):
        client.open(source)
        sent = server.seen[-1]
        assert sent.content == png and sent.headers["content-type"] == "application/octet-stream"
        assert "secret-name" not in repr(sent.headers) + str(sent.url)


def test_pixels_in_memory_are_sent_without_loss(client: Client, server: StandIn, pixels: np.ndarray) -> None:
    swapped = np.ascontiguousarray(pixels[..., ::-1])
    for source, channels in ((pixels, "rgb"), (swapped, "bgr"), (Image.fromarray(pixels), "rgb")):
        client.open(source, channels=channels)
        assert np.array_equal(read_picture(server.seen[-1].content).pixels, pixels)


def test_image_tells_size_settings_and_pixels(image: RemoteImage, pixels: np.ndarray) -> None:
    assert image.size == (90, 60) and image.provenance == PROVENANCE and image.frame.is_whole
    assert np.array_equal(image.pixels, pixels) and not image.pixels.flags.writeable
    assert "90 x 60 at http://clickmask.test" in repr(image)


def test_every_request_about_an_image_names_its_content_for_the_proxy(
    image: RemoteImage, server: StandIn, png: bytes
) -> None:
    image.click(3, 4)
    image.window((10, 10, 50, 50)).click(20, 20)
    image.close()
    assert {r.headers["clickmask-route"] for r in server.seen} == {hashlib.sha256(png).hexdigest()}


def test_click_asks_for_the_best_alone(image: RemoteImage, server: StandIn) -> None:
    mask = image.click(3, 4)
    assert isinstance(mask, RemoteMask)
    assert (mask.index, mask.score, mask.stability) == (2, 0.9, 0.95)
    assert mask.pixels.shape == (60, 90) and mask.provenance == PROVENANCE
    body = {"points": [[3.0, 4.0]], "labels": [1], "box": None, "previous": None}
    wish = {"multimask": "auto", "limit": 1, "format": "rle", "scale": "full"}
    assert server.bodies() == [{"objects": [body], **wish}]


def test_candidates_are_three_best_first(image: RemoteImage) -> None:
    assert [mask.index for mask in image.candidates([(3, 4)])] == [2, 0, 1]


def test_ragged_prompts_go_in_one_request_and_come_back_in_order(image: RemoteImage, server: StandIn) -> None:
    prompts = [Prompt([(3, 4)]), Prompt(box=(0, 0, 20, 20)), Prompt([(3, 4), (5, 6)], [1, 0])]
    masks = image.segment_many(prompts)
    assert len(server.bodies()) == 1
    for mask, prompt in zip(masks, prompts, strict=True):
        alone = image.segment(prompt.points, prompt.labels, prompt.box)
        assert np.array_equal(mask.pixels, alone.pixels) and mask.index == alone.index


def test_more_prompts_than_the_service_takes_at_once_are_asked_in_turn(image: RemoteImage, server: StandIn) -> None:
    masks = image.segment_many([Prompt([(n % 90, n % 60)]) for n in range(150)])
    assert [len(body["objects"]) for body in server.bodies()] == [64, 64, 22]
    assert masks[149].prompt.points == ((59.0, 29.0),)
    assert image.segment_many([]) == []


def test_earlier_mask_goes_by_name_and_logits_go_inline(image: RemoteImage, server: StandIn) -> None:
    mask = image.click(3, 4)
    by_name = image.segment(previous=mask)
    by_value = image.segment(previous=mask.logits)
    assert isinstance(server.bodies()[1]["objects"][0]["previous"], str)
    assert len(server.bodies()[-1]["objects"][0]["previous"]["logits"]) == 174764
    assert np.array_equal(by_name.pixels, by_value.pixels)
    assert not np.array_equal(by_name.pixels, image.segment(box=(1, 1, 2, 2)).pixels)


def test_mask_of_another_image_goes_inline(client: Client, image: RemoteImage, server: StandIn) -> None:
    mask = image.click(3, 4)
    other = client.open(np.zeros((60, 90, 3), np.uint8))
    assert np.array_equal(other.segment(previous=mask).pixels, image.segment(previous=mask).pixels)
    assert "logits" in server.bodies()[2]["objects"][0]["previous"]


def test_thing_chains_clicks_by_name(image: RemoteImage, server: StandIn) -> None:
    thing = image.start()
    first = thing.add(3, 4)
    thing.add(50, 20)
    third = thing.add(7, 7, label=0)
    by_hand = image.segment([(3, 4), (50, 20)], previous=first)
    by_hand = image.segment([(3, 4), (50, 20), (7, 7)], [1, 1, 0], previous=by_hand)
    assert np.array_equal(third.pixels, by_hand.pixels)
    assert [body["multimask"] for body in server.bodies()[:3]] == [True, "auto", "auto"]
    assert thing.undo() is not third and thing.redo() is third


def test_window_is_asked_in_the_whole_images_frame(image: RemoteImage, server: StandIn) -> None:
    near = image.window((10.5, 10, 50, 49.5))
    assert server.bodies("/windows") == [{"box": [10, 10, 50, 50]}]
    assert near.size == (90, 60) and near.frame.window == (10, 10, 50, 50)
    assert near.click(20, 20).pixels.shape == (60, 90)
    with pytest.raises(PromptError, match="outside the window"):
        near.click(3, 4)


def test_opening_a_window_forgets_both_when_it_is_closed(client: Client, server: StandIn, png: bytes) -> None:
    with client.open(png, window=(10, 10, 50, 50)) as near:
        assert near.frame.window == (10, 10, 50, 50) and len(server.images) == 2
    assert server.images == {}
    with pytest.raises(PromptError, match="outside"):
        client.open(png, window=(0, 0, 500, 5))
    assert server.images == {}


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("points", {"points": [(90, 4)]}),
        ("points", {"points": []}),
        ("labels", {"points": [(3, 4)], "labels": [2]}),
        ("box", {"box": (0, 0, 91, 5)}),
        ("previous", {"previous": np.zeros((5, 5), np.float32)}),
    ],
)
def test_wrong_prompt_is_refused_here_as_in_process(
    image: RemoteImage, server: StandIn, field: str, wrong: dict[str, Any]
) -> None:
    with pytest.raises(PromptError, match=f"^{field}"):
        image.segment(**wrong)
    assert server.bodies() == []


def test_what_is_no_image_is_refused_here_as_in_process(client: Client, server: StandIn, tmp_path: Path) -> None:
    for source in (b"", b"%PDF-1.7 ...", tmp_path / "none.png", np.zeros((4, 4), np.float32), 5):
        with pytest.raises(ImageError):
            client.open(source)
    with pytest.raises(ImageError, match="channels"):
        client.open(b"", channels="hsv")
    assert server.seen == []


def test_closed_image_is_forgotten_and_answers_no_more(image: RemoteImage, server: StandIn) -> None:
    mask = image.click(3, 4)
    image.close()
    image.close()
    assert server.images == {} and len(server.asked("DELETE")) == 1
    for verb in (lambda: image.click(3, 4), image.start, lambda: image.window((0, 0, 9, 9)), lambda: image.pixels):
        with pytest.raises(ClosedError, match="closed"):
            verb()
    assert mask.pixels.any()
    with pytest.raises(ClosedError):
        mask.cutout()


def test_closing_an_image_succeeds_whatever_the_server_says(client: Client, server: StandIn, png: bytes) -> None:
    image = client.open(png)
    server.always = refusal(503, "busy", retry_after="1")
    image.close()
    assert len(server.asked("DELETE")) == 1


def test_closed_client_answers_no_more(client: Client, image: RemoteImage, png: bytes) -> None:
    client.close()
    for verb in (lambda: client.open(png), lambda: image.click(3, 4), client.models):
        with pytest.raises(ClosedError, match="this client was closed"):
            verb()
    image.close()


def test_open_many_keeps_the_order_and_uploads_one_ahead(client: Client, server: StandIn) -> None:
    sources = [np.full((20, 20 + n, 3), n, np.uint8) for n in range(5)]
    seen = []
    for image in client.open_many(sources):
        seen.append(image.size[0])
        assert server.uploads <= len(seen) + 1
    assert seen == [20, 21, 22, 23, 24] and server.uploads == 5


def test_open_many_raises_or_leaves_out_what_is_no_image(client: Client, pixels: np.ndarray) -> None:
    with pytest.raises(ImageError):
        list(client.open_many([pixels, b"no image", pixels]))
    left_out: list[object] = []
    images = list(client.open_many([b"1", pixels, b"2"], on_error=lambda source, error: left_out.append(source)))
    assert len(images) == 1 and left_out == [b"1", b"2"]
    with pytest.raises(ImageError, match="use open for one"):
        next(client.open_many("dog.jpg"))


def test_threads_share_a_client(client: Client, pixels: np.ndarray) -> None:
    def work(n: int) -> tuple[int, np.ndarray]:
        own = client.open(np.roll(pixels, n, axis=1))
        return n, own.segment([(n, n)], previous=own.click(n, 3)).pixels

    with ThreadPoolExecutor(8) as pool:
        answers = dict(pool.map(work, range(32)))
    for n, pixels_of_n in answers.items():
        assert np.array_equal(pixels_of_n, work(n)[1])


def test_token_headers_and_time_left_are_sent(server: StandIn, png: bytes) -> None:
    with Client(
        "http://clickmask.test", token="abc", headers={"X-Team": "7"}, timeout=9, transport=server.transport()
    ) as client:
        client.open(png).click(3, 4)
        assert "abc" not in repr(client)
    for request in server.seen:
        assert request.headers["authorization"] == "Bearer abc" and request.headers["x-team"] == "7"
        assert 0 < float(request.headers["x-request-timeout"]) <= 9


@pytest.mark.parametrize("url", ["http://host/below", "http://host/below/"])
def test_service_may_live_below_a_path(server: StandIn, png: bytes, url: str) -> None:
    with Client(url, transport=server.transport()) as client:
        client.open(png).click(3, 4)
    assert all(r.url.path.startswith("/below/v1/images") for r in server.seen)


def test_wanted_model_is_named(server: StandIn, png: bytes) -> None:
    with Client("http://host", model="vit b", transport=server.transport()) as client:
        client.open(png)
        assert client.models() == [{"name": "stand_in", "served": True}]
    assert server.seen[0].url.params["model"] == "vit b"


@pytest.mark.parametrize("url", ["localhost:7860", "ftp://host", "http://", "http://host?x=1", "http://host:abc", None])
def test_address_that_is_none_is_refused(url: Any) -> None:
    with pytest.raises(SettingsError, match=r"url: expected http://host\[:port\]"):
        Client(url)


@pytest.mark.parametrize(
    "wrong",
    [{"timeout": 0}, {"timeout": float("nan")}, {"timeout": "5"}, {"token": "a b"}, {"token": "a\nb"}, {"token": ""}],
)
def test_settings_that_cannot_be_used_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=f"^{next(iter(wrong))}"):
        Client("http://host", **wrong)


def test_transport_of_the_other_kind_is_refused() -> None:
    with pytest.raises(SettingsError, match="BaseTransport"):
        Client("http://host", transport=httpx.ASGITransport(app=lambda *_: None))  # type: ignore[arg-type]


def test_password_in_the_address_is_not_repeated() -> None:
    with Client("https://me:secret@host/below/") as client:
        assert repr(client) == "<Client of https://host/below>"
