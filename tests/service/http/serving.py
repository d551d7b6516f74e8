"""An app under a real uvicorn on loopback, and a client so plain that it does exactly what a test says."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import uvicorn

PATIENCE = 10.0  # seconds until a test gives up on what should take a moment


@contextmanager
def serve(
    app: Any, *, http: Any = "auto", loop: Any = "auto", keep_alive: int = 5, lifespan: Any = "auto"
) -> Iterator[str]:
    """Serve an ASGI app in a thread of its own; gives its address, "http://127.0.0.1:PORT".

    http: "httptools" or "h11"; loop: "uvloop" or "asyncio"; "auto" is what the product takes. lifespan: "off" for an
    app that knows requests only. Ends with the block.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        http=http,
        loop=loop,
        ws="none",
        lifespan=lifespan,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=keep_alive,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="uvicorn", daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started, "the app's lifespan failed: see the log"
        yield "http://{}:{}".format(*listener.getsockname())
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


def wait_until(holds: Any, patience: float = PATIENCE) -> None:
    """Wait until `holds()` is true; fails after `patience` seconds."""
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def connect(url: str) -> socket.socket:
    """A plain TCP connection to the server of that address."""
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    return socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)


def talk(url: str, pieces: Iterable[bytes]) -> bytes:
    """Send all of the pieces and only then read, until the server closes. An early close shows as ConnectionError."""
    with connect(url) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return read_to_end(connection)


def read_to_end(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    received = bytearray()
    while piece := connection.recv(65536):
        received += piece
    return bytes(received)


def head(method: str, path: str, **headers: str) -> bytes:
    """The head of a request; `content_length="5"` becomes `content-length: 5`."""
    lines = [f"{method} {path} HTTP/1.1", "host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()
