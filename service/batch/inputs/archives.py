"""Archives are told by their content, whatever they are called."""

from __future__ import annotations

from ....models.errors import ImageError
from .found import Scan, Trouble, why
from .inflating import Inflated, compression_of
from .tar_headers import BLOCK, is_header
from .tars import Tar, scan_tar
from .zips import scan_zip

_ZIP = (b"PK\3\4", b"PK\5\6")


def scan_archive(path: str, found: Scan) -> bool:
    """The members of a zip or tar file; whether it is one.

    Raises ImageError for an archive that cannot be used at all: a bomb, a zip without its end, too many members.
    """
    head = _head(path)
    compression = compression_of(head)
    try:
        if head.startswith(_ZIP):
            scan_zip(path, found)
        elif compression is not None or is_header(head):
            _check_holds_tar(path, compression)
            scan_tar(Tar.at(path, compression), found)
        else:
            return False
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {why(error)}") from None
    return True


def tell_twins(names: list[str], found: Scan) -> None:
    """A row for each member that is passed over for a later one of the same name."""
    found.failed += [
        Trouble(name, "Duplicate", "a later member of the archive has the same name: that is taken") for name in names
    ]


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(BLOCK)
    except OSError:  # which is told when it is opened as a photo
        return b""


def _check_holds_tar(path: str, compression: str | None) -> None:
    if compression is None:
        return
    stream = Inflated(path, compression)
    try:
        if not is_header(stream.read(BLOCK)):
            raise ImageError(f"{path} is compressed by {compression}, but it is no tar archive: expected photos in one")
    finally:
        stream.close()
