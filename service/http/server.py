"""From an ASGI app to a process that ends well: uvicorn, its signals and its exit code.

0: a stop was asked for (SIGTERM), and what had been admitted was answered or its time was over. 130: the same by
Ctrl-C. 70: the device broke, and only a new process can mend that. After SIGTERM the listener stays open for a second
in which readiness is denied already, so that load balancers turn away before connections are refused.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import HANDLED_SIGNALS

from .health import Health
from .listener import bind, explain
from .protocol import LONGEST_HEAD, GuardedProtocol
from .settings import ServeSettings

STOPPED, INTERRUPTED, BROKEN = 0, 130, 70

# A proxy that keeps connections open must give them up first, or it sends a request into a closing one: the usual
# proxies and load balancers do so after 60 seconds or earlier.
KEEP_ALIVE = 65
BACKLOG = 512

_NOTICE = 1.0  # seconds between "not ready" and a closed listener
_BROKEN_DRAIN = 3  # seconds for answers to get out once the device broke
_PATIENCE = 5.0  # seconds beyond every promise before the process is ended from outside its event loop


def run(
    app: ASGIApp,
    settings: ServeSettings,
    health: Health,
    sockets: Sequence[socket.socket] | None = None,
    announce: Callable[[], None] = lambda: None,
) -> int:
    """Serve until a signal comes or the device breaks; the process's exit code is returned. On the main thread only.

    A second signal ends it at once. `sockets` are bound ones (see `listener`); without them they are bound here.
    `announce` is called when connections are accepted.
    Raises SettingsError when the port is in use, and what kept the app from starting.
    """
    watched = _WatchedStart(app)
    server = _Server(watched, settings, health, announce)
    bound = bind(settings.host, settings.port) if sockets is None else sockets
    with _last_resort(server):
        try:
            server.run(list(bound))
        except SystemExit:  # so newer uvicorns end when the app does not start
            pass
        finally:
            for made in bound:
                made.close()
    if not server.started:
        raise watched.failure or RuntimeError("the service could not start; its log says why")
    return BROKEN if health.broken else server.code


def end_within(seconds: float, code: int) -> None:
    """End this process in that time if it has not ended by then, whatever its threads are at."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


class _WatchedStart:
    """An app whose failure to start is kept: uvicorn only logs it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.failure: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return await self._app(scope, receive, send)
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            self.failure = error
            raise


class _Server(uvicorn.Server):
    """uvicorn's server, with our signals: its own kills the process by the signal once all is done."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, health: Health, announce: Callable[[], None]) -> None:
        notice = min(_NOTICE, settings.drain / 2)
        super().__init__(_config(app, math.ceil(settings.drain - notice)))
        self.code = STOPPED
        self.end_by = math.inf  # of the monotonic clock: beyond it nobody waits for the event loop any more
        self._settings, self._health, self._announce, self._notice = settings, health, announce, notice
        self._close_at = math.inf

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Take the signals while serving, and give them back after."""
        before = {number: signal.signal(number, self.handle_exit) for number in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop: politely the first time, at once the second."""
        now = time.monotonic()
        if self._health.draining:
            self.should_exit = self.force_exit = True
            self.end_by = min(self.end_by, now + _PATIENCE / 2)
            return
        self._health.draining = True
        self.code = INTERRUPTED if sig == signal.SIGINT else STOPPED
        self._close_at = now if sig == signal.SIGINT else now + self._notice
        self.end_by = now + _PATIENCE + (self._settings.drain if self.started else 0)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app, accept connections, say so."""
        try:
            await super().startup(sockets)
        except OSError as error:
            await self.lifespan.shutdown()
            raise explain(error, self._settings.host, self._settings.port) from error
        if self.started:
            self._announce()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: look whether it is time to end."""
        now = time.monotonic()
        if self._health.broken and self.end_by == math.inf:
            self._health.draining = True
            self._close_at, self.code = now, BROKEN
            self.config.timeout_graceful_shutdown = _BROKEN_DRAIN
            self.end_by = now + _BROKEN_DRAIN + _PATIENCE
        if now >= self._close_at:
            self.should_exit = True
        return await super().on_tick(counter)


@contextmanager
def _last_resort(server: _Server) -> Generator[None]:
    """A thread that ends the process when the event loop does not, as when a device's driver hangs."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            if time.monotonic() > server.end_by:
                os._exit(server.code)

    thread = threading.Thread(target=watch, name="clickmask-last-resort", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _config(app: ASGIApp, drain: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=GuardedProtocol,
        lifespan="on",
        ws="none",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=drain,
    )
