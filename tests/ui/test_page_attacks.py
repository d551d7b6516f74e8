"""What is tried on Gradio pages: large data URLs, foreign addresses and files, other sites."""

from __future__ import annotations

import json
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from app_under_test import Running, error_of, running
from gradio_protocol import API, POINT, Caller, file_data
from serving import connect, head, read_to_end, serve, talk

from clickmask import Segmenter
from clickmask.service.http.settings import MIB, Access
from clickmask.ui.mount import create_page_app

CANARY = "a-secret-that-nobody-must-see"


def _rise(act: Callable[[], object]) -> int:
    """Bytes that Python, the server in this process included, holds at most meanwhile beyond what it held before.

    Counted as they are asked for: memory that earlier tests have left to this process would hide a rise of its size.
    """
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _data_url(size: int) -> Iterator[bytes]:
    yield b'{"fn_index":0,"session_hash":"s","data":["data:image/png;base64,'
    piece = b"A" * 65536
    for _ in range(size // len(piece)):
        yield piece
    yield b'",""]}'


def _post(url: str, size: int, chunked: bool) -> bytes:
    """The answer to a data URL of that size, sent for as long as the server takes it."""
    pieces = _data_url(size)
    length = {"transfer_encoding": "chunked"} if chunked else {"content_length": str(size + 70)}
    with connect(url) as connection:
        connection.sendall(head("POST", f"{API}/queue/join", content_type="application/json", **length))
        try:
            for piece in pieces:
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        except OSError:  # it has closed: the answer is there already
            pass
        try:
            return read_to_end(connection)
        except ConnectionError:
            return b""


@pytest.mark.parametrize("chunked", [False, True])
def test_a_data_url_of_200_mb_is_refused_and_takes_no_memory(service: Running, chunked: bool) -> None:
    answers: list[bytes] = []
    rise = _rise(lambda: answers.append(_post(service.url, 200 * MIB, chunked)))
    assert rise <= 30 * MIB and answers[0].startswith(b"HTTP/1.1 413 ")
    assert b'"code": "body_too_large"' in answers[0]


def test_the_same_is_seen_where_nothing_protects() -> None:
    async def careless(scope: Any, receive: Any, send: Any) -> None:
        body, more = bytearray(), True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b""})

    with serve(careless, lifespan="off") as url:
        assert _rise(lambda: _post(url, 60 * MIB, False)) > 50 * MIB


@pytest.mark.parametrize("size", [300_000, 8 * MIB])
def test_smaller_data_urls_are_refused_too(caller: Caller, size: int) -> None:
    error_of(caller.join(["data:image/png;base64," + "A" * size, POINT]), 413, "body_too_large")
    short = caller.call(["data:image/png;base64,AAAA", POINT])
    assert short["success"] is False


@pytest.fixture
def canary() -> Iterator[tuple[int, list[bytes]]]:
    """A server on this machine that must never be called: its port, and who called all the same."""
    hits: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def listen() -> None:
            listener.settimeout(0.05)
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                hits.append(connection.recv(1000))
                connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n")
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        yield listener.getsockname()[1], hits
        over.set()
        thread.join()


def _addresses(port: int, file: Path) -> list[str]:
    hosts = [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0177.0.0.1",
        "0x7f.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "0",
        "0.0.0.0",
    ]
    local = [f"http://{host}:{port}/image.png" for host in hosts]
    known = [f"http://user:word@127.0.0.1:{port}", f"http://example.com@127.0.0.1:{port}/", f"//127.0.0.1:{port}/x"]
    kinds = [f"{kind}://127.0.0.1:{port}/x" for kind in ("gopher", "ftp", "https", "HTTP", "dict", "ws", "s3", "hf")]
    files = [f"file://{file}", str(file), f"file:{file}", "/etc/passwd", "/proc/self/environ", f"../..{file}"]
    far = [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://metadata.google.internal/",
        "\\\\host\\x",
    ]
    return [*local, *known, *kinds, *files, *far]


def test_no_address_and_no_path_in_a_request_is_ever_opened(
    caller: Caller, photo: bytes, canary: tuple[int, list[bytes]], tmp_path: Path
) -> None:
    port, hits = canary
    file = tmp_path / "canary.png"
    file.write_text(CANARY)
    client, upload = caller.client, caller.upload(photo)
    addresses = _addresses(port, file)
    assert len(addresses) >= 30
    for address in addresses:
        places = [
            [file_data(address), POINT],
            [file_data(upload, url=address, orig_name=address, mime_type=address, is_stream=True), POINT],
            [file_data(upload), {"points": [[600, 20]], "image": file_data(address, url=address)}],
            [file_data(upload), json.dumps({"points": [[600, 20]], "previous": address})],
            [address, address],
        ]
        for number, data in enumerate(places):
            done = caller.call(data)
            assert done["success"] is (number == 1), done  # there the file is the caller's own, the rest is not read
            assert CANARY not in json.dumps(done)
        answers = [client.get(f"{API}/{way}{address}") for way in ("file=", "file/", "proxy=", "stream/")]
        answers += [
            client.get(f"{API}/file={quote(address, safe='')}"),
            client.get("/ui/", params={"deep_link": address}),
        ]
        answers += [
            client.get("/ui/config", headers={"X-Gradio-Server": address.encode("latin-1", "replace").decode()})
        ]
        assert all(CANARY not in answer.text and answer.status_code < 500 for answer in answers)
        assert {answer.status_code for answer in answers[:5]} <= {404, 405}
        form = client.post(f"{API}/upload", files={"files": (None, address)}, params={"upload_id": address})
        error_of(form, 422)
    assert hits == []
    assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 302 and len(hits) == 1  # it would have been noticed


