"""What a fleet and its processes say to each other: to a process a `Task`, then errands; from it these, and records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...models.errors import ClickmaskError


class Finish:
    """To a process: there are no more jobs."""


class Stop:
    """To a process: the photo that is being written is the last."""


@dataclass(frozen=True, eq=False)
class Ready:
    """The model is loaded. together: how many photos are encoded in one pass."""

    provenance: Mapping[str, Any]
    together: int


@dataclass(frozen=True, eq=False)
class Refused:
    """Nothing will come of it: the model cannot be loaded, the disk takes no more."""

    error: ClickmaskError


@dataclass(frozen=True, eq=False)
class Broken:
    """The device failed; the process ends."""

    reason: str
