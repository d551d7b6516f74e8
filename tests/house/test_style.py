"""The house's few measures of style that no linter takes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

LINES_OF_A_FILE = 300
LINES_OF_A_FUNCTION = 50

Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_files_are_short(sources: list[Any]) -> None:
    lengths = {str(source.path): len(source.text.splitlines()) for source in sources}
    assert {path: lines for path, lines in lengths.items() if lines > LINES_OF_A_FILE} == {}


def test_functions_are_short(sources: list[Any]) -> None:
    """Without the signature: a command's is the list of its options."""
    long = [
        f"{source.path}:{node.lineno} {node.name}: {lines} lines"
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, Function) and (lines := node.end_lineno - node.body[0].lineno + 1) > LINES_OF_A_FUNCTION
    ]
    assert not long


def test_public_functions_name_their_arguments(sources: list[Any]) -> None:
    """By name each, or in a TypedDict that lists them."""
    wrong = [
        f"{place} takes **{rest.arg}"
        for place, node in _public(sources)
        if (rest := node.args.kwarg) and not ast.unparse(rest.annotation or ast.Constant("")).startswith("Unpack[")
    ]
    assert not wrong


def test_public_functions_are_annotated(sources: list[Any]) -> None:
    wrong = []
    for place, node in _public(sources):
        taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg]
        bare = [arg.arg for arg in taken if arg and arg.annotation is None and arg.arg not in ("self", "cls")]
        if bare:
            wrong.append(f"{place} does not say what {', '.join(bare)} may be")
        if node.returns is None:
            wrong.append(f"{place} does not say what it returns")
    assert not wrong


def test_nothing_prints(sources: list[Any]) -> None:
    wrong = [
        f"{source.path}:{node.lineno}"
        for source in sources
        if source.path.name != "__main__.py"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not wrong


def _public(sources: list[Any]) -> Iterator[tuple[str, Function]]:
    """Functions and methods without an underscore, and constructors; none inside private classes."""
    for source in sources:
        for node in _definitions(source.tree.body):
            yield f"{source.path}:{node.lineno} {node.name}", node


def _definitions(body: list[ast.stmt]) -> Iterator[Function]:
    for node in body:
        if isinstance(node, Function) and (not node.name.startswith("_") or node.name in ("__init__", "__call__")):
            yield node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _definitions(node.body)
