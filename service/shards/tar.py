"""The WebDataset tar of a shard: of each photo key.json, as `--format json` writes it, and on wish the photo itself.

WebDataset takes a file's name up to the first dot after the last slash for the sample's key, and what follows for
the kind. So dots within a key are written %2E, a percent sign %25, and a leading underscore, where two begin names that
WebDataset passes over, %5F. The photo's bytes are those of its file, not turned: masks lie on the upright photo, and
`image.orientation` says which way that is; its extension is that of its content. Headers hold no time, owner or host.
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from typing import BinaryIO

from ..image_headers import sniff
from .payload import Document, to_json_file

_EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WebP": "webp", "BMP": "bmp", "GIF": "gif", "TIFF": "tif"}
_MODE = 0o644


def sample_key(base: str) -> str:
    """The key of a photo whose files begin with `base`: no two bases have the same key."""
    folder, slash, own = base.replace("%", "%25").rpartition("/")
    key = f"{folder}{slash}{own.replace('.', '%2E')}"
    return f"%5F{key[1:]}" if key.startswith("__") else key


class TarWriter:
    """Writes samples, photo by photo, to `file`, which need not be one that can seek."""

    def __init__(self, file: BinaryIO, provenance: Mapping[str, object]) -> None:
        self._out, self._provenance, self._size = file, provenance, 0

    def add(self, document: Document, photo: bytes | None = None) -> None:
        """One more photo; `photo`: its file's bytes, where they shall lie in the tar."""
        if photo is not None:
            self._file(f"{document['key']}.{_EXTENSIONS[sniff(photo[:64], document['key'])]}", photo)
        self._file(f"{document['key']}.json", to_json_file(document, self._provenance))

    def close(self) -> None:
        """Write the tar's end."""
        end = self._size + 2 * tarfile.BLOCKSIZE
        self._out.write(bytes(2 * tarfile.BLOCKSIZE + -end % tarfile.RECORDSIZE))

    def _file(self, name: str, data: bytes) -> None:
        header = tarfile.TarInfo(name)
        header.size, header.mode = len(data), _MODE
        for part in (header.tobuf(tarfile.PAX_FORMAT), data, bytes(-len(data) % tarfile.BLOCKSIZE)):
            self._out.write(part)
            self._size += len(part)
