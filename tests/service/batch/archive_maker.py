"""Archives for tests: with photos, and with all that should not be in one."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from clickmask.service.batch.outlet import Folder
from clickmask.service.batch.plan import Job
from clickmask.service.batch.questions import Nothing
from clickmask.service.batch.reading import Read, read
from clickmask.service.batch.sources import Scan, scan


def files(folder: Path) -> list[tuple[str, bytes]]:
    """(relative name, content) of all files, the last name first: no order that a reader would like."""
    paths = sorted((path for path in folder.rglob("*") if path.is_file()), reverse=True)
    return [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in paths]


def make_zip(path: Path, members: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip file."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return path


def make_tar(path: Path, members: Iterable[tuple[str | tarfile.TarInfo, bytes]], mode: str = "w") -> Path:
    """A tar file; a TarInfo stands for members that are no files."""
    with tarfile.open(path, mode) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for member, data in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            if info.isreg():
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def scanned(path: Path) -> Scan:
    """What is found in an archive."""
    return scan(str(path), path.parent / "out")


def read_all(found: Scan, out: Path) -> dict[str, Read]:
    """Every source opened and decoded, in the order of jobs, or the record of why not."""
    jobs = sorted((Job(source, source.name) for source in found.sources), key=lambda job: job.source.turn)
    return {job.source.name: read(job, Nothing(), Folder(out)) for job in jobs}


def names(found: Scan) -> list[str]:
    """Of the sources."""
    return [source.name for source in found.sources]


def failures(found: Scan) -> list[tuple[str, str]]:
    """Names and kinds."""
    return [(trouble.name, trouble.kind) for trouble in found.failed]
