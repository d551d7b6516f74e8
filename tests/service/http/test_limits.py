"""Bytes, time, and clients that leave: over a real server, since that is where they go wrong."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import Body, FastAPI, Request
from layers import limited, logged, outermost
from serving import connect, head, read_to_end, serve, talk, wait_until
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from clickmask.service.http.context import get_context
from clickmask.service.http.limits import LimitsMiddleware
from clickmask.service.http.settings import Limits

SERVERS = pytest.mark.parametrize("http", ["httptools", "h11"])
LIMIT = 100_000
LIMITS = Limits(body=LIMIT)


class Desk:
    """An app with something to wait for; counts what became of it."""

    def __init__(self) -> None:
        self.entered = self.finished = self.cancelled = 0
        self.app = FastAPI()
        self.app.add_api_route("/wait/{seconds}", self.wait, methods=["GET", "POST"])
        self.app.add_api_route("/size", self.size, methods=["POST"])
        self.app.add_api_route("/json", self.json, methods=["POST"])
        self.app.add_api_route("/tasks", self.tasks)
        self.app.add_api_route("/events", self.events)
        self.app.add_api_route("/later", self.later)

    async def wait(self, seconds: float, request: Request) -> Response:
        await request.body()
        self.entered += 1
        try:
            await asyncio.sleep(seconds)
            self.finished += 1
            return PlainTextResponse("done")
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def size(self, request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    async def json(self, value: Any = Body()) -> int:  # noqa: B008
        return len(value)

    async def tasks(self) -> int:
        return len(asyncio.all_tasks())

    async def events(self) -> Response:
        return StreamingResponse(self._count(), media_type="text/event-stream")

    async def _count(self) -> AsyncIterator[str]:
        try:
            for number in range(1000):
                self.entered += 1
                yield f"data: {number}\n\n"
                await asyncio.sleep(0.05)
        finally:
            self.cancelled += 1

    async def later(self) -> Response:
        return PlainTextResponse("now", background=BackgroundTask(self._finish))

    async def _finish(self) -> None:
        await asyncio.sleep(0.05)
        self.finished += 1


def _post(length: int, **headers: str) -> list[bytes]:
    return [head("POST", "/size", content_length=str(length), connection="close", **headers), b"x" * length]


def _chunked(length: int) -> list[bytes]:
    start = head("POST", "/size", transfer_encoding="chunked", connection="close")
    return [start, b"%x\r\n" % length, b"x" * length, b"\r\n0\r\n\r\n"]


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def _error(answer: bytes) -> dict[str, str]:
    return json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


@SERVERS
@pytest.mark.parametrize("make", [_post, _chunked])
def test_bodies_up_to_the_limit_pass_and_not_a_byte_more(http: str, make: Any) -> None:
    with serve(limited(Desk().app, LIMITS), http=http) as url:
        for length in (0, 1, LIMIT - 1, LIMIT):
            answer = talk(url, make(length)) if length or make is _post else b"HTTP/1.1 200 \r\n\r\n0"
            assert (_status(answer), answer.rpartition(b"\n")[2]) == (200, b"%d" % length)
        answer = talk(url, make(LIMIT + 1))
    assert (_status(answer), _error(answer)["code"]) == (413, "body_too_large")
    assert str(LIMIT) in _error(answer)["message"]


def test_without_the_layer_a_byte_more_passes() -> None:
    with serve(outermost(Desk().app)) as url:
        assert _status(talk(url, _chunked(LIMIT + 1))) == 200


@SERVERS
@pytest.mark.parametrize("chunked", [False, True])
def test_after_a_413_next_to_nothing_is_read(http: str, chunked: bool) -> None:
    size = 64 << 20
    start = head("POST", "/size", **({"transfer_encoding": "chunked"} if chunked else {"content_length": str(size)}))
    pieces = [b"%x\r\n" % 65536 + b"x" * 65536 + b"\r\n" if chunked else b"x" * 65536] * (size >> 16)
    with logged() as lines, serve(limited(Desk().app, LIMITS), http=http) as url:
        with pytest.raises(ConnectionError):
            talk(url, [start, *pieces])
        wait_until(lambda: lines)
    assert (lines[0]["status"], lines[0]["code"]) == (413, "body_too_large")
    # Servers hand over what they have in one piece, up to about 320 KiB.
    assert lines[0]["bytes_in"] <= (LIMIT if chunked else 0) + 65536 + 2 * 320 * 1024


def test_a_router_cannot_turn_too_much_into_something_else() -> None:
    """FastAPI answers 400 to whatever is raised while it reads JSON."""
    body = json.dumps("x" * LIMIT).encode()
    start = head("POST", "/json", transfer_encoding="chunked", content_type="application/json", connection="close")
    with serve(limited(Desk().app, LIMITS)) as url:
        answer = talk(url, [start, b"%x\r\n" % len(body), body, b"\r\n0\r\n\r\n"])
    assert _status(answer) == 413


def test_an_app_never_sees_the_end_of_too_much() -> None:
    seen: list[int] = []

    async def keep(scope: Any, receive: Any, send: Any) -> None:
        seen.append(len(await Request(scope, receive).body()))

    with serve(limited(keep, Limits(body=10)), lifespan="off") as url:
        assert _status(talk(url, [b"".join(_chunked(11))])) == 413
        assert talk(url, [b"".join(_chunked(10))])
    assert seen == [10]


@SERVERS
def test_who_must_be_asked_for_the_body_is_refused_before_sending_it(http: str) -> None:
    with logged() as lines, serve(limited(Desk().app, LIMITS), http=http) as url:
        answer = talk(url, [head("POST", "/size", content_length=str(LIMIT + 1), expect="100-continue")])
    assert _status(answer) == 413
    assert lines[0]["bytes_in"] == 0


@SERVERS
def test_a_body_longer_than_it_says_is_a_bad_next_request(http: str) -> None:
    pieces = [head("POST", "/size", content_length="3"), b"abc" + b"defg hijk\r\n\r\n"]
    with serve(limited(Desk().app, LIMITS), http=http) as url:
        answers = talk(url, pieces)
    assert b"400 Bad Request" in answers and b"500" not in answers


@SERVERS
def test_a_body_shorter_than_it_says_is_a_client_that_left(http: str) -> None:
    with logged() as lines, serve(limited(Desk().app, LIMITS), http=http) as url:
        with connect(url) as connection:
            connection.sendall(head("POST", "/size", content_length="10") + b"short")
        wait_until(lambda: lines)
    assert [(line["status"], line["code"]) for line in lines] == [(499, "client_closed")]


@SERVERS
@pytest.mark.parametrize("length", ["-1", "many", "1,2", "0x10"])
def test_nonsense_for_a_length_is_400(http: str, length: str) -> None:
    with serve(limited(Desk().app, LIMITS), http=http) as url:
        assert _status(talk(url, [head("POST", "/size", content_length=length)])) == 400


def _call(app: Any, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(run())


def test_a_server_that_lets_nonsense_through_is_no_reason_to_believe_it() -> None:
    answer = _call(limited(Desk().app, LIMITS), "/size", "POST", **{"Content-Length": "9" * 30})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "Content-Length")


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
def test_compressed_bodies_are_415(encoding: str) -> None:
    with serve(limited(Desk().app, LIMITS)) as url:
        answer = talk(url, _post(10, content_encoding=encoding))
        assert (_status(answer), _error(answer)["code"]) == (415, "content_encoding")
        assert _status(talk(url, _post(10, content_encoding="identity"))) == 200


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon", ""])
def test_a_timeout_that_is_none_is_400(text: str) -> None:
    answer = _call(limited(Desk().app), "/tasks", **{"X-Request-Timeout": text})
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == "X-Request-Timeout"


@pytest.mark.parametrize(("asked", "given"), [(None, 3.0), ("1.5", 1.5), ("1e1", 7.0)])
def test_the_deadline_is_the_clients_up_to_a_bound(asked: str | None, given: float) -> None:
    left: list[float] = []

    async def look(scope: Any, receive: Any, send: Any) -> None:
        left.append(get_context(scope).deadline - asyncio.get_running_loop().time())
        await Response()(scope, receive, send)

    headers = {"X-Request-Timeout": asked} if asked else {}
    _call(limited(look, Limits(deadline=3, longest_deadline=7)), "/", **headers)
    assert given - 0.5 < left[0] <= given


def test_what_is_late_is_504_and_cancelled() -> None:
    desk = Desk()
    with logged() as lines, serve(limited(desk.app)) as url:
        began = time.monotonic()
        answer = httpx.post(f"{url}/wait/20", headers={"X-Request-Timeout": "0.2"}, content=b"x")
        took = time.monotonic() - began
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline")
    assert (desk.entered, desk.finished, desk.cancelled) == (1, 0, 1)
    assert lines[0]["code"] == "deadline"
    assert 0.2 <= took < 3 * 0.45


def test_without_the_layer_late_is_late() -> None:
    with serve(outermost(Desk().app)) as url:
        assert httpx.get(f"{url}/wait/0.4", headers={"X-Request-Timeout": "0.1"}).status_code == 200


def test_deadlines_hold_for_many_at_a_time() -> None:
    async def one(client: httpx.AsyncClient, number: int) -> tuple[float, int, float]:
        timeout, began = 0.05 + 0.05 * (number % 10), time.monotonic()
        answer = await client.get(f"/wait/{0.3 if number % 2 else 60}", headers={"X-Request-Timeout": str(timeout)})
        return timeout, answer.status_code, time.monotonic() - began

    async def run(url: str) -> list[tuple[float, int, float]]:
        async with httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_connections=64)) as client:
            return await asyncio.gather(*(one(client, number) for number in range(60)))

    desk = Desk()
    with serve(limited(desk.app)) as url:
        results = asyncio.run(run(url))
    assert all(status == 504 for timeout, status, _ in results if timeout < 0.3)
    assert {status for _, status, _ in results} == {200, 504}
    assert all(took < 3 * (timeout + 0.25) for timeout, _, took in results)
    assert desk.finished + desk.cancelled == desk.entered == 60


def test_an_app_slow_to_end_does_not_hold_up_the_answer() -> None:
    ended = threading.Event()

    async def stubborn(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(1.5)
            await send({"type": "http.response.start", "status": 200, "headers": []})  # too late: dropped
            ended.set()

    with logged() as lines, serve(limited(stubborn), lifespan="off") as url:
        began = time.monotonic()
        assert httpx.get(url, headers={"X-Request-Timeout": "0.1"}).status_code == 504
        assert time.monotonic() - began < 3 * 0.35
        assert not ended.is_set()
        assert ended.wait(5)
        wait_until(lambda: lines)
    assert [line["status"] for line in lines] == [504]


@SERVERS
def test_a_body_that_trickles_is_408_and_cut_off(http: str) -> None:
    desk = Desk()
    with serve(limited(desk.app, Limits(deadline=0.3)), http=http) as url, connect(url) as connection:
        connection.sendall(head("POST", "/size", content_length="1000"))
        began = time.monotonic()
        try:
            while time.monotonic() - began < 10:
                connection.sendall(b"x")
                time.sleep(0.05)
        except ConnectionError:
            pass
        assert time.monotonic() - began < 3 * 1.3
        answer = connection.recv(65536)
    assert (_status(answer), _error(answer)["code"]) == (408, "slow_body")


def test_an_app_that_leaves_the_body_unread_cannot_blame_the_client() -> None:
    async def lazy(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    with serve(limited(lazy, Limits(deadline=0.1)), lifespan="off") as url:
        assert _status(talk(url, [head("POST", "/", content_length="4", connection="close"), b"body"])) == 504


@pytest.mark.parametrize(("more", "status"), [(60.0, 200), (1.5, 504)])
def test_a_deadline_that_was_put_off_is_the_later_one(more: float, status: int) -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        get_context(scope).deadline = asyncio.get_running_loop().time() + more
        await asyncio.sleep(1.5 if status == 200 else 60)
        await Response()(scope, receive, send)

    with serve(limited(slow, Limits(deadline=1.0)), lifespan="off") as url:
        assert _status(talk(url, [head("POST", "/", content_length="4", connection="close"), b"body"])) == status


def test_a_stream_that_has_begun_has_no_deadline() -> None:
    desk = Desk()
    with serve(limited(desk.app, Limits(deadline=0.1))) as url, connect(url) as connection:
        connection.sendall(head("GET", "/events"))
        received = b""
        while b"data: 6\n" not in received:  # 0.3 s
            received += connection.recv(65536)
    assert _status(received) == 200


def test_events_pass_one_by_one_and_end_with_their_client() -> None:
    desk = Desk()
    with logged() as lines, serve(limited(desk.app)) as url:
        with connect(url) as connection:
            connection.sendall(head("GET", "/events"))
            received = b""
            while b"data: 0\n" not in received:
                received += connection.recv(65536)
            assert desk.entered <= 3  # of a thousand: nothing waits to be collected
        wait_until(lambda: desk.cancelled)
        wait_until(lambda: lines)
    assert [(line["status"], line["code"]) for line in lines] == [(200, "client_closed")]


@SERVERS
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_client_that_leaves_ends_its_work(http: str, method: str) -> None:
    desk = Desk()
    with logged() as lines, serve(limited(desk.app), http=http) as url:
        with connect(url) as connection:
            connection.sendall(head(method, "/wait/20", content_length="0" if method == "GET" else "3") + b"abc")
            wait_until(lambda: desk.entered)
        began = time.monotonic()
        wait_until(lambda: desk.cancelled)
        assert time.monotonic() - began < 3 * 0.25
        wait_until(lambda: lines)
    assert [(line["status"], line["code"], line["bytes_out"]) for line in lines] == [(499, "client_closed", 0)]


def test_without_the_layer_work_for_nobody_is_done_to_the_end() -> None:
    desk = Desk()
    with serve(outermost(desk.app)) as url:
        with connect(url) as connection:
            connection.sendall(head("GET", "/wait/0.5"))
            wait_until(lambda: desk.entered)
        wait_until(lambda: desk.finished)
    assert desk.cancelled == 0


def test_of_many_clients_those_who_leave_are_dropped_and_nothing_leaks() -> None:
    desk = Desk()
    with logged() as lines, serve(limited(desk.app)) as url:
        before = httpx.get(f"{url}/tasks").json()
        connections = [connect(url) for _ in range(100)]
        for connection in connections:
            connection.sendall(head("POST", "/wait/0.6", content_length="4", connection="close") + b"body")
        wait_until(lambda: desk.entered == 100)
        for connection in connections[::2]:
            connection.close()
        answers = [read_to_end(connection) for connection in connections[1::2]]
        for connection in connections[1::2]:
            connection.close()
        wait_until(lambda: len(lines) == 101)
        assert httpx.get(f"{url}/tasks").json() <= before + 1  # the task of the request before may be ending
    assert all(answer.endswith(b"done") for answer in answers)
    assert (desk.finished, desk.cancelled) == (50, 50)


def test_requests_on_one_connection_do_not_disturb_each_other() -> None:
    with serve(limited(Desk().app)) as url, httpx.Client(base_url=url) as client:
        counts = [client.get("/tasks").json() for _ in range(20)]
        sizes = [client.post("/size", content=b"x" * size).json() for size in range(20)]
    assert max(counts) <= min(counts) + 1  # the task of the request before may be ending
    assert sizes == list(range(20))


@SERVERS
def test_pipelined_requests_are_answered_in_turn(http: str) -> None:
    pieces = [head("POST", "/size", content_length=str(size)) + b"x" * size for size in range(1, 6)]
    last = head("GET", "/wait/0", connection="close")
    with serve(limited(Desk().app), http=http) as url:
        answers = talk(url, [b"".join(pieces) + last])
    assert [part[:1] for part in answers.split(b"\r\n\r\n")[1:-1]] == [b"1", b"2", b"3", b"4", b"5"]
    assert answers.endswith(b"done")


def test_what_an_app_does_after_its_answer_is_not_cut_off() -> None:
    """Servers say "disconnect" also when all is answered."""
    desk = Desk()
    with serve(limited(desk.app)) as url:
        assert httpx.get(f"{url}/later").text == "now"
        wait_until(lambda: desk.finished)


def test_an_app_that_asks_whether_its_client_is_there_is_told() -> None:
    heard: list[bool] = []

    async def asks(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        await request.body()
        heard.append(await request.is_disconnected())
        await Response()(scope, receive, send)

    with serve(limited(asks), lifespan="off") as url:
        assert talk(url, [head("GET", "/", connection="close")]).startswith(b"HTTP/1.1 200")
        assert talk(url, [head("POST", "/", connection="close", content_length="2"), b"hi"])[9:12] == b"200"
    assert heard == [False, False]


def test_an_exception_within_is_the_layers_own() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("within")

    with logged() as lines:
        assert _call(limited(broken), "/").status_code == 500
    assert "within" in lines[0]["trace"]


def test_other_scopes_pass_untouched() -> None:
    seen: list[Any] = []

    async def note(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    scope = {"type": "lifespan"}
    asyncio.run(LimitsMiddleware(note, LIMITS)(scope, None, None))  # pyright: ignore[reportArgumentType]
    assert seen == [scope] and math.isinf(Limits().body) is False


@SERVERS
def test_hostile_forms_and_heads_are_refused(http: str) -> None:
    app = FastAPI()

    @app.post("/form")
    async def form(request: Request) -> int:
        async with request.form() as parts:
            return len(parts)

    def part(number: int, extra: str = "") -> bytes:
        return f'--b\r\nContent-Disposition: form-data; name="{number}"{extra}\r\n\r\n1\r\n'.encode()

    bodies = {
        "fields": b"".join(part(number) for number in range(10_000)) + b"--b--\r\n",
        "files": b"".join(part(number, '; filename="f"') for number in range(1_001)) + b"--b--\r\n",
        "large field": part(1)[:-3] + b"x" * (2 << 20) + b"\r\n--b--\r\n",
    }
    multipart = "multipart/form-data; boundary=b"
    with logged() as lines, serve(limited(app), http=http) as url, httpx.Client(base_url=url) as client:
        for name, body in bodies.items():
            answer = client.post("/form", content=body, headers={"Content-Type": multipart})
            assert answer.status_code == 400, name
        assert client.get("/form", headers={"X-Many": "x" * 40_000}).status_code == 431
        ok = client.post("/form", content=part(1) + b"--b--\r\n", headers={"Content-Type": multipart})
        assert (ok.status_code, ok.json()) == (200, 1)
    assert all(line.get("status", 400) < 500 for line in lines)
