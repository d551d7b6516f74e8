"""Heads without end, in length and in time, are the connection's last; everything else goes on as before."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from layers import limited, logged
from serving import connect, head, read_to_end, serve, talk, wait_until

from clickmask.service.http.protocol import LONGEST_HEAD, GuardedProtocol
from clickmask.service.http.settings import Limits

PLENTY = 32 << 20


async def _count(scope: Any, receive: Any, send: Any) -> None:
    """Answers how long the body was."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = str(size).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})


def _accepted(url: str, start: bytes, piece: bytes) -> int:
    """How many bytes of an endless request the server takes, at most PLENTY."""
    with connect(url) as connection:
        connection.sendall(start)
        for sent in range(0, PLENTY, len(piece)):
            try:
                connection.sendall(piece)
            except ConnectionError:
                return sent
    return PLENTY


ENDLESS = {
    "many headers": (b"GET / HTTP/1.1\r\n", b"a: " + b"x" * 8187 + b"\r\n"),
    "one header": (b"GET / HTTP/1.1\r\na: ", b"x" * 8192),
    "a path": (b"GET /", b"x" * 8192),
    "trailers": (
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
        b"a: " + b"x" * 8187 + b"\r\n",
    ),
    "a chunk's extension": (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5;", b"x" * 8192),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_what_never_ends_is_not_kept(kind: str) -> None:
    with serve(limited(_count), http=GuardedProtocol, lifespan="off") as url:
        assert _accepted(url, *ENDLESS[kind]) < PLENTY // 2  # most of it waits in the system's own buffers
        assert httpx.get(url).text == "0"


def test_without_the_guard_it_is_kept() -> None:
    with serve(limited(_count), http="httptools", lifespan="off") as url:
        assert _accepted(url, *ENDLESS["many headers"]) == PLENTY


def test_a_head_that_is_too_long_is_told_so() -> None:
    with serve(limited(_count), http=GuardedProtocol, lifespan="off") as url, connect(url) as connection:
        connection.sendall(head("GET", "/")[:-2] + b"a: " + b"x" * (LONGEST_HEAD - 100))
        time.sleep(0.05)
        connection.sendall(b"x" * 200)
        assert read_to_end(connection).startswith(b"HTTP/1.1 400")


class Impatient(GuardedProtocol):
    """Waits as long as a test likes to."""

    longest_wait = 0.3
    longest_unread = 0.3


@pytest.mark.parametrize("start", [b"", b"GET / HT", head("GET", "/")[:-2]])
def test_a_head_that_does_not_come_ends_the_connection(start: bytes) -> None:
    with serve(limited(_count), http=Impatient, lifespan="off") as url, connect(url) as connection:
        connection.sendall(start)
        began = time.monotonic()
        assert read_to_end(connection) == b""
        assert Impatient.longest_wait / 2 < time.monotonic() - began < 3 * Impatient.longest_wait


def test_a_second_head_has_its_time_too() -> None:
    with serve(limited(_count), http=Impatient, lifespan="off") as url, connect(url) as connection:
        connection.sendall(head("GET", "/"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        time.sleep(2 * Impatient.longest_wait)  # idle is the keep-alive's affair
        connection.sendall(head("GET", "/")[:20])
        began = time.monotonic()
        assert read_to_end(connection) == b""
        assert time.monotonic() - began < 3 * Impatient.longest_wait


def test_a_trickling_head_has_no_more_time() -> None:
    with serve(limited(_count), http=Impatient, lifespan="off") as url, connect(url) as connection:
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            for letter in head("GET", "/", note="x" * 1000):
                connection.sendall(bytes([letter]))
                time.sleep(0.02)
        assert time.monotonic() - began < 3 * Impatient.longest_wait


def test_slow_bodies_and_slow_answers_are_not_its_affair() -> None:
    with serve(limited(_count), http=Impatient, lifespan="off") as url, connect(url) as connection:
        connection.sendall(head("POST", "/", content_length="4", connection="close") + b"ab")
        time.sleep(2 * Impatient.longest_wait)
        connection.sendall(b"cd")
        assert read_to_end(connection).endswith(b"\r\n\r\n4")


async def _pour(scope: Any, receive: Any, send: Any) -> None:
    """Answers with more than any buffer between holds."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % PLENTY)]})
    await send({"type": "http.response.body", "body": bytes(PLENTY)})


def test_an_answer_that_nobody_reads_is_dropped() -> None:
    with serve(limited(_pour), http=Impatient, lifespan="off") as url, connect(url) as connection:
        connection.sendall(head("GET", "/"))
        time.sleep(3 * Impatient.longest_unread)
        assert len(read_to_end(connection)) < PLENTY  # what the system had taken already


def test_an_answer_that_is_read_slowly_arrives() -> None:
    with serve(limited(_pour), http=Impatient, lifespan="off") as url, connect(url) as connection:
        connection.sendall(head("GET", "/", connection="close"))
        taken = 0
        while part := connection.recv(1 << 20):
            taken += len(part)
            time.sleep(0.02)  # about a second in all
        assert taken > PLENTY


def test_large_bodies_and_many_requests_pass() -> None:
    size = 3 << 20
    body, tiny = b"x" * size, b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n"
    pieces = [
        head("POST", "/", content_length=str(size)) + body,
        head("POST", "/", transfer_encoding="chunked") + tiny,
        *[head("GET", "/")] * 2000,
        head("GET", "/", connection="close"),
    ]
    with logged() as lines, serve(limited(_count, Limits(body=size)), http=GuardedProtocol, lifespan="off") as url:
        answers = talk(url, [b"".join(pieces)])
        wait_until(lambda: len(lines) == 2003)
    assert answers.count(b"HTTP/1.1 200") == 2003
    assert [line["bytes_in"] for line in lines[:3]] == [size, 50_000, 0]


@pytest.mark.parametrize("protocol, answers", [(GuardedProtocol, 1), ("httptools", 2)])
def test_a_body_is_no_request_even_when_an_upgrade_is_offered(protocol: Any, answers: int) -> None:
    hidden = head("DELETE", "/v1/images")
    offer = head("POST", "/", connection="Upgrade", upgrade="h2c", content_length=str(len(hidden)))
    with serve(limited(_count), http=protocol, lifespan="off") as url, connect(url) as connection:
        connection.sendall(offer)
        time.sleep(0.1)  # the body comes in a packet of its own
        connection.sendall(hidden)
        connection.settimeout(1)
        said = b""
        try:
            while part := connection.recv(65536):
                said += part
        except TimeoutError:
            pass
    assert said.count(b"HTTP/1.1") == answers
    if answers == 1:
        assert said.endswith(str(len(hidden)).encode())


async def _who(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what a header said, once the body is read."""
    while (await receive()).get("more_body"):
        pass
    body = dict(scope["headers"]).get(b"x-user", b"nobody")
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize("protocol, said", [(GuardedProtocol, b"nobody"), ("httptools", b"victim")])
def test_trailers_are_no_headers(protocol: Any, said: bytes) -> None:
    request = head("POST", "/", transfer_encoding="chunked", connection="close")
    with serve(limited(_who), http=protocol, lifespan="off") as url:
        assert talk(url, [request + b"1\r\na\r\n0\r\nX-User: victim\r\n\r\n"]).endswith(said)


class Narrow(GuardedProtocol):
    """Has room for three."""

    most = 3


def test_idle_strangers_make_room() -> None:
    with serve(limited(_count), http=Narrow, lifespan="off") as url:
        strangers = [connect(url) for _ in range(6)]
        assert [httpx.get(url).status_code for _ in range(3)] == [200] * 3
        for stranger in strangers:
            stranger.close()
