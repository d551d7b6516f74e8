"""What is checked of options before a model is loaded."""

from __future__ import annotations

import typer


def check_soft(*, soft: bool, feather: float) -> None:
    """Raises BadParameter, or MissingExtraError where soft edges cannot be made."""
    if not soft:
        return
    if feather:
        raise typer.BadParameter("it is another way to make an edge than --feather: give one", param_hint="'--soft'")
    from ..refine.matting import need_pymatting

    need_pymatting()
