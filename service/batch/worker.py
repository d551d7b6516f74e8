"""A process that does photos for a `fleet`: a segmenter of its own, jobs from a pipe, records back through it.

Should the pipe end (the parent was killed), the process ends at once: what it was at is done again by the next run.
"""

from __future__ import annotations

import _thread
import os
import queue
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from ...models.device_errors import is_device_error
from ...models.errors import ClickmaskError
from .hands import Here
from .messages import Broken, Finish, Ready, Refused, Stop
from .plan import Job
from .reading import Read, read
from .task import Task

if TYPE_CHECKING:
    from ..segmenter import Segmenter

_BROKEN = 70  # the exit code after a device error


def serve(connection: Connection, open_segmenter: Callable[[], Segmenter]) -> None:
    """Do the jobs that come through the pipe, until `Finish` or `Stop`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and says what to do
    signal.signal(signal.SIGTERM, _stop)
    inbox = _Inbox(connection)
    try:
        hands = Here(open_segmenter())
        connection.send(Ready(hands.provenance, hands.together))
        inbox.work(hands)
    except ClickmaskError as error:
        connection.send(Refused(error))
    except (_Stopped, EOFError):
        return
    except Exception as error:
        if not is_device_error(error):
            raise
        connection.send(Broken(str(error).splitlines()[0]))
        os._exit(_BROKEN)  # nothing that a device takes part in can be trusted to end by itself


class _Stopped(BaseException):
    """Asked to stop."""


def _stop(number: int, frame: object) -> None:
    raise _Stopped


class _Inbox:
    """What comes through the pipe. A photo is decoded from the moment its job comes: there are never many."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: queue.Queue[tuple[Job, Future[Read]] | None] = queue.Queue()
        self._is_over = False

    def work(self, hands: Here) -> None:
        """Until there is no more. Raises _Stopped when asked to stop."""
        task = self._connection.recv()
        if not isinstance(task, Task):  # there is nothing to do
            return
        pool = ThreadPoolExecutor(hands.threads, thread_name_prefix="clickmask-read")
        threading.Thread(target=self._listen, args=(task, pool), name="clickmask-inbox", daemon=True).start()
        hands.work_off(task, self, self._connection.send)

    def _listen(self, task: Task, pool: ThreadPoolExecutor) -> None:
        try:
            while True:
                message = self._connection.recv()
                if isinstance(message, Stop):
                    _thread.interrupt_main(signal.SIGTERM)
                elif isinstance(message, Finish):
                    self._waiting.put(None)
                else:
                    job, asks = message
                    self._waiting.put((job, pool.submit(read, job, asks, task.out, is_fast=task.is_fast)))
        except (EOFError, OSError):
            os._exit(1)

    def take(self, most: int) -> list[tuple[Job, Read]]:
        """The next photo, and those that wait behind it, up to `most`."""
        found: list[tuple[Job, Future[Read]]] = []
        while not self._is_over and len(found) < most:
            try:
                entry = self._waiting.get(block=not found)
            except queue.Empty:
                break
            if entry is None:
                self._is_over = True
            else:
                found.append(entry)
        return [(job, future.result()) for job, future in found]

    def close(self) -> None:
        """Nothing is begun that was not asked for."""
