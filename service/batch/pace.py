"""How quickly a run gets on: since it began, and lately."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

MINUTE = 60.0
_LATELY = 600.0  # seconds by which the time left is told: long enough for photos that take a while
_STEP = 1.0  # seconds between two marks
_FEW, _SHORT = 3, 3.0  # photos and seconds


class Pace:
    """Photos a second. At most one mark a second is kept, of the last ten minutes.

    Used by the writing thread alone, and before and after it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._count = 0
        self.start()

    def start(self) -> None:
        """The work begins now; what went before, such as loading a model, does not count."""
        self._started = self._clock()
        self._first: float | None = None
        self._last = self._started
        self._marks: deque[tuple[float, int]] = deque([(self._started, 0)])

    def step(self) -> None:
        """A photo is done with."""
        self._last = now = self._clock()
        self._count += 1
        if self._first is None:
            self._first = now
        if now - self._marks[-1][0] >= _STEP:
            self._marks.append((now, self._count))
        while len(self._marks) > 2 and self._marks[1][0] <= now - _LATELY:
            self._marks.popleft()

    @property
    def count(self) -> int:
        """Photos done with in this run."""
        return self._count

    @property
    def is_settled(self) -> bool:
        """Whether a rate says something yet: a first photo that cannot be read takes no time."""
        return self._count >= _FEW and self._clock() - self._started >= _SHORT

    @property
    def rate(self) -> float:
        """Since the work began."""
        return self._count / max(self._clock() - self._started, 1e-9)

    @property
    def steady_rate(self) -> float | None:
        """From the first photo on, whose time is that of warming up; None before the second."""
        if self._first is None or self._count < 2 or self._last <= self._first:
            return None
        return (self._count - 1) / (self._last - self._first)

    def lately(self, seconds: float = _LATELY) -> float:
        """Over the last so many seconds, up to ten minutes, or since the work began where that is less."""
        now = self._clock()
        mark = next((mark for mark in reversed(self._marks) if mark[0] <= now - seconds), self._marks[0])
        return (self._count - mark[1]) / max(now - mark[0], 1e-9)
