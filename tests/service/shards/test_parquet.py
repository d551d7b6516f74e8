"""Parquet files of shards: what pandas, pyarrow and pycocotools read in them, and what they cost."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow.parquet
import pytest
from pycocotools import mask as coco_mask

from clickmask.models.errors import MissingExtraError, OutputError
from clickmask.service.shards import parquet
from clickmask.service.shards.needs import need_pyarrow
from clickmask.service.shards.parquet import ParquetPhotos, ParquetWriter
from clickmask.service.shards.payload import dump, load

from .conftest import Documents, disc

MADE = {"model": "vit_t", "digest": "abc"}


def _write(documents: Sequence[dict[str, Any]], path: Path) -> Path:
    with path.open("wb") as file:
        writer = ParquetWriter(file, MADE)
        for document in documents:
            writer.add(document)
        writer.close()
    return path


def test_there_and_back_is_the_same_to_the_byte(
    documents: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 10)  # several row groups, and photos larger than what is left in one
    written = documents(40)
    photos = ParquetPhotos(str(_write(written, tmp_path / "a.parquet")))
    assert len(photos) == 40 and photos.about["provenance"] == MADE
    for number in (*range(40), 39, 0, 17):
        assert dump(photos[number]) == dump(written[number]) == dump(load(dump(written[number])))
    photos.close()


def test_pandas_filters_objects_and_sees_photos_without_any(documents: Documents, tmp_path: Path) -> None:
    table = pandas.read_parquet(_write(documents(20), tmp_path / "a.parquet"))
    assert table["image"].nunique() == 20
    assert sorted(table[table["index"].isna()]["image"]) == ["sub/00000.jpg", "sub/00009.jpg", "sub/00018.jpg"]
    dogs = table[(table["label"] == "dog") & (table["score"] > 1)]
    assert len(dogs) == sum(count >= 4 for count in range(9)) * 2 + sum(count >= 7 for count in range(9)) * 2
    assert set(dogs["index"]) == {3, 6}
    assert set(table["objects"]) == set(range(9)) and table["photo"].is_monotonic_increasing


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
def test_run_lengths_are_those_of_pycocotools(documents: Documents, tmp_path: Path) -> None:
    table = pyarrow.parquet.read_table(_write(documents(9), tmp_path / "a.parquet"))
    rows = [row for row in table.to_pylist() if row["index"] is not None]
    assert len(rows) == sum(range(9))
    for row in rows:
        runs: Any = {"size": [row["height"], row["width"]], "counts": row["rle_counts"].encode()}
        expected = disc(row["index"]) if row["index"] != 6 else np.zeros((24, 32), bool)
        assert np.array_equal(coco_mask.decode(runs), expected)
        x, y, width, height = (int(side) for side in coco_mask.toBbox(runs))
        box = (x, y, x + width, y + height) if row["area"] else (None,) * 4
        assert (row["x0"], row["y0"], row["x1"], row["y1"]) == box
        assert row["area"] == int(coco_mask.area(runs))


def test_metadata_says_what_made_it_and_the_same_photos_give_the_same_bytes(
    documents: Documents, tmp_path: Path
) -> None:
    path = _write(documents(20), tmp_path / "a.parquet")
    assert path.read_bytes() == _write(documents(20), tmp_path / "b.parquet").read_bytes()
    about = json.loads(pyarrow.parquet.read_schema(path).metadata[b"clickmask"])
    assert about["provenance"] == MADE and set(about) == {"clickmask", "schema", "provenance"}
    group = pyarrow.parquet.ParquetFile(path).metadata.row_group(0)
    assert group.column(0).statistics.max == 19 and group.column(19).statistics is None  # not of run lengths


def test_no_photo_is_a_table_without_rows(tmp_path: Path) -> None:
    path = _write([], tmp_path / "a.parquet")
    assert len(ParquetPhotos(str(path))) == 0 and len(pandas.read_parquet(path)) == 0


@pytest.mark.parametrize("spoil", [lambda data: b"", lambda data: data[:-9], lambda data: b"hello" * 40])
def test_what_is_no_shard_is_said_to_be_none(spoil: Any, documents: Documents, tmp_path: Path) -> None:
    path = _write(documents(3), tmp_path / "a.parquet")
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(OutputError, match="a.parquet is no whole Parquet file of clickmask"):
        ParquetPhotos(str(path))
    plain = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"photo": [1]}), plain)
    path.write_bytes(plain.getvalue())
    with pytest.raises(OutputError, match="a.parquet is no whole Parquet file of clickmask"):
        ParquetPhotos(str(path))


def test_without_pyarrow_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"shards need pyarrow .*: pip install 'clickmask\[shards\]'$"):
        need_pyarrow()


def test_pyarrow_is_not_loaded_until_it_is_needed() -> None:
    code = (
        "import sys, clickmask.service.batch.run, clickmask.service.shards.reader; assert 'pyarrow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
