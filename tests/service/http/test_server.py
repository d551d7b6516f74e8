"""The process around the app: how it listens, how it stops, and with which code. Each server here is a real process."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from clickmask.models.errors import SettingsError
from clickmask.service.http.listener import address, bind, explain

UNIX = pytest.mark.skipif(os.name != "posix", reason="signals of Unix")
PATIENCE = 20.0  # seconds until a test gives up on what should take a moment

# An app whose routes take as long as asked for, behind a readiness route; the settings come as arguments.
SERVER = """
import asyncio, sys
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from clickmask.models.errors import ClickmaskError
from clickmask.service.http.health import Health
from clickmask.service.http.listener import bind
from clickmask.service.http.server import run
from clickmask.service.http.settings import ServeSettings

health = Health()
drain, start = float(sys.argv[1]), sys.argv[2]

@asynccontextmanager
async def lifespan(app):
    if start == "fails":
        raise ClickmaskError("the app has a reason")
    yield
    print("closed", flush=True)

async def ready(request):
    return PlainTextResponse("no" if health.draining else "yes")

async def slow(request):
    await asyncio.sleep(float(request.path_params["seconds"]))
    return PlainTextResponse("done")

async def breaks(request):
    health.broken = "the device is lost"
    return PlainTextResponse("oh")

async def hangs(request):
    import time
    time.sleep(60)

app = Starlette(routes=[
    Route("/ready", ready), Route("/slow/{seconds}", slow), Route("/break", breaks), Route("/hang", hangs),
], lifespan=lifespan)
settings = ServeSettings(port=0, drain=drain)
sockets = bind(settings.host, settings.port)
port = sockets[0].getsockname()[1]
try:
    sys.exit(run(app, settings, health, sockets, lambda: print(port, flush=True)))
except ClickmaskError as error:
    print(error, flush=True)
    sys.exit(2)
"""


class _Served:
    """A server's process and its port."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port

    def ask(self, path: str) -> socket.socket:
        """A connection on which a request was sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return connection

    def get(self, path: str) -> str:
        """The body of an answer of a few bytes."""
        with self.ask(path) as connection:
            return _answer(connection)

    def code(self) -> int:
        """How it ended."""
        return self.process.wait(PATIENCE)


def _answer(connection: socket.socket) -> str:
    received = b""
    while b"\r\n\r\n" not in received or not received.partition(b"\r\n\r\n")[2]:
        piece = connection.recv(4096)
        if not piece:
            break
        received += piece
    return received.partition(b"\r\n\r\n")[2].decode()


@contextmanager
def _serving(drain: float = 10, start: str = "works") -> Iterator[_Served]:
    words = [sys.executable, "-c", SERVER, str(drain), start]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            first = process.stdout.readline().strip()
            yield _Served(process, int(first) if first.isdigit() else 0)
        finally:
            process.kill()


@UNIX
def test_stop_denies_readiness_finishes_what_was_admitted_and_exits_with_0() -> None:
    with _serving() as server:
        assert server.get("/ready") == "yes"
        with server.ask("/slow/1.5") as admitted:
            time.sleep(0.1)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            assert server.get("/ready") == "no"  # the listener is still open
            assert _answer(admitted) == "done"
        assert server.code() == 0
        assert server.process.stdout is not None and server.process.stdout.read() == "closed\n"


@UNIX
def test_interrupt_finishes_what_was_admitted_and_exits_with_130() -> None:
    with _serving() as server, server.ask("/slow/0.5") as admitted:
        time.sleep(0.1)
        server.process.send_signal(signal.SIGINT)
        assert _answer(admitted) == "done"
        assert server.code() == 130


@UNIX
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_does_not_wait(second: signal.Signals) -> None:
    with _serving(drain=60) as server, server.ask("/slow/50"):
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert server.process.poll() is None  # one signal alone waits for the request
        server.process.send_signal(second)
        assert server.code() == 0


@UNIX
def test_stop_waits_no_longer_than_it_was_given() -> None:
    with _serving(drain=1) as server, server.ask("/slow/50"):
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        assert server.code() == 0


@UNIX
def test_loop_that_hangs_is_ended_from_outside() -> None:
    with _serving(drain=1) as server, server.ask("/hang"):
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        assert server.code() == 0


def test_broken_device_ends_the_process_with_70() -> None:
    with _serving() as server:
        assert server.get("/break") == "oh"
        assert server.code() == 70


def test_head_without_end_is_refused() -> None:
    with _serving() as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\na: " + b"x" * 70_000)
            assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
        assert server.get("/ready") == "yes"


def test_app_that_does_not_start_tells_its_own_reason() -> None:
    words = [sys.executable, "-c", SERVER, "1", "fails"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (2, "the app has a reason\n")


def test_port_in_use_is_said_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {port} is in use on 127.0.0.1: .*--port"):
            bind("127.0.0.1", port)


def test_port_0_is_a_real_port_and_nobody_is_let_in_before_the_start() -> None:
    (bound,) = bind("127.0.0.1", 0)
    with bound:
        port = bound.getsockname()[1]
        assert address("127.0.0.1", [bound]) == f"http://127.0.0.1:{port}" and port > 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def test_all_addresses_of_a_name_have_one_port() -> None:
    sockets = bind("localhost", 0)
    assert len({bound.getsockname()[1] for bound in sockets}) == 1
    for bound in sockets:
        bound.close()


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_address_of_version_6_stands_in_brackets(host: str) -> None:
    try:
        sockets = bind(host, 0)
    except SettingsError:  # a machine without it says so by the host's name
        with pytest.raises(SettingsError, match="--host"):
            bind(host, 0)
    else:
        assert address(host, sockets) == f"http://[::1]:{sockets[0].getsockname()[1]}"
        sockets[0].close()


@pytest.mark.parametrize("host", ["192.0.2.1", "a" * 70])
def test_host_that_is_not_of_this_machine_is_named(host: str) -> None:
    with pytest.raises(SettingsError, match=f"--host {host}: expected"):
        bind(host, 0)


def test_port_for_administrators_is_explained() -> None:
    assert "above 1023" in str(explain(PermissionError(errno.EACCES, "denied"), "127.0.0.1", 80))
