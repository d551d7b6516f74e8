"""Values that are made when they are first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class kept_property(Generic[T]):
    """`functools.cached_property` as Python 3.12 has it: that of 3.11 holds a lock which all instances share, so that
    threads wait for one another. Two threads that ask at once may both make the value.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make, self.__doc__ = make, make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> T | Self:
        """The value, from the instance's own dictionary once it is made: this is not called then any more."""
        if instance is None:
            return self
        value = self._make(instance)
        vars(instance)[self._name] = value
        return value


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
