"""Tars of shards, as the package webdataset and Python's tarfile read them."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from clickmask.service.formats.json_file import read_json
from clickmask.service.shards.tar import TarWriter, sample_key

from .conftest import Documents, disc

BASES = (
    "a",
    "a.b",
    "a%2Eb",
    "a%2eb",
    ".hidden",
    "x.y/a.b",
    "__x__/a",
    "__x__",
    "%5F_x__/a",
    "_x",
    "ä/ö ü",
    "n" * 150,
    "%",
)


def _tar(documents: list[dict[str, Any]], photos: list[bytes | None] | None = None) -> bytes:
    file = io.BytesIO()
    writer = TarWriter(file, {"model": "vit_t"})
    for document, photo in zip(documents, photos or [None] * len(documents), strict=True):
        writer.add(document, photo)
    writer.close()
    return file.getvalue()


def _samples(path: Path) -> list[dict[str, Any]]:
    """By the stages that `webdataset.WebDataset` is made of, which itself leaves the file open."""
    tars = pytest.importorskip("webdataset.tariterators")
    with path.open("rb") as stream:
        return list(tars.group_by_keys(tars.tar_file_expander([{"url": str(path), "stream": stream}])))


def test_webdataset_finds_every_photo_by_its_key(documents: Documents, tmp_path: Path) -> None:
    (tmp_path / "00000.tar").write_bytes(_tar(documents(12)))
    samples = _samples(tmp_path / "00000.tar")
    assert [sample["__key__"] for sample in samples] == [f"sub/{number:05}" for number in range(12)]
    result = read_json(samples[8]["json"])
    assert (result.name, len(result.objects), result.provenance) == ("sub/00008.jpg", 8, {"model": "vit_t"})
    assert np.array_equal(result.objects[2].mask, disc(2)) and result.objects[0].label == "dog"


def test_photos_lie_beside_their_results_as_they_were(documents: Documents, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    photos = [cv2.imencode(end, pixels)[1].tobytes() for end in (".jpg", ".png", ".webp", ".bmp", ".tiff", ".gif")]
    (tmp_path / "00000.tar").write_bytes(_tar(documents(6), [*photos]))
    found = _samples(tmp_path / "00000.tar")
    kinds = ("jpg", "png", "webp", "bmp", "tif", "gif")
    assert [sample[kind] for sample, kind in zip(found, kinds, strict=True)] == photos
    assert [json.loads(sample["json"])["image"]["name"] for sample in found][:2] == ["sub/00000.jpg", "sub/00001.jpg"]


def test_keys_are_told_apart_whatever_photos_are_called(documents: Documents, tmp_path: Path) -> None:
    keys = [sample_key(base) for base in BASES]
    assert len(set(keys)) == len(BASES)
    assert keys[:3] == ["a", "a%2Eb", "a%252Eb"] and sample_key("x.y/a.b") == "x.y/a%2Eb"
    named = [{**document, "key": key} for document, key in zip(documents(len(keys)), keys, strict=True)]
    (tmp_path / "00000.tar").write_bytes(_tar(named))
    assert [sample["__key__"] for sample in _samples(tmp_path / "00000.tar")] == keys


def test_headers_tell_nothing_of_where_and_when(documents: Documents) -> None:
    data = _tar(documents(5))
    assert data == _tar(documents(5)) and len(data) % tarfile.RECORDSIZE == 0
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
    assert len(members) == 5 and all(member.isfile() for member in members)
    told = {(member.mtime, member.uid, member.gid, member.uname, member.gname, member.mode) for member in members}
    assert told == {(0, 0, 0, "", "", 0o644)}


def test_ends_are_those_of_pythons_own_tars() -> None:
    for count, size in itertools.product((0, 1, 19, 20, 21), (0, 511, 512, 513)):
        ours, theirs = io.BytesIO(), io.BytesIO()
        writer = TarWriter(ours, {})
        with tarfile.open(fileobj=theirs, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for number in range(count):
                header = tarfile.TarInfo(f"{number}.json")
                header.size = size
                tar.addfile(header, io.BytesIO(bytes(size)))
                writer._file(header.name, bytes(size))
        writer.close()
        assert ours.getvalue() == theirs.getvalue()
