"""What comes of looking for a subject: its mask, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from ..masks import Mask


@dataclass(frozen=True, eq=False)
class SubjectMask(Mask):
    """The mask of a photo's subject.

    confidence: 0 to 1, the product of the predicted IoU, of how well three ways of asking agree on the mask, and of how
    far behind every other thing in the photo is. The rest is as of `Mask`; prompt is the box that found it.
    """

    confidence: float = 0.0

    @classmethod
    def of(cls, mask: Mask, confidence: float) -> SubjectMask:
        """A mask with a confidence."""
        return cls(**{own.name: getattr(mask, own.name) for own in fields(mask)}, confidence=confidence)


@dataclass(frozen=True, eq=False)
class NoSubject:
    """A photo without a subject one could be sure of. It is false: `if found := image.subject(): ...`

    reason: why. confidence: of the best guess, 0 to 1. guess: that, where there was any.
    """

    reason: str
    confidence: float = 0.0
    guess: SubjectMask | None = None

    def __bool__(self) -> Literal[False]:
        return False
