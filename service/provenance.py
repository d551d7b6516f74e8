"""Which model, and with what settings: what every output says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OF_THE_HOST = ("threads",)  # they change no pixel, and differ between machines that share a run


def lasting(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """A segmenter's provenance without what is the host's alone."""
    return {key: value for key, value in provenance.items() if key not in _OF_THE_HOST}
