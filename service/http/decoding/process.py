"""One decoder process as the server sees it. All here blocks, so it is called from threads; `kill` from anywhere."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from io import RawIOBase
from typing import cast

import numpy as np

from ....models.errors import ImageError
from ...images import Picture
from .protocol import ANSWER_SIZE, LENGTH, LONGEST_TEXT, NO_MEMORY, PICTURE, READY, REFUSED, Answer

Buffer = bytes | bytearray | memoryview


class ProcessLost(Exception):
    """The decoder process ended in the middle of a job, or says what it never should."""


class DecoderProcess:
    """A process that runs worker.py, and the channel to it. What it says is checked like a stranger's words."""

    def __init__(self, max_pixels: int, memory: int) -> None:
        """Start it; it decodes images of up to `max_pixels` pixels within `memory` bytes (Linux only).

        Raises ProcessLost when the system starts none.
        """
        command = [sys.executable, "-P", "-m", f"{__package__}.worker", str(max_pixels), str(memory)]
        try:
            self._process, self._send, self._receive, self._hang_up = _open(command, _environment(max_pixels))
        except OSError as error:
            raise ProcessLost from error
        self._max_pixels = max_pixels
        self.answered = 0

    @property
    def alive(self) -> bool:
        """Whether it still runs, as far as the system knows."""
        return self._process.poll() is None

    def wait_ready(self) -> None:
        """Return once it can decode. Raises ProcessLost when it ended instead."""
        if self._receive_answer().kind != READY:
            raise ProcessLost

    def decode(self, data: Buffer) -> Picture:
        """The picture in the bytes of an image file.

        Raises ImageError for what is none, MemoryError when its pixels need more memory than the process may take,
        and ProcessLost. After the latter two the process is of no more use.
        """
        try:
            self._send(LENGTH.pack(len(data)))
            self._send(data)
        except OSError as error:
            raise ProcessLost from error
        answer = self._receive_answer()
        self.answered += 1
        if answer.kind == PICTURE:
            return self._receive_picture(answer)
        if answer.kind == REFUSED and answer.width <= LONGEST_TEXT:
            raise ImageError(self._receive_exactly(bytearray(answer.width)).decode(errors="replace"))
        raise MemoryError if answer.kind == NO_MEMORY else ProcessLost

    def kill(self) -> None:
        """End it at once, stopped or stuck as it may be; whoever waits for its answer gets ProcessLost."""
        self._process.kill()

    def dismiss(self) -> None:
        """Kill it, wait for its end and give back all that it held; nobody may be waiting for its answer."""
        self.kill()
        self._process.wait()
        self._hang_up()

    def _receive_answer(self) -> Answer:
        return Answer.unpack(self._receive_exactly(bytearray(ANSWER_SIZE)))

    def _receive_picture(self, answer: Answer) -> Picture:
        _, orientation, width, height = answer
        if not 0 < width * height <= self._max_pixels or not 1 <= orientation <= 8:
            raise ProcessLost
        pixels = np.empty((height, width, 3), np.uint8)
        self._receive(pixels.data.cast("B"))
        return Picture(pixels, orientation=orientation)

    def _receive_exactly(self, buffer: bytearray) -> bytearray:
        self._receive(memoryview(buffer))
        return buffer


def _environment(max_pixels: int) -> dict[str, str]:
    """Ours, as a child gets it anyway, and besides what the libraries read there while they are imported."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),  # the very modules that run here
        "OPENCV_IO_MAX_IMAGE_PIXELS": str(max_pixels),  # holds where a file tells OpenCV another size than us
        "OPENCV_LOG_LEVEL": "OFF",
        "OPENBLAS_NUM_THREADS": "1",  # each thread reserves memory, and nothing here multiplies matrices
    }


_Channel = tuple[subprocess.Popen[bytes], Callable[[Buffer], object], Callable[[memoryview], None], Callable[[], None]]


def _open(command: list[str], environment: dict[str, str]) -> _Channel:
    """The process, and how to send to it, to fill a buffer from it, and to hang up."""
    return _open_pipes(command, environment) if sys.platform == "win32" else _open_socket(command, environment)


def _open_socket(command: list[str], environment: dict[str, str]) -> _Channel:
    # Unlike a pipe, a socket fills a buffer of any size in one call, so a reader need not ask the interpreter's lock
    # for every 64 KiB: 36 MB take 10 ms instead of 15, and 25 instead of 61 while another thread is busy.
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = subprocess.Popen(command, env=environment, stdin=theirs.fileno(), stdout=theirs.fileno())
        except OSError:
            ours.close()
            raise
    return process, ours.sendall, partial(_receive_all, ours), ours.close


def _open_pipes(command: list[str], environment: dict[str, str]) -> _Channel:
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    questions, answers = cast(RawIOBase, process.stdin), cast(RawIOBase, process.stdout)
    return process, partial(_write, questions), partial(_read, answers), lambda: _close(questions, answers)


def _receive_all(channel: socket.socket, rest: memoryview) -> None:
    _fill(lambda view: channel.recv_into(view, len(view), socket.MSG_WAITALL), rest)


def _read(answers: RawIOBase, rest: memoryview) -> None:
    _fill(answers.readinto, rest)


def _fill(read: Callable[[memoryview], int | None], rest: memoryview) -> None:
    while rest:
        try:
            count = read(rest)
        except OSError as error:
            raise ProcessLost from error
        if not count:
            raise ProcessLost
        rest = rest[count:]


def _write(questions: RawIOBase, data: Buffer) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[questions.write(rest) or 0 :]


def _close(*pipes: RawIOBase) -> None:
    for pipe in pipes:
        pipe.close()
