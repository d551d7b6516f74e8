"""The house rules read text and syntax trees: the folder may have any name, git may be absent."""

from __future__ import annotations

import ast
import fnmatch
import importlib
import importlib.util
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("models", "service", "ui")  # each may import from those before it


@dataclass(frozen=True)
class Source:
    """One module of the package: `path` is relative to the root."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def package(self) -> tuple[str, ...]:
        return self.path.parent.parts


def _read(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    return Source(path.relative_to(ROOT), text, ast.parse(text, str(path)))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def sources() -> list[Source]:
    """Every module of the package: the doors and the rooms."""
    return [
        *(_read(ROOT / name) for name in ("__init__.py", "__main__.py")),
        *(_read(path) for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))),
    ]


@pytest.fixture(scope="session")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def clickmask() -> ModuleType:
    """The package of this checkout, installed or not."""
    if importlib.util.find_spec("clickmask") is None:
        spec = importlib.util.spec_from_file_location(
            "clickmask", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
        )
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["clickmask"] = module
        spec.loader.exec_module(module)
    return importlib.import_module("clickmask")


@pytest.fixture(scope="session")
def ignored() -> list[str]:
    """The patterns of .gitignore, all of them plain: a name, `*`, a leading or trailing slash."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    return [line.strip("/") for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="session")
def tracked(ignored: list[str]) -> list[Path]:
    """The files of the repository and those about to be; without git, all that .gitignore lets pass."""
    if (ROOT / ".git").exists():
        listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]
    return [path for path in _walk(ROOT, ignored) if path.is_file()]


def _git(*arguments: str) -> str:
    # The tree may belong to someone else; git then refuses unless told that it is safe.
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _walk(folder: Path, ignored: list[str]) -> list[Path]:
    found = []
    for path in sorted(folder.iterdir()):
        if path.name == ".git" or any(fnmatch.fnmatch(path.name, pattern) for pattern in ignored):
            continue
        found += [path] if path.is_file() or path.is_symlink() else _walk(path, ignored)
    return found
