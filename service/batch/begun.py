"""Photos whose files a run has begun to write: what a killed run leaves of them is found, and goes.

Before a photo's files are written a line in the journal says so; the photo's record, after them, ends it. A run that
was killed between leaves files that no record knows. They would stay for ever where the photo is gone by then, or has
fewer objects. So the next run deletes them, and says that too, before it does anything else.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..formats import FORMATS

if TYPE_CHECKING:
    from .outlet import Outlet

_BEGUN, _BASE, _CLEARED = b'{"begun":"', b'","base":', b'{"cleared":'
_LOOSE = tuple(name for name in FORMATS if FORMATS[name].folder is None and name != "coco")  # coco's are no loose files
_IN_FOLDERS = re.compile(r"\d+\.png|metadata\.csv")  # of amg


@dataclass(frozen=True)
class Begun:
    """A photo by its relative name, where its files go, and the files that an earlier record of it names."""

    name: str
    base: str
    outputs: tuple[str, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    def line(self) -> bytes:
        """As a line of the journal."""
        values = {"begun": self.name, "base": self.base, "outputs": self.outputs, "token": self.token}
        return json.dumps(values, separators=(",", ":")).encode() + b"\n"

    def cleared(self) -> bytes:
        """The line that says that nothing is left of it."""
        return json.dumps({"cleared": self.token}, separators=(",", ":")).encode() + b"\n"


class Beginnings:
    """What was begun and neither ended nor cleared, from the lines of journals; names are as they stand in a line."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, bytes], bytes] = {}
        self._cleared: set[str] = set()

    def take(self, journal: int, line: bytes) -> None:
        """Look at a line of the journal of that number, which may be for others to read."""
        if line.startswith(_BEGUN) and line.endswith(b"}\n"):
            self._open[journal, line[len(_BEGUN) : line.find(_BASE, len(_BEGUN))]] = line
        elif line.startswith(_CLEARED):
            with suppress(ValueError):  # cut short by a crash: it is cleared once more
                self._cleared.add(str(json.loads(line)["cleared"]))

    def end(self, journal: int, name: bytes) -> None:
        """There is a record about it, further down in the same journal."""
        self._open.pop((journal, name), None)

    def left(self) -> list[Begun]:
        """Those that are still open."""
        found = (_parse(line) for line in self._open.values())
        return [begun for begun in found if begun is not None and begun.token not in self._cleared]


def _parse(line: bytes) -> Begun | None:
    try:
        values = json.loads(line)
        return Begun(str(values["begun"]), str(values["base"]), tuple(map(str, values["outputs"])), values["token"])
    except (ValueError, TypeError, KeyError):
        return None


def leftovers(out: Outlet, base: str) -> Iterator[str]:
    """Paths in the output folder of what lies there by the names of a photo's files, in any format."""
    folder, _, stem = base.rpartition("/")
    names = re.compile("|".join(_patterns(stem)))
    for name in out.names(folder):
        if names.fullmatch(name):
            yield f"{folder}/{name}" if folder else name
    yield from (f"{base}/{name}" for name in out.names(base) if _IN_FOLDERS.fullmatch(name))


def _patterns(stem: str) -> Iterator[str]:
    for row in (FORMATS[name] for name in _LOOSE):
        word = f"_{row.word}" if row.word else ""
        number = r"(_\d+)?" if row.per_object else ""
        yield re.escape(stem + word) + number + re.escape(row.extension)
