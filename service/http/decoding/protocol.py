"""What server and decoder process say to each other, byte by byte: no pickle, so neither can make the other run code.

Server: a `LENGTH`, then that many bytes of an image file. Decoder: an `ANSWER`, then, after PICTURE, height x width x 3
bytes of RGB pixels, or, after REFUSED, `width` bytes of UTF-8 text. The first answer, before any question, is READY.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

LENGTH = struct.Struct("<Q")
_ANSWER = struct.Struct("<BBII")
ANSWER_SIZE = _ANSWER.size
LONGEST_TEXT = 4096  # bytes

READY, PICTURE, REFUSED, NO_MEMORY = range(4)


class Answer(NamedTuple):
    """The head of an answer. All fields belong to PICTURE; of REFUSED, width is the text's length."""

    kind: int
    orientation: int = 1
    width: int = 0
    height: int = 0

    def pack(self) -> bytes:
        """The bytes that stand for it."""
        return _ANSWER.pack(*self)

    @classmethod
    def unpack(cls, data: bytes | bytearray) -> Answer:
        """The answer that `ANSWER_SIZE` bytes stand for."""
        return cls(*_ANSWER.unpack(data))
