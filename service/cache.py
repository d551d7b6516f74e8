"""Where downloads, and what was found out about this machine, are kept."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from platformdirs import user_cache_path

from ..models.errors import SettingsError


def cache_folder(chosen: str | os.PathLike[str] | None = None) -> Path:
    """The chosen folder, or the user's own; a temporary one for a user who has no home, as in some containers.

    Raises:
        SettingsError: the choice is no path.
    """
    try:
        if chosen is not None:
            return Path(chosen).expanduser()
        return user_cache_path("clickmask")
    except RuntimeError:
        return Path(tempfile.gettempdir()) / "clickmask-cache"
    except TypeError as error:
        raise SettingsError(f"cache_dir: expected a folder, got {chosen!r}") from error
