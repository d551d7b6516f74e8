"""A busy or broken server is asked again, as it says and until the deadline; a refusal that stays is raised at once."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from stand_in import Reply, StandIn, broken, refusal

from clickmask.models.errors import AccessError, ImageError, PromptError, ServiceError, ServiceUnavailableError
from clickmask.service.client import Client, RemoteImage


@pytest.fixture
def image(client: Client, png: bytes) -> RemoteImage:
    return client.open(png)


def _timed(verb: Callable[[], object]) -> float:
    start = time.monotonic()
    verb()
    return time.monotonic() - start


@pytest.mark.parametrize("status", [429, 503])
def test_refusal_with_a_time_is_obeyed(image: RemoteImage, server: StandIn, status: int) -> None:
    server.first = [refusal(status, "busy", retry_after="1")]
    assert _timed(lambda: image.click(3, 4)) >= 1
    assert len(server.bodies()) == 2


def test_time_told_as_a_date_is_obeyed(image: RemoteImage, server: StandIn) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=2)
    server.first = [refusal(503, "busy", retry_after=format_datetime(soon, usegmt=True))]
    image.click(3, 4)
    assert datetime.now(UTC) >= soon.replace(microsecond=0)


def test_told_to_wait_past_the_deadline_is_an_error_at_once(image: RemoteImage, server: StandIn) -> None:
    server.first = [refusal(503, "busy", retry_after="60")]
    with pytest.raises(ServiceUnavailableError, match="told to say busy; the next try would be in 6") as caught:
        image.click(3, 4)
    assert len(server.bodies()) == 1
    assert (caught.value.status, caught.value.code, caught.value.request_id) == (503, "busy", "r1")


@pytest.mark.parametrize("hitch", [broken, refusal(502, "x"), refusal(503, "x"), refusal(503, "x", retry_after="soon")])
def test_hitch_without_a_time_is_asked_again_ever_more_slowly(
    image: RemoteImage, server: StandIn, hitch: Reply
) -> None:
    server.first = [hitch] * 3
    assert _timed(lambda: image.click(3, 4)) >= 0.05 + 0.1 + 0.2
    assert len(server.bodies()) == 4


def test_uploads_are_asked_again_too(client: Client, server: StandIn, png: bytes) -> None:
    server.first = [broken, refusal(503, "draining")]
    assert client.open(png).size == (90, 60)
    assert server.asked(ending="/images")[-1].content == png


def test_nothing_but_hitches_ends_at_the_deadline(server: StandIn, png: bytes) -> None:
    server.always = broken
    with (
        Client("http://clickmask.test", transport=server.transport(), timeout=0.5) as client,
        pytest.raises(ServiceUnavailableError, match=r"did not answer within 0\.5 s: the connection was reset"),
    ):
        client.open(png)
    assert len(server.seen) > 2
    left = [float(request.headers["x-request-timeout"]) for request in server.seen]
    assert left == sorted(left, reverse=True) and left[0] <= 0.5


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refusal(401, "unauthenticated"), AccessError),
        (refusal(403, "cross_origin"), AccessError),
        (refusal(400, "bad_request"), ServiceError),
        (refusal(422, "too_many", field="objects"), ServiceError),
        (refusal(500, "internal"), ServiceError),
        (refusal(422, "bad_prompt", field="objects[0].points"), PromptError),
    ],
)
def test_refusal_that_stays_is_raised_at_once(
    image: RemoteImage, server: StandIn, reply: Reply, kind: type[Exception]
) -> None:
    server.always = reply
    with pytest.raises(kind, match="told to say") as caught:
        image.click(3, 4)
    assert type(caught.value) is kind and len(server.bodies()) == 1


@pytest.mark.parametrize(
    "reply", [refusal(415, "bad_image"), refusal(422, "bad_image"), refusal(413, "body_too_large")]
)
def test_image_that_the_server_cannot_use_is_an_image_error(
    client: Client, server: StandIn, png: bytes, reply: Reply
) -> None:
    server.always = reply
    with pytest.raises(ImageError, match="told to say"):
        client.open(png)
    assert len(server.seen) == 1


def test_error_keeps_what_the_server_said(image: RemoteImage, server: StandIn) -> None:
    server.always = refusal(422, "too_many", field="objects")
    with pytest.raises(ServiceError, match=r"told to say too_many \(request r1\)") as caught:
        image.click(3, 4)
    error = caught.value
    assert (error.status, error.code, error.field, error.request_id) == (422, "too_many", "objects", "r1")


def _other(status: int, **more: object) -> Reply:
    return lambda request: httpx.Response(status, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (_other(200, text="<html>"), "is it a clickmask service"),
        (_other(200, json=[]), "is it a clickmask service"),
        (_other(200, json={}), "without an id"),
        (_other(200, json={"id": "x", "width": "9", "height": 9}), "without the image's size"),
        (_other(404, text="no such page"), "sub-path included"),
        (_other(301, headers={"location": "https://new"}), "moved to https://new"),
        (_other(418, json={"error": "tea"}), "answered 418"),
    ],
)
def test_what_is_no_service_of_ours_is_said_to_be_none(
    client: Client, server: StandIn, png: bytes, reply: Reply, told: str
) -> None:
    server.always = reply
    with pytest.raises(ServiceError, match=told):
        client.open(png)


@pytest.mark.parametrize(
    "answer",
    [
        {"objects": []},
        {"objects": [[]]},
        {"objects": [["x"]]},
        {"objects": [[{"index": 0, "score": 1, "stability": 1}]]},
        {"objects": [[{"index": 0, "score": "high", "stability": 1, "rle": {}}]]},
    ],
)
def test_answer_without_masks_is_an_error(image: RemoteImage, server: StandIn, answer: object) -> None:
    server.always = _other(200, json=answer)
    with pytest.raises(ServiceError, match=r"http://clickmask\.test"):
        image.click(3, 4)


def test_mask_that_is_no_mask_is_an_error_when_it_is_looked_at(image: RemoteImage, server: StandIn) -> None:
    result = {"index": 0, "score": 1, "stability": 1, "rle": {"size": [1, 1], "counts": "1"}}
    server.always = _other(200, json={"objects": [[result]]})
    with pytest.raises(ServiceError, match="the server's mask cannot be read"):
        _ = image.click(3, 4).pixels


def test_certificate_that_is_not_trusted_is_not_asked_again(server: StandIn, png: bytes) -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("bad certificate", request=request) from ssl.SSLCertVerificationError("self-signed")

    server.always = reply
    with (
        Client("https://clickmask.test", transport=server.transport()) as client,
        pytest.raises(ServiceUnavailableError, match="cannot be reached: bad certificate"),
    ):
        client.open(png)
    assert len(server.seen) == 1


@contextmanager
def _listener(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a server that treats each connection with `serve`, which gets it open and leaves it closed."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        yield "http://{}:{}".format(*listening.getsockname())
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_server_that_never_answers_costs_the_time_out(png: bytes) -> None:
    over = threading.Event()
    with _listener(lambda connection: over.wait() and None) as url, Client(url, timeout=0.5) as client:
        start = time.monotonic()
        with pytest.raises(ServiceUnavailableError, match=r"within 0\.5 s"):
            client.open(png)
        assert 0.4 < time.monotonic() - start < 1.5
        over.set()


def test_server_that_trickles_costs_twice_the_time_out_at_most(png: bytes) -> None:
    over = threading.Event()

    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while not over.wait(0.05):
            connection.sendall(b" ")

    with _listener(trickle) as url, Client(url, timeout=0.5) as client:
        start = time.monotonic()
        with pytest.raises(ServiceUnavailableError):
            client.open(png)
        assert time.monotonic() - start < 1.5
        over.set()


def test_nobody_listening_is_asked_again_until_the_deadline(png: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with (
        Client(f"http://127.0.0.1:{port}", timeout=0.3) as client,
        pytest.raises(ServiceUnavailableError, match=r"did not answer within 0\.3 s: .*refused"),
    ):
        client.open(png)
