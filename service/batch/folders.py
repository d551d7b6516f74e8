"""Folders brought to the disk: a file that was renamed is there after a power cut only once its folder is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

# A folder that is gone has nothing to keep; some file systems, and Windows, have no way to do it.
_NO_MATTER = {errno.ENOENT, errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EISDIR}


class Folders:
    """Folders below `root` in which something was written since they were last brought to the disk, by one thread.

    They are brought there together and not with each file: as many calls as folders, and not as files.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._touched: set[str] = set()
        self._known = {""}

    def touch(self, path: str) -> None:
        """A file by that path below the root was written."""
        folder = path.rpartition("/")[0]
        self._touched.add(folder)
        while folder not in self._known:  # it may be new, and then stands in the folder above
            self._known.add(folder)
            folder = folder.rpartition("/")[0]
            self._touched.add(folder)

    def sync(self) -> None:
        """Bring them to the disk. Raises OSError when it does not take them."""
        for folder in sorted(self._touched):
            sync_folder(self._root / folder)
        self._touched.clear()


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of files to the disk, where the system can. Raises OSError when the disk fails."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_MATTER:
            raise
