"""Once more, after a pause, where a network or a service may only have had a bad moment."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable
from typing import TypeVar

TRIES = 5
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds; each pause is twice the one before, give or take a half
_LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)
_LASTING_NUMBERS = {errno.EINVAL, errno.ENAMETOOLONG, errno.EPERM, errno.EACCES, errno.ENOENT, errno.ENOSYS}
_PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}
# Of libraries that need not be installed, and do not derive these from OSError.
_PASSING_NAMES = ("Timeout", "Connection", "Connect", "Disconnected", "Payload", "IncompleteRead", "Throttl")

Result = TypeVar("Result")


def retried(call: Callable[[], Result]) -> Result:
    """What `call` returns, at the fifth try at the latest. It raises what `call` raises then, or what will not pass."""
    for attempt in range(TRIES - 1):
        try:
            return call()
        except Exception as error:
            if not is_passing(error):
                raise
        pause = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE)
        time.sleep(pause * random.uniform(0.5, 1.5))
    return call()


def is_passing(error: Exception) -> bool:
    """Whether the same call may succeed in a moment: time-outs, broken connections, services that ask to slow down."""
    status = _status(error)
    if status is not None:
        return status in _PASSING_STATUS
    if isinstance(error, OSError):
        return not isinstance(error, _LASTING) and error.errno not in _LASTING_NUMBERS
    return any(word in kind.__name__ for kind in type(error).__mro__ for word in _PASSING_NAMES)


def _status(error: Exception) -> int | None:
    """The HTTP status that cloud libraries note on their errors."""
    for name in ("status_code", "status", "code"):
        value = getattr(error, name, None)
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return None
