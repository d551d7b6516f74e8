"""The lane: one thread to a device, and the order in which callers' work goes through it.

Clicks go before hovers, hovers before opening images, opening before prefetching, and all of them before long jobs.
Between callers of one rank the lane's time is shared evenly (start-time fair queuing: Goyal, Vin and Cheng, "Start-time
Fair Queuing", SIGCOMM 1996). Work is never interrupted, so whoever has much of it hands it in as small pieces. What
waited too long goes next whatever its rank, within a quarter of the lane's time: nothing starves.
"""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from .load import Load


class Rank(IntEnum):
    """What goes first."""

    CLICK = 0
    HOVER = 1
    OPEN = 2
    PREFETCH = 3
    LONG = 4


PATIENCE = {Rank.OPEN: 1.0, Rank.PREFETCH: 10.0, Rank.LONG: 2.0}  # seconds; others wait as long as it takes
OVERDUE_SHARE = 0.25  # of the lane's time, for what lost its patience
MOST_CREDIT = 0.5  # seconds saved up for it at most

# Runs pieces of one kind together, in the lane's thread; for each a value, or the exception it came to.
Run = Callable[[Hashable, Sequence[Any]], Sequence[Any]]
# Told, in the lane's thread, that pieces of a kind ran together: seconds each had waited, and seconds it took.
Watch = Callable[[Hashable, Sequence[float], float], None]


@dataclass(eq=False)
class Done:
    """A piece's value, and how long it waited and ran, in seconds."""

    value: Any
    waited: float
    ran: float


@dataclass(eq=False)
class _Piece:
    rank: Rank
    caller: str
    kind: Hashable
    work: Any
    future: asyncio.Future[Done]
    loop: asyncio.AbstractEventLoop
    queued: float


@dataclass(eq=False)
class _Queue:
    """The pieces of one rank: a line for each caller, and what each has had of the lane.

    Each rank counts by itself. One clock for all would run ahead with a caller that another rank gives more than a fair
    share (its uploads are overdue, say), and everybody who clicks would lose what is still owed to him.

    used: caller -> its virtual finish: lane seconds used, as others count them. clock: virtual start of what was served
    last.
    """

    lines: dict[str, deque[_Piece]] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)
    clock: float = 0.0

    def add(self, piece: _Piece) -> None:
        self.lines.setdefault(piece.caller, deque()).append(piece)

    def take(self, line: deque[_Piece]) -> _Piece:
        piece = line.popleft()
        if not line:
            del self.lines[piece.caller]
        return piece

    def take_first(self) -> _Piece:
        """Take the first piece of the caller who had least."""
        caller = min(self.lines, key=self.start)
        self.clock = self.start(caller)
        return self.take(self.lines[caller])

    def start(self, caller: str) -> float:
        """The virtual start of a caller's next piece."""
        return max(self.used.get(caller, 0.0), self.clock)

    def charge(self, caller: str, seconds: float) -> None:
        """A piece of a caller's took so long."""
        self.used[caller] = self.start(caller) + seconds

    def settle(self) -> None:
        """Forget who is owed nothing: those who had no more than whoever comes now, and all when nobody waits."""
        self.used = {caller: used for caller, used in self.used.items() if used > self.clock} if self.lines else {}

    def remove(self, piece: _Piece) -> None:
        """Take a piece out of its line, if it still waits."""
        line = self.lines.get(piece.caller, deque())
        if piece in line:
            line.remove(piece)
            if not line:
                del self.lines[piece.caller]


