"""The page that teaches attention: its code runs as it stands, and its asserts hold."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_code_of_the_page_runs_and_its_asserts_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "attention.md").read_text(encoding="utf-8")
    code = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(code) == 6 and sum(part.count("\nassert ") for part in code) == 5
    os.symlink(ROOT / "examples", tmp_path / "examples", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for part in code:
        exec(compile(part, "docs/attention.md", "exec"), names)
    assert (tmp_path / "attention.png").is_file() and (tmp_path / "attention.npz").is_file()
