"""Questions that harm the process in which they are asked; imported by that process, hence a module of its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clickmask import OpenImage, Segmenter
from clickmask.service.batch.questions import Answer, Asks, Whole


def open_segmenter() -> Segmenter:
    """As the tests' own."""
    return Segmenter(device="cpu", precision="float32", fit="rectangle", refine="off")


def open_at_second_try(mark: str) -> Segmenter:
    """The first process that is to, dies."""
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return open_segmenter()


def open_never() -> Segmenter:
    """Every process that is to, dies."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def open_unknown() -> Segmenter:
    """There is none."""
    return Segmenter(device="cpu", precision="float32", fit="round")


@dataclass(frozen=True)
class Harmful(Whole):
    """A click on the middle, but for some photos, by name: what becomes of the process that asks it of them."""

    harm: Mapping[str, str] = field(default_factory=dict)

    def ask(self, name: str, image: OpenImage) -> list[Answer]:
        """The mask, or the harm."""
        match (self.harm.get(name) or self.harm.get("*") or "").split():
            case ["crash"]:
                os.kill(os.getpid(), signal.SIGSEGV)
            case ["hang"]:
                time.sleep(600)
            case ["parent", mark]:
                if not Path(mark).exists():
                    Path(mark).touch()
                    os.kill(os.getppid(), signal.SIGKILL)
                    time.sleep(600)
            case ["break"]:
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return super().ask(name, image)

    def part(self, name: str) -> Asks:
        """All of it."""
        return self

    def describe(self) -> dict[str, Any]:
        """That of a harmless one."""
        return Whole(self.kind).describe()