class Lane:
    """A queue of pieces of work and the thread that does them.

    Args:
        run: does some pieces of one kind.
        together: how many pieces of a kind may be run at once (1: one at a time, as on a CPU).
        watch: for whoever counts.
        name: of the thread.
    """

    def __init__(
        self,
        run: Run,
        together: Callable[[Hashable], int] = lambda kind: 1,
        watch: Watch = lambda kind, waits, seconds: None,
        name: str = "lane",
    ) -> None:
        self._run, self._together, self._watch = run, together, watch
        self._queues = {rank: _Queue() for rank in Rank}
        self._wake = threading.Condition()
        self._credit = 0.0  # seconds for what lost its patience
        self._late = False  # whether what runs now had lost it
        self.closed = False
        self.load = Load()
        self.running_since: float | None = None
        self._thread = threading.Thread(target=self._serve, name=f"clickmask-{name}", daemon=True)
        self._thread.start()

    def submit(self, rank: Rank, caller: str, kind: Hashable, work: Any) -> asyncio.Future[Done]:
        """Queue a piece of work, from the event loop. Cancelling the future drops it, if it has not begun."""
        loop = asyncio.get_running_loop()
        piece = _Piece(rank, caller, kind, work, loop.create_future(), loop, time.monotonic())
        piece.future.add_done_callback(lambda future: self._forget(piece, future))
        with self._wake:
            if self.closed:
                raise RuntimeError("the lane is closed")
            self._queues[rank].add(piece)
            self._wake.notify()
        return piece.future

    def promote(self, future: asyncio.Future[Done], rank: Rank) -> None:
        """Move a piece that still waits to a higher rank: somebody needs it sooner than was thought."""
        with self._wake:
            for lower in (other for other in Rank if other > rank):
                for line in self._queues[lower].lines.values():
                    piece = next((piece for piece in line if piece.future is future), None)
                    if piece is not None:
                        self._queues[lower].remove(piece)
                        piece.rank = rank
                        self._queues[rank].add(piece)
                        return

    def drop(self, future: asyncio.Future[Done]) -> None:
        """Cancel a piece that still waits; one that has begun goes on: its answer costs nothing more."""
        with self._wake:
            lines = [line for queue in self._queues.values() for line in queue.lines.values()]
            is_waiting = any(piece.future is future for line in lines for piece in line)
        if is_waiting:
            future.cancel()

    def waiting(self) -> int:
        """Pieces not begun."""
        with self._wake:
            return sum(len(line) for queue in self._queues.values() for line in queue.lines.values())

    def close(self) -> None:
        """Finish the piece that runs, cancel the rest, and end the thread."""
        with self._wake:
            self.closed = True
            self._wake.notify()
        self._thread.join()

    def _forget(self, piece: _Piece, future: asyncio.Future[Done]) -> None:
        if future.cancelled():
            with self._wake:
                self._queues[piece.rank].remove(piece)

    def _serve(self) -> None:
        while True:
            with self._wake:
                while not self.closed and not (pieces := self._next()):
                    self._wake.wait()
                if self.closed:
                    self._cancel_rest()
                    return
                self.running_since = started = time.monotonic()
            values = self._values(pieces)
            self._finish(pieces, values, started)
            del pieces, values  # what was asked and answered is not kept while the lane is idle

    def _finish(self, pieces: list[_Piece], values: Sequence[Any], started: float) -> None:
        ran = time.monotonic() - started
        for value in values:
            if isinstance(value, Exception):
                _lighten(value)
        with self._wake:
            self.running_since = None
            self._account(pieces, ran)
        waits = [started - piece.queued for piece in pieces]
        self._watch(pieces[0].kind, waits, ran)
        for piece, value, waited in zip(pieces, values, waits, strict=True):
            _settle(piece, value, waited, ran)

    def _values(self, pieces: list[_Piece]) -> Sequence[Any]:
        try:
            values = self._run(pieces[0].kind, [piece.work for piece in pieces])
            if len(values) != len(pieces):
                raise RuntimeError(f"expected {len(pieces)} values of {pieces[0].kind!r}, got {len(values)}")
            return values
        except Exception as error:  # whatever it is, it belongs to those who asked
            return [error] * len(pieces)

    def _account(self, pieces: list[_Piece], ran: float) -> None:
        queue = self._queues[pieces[0].rank]
        for piece in pieces:
            queue.charge(piece.caller, ran / len(pieces))
        queue.settle()
        self._credit = self._credit - ran if self._late else min(MOST_CREDIT, self._credit + ran * _EARNED)
        self.load.ran(pieces[0].rank, ran, len(pieces))

    def _next(self) -> list[_Piece]:
        """The pieces to run now: the first, and others of its rank and kind that may go with it."""
        overdue = self._overdue()
        queue = overdue or next((queue for queue in self._queues.values() if queue.lines), None)
        if queue is None:
            return []
        first = queue.take_first()
        pieces = [first]
        while len(pieces) < self._together(first.kind) and (more := self._alike(queue, first.kind)):
            pieces.append(queue.take(more))
        self._late = overdue is not None
        return pieces

    def _alike(self, queue: _Queue, kind: Hashable) -> deque[_Piece] | None:
        alike = [line for line in queue.lines.values() if line[0].kind == kind]
        return min(alike, key=lambda line: queue.start(line[0].caller), default=None)

    def _overdue(self) -> _Queue | None:
        """The queue whose oldest piece waited longest over its patience, if there is lane time left for such."""
        if self._credit < 0:
            return None
        now, longest, found = time.monotonic(), 0.0, None
        for rank, patience in PATIENCE.items():
            for line in self._queues[rank].lines.values():
                over = now - line[0].queued - patience
                if over > longest:
                    longest, found = over, self._queues[rank]
        return found

    def _cancel_rest(self) -> None:
        for queue in self._queues.values():
            for line in queue.lines.values():
                for piece in line:
                    _tell(piece, piece.future.cancel)
            queue.lines.clear()


_EARNED = OVERDUE_SHARE / (1 - OVERDUE_SHARE)


def _settle(piece: _Piece, value: Any, waited: float, ran: float) -> None:
    def set_result() -> None:
        if piece.future.done():  # nobody waits for it any more
            return
        if isinstance(value, Exception):
            piece.future.set_exception(value)
        else:
            piece.future.set_result(Done(value, waited, ran))

    _tell(piece, set_result)


def _tell(piece: _Piece, what: Callable[[], object]) -> None:
    if not piece.loop.is_closed():
        piece.loop.call_soon_threadsafe(what)


def _lighten(error: BaseException) -> None:
    """Free what the functions an error went through held (pictures, tensors); where it came from can still be read."""
    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__
