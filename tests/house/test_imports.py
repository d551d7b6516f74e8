"""Imports go one way, ui -> service -> models, and pyproject.toml names what is used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOMS = ("models", "service", "ui")
NOT_IN_MODELS = {"cv2", "gradio", "fastapi", "typer", "rich", "PIL"}
HEAVY = {"torchvision", "segment_anything", "typer"}
MODULE_OF = {
    "opencv-python": "cv2",
    "segment-anything": "segment_anything",
    "pillow": "PIL",
    "prometheus-client": "prometheus_client",
    "python-multipart": "python_multipart",
    "pydantic-core": "pydantic_core",
    "pyjwt": "jwt",
}
# What is installed on wish may be imported only there, by whom it is for.
EXTRAS_OF = {
    ("service", "batch"): ("cloud", "ray"),
    ("service", "client"): ("client",),
    ("service", "cluster"): ("ray",),
    ("service", "http"): ("serve",),
    ("service", "refine"): ("matting",),
    ("service", "shards"): ("shards",),
    ("ui",): ("ui", "serve"),
}


def _imports(source: Any) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Each import of a module: its line, its dots, and what it names (own modules from the root on)."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, "", tuple(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, "", tuple((node.module or "").split("."))
        elif isinstance(node, ast.ImportFrom):
            above = node.level - 1
            assert above <= len(source.package), f"{source.path}:{node.lineno} leaves the package"
            base = source.package[: len(source.package) - above]
            named = tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                yield node.lineno, "." * node.level, (*base, *named, alias.name)


def test_rooms_import_only_downwards(sources: list[Any]) -> None:
    wrong = [
        f"{source.path}:{line} imports {target[0]}"
        for source in sources
        if source.package
        for line, dots, target in _imports(source)
        if dots and target[0] not in ROOMS[: ROOMS.index(source.package[0]) + 1]
    ]
    assert not wrong


def test_own_modules_are_imported_relatively(sources: list[Any]) -> None:
    wrong = [
        f"{source.path}:{line} imports {'.'.join(target)}"
        for source in sources
        for line, dots, target in _imports(source)
        if not dots and target[0] in ("clickmask", *ROOMS)
    ]
    assert not wrong


def test_models_know_tensors_only(sources: list[Any]) -> None:
    wrong = [
        f"{source.path}:{line} imports {target[0]}"
        for source in sources
        if source.package[:1] == ("models",)
        for line, dots, target in _imports(source)
        if not dots and target[0] in NOT_IN_MODELS
    ]
    assert not wrong


def test_foreign_modules_are_declared_dependencies(sources: list[Any], pyproject: dict[str, Any]) -> None:
    extras = {name: _modules(lines) for name, lines in pyproject["project"]["optional-dependencies"].items()}
    always = _modules(pyproject["project"]["dependencies"]) | set(sys.stdlib_module_names)
    wrong = [
        f"{source.path}:{line} imports {target[0]}"
        for source in sources
        for line, dots, target in _imports(source)
        if not dots and target[0] not in always.union(*(extras[name] for name in EXTRAS_OF.get(source.package[:2], ())))
    ]
    assert not wrong


def _modules(requirements: list[str]) -> set[str]:
    names = [re.split(r"[^\w-]", line)[0] for line in requirements]
    return {MODULE_OF.get(name, name) for name in names}


def test_every_subpackage_is_named_in_pyproject(root: Path, pyproject: dict[str, Any]) -> None:
    found = {
        ".".join(("clickmask", *path.parent.relative_to(root).parts))
        for room in ROOMS
        for path in (root / room).rglob("__init__.py")
    }
    assert sorted(pyproject["tool"]["setuptools"]["packages"]) == sorted({"clickmask", *found})


def test_every_module_lies_in_a_named_package(sources: list[Any], pyproject: dict[str, Any]) -> None:
    named = set(pyproject["tool"]["setuptools"]["packages"])
    assert not [str(source.path) for source in sources if ".".join(("clickmask", *source.package)) not in named]


def test_the_front_door_opens_lightly(root: Path) -> None:
    """`import clickmask` brings none of the slow modules that a click on vit_t does without."""
    code = (
        "import importlib.util as u, sys\n"
        f"spec = u.spec_from_file_location('clickmask', {str(root / '__init__.py')!r},"
        f" submodule_search_locations=[{str(root)!r}])\n"
        "sys.modules['clickmask'] = module = u.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        f"assert not {HEAVY!r} & set(sys.modules), {HEAVY!r} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
