"""Which clickmask this is."""

from __future__ import annotations

import importlib


def version() -> str:
    """The version that the front door states, "0.1.0" for example."""
    # Asked of the running package by name: rooms do not import upwards, and metadata may be stale.
    front_door = importlib.import_module(__name__.partition(".")[0])
    return getattr(front_door, "__version__", "unknown")
