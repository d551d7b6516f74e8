"""The outermost layer: one answer, one line, one count; and no refusal that gets lost."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from layers import logged, outermost
from prometheus_client.parser import text_string_to_metric_families
from serving import connect, head, read_to_end, serve, talk, wait_until
from starlette.responses import JSONResponse, PlainTextResponse, Response

from clickmask.service.http.context import get_context
from clickmask.service.http.errors import ApiError, send_error
from clickmask.service.http.health import Health
from clickmask.service.http.metrics import Metrics

MIB = 1 << 20
SERVERS = pytest.mark.parametrize("http", ["httptools", "h11"])


async def _refuse(scope: Any, receive: Any, send: Any) -> None:
    """Answers without a look at the body."""
    await send_error(send, ApiError(429, "queue_full", "come again", retry_after=2))


async def _refuse_and_close(scope: Any, receive: Any, send: Any) -> None:
    await send_error(send, ApiError(429, "queue_full", "come again", retry_after=2), [(b"connection", b"close")])


async def _break(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("secret of /srv/keys")


def _app() -> FastAPI:
    app = FastAPI()

    @app.exception_handler(Exception)  # FastAPI's own answers 500 in its own words, and raises on
    async def internal(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": {"code": "internal"}}, status_code=500)

    @app.get("/fine/{name}")
    async def fine(name: str, request: Request) -> Response:
        context = get_context(request.scope)
        context.caller = "token:anna"
        context.notes["cache"] = "hit"
        context.notes["status"] = "a note cannot pass for a fact"
        return PlainTextResponse("fine", headers={"x-seen": context.id})

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("of a route")

    @app.get("/refused")
    async def refused(request: Request) -> Response:
        get_context(request.scope).notes["code"] = "teapot"
        return JSONResponse({"error": {"code": "teapot"}}, status_code=409)

    @app.get("/livez")
    async def livez() -> Response:
        return Response()

    return app


def _get(app: Any, path: str, **headers: str) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(run())


def _counts(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """(route, method, status, code) -> requests."""
    return {
        tuple(sample.labels[name] for name in ("route", "method", "status", "code")): sample.value
        for family in text_string_to_metric_families(metrics.render()[0].decode())
        for sample in family.samples
        if sample.name == "clickmask_request_total"
    }


def test_the_answer_the_app_and_the_log_share_an_id_that_the_client_cannot_choose() -> None:
    with logged() as lines:
        answers = [_get(outermost(_app()), "/fine/x", **{"X-Request-Id": "mine"}) for _ in range(3)]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{16}", id) for id in ids)
    assert len(set(ids)) == 3
    assert ids == [answer.headers["x-seen"] for answer in answers] == [line["id"] for line in lines]


def test_a_line_tells_the_route_and_the_outcome_and_nothing_private() -> None:
    with logged() as lines:
        _get(outermost(_app()), "/fine/holiday.jpg?token=hush", **{"User-Agent": "spy"})
    (line,) = lines
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("ts"))
    assert line.pop("ms") >= 0 and line.pop("id")
    assert line == {
        "method": "GET",
        "route": "/fine/{name}",
        "status": 200,
        "code": None,
        "bytes_in": 0,
        "bytes_out": 4,
        "caller": "anna:nekot",
        "cache": "hit",
    }


def test_an_exception_is_a_500_without_internals_and_a_trace_in_the_log_under_its_id() -> None:
    metrics = Metrics()
    with logged() as lines:
        answer = _get(outermost(_break, metrics=metrics), "/broken")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    assert "secret" not in answer.text and "Runtime" not in answer.text
    error, line = lines
    assert error["level"] == "error" and "secret of /srv/keys" in error["trace"]
    assert error["id"] == line["id"] == answer.headers["x-request-id"]
    assert (line["status"], line["code"]) == (500, "internal")
    assert _counts(metrics) == {("unknown", "GET", "500", "internal"): 1}


def test_an_exception_that_the_router_answered_is_logged_all_the_same() -> None:
    with logged() as lines:
        answer = _get(outermost(_app()), "/broken")
    error, line = lines
    assert "of a route" in error["trace"] and error["id"] == answer.headers["x-request-id"]
    assert (line["route"], line["status"], line["code"]) == ("/broken", 500, "internal")


def test_an_app_that_says_nothing_is_a_500() -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        pass

    with logged():
        assert _get(outermost(silent), "/").json()["error"]["code"] == "internal"


def test_an_error_raised_by_a_layer_is_its_answer() -> None:
    async def layer(scope: Any, receive: Any, send: Any) -> None:
        raise ApiError(401, "unauthenticated", "who are you?")

    with logged() as lines:
        answer = _get(outermost(layer), "/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated")
    assert [(line["status"], line["code"], line["route"]) for line in lines] == [(401, "unauthenticated", "unknown")]


def test_an_exception_in_mid_answer_ends_the_connection_and_is_logged_once() -> None:
    async def stumbles(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("stumbled")

    with logged() as lines, serve(outermost(stumbles), lifespan="off") as url:
        answer = talk(url, [head("GET", "/")])
    assert answer.startswith(b"HTTP/1.1 200") and not answer.endswith(b"0\r\n\r\n")
    assert [line["code"] for line in lines if "status" in line] == ["internal"]


def test_a_client_that_left_is_499_in_log_and_metrics() -> None:
    metrics, entered = Metrics(), threading.Event()

    async def listens(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            entered.set()

    with logged() as lines, serve(outermost(listens, metrics=metrics), lifespan="off") as url:
        with connect(url) as connection:
            connection.sendall(head("GET", "/"))
            assert entered.wait(5)
        wait_until(lambda: lines)
    assert [(line["status"], line["code"], line["bytes_out"]) for line in lines] == [(499, "client_closed", 0)]
    assert _counts(metrics) == {("unknown", "GET", "499", "client_closed"): 1}


def test_a_stopping_server_refuses_all_but_probes() -> None:
    health = Health(ready=True)
    app = outermost(_app(), health=health)
    assert _get(app, "/fine/x").status_code == 200
    health.draining = True
    with logged() as lines:
        refused = _get(app, "/fine/x")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
    assert (refused.headers["retry-after"], refused.headers["connection"]) == ("1", "close")
    assert lines[0]["code"] == "draining"
    assert _get(app, "/livez").status_code == 200
    assert _get(app, "/livez/more").status_code == 503


def test_who_is_cut_off_by_the_end_of_the_server_is_told_so() -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    async def run() -> list[Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            await asyncio.sleep(60)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        task = asyncio.create_task(outermost(slow)(scope, receive, send))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return sent

    assert asyncio.run(run())[0]["status"] == 503


@SERVERS
@pytest.mark.parametrize("chunked", [False, True])
def test_a_refusal_reaches_a_client_that_sends_all_before_it_reads(http: str, chunked: bool) -> None:
    body = b"x" * (8 * MIB)
    if chunked:
        pieces = [head("POST", "/", transfer_encoding="chunked"), b"%x\r\n" % len(body), body, b"\r\n0\r\n\r\n"]
    else:
        pieces = [head("POST", "/", content_length=str(len(body))), body]
    with logged() as lines, serve(outermost(_refuse), http=http, lifespan="off") as url:
        answer = talk(url, pieces)
    assert answer.startswith(b"HTTP/1.1 429")
    assert b"retry-after: 2" in answer and b"connection: close" in answer.lower()
    assert answer.endswith(b'{"error": {"code": "queue_full", "message": "come again"}}')
    assert [line["bytes_in"] for line in lines] == [len(body)]


@SERVERS
def test_without_the_layer_such_a_refusal_is_a_reset(http: str) -> None:
    pieces = [head("POST", "/", content_length=str(8 * MIB)), *[b"x" * 65536] * 128]
    with serve(_refuse_and_close, http=http, lifespan="off") as url, pytest.raises(ConnectionError):
        talk(url, pieces)


@SERVERS
def test_what_is_dropped_of_a_refused_request_is_bounded(http: str) -> None:
    endless = [b"%x\r\n" % 65536, b"x" * 65536, b"\r\n"] * 1000
    with logged() as lines, serve(outermost(_refuse, body=MIB), http=http, lifespan="off") as url:
        with pytest.raises(ConnectionError):
            talk(url, [head("POST", "/", transfer_encoding="chunked"), *endless])
        wait_until(lambda: lines)
    assert MIB <= lines[0]["bytes_in"] <= MIB + 512 * 1024  # what the server had in hand when it was enough


@SERVERS
def test_a_small_refused_request_keeps_its_connection(http: str) -> None:
    request = head("POST", "/", content_length="5") + b"12345"
    last = head("POST", "/", content_length="0", connection="close")
    with logged() as lines, serve(outermost(_refuse), http=http, lifespan="off") as url:
        answers = talk(url, [request, request, last])
    assert answers.count(b"HTTP/1.1 429") == 3
    assert [line["bytes_in"] for line in lines] == [5, 5, 0]


@SERVERS
@pytest.mark.parametrize("length", [5, 8 * MIB])
def test_a_refused_client_that_waits_to_be_asked_sends_nothing(http: str, length: int) -> None:
    with logged() as lines, serve(outermost(_refuse), http=http, lifespan="off") as url:
        answer = talk(url, [head("POST", "/", content_length=str(length), expect="100-continue")])
    assert answer.startswith(b"HTTP/1.1 429") and b"connection: close" in answer.lower()
    assert lines[0]["bytes_in"] == 0
    assert lines[0]["ms"] < 15_000


@SERVERS
def test_an_accepted_client_that_waits_to_be_asked_is_asked(http: str) -> None:
    async def accept(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        await PlainTextResponse(body)(scope, receive, send)

    with serve(outermost(accept), http=http, lifespan="off") as url, connect(url) as connection:
        connection.sendall(head("POST", "/", content_length="4", expect="100-continue", connection="close"))
        asked = connection.recv(1000)
        assert asked.startswith(b"HTTP/1.1 100")
        connection.sendall(b"body")
        assert (asked + read_to_end(connection)).endswith(b"body")


def test_a_thousand_mixed_requests_are_a_thousand_lines_and_the_sums_agree() -> None:
    metrics, nasty = Metrics(), "%0a%0d%1b[31m%7b%22status%22:200%7d"
    paths = ["/fine/{}", "/broken", "/refused", "/nowhere/{}", f"/fine/{nasty}?{{}}", f"/{nasty}"]

    async def run(app: Any) -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return [await client.get(paths[n % len(paths)].format(n)) for n in range(1000)]

    with logged("clickmask.access") as lines, logged("clickmask.requests"):
        answers = asyncio.run(run(outermost(_app(), metrics=metrics)))
    assert [line["id"] for line in lines] == [answer.headers["x-request-id"] for answer in answers]
    assert [line["status"] for line in lines] == [answer.status_code for answer in answers]
    counts = _counts(metrics)
    assert sum(counts.values()) == 1000
    for (route, _, status, code), count in counts.items():
        same = [
            line for line in lines if (line["route"], str(line["status"]), line["code"] or "") == (route, status, code)
        ]
        assert len(same) == count
    assert {line["route"] for line in lines} == {"/fine/{name}", "/broken", "/refused", "unknown"}
    assert len(re.findall(rb"^[^#]", metrics.render()[0], re.MULTILINE)) < 500
