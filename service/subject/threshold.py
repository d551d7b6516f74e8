"""How sure one has to be of a subject."""

from __future__ import annotations

from ...models.errors import SettingsError

MIN_CONFIDENCE = 0.5  # benchmarks/subject.md tells what it leaves


def check_confidence(value: float) -> None:
    """Raise SettingsError for a threshold that is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise SettingsError(f"min_confidence: expected a number from 0 to 1, got {value!r}")
