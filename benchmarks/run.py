"""All timings of this folder, one after the other; `make bench` runs it. Quality has a program of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAMS = (
    "encode.py",
    "one_click.py",
    "busy.py",
    "command_line.py",
    "everything.py",
    "attention.py",
    "big_models.py",
    "batch.py",
    "serve.py",
    "page.py",
    "page_drawing.py",
)
# Settings of some machines for old builds of OpenBLAS, which slow a current one.
LEFT_OUT = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def main() -> int:
    """Run each program in a process of its own; the number of those that failed."""
    environment = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    failed = 0
    for program in PROGRAMS:
        sys.stdout.write(f"\n## {program}\n\n")
        sys.stdout.flush()
        failed += subprocess.run([sys.executable, Path(__file__).parent / program], env=environment).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
