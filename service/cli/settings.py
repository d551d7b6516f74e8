"""Which model, and how it runs: the options that every command with a model shares."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from ...models.errors import UnknownVariantError
from ...models.variants import get_variant

if TYPE_CHECKING:
    from ...models.transfer import Progress
    from ..segmenter import Segmenter

Precision = Literal["auto", "float32", "bfloat16", "float16"]
Fit = Literal["auto", "square", "rectangle"]
Refine = Literal["auto", "off", "clicks", "edges", "views"]


@dataclass(frozen=True)
class Settings:
    """The arguments of `Segmenter`, of which the command line knows these."""

    model: str
    device: str
    precision: Precision
    fit: Fit
    refine: Refine
    cache_dir: Path | None
    graphs: bool = False

    def segmenter(self, progress: Progress | None) -> Segmenter:
        """The model, ready. Raises SettingsError or WeightsError."""
        with _quick_import():
            from ..segmenter import Segmenter

        return Segmenter(
            self.model,
            device=self.device,
            precision=self.precision,
            fit=self.fit,
            refine=self.refine,
            graphs=self.graphs,
            cache_dir=self.cache_dir,
            progress=progress,
        )


@contextmanager
def _quick_import() -> Generator[None]:
    """Keep the collector from looking, during the import and again at exit, at objects that stay anyway.

    With torch 2.14 that is half a second of two (one AMD EPYC, 2 cores).
    """
    if "torch" in sys.modules:  # nothing to import: what there is now is garbage in its time
        yield
        return
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def parse_model(text: str) -> str:
    """A name or a file, of which a name can be checked at once. Raises BadParameter, which names the option."""
    is_file = "/" in text or "\\" in text or Path(text).suffix or os.path.exists(text)
    if not is_file:
        try:
            get_variant(text)
        except UnknownVariantError as error:
            raise typer.BadParameter(str(error)) from error
    return text


def parse_device(text: str) -> str:
    """Whether this machine has it is seen later, with torch. Raises BadParameter, which names the option."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise typer.BadParameter(f"{text!r} is not a device: use auto, cpu, cuda, cuda:1 or mps")
    return text
