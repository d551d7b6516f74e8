"""Lets the tests of this folder import its helpers (`from serving import serve`), whichever way pytest was started."""

from __future__ import annotations

import sys
from pathlib import Path

_FOLDER = str(Path(__file__).parent)
if _FOLDER not in sys.path:
    sys.path.append(_FOLDER)
