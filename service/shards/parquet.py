"""The Parquet file of a shard: a row an object, and one row, without an object's values, for a photo that has none.

A row an object is what one filters: `WHERE label = 'dog' AND score > 0.9` needs no unnesting in DuckDB, pandas or
Polars, and passes over photos without objects by itself, since their values are null; `WHERE "index" IS NULL` finds
them. What is said of the photo stands in each of its rows: dictionaries make that cost next to nothing.

    photo          number of the photo in this file, from 0 up; a photo's rows follow one another in one row group
    image, key     its relative name; the sample's key in the tar
    sha256, file_sha256    of the upright pixels, and of the file's bytes
    width, height, orientation    of the upright photo, in pixels; EXIF orientation, applied already
    objects        how many the photo has
    index, label, score, stability    the object's number, label, predicted IoU and stability score
    area, x0, y0, x1, y1    pixels of the object, and the box around them, which ends exclusively; null when empty
    rle_counts     COCO's compressed run lengths: {"size": [height, width], "counts": rle_counts}
    prompt         what was asked, JSON: {"points", "labels", "box", "previous"}

The schema's metadata has an entry `clickmask`: JSON with version, schema and provenance. Nothing tells a time of day,
host or path: the same photos give, with one release of pyarrow, the same bytes.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from ...models.errors import OutputError
from ..formats.schema import SCHEMA
from ..version import version
from .needs import need_pyarrow
from .payload import Document

GROUP_ROWS = 4096
_GROUP_BYTES = 16 << 20  # of run lengths and prompts
_OF_THE_IMAGE = ("width", "height", "sha256", "orientation")
_BOX = ("x0", "y0", "x1", "y1")
_PLAIN = ("index", "label", "score", "stability", "area")
_COLUMNS = {
    "photo": "int32",
    "image": "string",
    "key": "string",
    "sha256": "string",
    "file_sha256": "string",
    "width": "int32",
    "height": "int32",
    "orientation": "int8",
    "objects": "int32",
    "index": "int32",
    "label": "string",
    "score": "float64",
    "stability": "float64",
    "area": "int64",
    **dict.fromkeys(_BOX, "int32"),
    "rle_counts": "string",
    "prompt": "string",
}
_REPEATED = ["image", "key", "sha256", "file_sha256", "width", "height", "orientation", "objects", "label"]
_MEASURED = ["photo", "image", "label", "score", "stability", "area"]  # readers skip row groups by these


class ParquetWriter:
    """Writes documents, photo by photo, to `file`; in memory is one row group, and at most one photo beyond it."""

    def __init__(self, file: BinaryIO, provenance: Mapping[str, object]) -> None:
        arrow = need_pyarrow()
        about = {"clickmask": version(), "schema": SCHEMA, "provenance": dict(provenance)}
        self._schema = arrow.schema(
            [(name, getattr(arrow, kind)()) for name, kind in _COLUMNS.items()],
            metadata={"clickmask": json.dumps(about, ensure_ascii=False)},
        )
        self._writer = arrow.parquet.ParquetWriter(
            file,
            self._schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=_REPEATED,
            write_statistics=_MEASURED,
            version="2.6",
        )
        self._photos, self._rows, self._bytes = 0, [], 0

    def add(self, document: Document) -> None:
        """One more photo."""
        self._rows += to_rows(document, self._photos)
        self._photos += 1
        self._bytes += sum(len(item["rle"]["counts"]) for item in document["objects"])
        if len(self._rows) >= GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the file's end."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            table = need_pyarrow().Table.from_pylist(self._rows, schema=self._schema)
            self._writer.write_table(table, row_group_size=len(self._rows))
        self._rows, self._bytes = [], 0

    _rows: list[dict[str, Any]]


class ParquetPhotos:
    """The photos of a shard's Parquet file, by their numbers; one row group at a time is read, and a few are kept.

    Raises OutputError, naming the file, when it is no whole shard. Belongs to one thread of one process.
    """

    def __init__(self, path: str, kept: int = 1) -> None:
        arrow = need_pyarrow()
        self._path, self._kept = path, kept
        self._groups: dict[int, tuple[np.ndarray, Any]] = {}  # each row's photo, and the table of a row group
        self._broken = (arrow.ArrowException, OSError, KeyError, ValueError, TypeError, AttributeError)
        try:
            self._file = arrow.parquet.ParquetFile(path)
            self.about: dict[str, Any] = json.loads(self._file.schema_arrow.metadata[b"clickmask"])
            self._lasts = [self._last_photo(group) for group in range(self._file.num_row_groups)]
        except self._broken as error:
            raise self._error(error) from None

    def __len__(self) -> int:
        return self._lasts[-1] + 1 if self._lasts else 0

    def __getitem__(self, photo: int) -> Document:
        """What is known of a photo, as `payload.load` gives it."""
        group = bisect_left(self._lasts, photo)
        photos, table = self._group(group)
        first, end = np.searchsorted(photos, (photo, photo + 1))
        return to_document(table.slice(first, end - first).to_pylist())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _last_photo(self, group: int) -> int:
        return self._file.metadata.row_group(group).column(0).statistics.max

    def _group(self, number: int) -> tuple[np.ndarray, Any]:
        found = self._groups.pop(number, None)
        if found is None:
            found = self._read(number)
        self._groups[number] = found  # the one that was asked for last stands last
        while len(self._groups) > self._kept:
            del self._groups[next(iter(self._groups))]
        return found

    def _read(self, number: int) -> tuple[np.ndarray, Any]:
        try:
            table = self._file.read_row_group(number, use_threads=False)
            return table["photo"].to_numpy(), table
        except self._broken as error:
            raise self._error(error) from None

    def _error(self, error: Exception) -> OutputError:
        return OutputError(f"{self._path} is no whole Parquet file of clickmask ({error}): write it anew")


def to_rows(document: Document, photo: int) -> Iterator[dict[str, Any]]:
    """The rows of a photo: one an object, or one without an object's values."""
    image, objects = document["image"], document["objects"]
    same = {
        "photo": photo,
        "image": image["name"],
        "key": document["key"],
        "file_sha256": document["file_sha256"],
        **{name: image[name] for name in _OF_THE_IMAGE},
        "objects": len(objects),
    }
    for item in objects:
        prompt = None if item["prompt"] is None else json.dumps(item["prompt"])
        box = dict(zip(_BOX, item["box"] or (None,) * 4, strict=True))
        own = {name: item[name] for name in _PLAIN}
        yield {**same, **own, **box, "rle_counts": item["rle"]["counts"], "prompt": prompt}
    if not objects:
        yield same


def to_document(rows: Sequence[Mapping[str, Any]]) -> Document:
    """What is known of a photo, from its rows."""
    first = rows[0]
    image = {name: first[name] for name in ("width", "height", "sha256", "orientation")}
    objects = [_object(row) for row in rows] if first["objects"] else []
    return {
        "image": {"name": first["image"], **image},
        "key": first["key"],
        "file_sha256": first["file_sha256"],
        "objects": objects,
    }


def _object(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in _PLAIN},
        "box": None if row["x0"] is None else [row[side] for side in _BOX],
        "rle": {"size": [row["height"], row["width"]], "counts": row["rle_counts"]},
        "prompt": None if row["prompt"] is None else json.loads(row["prompt"]),
    }
