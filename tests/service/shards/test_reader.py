"""`MaskShards`: any photo by its number, in workers that were forked or begun anew."""

from __future__ import annotations

import json
import pickle
import random
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from torch.utils.data import DataLoader

from clickmask import MaskShards
from clickmask.models.errors import ImageError, OutputError, SettingsError
from clickmask.service.images import read_picture
from clickmask.service.shards.index import index_document
from clickmask.service.shards.parquet import ParquetWriter

from .conftest import disc, document

NAMES = [f"{number:02}.png" for number in range(11)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eleven photos in shards of four, none and the rest."""
    rows = []
    for number, names in enumerate((NAMES[:4], [], NAMES[4:])):
        path = tmp_path / "shards" / f"{number:05}.parquet"
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            writer = ParquetWriter(file, {})
            for name in names:
                writer.add(document(name, int(name[:2])))
            writer.close()
        own = {"number": number, "photos": len(names), "objects": 0, "failed": 0, "labels": {}}
        rows.append({**own, "files": {path.name: {}, "00000.tar": {}}})
    (tmp_path / "shards" / "index.json").write_bytes(index_document(rows, {"model": "vit_t"}))
    return tmp_path / "shards"


def test_any_photo_in_any_order(folder: Path) -> None:
    dataset = MaskShards(folder, masks=True)
    assert len(dataset) == 11 and dataset.index["provenance"] == {"model": "vit_t"}
    order = [*range(11), *range(11)]
    random.Random(3).shuffle(order)
    for number in order:
        sample = dataset[number]
        assert (sample["name"], sample["width"], sample["height"], sample["orientation"]) == (NAMES[number], 32, 24, 6)
        assert sample["masks"].shape == (number, 24, 32) and sample["masks"].dtype == bool
        assert [item["index"] for item in sample["objects"]] == list(range(number))
    assert np.array_equal(dataset[-1]["masks"][2], disc(2))
    assert "masks" not in MaskShards(folder)[1]
    for beyond in (11, -12):
        with pytest.raises(IndexError, match="of 11"):
            dataset[beyond]


def test_a_worker_begun_anew_reads_what_one_process_reads(folder: Path) -> None:
    dataset = MaskShards(folder)
    expected = [dataset[number]["objects"] for number in range(11)]
    assert pickle.loads(pickle.dumps(dataset))[5]["objects"] == expected[5]
    loader = DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context="spawn")
    assert [sample["objects"] for sample in loader] == expected


def test_forked_workers_do_not_share_an_open_file(folder: Path) -> None:
    """In a process of its own, which has read photos before it forks."""
    code = f"""
from clickmask import MaskShards
from torch.utils.data import DataLoader
dataset = MaskShards({str(folder)!r})
expected = [dataset[number]["objects"] for number in range(11)]
loader = DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context="fork")
for _ in range(3):
    assert [sample["objects"] for sample in loader] == expected
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_pixels_are_the_photos_that_were_segmented(folder: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "00.png"), pixels)
    digest = read_picture(tmp_path / "00.png").digest
    with (folder / "00000.parquet").open("wb") as file:
        writer = ParquetWriter(file, {})
        first = document("00.png", 0)
        writer.add({**first, "image": {**first["image"], "sha256": digest}})
        for name in NAMES[1:4]:
            writer.add(document(name, 1))
        writer.close()
    dataset = MaskShards(folder, photos=tmp_path)
    assert np.array_equal(dataset[0]["pixels"], pixels[:, :, ::-1])
    cv2.imwrite(str(tmp_path / "01.png"), pixels)
    with pytest.raises(ImageError, match="01.png is not the photo that was segmented"):
        dataset[1]
    with pytest.raises(ImageError, match="02.png"):
        dataset[2]


def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"index.json cannot be read \(No such file"):
        MaskShards(tmp_path)
    (folder / "00002.parquet").unlink()
    dataset = MaskShards(folder)
    assert dataset[3]["name"] == "03.png"
    with pytest.raises(SettingsError, match="00002.parquet is not there"):
        dataset[4]
    values = json.loads((folder / "index.json").read_bytes())
    (folder / "index.json").write_text(json.dumps({**values, "schema": 2}))
    with pytest.raises(OutputError, match="expected schema 1"):
        MaskShards(folder)
