"""A value that is made when it is first asked for, once, whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Holds it for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value: T | None = None

    def get(self, make: Callable[[], T]) -> T:
        """The value; threads that ask while it is being made wait for it."""
        with self._lock:
            if self._value is None:
                self._value = make()
            return self._value

    def forget(self) -> None:
        """Make it anew the next time."""
        with self._lock:
            self._value = None
