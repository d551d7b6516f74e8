"""A folder of shards as a data set of torch: any photo by its number, in any order, in any number of workers."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from ...models.errors import ImageError, SettingsError
from .. import rle
from ..images import read_picture
from .index import read_index
from .needs import need_pyarrow
from .parquet import ParquetPhotos

_OPEN_SHARDS = 4
_KEPT_GROUPS = 2  # of each open shard


class MaskShards(Dataset[dict[str, Any]]):
    """The photos in a folder of shards, as `clickmask batch --format shards` writes it, in the order of their names.

        dataset = MaskShards("found/shards", photos="photos", masks=True)
        loader = DataLoader(dataset, batch_size=None, shuffle=True, num_workers=4)

    A photo is a dict: `name` (relative to the folder of photos; %XX for what no name should hold), `key`, `width`,
    `height`, `sha256`, `file_sha256`, `orientation`, and `objects`, a list of dicts with `index`, `label`, `score`,
    `stability`, `area`, `box` ([x0, y0, x1, y1], which ends exclusively; None when empty), `rle` ({"size": [height,
    width], "counts"}, as pycocotools takes it) and `prompt`. With `masks` there is also `masks`, (objects, height,
    width) bool; with `photos`, the folder that the photos lie in, `pixels`, (height, width, 3) uint8 RGB, upright.

    Of the Parquet files one row group is read at a time, and a few are kept. It may be pickled and forked, and each
    thread should have its own. `index` is what index.json says.

    Raises:
        OutputError: no folder of shards, or one that is spoilt. MissingExtraError: pyarrow is not installed.
        SettingsError: a photo is asked for whose shard is not there. ImageError: a photo cannot be read, or is not the
        one that was segmented.
    """

    def __init__(
        self, folder: str | os.PathLike[str], photos: str | os.PathLike[str] | None = None, *, masks: bool = False
    ) -> None:
        need_pyarrow()
        self.folder, self.photos, self.masks = Path(folder), None if photos is None else Path(photos), masks
        self.index = read_index(self.folder)
        self._ends = list(accumulate(shard["photos"] for shard in self.index["shards"]))
        self._open: dict[int, ParquetPhotos] = {}
        self._process = os.getpid()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, number: int) -> dict[str, Any]:
        """The photo of this number; negative ones count from the end. Raises IndexError beyond the last."""
        at = number + len(self) if number < 0 else number
        if not 0 <= at < len(self):
            raise IndexError(f"photo {number} of {len(self)}")
        place = bisect_right(self._ends, at)
        shard = self.index["shards"][place]
        document = self._shard(shard)[at - self._ends[place] + shard["photos"]]
        sample = {**document["image"], "key": document["key"], "file_sha256": document["file_sha256"]}
        sample["objects"] = document["objects"]
        if self.masks:
            sample["masks"] = _masks(document["objects"], sample["width"], sample["height"])
        if self.photos is not None:
            sample["pixels"] = _pixels(self.photos / sample["name"], sample["sha256"])
        return sample

    def __getstate__(self) -> dict[str, Any]:
        """Open files stay where they are."""
        return {**self.__dict__, "_open": {}}

    def _shard(self, shard: dict[str, Any]) -> ParquetPhotos:
        if self._process != os.getpid():  # a forked worker shares its parent's files, and where they were read
            self._open, self._process = {}, os.getpid()
        number = shard["number"]
        found = self._open.pop(number, None) or self._opened(shard)
        self._open[number] = found  # the one that was asked for last stands last
        while len(self._open) > _OPEN_SHARDS:
            self._open.pop(next(iter(self._open))).close()
        return found

    def _opened(self, shard: dict[str, Any]) -> ParquetPhotos:
        path = next(self.folder / name for name in shard["files"] if name.endswith(".parquet"))
        if not path.is_file():
            raise SettingsError(f"{path} is not there: fetch it, or write it anew with clickmask batch")
        return ParquetPhotos(str(path), _KEPT_GROUPS)


def _masks(objects: Sequence[dict[str, Any]], width: int, height: int) -> np.ndarray:
    masks = np.zeros((len(objects), height, width), bool)
    for mask, item in zip(masks, objects, strict=True):
        mask[:] = rle.decode(item["rle"], size=(width, height))
    return masks


def _pixels(path: Path, digest: str) -> np.ndarray:
    picture = read_picture(path)
    if picture.digest != digest:
        raise ImageError(f"{path} is not the photo that was segmented: its pixels are others")
    return picture.pixels
