"""Which model, and with what settings: what every output says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..models.errors import SettingsError

_OF_THE_HOST = ("threads",)  # they change no pixel, and differ between machines that share a run


def lasting(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """A segmenter's provenance without what is the host's alone."""
    return {key: value for key, value in provenance.items() if key not in _OF_THE_HOST}


def of_encoder(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Of that, what an embedding depends on."""
    return {key: value for key, value in lasting(provenance).items() if key != "refine"}


def check_equal(own: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raises SettingsError when a machine of a cluster would make other masks than those that are expected of it."""
    own = lasting(own)
    changes = [
        f"{key} is {own.get(key)}, not {value}" for key, value in lasting(expected).items() if own.get(key) != value
    ]
    if changes:
        raise SettingsError(f"the machines of the cluster differ ({'; '.join(changes)}): results would be mixed")
