"""Official weights: fetched once, checked, found again; what a wrong or unreachable file is told."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from clickmask.models import download
from clickmask.models.checkpoints import load_checkpoint
from clickmask.models.download import fetch
from clickmask.models.errors import ChecksumError, DownloadError
from clickmask.models.variants import VARIANTS

if TYPE_CHECKING:
    from conftest import Site


def test_file_is_fetched_into_a_folder_that_is_made(site: Site, tmp_path: Path) -> None:
    path = fetch(site.variant(), tmp_path / "a" / "b")
    assert path == tmp_path / "a" / "b" / "small.pth"
    assert path.read_bytes() == site.payload
    assert not path.with_name("small.pth.part").exists()


def test_fetched_file_is_neither_fetched_nor_hashed_again(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(site.variant(), tmp_path)
    monkeypatch.setattr(download, "hash_file", lambda path: pytest.fail("hashed again"))
    fetch(site.variant(), tmp_path)
    assert len(site.asked) == 1


def test_file_put_there_by_hand_is_checked_and_taken(site: Site, tmp_path: Path) -> None:
    (tmp_path / "small.pth").write_bytes(site.payload)
    assert fetch(site.variant(), tmp_path).read_bytes() == site.payload
    assert site.asked == []


def test_file_changed_in_the_cache_is_refused_and_kept(site: Site, tmp_path: Path) -> None:
    path = fetch(site.variant(), tmp_path)
    path.write_bytes(site.payload[:-1] + b"?")
    with pytest.raises(ChecksumError, match=r"small\.pth is not the published file.*Delete it"):
        fetch(site.variant(), tmp_path)
    assert path.exists()


def test_note_of_another_hash_is_not_believed(site: Site, tmp_path: Path) -> None:
    fetch(site.variant(), tmp_path)
    with pytest.raises(ChecksumError):
        fetch(replace(site.variant(), sha256="0" * 64), tmp_path)


def test_server_that_does_not_say_the_length_is_believed_by_the_hash(site: Site, tmp_path: Path) -> None:
    half = len(site.payload) // 2
    site.says_length = False
    totals: list[int | None] = []
    fetch(site.variant(), tmp_path, progress=lambda done, total: totals.append(total))
    assert set(totals) == {None}
    site.cuts = [half]
    with pytest.raises(ChecksumError):
        fetch(site.variant(), tmp_path / "other")


def test_wrong_file_is_refused_with_both_hashes_and_removed(site: Site, tmp_path: Path) -> None:
    wanted = replace(site.variant(), sha256="ab" * 32)
    with pytest.raises(ChecksumError) as caught:
        fetch(wanted, tmp_path)
    assert "ab" * 32 in str(caught.value) and site.variant().sha256 in str(caught.value)
    assert not list(tmp_path.glob("*.part")) and not (tmp_path / "small.pth").exists()


def test_md5_in_the_official_name_is_checked_too(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ChecksumError, match="MD5 is [0-9a-f]{32}, expected it to begin with zzzzzz"):
        fetch(replace(site.variant(), md5_prefix="zzzzzz"), tmp_path)


def test_folder_that_cannot_be_made_is_told(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match=re.escape(str(tmp_path / "file"))):
        fetch(site.variant(), tmp_path / "file" / "cache")


def test_second_of_two_downloads_waits_for_the_first(site: Site, tmp_path: Path) -> None:
    site.gate.clear()
    with ThreadPoolExecutor(4) as pool:
        paths = [pool.submit(fetch, site.variant(), tmp_path) for _ in range(4)]
        threading.Timer(0.3, site.gate.set).start()
        assert {path.result().read_bytes() for path in paths} == {site.payload}
    assert len(site.asked) == 1


def test_without_locks_each_download_has_a_part_of_its_own(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_lock", lambda file: False)
    common = tmp_path / "small.pth.part"
    common.write_bytes(b"of another process")
    site.statuses = [404]
    with pytest.raises(DownloadError):
        fetch(site.variant(), tmp_path)
    with ThreadPoolExecutor(3) as pool:
        paths = list(pool.map(lambda _: fetch(site.variant(), tmp_path), range(3)))
    assert paths[0].read_bytes() == site.payload
    assert [path for path in tmp_path.glob("*.part")] == [common]
    assert common.read_bytes() == b"of another process"


def test_model_name_loads_the_fetched_file(
    site: Site, tiny_sam_state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(tiny_sam_state, tmp_path / "made.pth")
    site.payload = (tmp_path / "made.pth").read_bytes()
    monkeypatch.setitem(VARIANTS, "vit_b", site.variant())
    found = load_checkpoint("vit_b", cache_dir=tmp_path / "cache")
    assert found.source == "vit_b"
    assert all(torch.equal(found.state[name], tensor) for name, tensor in tiny_sam_state.items())
