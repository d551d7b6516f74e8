"""Without a network the service and its page start and work, and nobody is called."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PHOTO = HERE.parents[1] / "examples" / "photos" / "dogs.jpg"


def _namespace() -> list[str]:
    """The words that give a command a network of its own, if the system lets us."""
    words = ["unshare", "--map-root-user", "--net"]
    able = shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True).returncode == 0
    return words if able else []


def test_service_and_page_start_and_work_without_a_network(tmp_path: Path) -> None:
    apart = _namespace()
    line = [*apart, sys.executable, str(HERE / "offline.py"), str(tmp_path), str(PHOTO), "apart" if apart else "here"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 0, (done.stderr, (tmp_path / "log").read_text())
    assert json.loads(done.stdout) == {"statuses": [200, 200, 200], "tried": []}
