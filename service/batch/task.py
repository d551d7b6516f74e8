"""What is done with every photo, wherever that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .outlet import Outlet
from .questions import Question
from .settings import Formats


@dataclass(frozen=True, eq=False)
class Task:
    """Picklable, so that other processes may do it. asked: how results say what the question was."""

    question: Question
    formats: Formats
    out: Outlet
    asked: Mapping[str, Any]
