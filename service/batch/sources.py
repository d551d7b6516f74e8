"""What there is to segment: from a folder, an archive, cloud storage or a list to photos in a stable order."""

from __future__ import annotations

import os

from .inputs.archives import scan_archive, tell_twins
from .inputs.cloud import is_url, scan_cloud
from .inputs.folders import listed, match, one_file, walk
from .inputs.found import STATE, Scan, Sources, Trouble, key_of
from .inputs.source import Source, Stamp

__all__ = ["is_url", "order", "Scan", "scan", "Source", "Sources", "Stamp", "STATE", "Trouble"]


def scan(photos: str, out: str | os.PathLike[str]) -> Scan:
    """The photos of a folder and all folders in it, of a zip or tar file, of a glob ("photos/**/*.jpg"), of a list
    ("@list.txt"), or one file; on the disk or, by URLs such as "s3://bucket/photos", in cloud storage.

    Order: by name, byte by byte, folder by folder. Links to folders are not followed; `out` and whatever else holds
    results of `clickmask batch` is passed over. Raises ImageError when there is nothing by that name, or it cannot be
    listed; MissingExtraError when what it takes to reach it is not installed.
    """
    found, is_archive = Scan(), False
    if photos.startswith("@"):
        listed(photos[1:], found)
    elif is_url(photos):
        scan_cloud(photos, found)
    elif os.path.isdir(photos):
        walk(photos, os.path.realpath(out), found)
    elif not os.path.lexists(photos):
        match(photos, os.path.realpath(out), found)
    else:
        is_archive = os.path.isfile(photos) and scan_archive(photos, found)
        if not is_archive:
            one_file(photos, found)
    twins = found.sources.seal()
    if is_archive:
        tell_twins(twins, found)
    for troubles in (found.failed, found.skipped):
        troubles.sort(key=lambda trouble: key_of(trouble.name))
    return found


def order(name: str) -> list[bytes]:
    """The key by which names are sorted: bytes, folder by folder."""
    return key_of(name).split(b"\0")