def _traversals(file: Path) -> Iterator[str]:
    """Two hundred ways to name a file that is not to be had."""
    targets = [str(file), "/etc/passwd", "etc/passwd", f"{file.name}"]
    ups = [
        "../" * 12,
        "..%2f" * 12,
        "%2e%2e/" * 12,
        "%2e%2e%2f" * 12,
        "..\\" * 12,
        "..%5c" * 12,
        "....//" * 12,
        "/",
        "//",
    ]
    ends = ["", "%00.png", "::$DATA", "/.", ";x", "?x"]
    for target in targets:
        for up in ups:
            for end in ends:
                yield up + target.lstrip("/") + end
    yield from (quote(str(file), safe=""), f"assets/../../{file}", "..", ".", "%00", "C:/windows/win.ini", f"{file}/")


def test_no_path_leads_to_a_file_that_is_not_the_pages(service: Running, tmp_path: Path) -> None:
    file = tmp_path / "canary.txt"
    file.write_text(CANARY)
    paths = list(_traversals(file))
    assert len(paths) >= 200
    for before in (f"{API}/file=", f"{API}/file/", "/ui/static/", "/ui/assets/", "/ui/svelte/", "/page/", "/ui/"):
        heads = [head("GET", before + path) for path in paths]
        for start in range(0, len(heads), 50):  # one after the other on a connection, exactly as they stand
            some = heads[start : start + 50]
            some[-1] = some[-1].replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
            found = talk(service.url, [b"".join(some)])
            assert CANARY.encode() not in found and b"root:" not in found and b"HTTP/1.1 5" not in found
            assert found.count(b"HTTP/1.1 ") == len(some)


def test_only_listed_origins_are_told_that_they_may_read(segmenter: Segmenter, tmp_path: Path) -> None:
    listed = "https://tool.example.com"
    origins = [
        *(listed, "null", "https://evil.example.com", "http://tool.example.com", "https://tool.example.com.evil.org"),
        *("https://tool.example.com:8443", "https://TOOL.example.com.", "http://localhost", "http://localhost:3000"),
        *(
            "http://127.0.0.1",
            "http://127.0.0.1:1",
            "http://[::1]",
            "file://",
            "chrome-extension://abc",
            "https://",
            "*",
        ),
        *(
            "https://tool.example.com/",
            "https://tool.example.com@evil.org",
            "http://0.0.0.0",
            "https://eviltool.example.com",
        ),
    ]
    hosts = [
        "localhost",
        "127.0.0.1",
        "0.0.0.0",
        "service.example.com",
        "service.example.com:7860",
        "[::1]",
        "10.0.0.7",
    ]
    hosts += ["evil.example.com", "localhost.evil.org", "SERVICE.example.com"]
    access = Access(public=True, origins=(listed,))
    with running(segmenter, tmp_path, access=access, make=create_page_app) as service, service.client() as client:
        for origin in origins:
            for host in hosts:
                for path in ("/ui/config", f"{API}/info", f"{API}/upload_progress", "/page/main.js"):
                    answer = client.get(path, headers={"Origin": origin, "Host": host})
                    allowed = answer.headers.get("access-control-allow-origin")
                    assert allowed == (listed if origin == listed else None), (origin, host, path)
                own = origin.split("//")[-1].lower() == host.lower()
                answer = client.post(f"{API}/queue/join", json={}, headers={"Origin": origin, "Host": host})
                assert answer.status_code == (422 if origin == listed or own else 403), (origin, host)


def test_no_host_name_leads_round_the_login(segmenter: Segmenter, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.touch(mode=0o600)
    tokens.write_text("ann:ann-has-a-long-token\n")
    access = Access(token_file=tokens, hosts=("service.example.com",))
    with running(segmenter, tmp_path, access=access, make=create_page_app) as service:
        for host in ("evil/x?", "evil/livez?", "service.example.com/livez?", "service.example.com#", "a@b", "evil", ""):
            for path in ("/ui/", "/ui/config", f"{API}/info", "/page/main.js"):
                found = talk(
                    service.url, [f"GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode()]
                )
                assert found.startswith(b"HTTP/1.1 400 ") and b"gradio" not in found
