"""The subject of each photo, where it has one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..subject.threshold import MIN_CONFIDENCE, check_confidence
from .questions import Answer, AskedOfAll

if TYPE_CHECKING:  # whoever only plans need not wait for torch
    from ..open_image import OpenImage


@dataclass(frozen=True)
class Subject(AskedOfAll):
    """The one thing a photo is of, as `OpenImage.subject` finds it. Raises SettingsError for another min_confidence."""

    is_plain = True
    min_confidence: float = MIN_CONFIDENCE

    def __post_init__(self) -> None:
        """Check the threshold now, not at the first photo."""
        check_confidence(self.min_confidence)

    def ask(self, name: str, image: OpenImage) -> list[Answer]:
        """The one mask, or none: then the photo is done, without objects."""
        found = image.subject(min_confidence=self.min_confidence)
        return [Answer(found)] if found else []

    def describe(self) -> dict[str, Any]:
        """How sure it has to be."""
        return {"subject": {"min_confidence": float(self.min_confidence)}}
