"""A decoder process: image files in on standard input, pixels out on what was standard output.

    python -m clickmask.service.http.decoding.worker MAX_PIXELS MEMORY

It holds nothing between images and is ended by being killed. On Linux it may take MEMORY bytes besides what it needs
to run, writes no files, leaves no core and dies with the server; on other systems only the server's time limit holds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import BinaryIO

import cv2

from ....models.errors import ImageError
from ...images import Picture, read_picture
from .protocol import LENGTH, LONGEST_TEXT, NO_MEMORY, PICTURE, READY, REFUSED, Answer

_OPEN_FILES = 16
_PR_SET_PDEATHSIG = 1


def main(max_pixels: int, memory: int) -> None:
    """Decode until standard input ends."""
    # Ctrl-C and a service manager's SIGTERM reach the whole group, but what the server admitted is still to be decoded.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    cv2.setNumThreads(1)
    questions, answers = sys.stdin.buffer, _take_output()
    if sys.platform == "linux":
        _fence(memory)
    _send(answers, Answer(READY).pack())
    while len(head := questions.read(LENGTH.size)) == LENGTH.size:
        (length,) = LENGTH.unpack(head)
        _answer(questions, length, answers, max_pixels)


def _take_output() -> BinaryIO:
    """Standard output for ourselves: what image libraries print there, or complain, goes nowhere."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return answers


def _fence(memory: int) -> None:
    import resource  # not on Windows

    with open("/proc/self/statm", "rb") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    limits = {"RLIMIT_AS": taken + memory, "RLIMIT_CORE": 0, "RLIMIT_FSIZE": 0, "RLIMIT_NOFILE": _OPEN_FILES}
    for name, limit in limits.items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _answer(questions: BinaryIO, length: int, answers: BinaryIO, max_pixels: int) -> None:
    try:
        picture = read_picture(questions.read(length), max_pixels=max_pixels)
    except ImageError as error:
        text = str(error).encode()[:LONGEST_TEXT]
        _send(answers, Answer(REFUSED, width=len(text)).pack() + text)
    except MemoryError:
        _send(answers, Answer(NO_MEMORY).pack())
        sys.exit()  # C code that ran out of memory may have left anything behind
    else:
        _send_picture(answers, picture)


def _send_picture(answers: BinaryIO, picture: Picture) -> None:
    _send(answers, Answer(PICTURE, picture.orientation, *picture.size).pack())
    _send(answers, picture.pixels.data.cast("B"))


def _send(answers: BinaryIO, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[answers.write(rest) :]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
