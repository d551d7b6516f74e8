"""A worker as its parent sees it: a process, a pipe, and what it was given to do."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from ...models.errors import StoppedError
from .journal import Record
from .messages import Broken, Finish, Ready, Refused, Stop
from .task import Errand, Task

if TYPE_CHECKING:
    from ..segmenter import Segmenter

OpenSegmenter = Callable[[], "Segmenter"]

_AHEAD = 5  # jobs that a process has: the one it is at, those decoded ahead, those being written


class WorkerProcess:
    """A process. errands: what it was given and has not done, in order. alone: the one errand is a suspect."""

    def __init__(self, opener: OpenSegmenter) -> None:
        self._opener = opener
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # what was forked with threads, or a GPU, is never sound
        self.connection, far = context.Pipe()
        self._process = context.Process(target=_run, args=(far, self._opener), name="clickmask-worker", daemon=True)
        with _deaf_to_interrupts():
            self._process.start()
        far.close()
        self.errands: dict[str, Errand] = {}
        self.alone = False
        self.heard_at = time.monotonic()
        self._ready: Ready | None = None
        self._cause = ""

    @property
    def sentinel(self) -> int:
        """Something to wait for the process's end by."""
        return self._process.sentinel

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    @property
    def is_ready(self) -> bool:
        """Whether its model is loaded."""
        return self._ready is not None

    @property
    def has_room(self) -> bool:
        """Whether it may be given more."""
        together = 1 if self._ready is None else self._ready.together
        return len(self.errands) < _AHEAD * together

    @property
    def cause(self) -> str:
        """Of its death, in words that follow "it"."""
        if self._cause:
            return self._cause
        self._process.join()
        code = self._process.exitcode or 0
        if code >= 0:
            return f"ended (exit code {code})"
        with suppress(ValueError):
            return f"died ({signal.Signals(-code).name})"
        return f"died (signal {-code})"

    def ready(self) -> Ready:
        """Wait until its model is loaded. Raises what kept it from being loaded, or StoppedError when it died."""
        while self._ready is None:
            self.connection.poll(None)
            if next(self.records(), None) is None and self._ready is None and not self.is_alive:
                raise StoppedError(f"the process that was to load the model {self.cause}")
        return self._ready

    def give(self, errand: Errand, *, alone: bool = False) -> None:
        """One more photo."""
        self.alone = alone
        if not self.errands:
            self.heard_at = time.monotonic()
        self.errands[errand[0].source.name] = errand
        self.send(errand)

    def send(self, message: Task | Errand | Finish | Stop) -> None:
        """To a process that has died, nothing is sent: that is seen soon enough."""
        with suppress(OSError):
            self.connection.send(message)

    def records(self) -> Iterator[Record]:
        """What has come since. Raises what made the process give up."""
        try:
            while self.connection.poll():
                message = self.connection.recv()
                self.heard_at = time.monotonic()
                if isinstance(message, Record):
                    self.errands.pop(message.name, None)
                    self.alone = self.alone and bool(self.errands)
                    yield message
                elif isinstance(message, Ready):
                    self._ready = message
                elif isinstance(message, Refused):
                    raise message.error
                elif isinstance(message, Broken):
                    self._cause = f"lost its device ({message.reason})"
        except (EOFError, ConnectionError):
            self._process.join()

    def kill(self, cause: str) -> None:
        """End it, because it `cause`."""
        self._cause = cause
        self._process.kill()
        self._process.join()

    def restart(self, task: Task) -> None:
        """A new process, with nothing to do yet."""
        self.connection.close()
        self._start()
        self.send(task)

    def join(self, seconds: float) -> None:
        """Wait for its end, but not for long."""
        self._process.join(max(0.0, seconds))
        if self._process.is_alive():
            self.kill("was stopped")

    def close(self, seconds: float) -> None:
        """End it: a process that has nothing to do any more does so by itself."""
        if not self._ready:
            self._process.kill()
        self.join(seconds)
        self.connection.close()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A process that is started meanwhile never sees a terminal's Ctrl-C, which goes to all: its parent tells it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(connection: Connection, opener: OpenSegmenter) -> None:
    from .worker import serve

    serve(connection, opener)
