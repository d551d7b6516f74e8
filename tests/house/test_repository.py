"""What lies in the repository: sources, one file of weights, a few photos, and nothing that was generated."""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path

MEGABYTES = 46
GENERATED = [
    "__pycache__",
    "*.pyc",
    "*.egg-info",
    "*.whl",
    ".venv",
    "build",
    "dist",
    ".*_cache",
    "*.log",
    "*.orig",
]


def test_no_generated_file_is_tracked(root: Path, tracked: list[Path]) -> None:
    wrong = [
        str(path.relative_to(root))
        for path in tracked
        if any(fnmatch.fnmatch(part, pattern) for part in path.relative_to(root).parts for pattern in GENERATED)
    ]
    assert tracked and not wrong


def test_the_tracked_tree_is_small(tracked: list[Path]) -> None:
    assert sum(path.stat().st_size for path in tracked) < MEGABYTES * 1_000_000


def test_only_the_doors_are_modules_at_the_top(root: Path) -> None:
    """The root is the package: a stray script there would be shipped."""
    assert sorted(path.name for path in root.glob("*.py")) == ["__init__.py", "__main__.py"]


def test_scripts_can_be_run(root: Path) -> None:
    for name in (".ci/run", ".ci/system-libraries", "tests/browser/get_chromium.sh"):
        assert os.access(root / name, os.X_OK), f"{name} is not executable"


def test_no_package_index_is_named(root: Path) -> None:
    """Where packages come from is the user's choice, not the repository's."""
    for name in ("Makefile", "pyproject.toml", ".ci/run", ".ci/system-libraries"):
        text = (root / name).read_text(encoding="utf-8")
        assert "index-url" not in text and "find-links" not in text, name
