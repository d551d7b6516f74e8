"""Downloads from a server that behaves badly in every way we know, and onto disks that are full."""

from __future__ import annotations

import re
import socket
from collections import namedtuple
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clickmask.models import transfer
from clickmask.models.download import fetch
from clickmask.models.errors import DownloadError

if TYPE_CHECKING:
    from conftest import Site


def _part(folder: Path, content: bytes) -> Path:
    (folder / "small.pth.part").write_bytes(content)
    return folder / "small.pth.part"


def _failure(site: Site, folder: Path) -> str:
    with pytest.raises(DownloadError) as caught:
        fetch(site.variant(), folder)
    assert not (folder / "small.pth").exists()
    return str(caught.value)


def test_progress_rises_to_the_whole_length(site: Site, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    fetch(site.variant(), tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, len(site.payload)) and seen[-1] == (len(site.payload), len(site.payload))
    assert seen == sorted(seen)


def test_begun_download_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    half = len(site.payload) // 2
    _part(tmp_path, site.payload[:half])
    assert fetch(site.variant(), tmp_path).read_bytes() == site.payload
    assert site.asked == [f"bytes={half}-"]


def test_interrupted_run_is_gone_on_with_by_the_next(site: Site, tmp_path: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(site.variant(), tmp_path, progress=interrupt)
    came = (tmp_path / "small.pth.part").stat().st_size
    assert fetch(site.variant(), tmp_path).read_bytes() == site.payload
    assert site.asked == [None, f"bytes={came}-"]


def test_connection_that_breaks_is_taken_up_again(site: Site, tmp_path: Path) -> None:
    half = len(site.payload) // 2
    site.cuts = [half, 1000]
    assert fetch(site.variant(), tmp_path).read_bytes() == site.payload
    assert site.asked == [None, f"bytes={half}-", f"bytes={half + 1000}-"]


def test_connection_that_always_breaks_is_given_up_and_what_came_is_kept(site: Site, tmp_path: Path) -> None:
    site.cuts = [1000] * 9
    message = _failure(site, tmp_path)
    assert f"{len(site.asked) * 1000:,} bytes are kept" in message
    assert (tmp_path / "small.pth.part").read_bytes() == site.payload[: len(site.asked) * 1000]


def test_server_without_ranges_is_asked_for_all_of_it(site: Site, tmp_path: Path) -> None:
    half = len(site.payload) // 2
    site.takes_ranges = False
    _part(tmp_path, site.payload[:half])
    assert fetch(site.variant(), tmp_path).read_bytes() == site.payload


def test_answer_with_another_range_is_not_appended(site: Site, tmp_path: Path) -> None:
    half = len(site.payload) // 2
    site.lies_about_range = True
    _part(tmp_path, site.payload[:half])
    assert fetch(site.variant(), tmp_path).read_bytes() == site.payload
    assert site.asked == [f"bytes={half}-", None]


def test_part_that_is_whole_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    _part(tmp_path, site.payload)
    assert fetch(site.variant(), tmp_path).read_bytes() == site.payload
    assert site.asked == [f"bytes={len(site.payload)}-"]


def test_part_longer_than_the_file_is_thrown_away(site: Site, tmp_path: Path) -> None:
    _part(tmp_path, site.payload + b"more")
    assert fetch(site.variant(), tmp_path).read_bytes() == site.payload
    assert site.asked[-1] is None


def test_missing_page_is_told_at_once_with_what_to_do(site: Site, tmp_path: Path) -> None:
    site.statuses = [404]
    message = _failure(site, tmp_path)
    assert "404" in message and site.url in message
    assert f"put the file at {tmp_path / 'small.pth'} by hand" in message
    assert "vit_t needs no download" in message
    assert len(site.asked) == 1


def test_busy_server_is_asked_again(site: Site, tmp_path: Path) -> None:
    site.statuses = [503, 429]
    assert fetch(site.variant(), tmp_path).read_bytes() == site.payload


def test_offline_is_told_with_what_to_do(site: Site, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    site.url = f"http://127.0.0.1:{port}/small.pth"
    message = _failure(site, tmp_path)
    assert "could not be reached" in message and site.url in message
    assert str(tmp_path / "small.pth") in message and "vit_t needs no download" in message


@pytest.mark.parametrize("url", ["http://example.com/x.pth", "ftp://127.0.0.1/x.pth", "file:///etc/hostname"])
def test_address_that_is_not_https_is_not_asked(url: str, site: Site, tmp_path: Path) -> None:
    site.url = url
    assert "only https" in _failure(site, tmp_path)


def test_redirect_is_followed(site: Site, tmp_path: Path) -> None:
    site.redirect = "/moved"
    assert fetch(site.variant(), tmp_path).read_bytes() == site.payload


@pytest.mark.parametrize("target", ["http://example.com/x.pth", "ftp://example.com/x.pth"])
def test_redirect_to_an_unsafe_address_is_not_followed(target: str, site: Site, tmp_path: Path) -> None:
    site.redirect = target
    assert re.search(f"redirects to {target}, which is not https", _failure(site, tmp_path))


def test_too_small_disk_is_told_before_anything_is_written(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda folder: usage(10**9, 10**9 - 5000, 5000))
    message = _failure(site, tmp_path)
    assert "700,000 more bytes" in message and "5,000 are free" in message and str(tmp_path) in message
    assert not (tmp_path / "small.pth.part").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_disk_that_fills_up_is_told(site: Site, tmp_path: Path) -> None:
    (tmp_path / "small.pth.part").symlink_to("/dev/full")
    message = _failure(site, tmp_path)
    assert "disk is too full" in message and "are free" in message and str(tmp_path) in message
