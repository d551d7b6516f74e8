"""Where a batch's results go, from what was typed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

import typer
from platformdirs import user_state_path

if TYPE_CHECKING:
    from ..batch.outlet import Outlet


def open_outlet(out: str, state: Path | None) -> Outlet:
    """A folder, or a URL with its state folder. Raises BadParameter for a state folder that is not used."""
    from ..batch.cloud_outlet import Cloud
    from ..batch.outlet import Folder
    from ..batch.sources import is_url

    if out.startswith("file://"):
        out = url2pathname(urlsplit(out).path)
    if is_url(out):
        return Cloud(out, state or _state_of(out))
    if state is not None:
        raise typer.BadParameter("an OUT that is a folder holds its state itself", param_hint="'--state'")
    return Folder(Path(out))


def _state_of(url: str) -> Path:
    return user_state_path("clickmask") / "batches" / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
