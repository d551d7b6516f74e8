"""Threads that decode: one to a core, each computing alone.

torch spreads every operator over its threads and has them wait for each other after each. A decoder has hundreds of
small operators, so this gains little, and where another program holds one of the cores it loses everything: the others
spin until the one that was put aside is back (a click of 16 ms was seen to take 800). Here a decode is one job of one
thread, cut by itself into parts (`spread`) that any idle thread may take. A thread that comes late finds its part done
already, and what is computed does not depend on who computed it, nor on how many there are.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

import torch

R = TypeVar("R")

LONGEST_END = 10.0  # seconds that a program waits at its end for what a thread does


class Crew:
    """So many threads that compute, without gradients.

    A crew of one computes in whichever thread asks: torch uses one there too.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()  # None: the end
        self._lock, self._threads = threading.Lock(), list[threading.Thread]()
        self._spare = size  # threads without a job of their own, less jobs that wait for one
        for number in range(size if size > 1 else 0):
            is_ready = threading.Event()
            name = f"clickmask-crew-{number}"
            thread = threading.Thread(target=self._serve, args=(is_ready,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
            is_ready.wait()

    def map(self, function: Callable[..., R], *columns: Sequence[Any]) -> list[R]:
        """function(*row) for each row of the columns, each a job; called within a job, one after the other.

        Raises what the first of them raised, once all have ended.
        """
        rows = list(zip(*columns, strict=True))
        if self.size == 1 or _here.__dict__.get("crew") is self:
            with torch.inference_mode():
                return [function(*row) for row in rows]
        futures: list[Future[R]] = [Future() for _ in rows]
        self._reserve(len(rows))
        for future, row in zip(futures, rows, strict=True):
            self._jobs.put(partial(self._do, future, function, row))
        errors = [future.exception() for future in futures]
        for error in errors:
            if error is not None:
                raise error
        return [future.result() for future in futures]

    def spread(self, function: Callable[..., R], *columns: Sequence[Any]) -> list[R]:
        """function(*row) for each row of the columns, from within a job, with the help of threads that are idle."""
        rows = list(zip(*columns, strict=True))
        helpers = min(self._spare, len(rows) - 1) if self.size > 1 else 0
        if helpers < 1:
            return [function(*row) for row in rows]
        parts = _Parts(function, rows)
        for _ in range(helpers):
            self._jobs.put(parts.work)
        parts.work()
        return parts.wait()

    def end(self) -> None:
        """Have the threads finish what they do, and wait for them."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(LONGEST_END)

    def _do(self, future: Future[R], function: Callable[..., R], row: tuple[Any, ...]) -> None:
        try:
            _fulfil(future, function, row)
        finally:
            self._reserve(-1)

    def _reserve(self, count: int) -> None:
        with self._lock:
            self._spare -= count

    def _serve(self, is_ready: threading.Event) -> None:
        _compute_alone(self.size)
        _here.crew = self
        is_ready.set()
        with torch.inference_mode():
            while True:
                job = self._jobs.get()
                if job is None:
                    return
                job()
                del job  # what it held is not kept while nothing happens


class _Parts:
    """Rows that several threads take one by one."""

    def __init__(self, function: Callable[..., Any], rows: list[tuple[Any, ...]]) -> None:
        self._function, self._rows = function, rows
        self._numbers = iter(range(len(rows)))  # the next one is taken in one step
        self._futures: list[Future[Any]] = [Future() for _ in rows]

    def work(self) -> None:
        """Do what is left."""
        for number in self._numbers:
            _fulfil(self._futures[number], self._function, self._rows[number])

    def wait(self) -> list[Any]:
        """All values in order, once whoever took a part has done it; raises what a part raised."""
        return [future.result() for future in self._futures]


def _fulfil(future: Future[R], function: Callable[..., R], row: tuple[Any, ...]) -> None:
    try:
        value = function(*row)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(value)


def _compute_alone(others: int) -> None:
    """Have torch use this thread alone here, and as many as before everywhere else.

    torch keeps that number for each thread, and one for threads to come; it sets both at once. So the second is put
    back, by a thread that ends with it. A thread of somebody else's that first computes in that moment keeps a 1.
    """
    torch.get_num_threads()  # a thread's first question sets its number: not after ours
    torch.set_num_threads(1)
    restoring = threading.Thread(target=torch.set_num_threads, args=(others,))
    restoring.start()
    restoring.join()


class _Crews:
    """The process's crews, by size."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: a forked process has none of the threads."""
        self._lock = threading.Lock()
        self._crews: dict[int, Crew] = {}

    def end(self) -> None:
        """At the end of the program: a thread that is still in torch when Python goes takes the process down."""
        for one in self._crews.values():
            one.end()

    def here(self) -> Crew:
        """The one as large as torch's threads in the calling thread, made when it is first asked for."""
        with self._lock:  # the question too: see `_compute_alone`
            size = torch.get_num_threads()
            if size not in self._crews:
                self._crews[size] = Crew(size)
            return self._crews[size]


_here = threading.local()  # crew: the one whose thread this is
_crews = _Crews()
atexit.register(_crews.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_crews.forget)


def crew() -> Crew:
    """The crew whose job the calling thread does, or else the process's of as many threads as torch uses here."""
    own: Crew | None = _here.__dict__.get("crew")
    return own or _crews.here()
