"""What is public is exactly `__all__`, and it is sorted."""

from __future__ import annotations
import __future__

import ast
from types import ModuleType
from typing import Any


def test_all_is_sorted(sources: list[Any]) -> None:
    for source in sources:
        exported = _all_of(source.tree)
        assert exported == sorted(exported, key=str.casefold), f"__all__ of {source.path} is not sorted"
        assert len(exported) == len(set(exported)), f"__all__ of {source.path} names something twice"


def test_front_door_exports_are_importable(clickmask: ModuleType) -> None:
    assert clickmask.__all__
    missing = [name for name in clickmask.__all__ if not hasattr(clickmask, name)]
    assert not missing


def test_front_door_shows_nothing_else(clickmask: ModuleType) -> None:
    shown = {
        name
        for name, value in vars(clickmask).items()
        if not name.startswith("_") and not isinstance(value, ModuleType | type(__future__.annotations))
    }
    assert shown <= set(clickmask.__all__)


def test_star_import_brings_what_all_names(clickmask: ModuleType) -> None:
    brought: dict[str, Any] = {}
    exec("from clickmask import *", brought)
    assert set(clickmask.__all__) <= set(brought)


def _all_of(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return list(ast.literal_eval(node.value))
    return []
