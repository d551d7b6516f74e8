"""How long one verb may take, and how long to wait before asking again."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_FIRST, _LONGEST = 0.05, 2.0  # seconds between attempts when nobody says how long to wait
_SPREAD = 0.1  # of the wait, on top: clients that were refused together do not come back together


@dataclass(frozen=True)
class Deadline:
    """When it is too late, `seconds` from its making on."""

    seconds: float
    end: float = field(init=False)

    def __post_init__(self) -> None:
        """Start the clock."""
        object.__setattr__(self, "end", time.monotonic() + self.seconds)

    def left(self) -> float:
        """Seconds left; below 0 when it is too late."""
        return self.end - time.monotonic()


def pause(attempt: int, retry_after: str | None) -> float:
    """Seconds before attempt `attempt` (the first is 0) is repeated: longer each time, and as the server says at least.

    Not sooner than by ourselves: "0", or a date of a clock that is behind, would have us knock without a pause.
    """
    wait = max(min(_FIRST * 2**attempt, _LONGEST), _told(retry_after) or 0.0)
    return wait * (1 + random.uniform(0, _SPREAD))


def _told(retry_after: str | None) -> float | None:
    """Seconds from a `Retry-After` header: a number, or a date as proxies send it; None for anything else."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.strip().isdigit():
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
