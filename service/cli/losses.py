"""What a format could not keep, told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .shell import say

if TYPE_CHECKING:
    from ..formats.loss import Loss

_SHOWN = 10  # one by one


def tell_losses(name: str, losses: Sequence[Loss]) -> None:
    """Say what the format could not keep, the first objects one by one."""
    for loss in losses[:_SHOWN]:
        say(("Lost: ", "yellow"), f"{name} cannot keep {loss}")
    if len(losses) > _SHOWN:
        rest = losses[_SHOWN:]
        say(("Lost: ", "yellow"), f"and {sum(loss.pixels for loss in rest):,} px of {len(rest)} more objects")
