"""How busy a lane is: what a piece costs, how much of the time is taken, how often a page may hover."""

from __future__ import annotations

import math
import time

MEMORY = 2.0  # seconds over which the past fades
QUICKEST = 15  # milliseconds between two hovers of one page when nothing else goes on
SLOWEST = 1000  # beyond this a preview is no preview: pages are told to stop


class Load:
    """Exponentially fading sums of a lane's time, by rank. Changed under the lane's lock; reading it needs none."""

    def __init__(self) -> None:
        self._mean: dict[int, float] = {}
        self._busy: dict[int, float] = {}
        self._at = time.monotonic()

    def ran(self, rank: int, seconds: float, pieces: int = 1) -> None:
        """Some pieces of a rank took so many seconds together."""
        each = seconds / pieces
        self._mean[rank] = each if rank not in self._mean else 0.8 * self._mean[rank] + 0.2 * each
        now = time.monotonic()
        fade = math.exp(-(now - self._at) / MEMORY)
        self._busy = {other: busy * fade for other, busy in self._busy.items()}
        self._busy[rank] = self._busy.get(rank, 0.0) + seconds
        self._at = now

    def mean(self, rank: int) -> float:
        """Seconds that a piece of this rank takes, lately; before the first, a guess."""
        return self._mean.get(rank, 0.02)

    def share(self, ranks: tuple[int, ...]) -> float:
        """Of the lane's time lately, what these ranks took: 0 to 1."""
        fade = math.exp(-(time.monotonic() - self._at) / MEMORY)
        return min(1.0, sum(self._busy.get(rank, 0.0) for rank in ranks) * fade / MEMORY)

    def hover_interval(self, pages: int, hover: int, above: tuple[int, ...]) -> int | None:
        """Milliseconds that each of so many hovering pages should leave between two hovers; None: stop for a while.

        What clicks (the ranks `above`) leave of the lane, less a fifth for the rest, is shared among the pages.
        """
        left = max(0.05, 0.8 - self.share(above))
        interval = 1000 * pages * self.mean(hover) / left
        return None if interval > SLOWEST else max(QUICKEST, round(interval))
