"""What a model's family does not do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..models.errors import SettingsError

_HQ = "HQ-SAM"  # how the titles of its models begin


def check_family(what: str, provenance: Mapping[str, Any]) -> None:
    """Raises SettingsError for "everything", "subject" or "attention" of a model that has another decoder than SAM."""
    if str(provenance.get("model")).startswith(_HQ):
        raise SettingsError(f"{what}: HQ-SAM has masks for clicks and boxes alone; use a SAM checkpoint for it")


def check_question(described: Mapping[str, Any], provenance: Mapping[str, Any]) -> None:
    """The same of a question that is described (`Question.describe`), before it is asked of many photos."""
    for what in ("everything", "subject"):
        if what in described:
            check_family(what, provenance)
