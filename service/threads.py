"""Threads that end with their work, for whatever computes beside the thread that must be quick.

Each thread that computes with torch gets helper threads of its own from OpenMP, and keeps them until it ends. Once
there are more of them than processors, GNU's OpenMP puts helpers to sleep after every small step instead of letting
them wait (libgomp: "throttled" spinning), and a click takes 25 ms instead of 15. So there is one lasting thread for a
device (the lane), and everything else that computes, such as loading a model, does it in a thread that is gone
afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_own_thread(function: Callable[[], T], name: str = "clickmask-once") -> Future[T]:
    """Run a function in a thread of its own; its result, or error, comes by the future."""
    future: Future[T] = Future()

    def work() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = function()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=work, name=name, daemon=True).start()
    return future
