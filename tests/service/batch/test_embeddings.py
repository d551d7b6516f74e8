"""What the encoder made of photos, kept and used again; and files that are there twice, which it sees once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from torch import Tensor

from clickmask.models.errors import SettingsError
from clickmask.service.batch.outlet import Folder
from clickmask.service.batch.questions import Everything, Nothing, Whole
from clickmask.service.batch.run import Batch, run
from clickmask.service.batch.settings import Formats
from clickmask.service.batch.sources import STATE, scan
from clickmask.service.formats import Options
from clickmask.service.segmenter import Segmenter

from .conftest import Run, tree


@pytest.fixture
def encoded(strip_segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The names of the pictures that are encoded."""
    seen: list[str | None] = []
    encode = strip_segmenter.open_together

    def noted(pictures):
        seen.extend(picture.name for picture, _ in pictures)
        return encode(pictures)

    monkeypatch.setattr(strip_segmenter, "open_together", noted)
    return seen


def test_an_embedding_is_what_the_encoder_made(
    photos: Path, tmp_path: Path, segment: Run, strip_segmenter: Segmenter
) -> None:
    report = segment(photos, tmp_path / "kept", "embedding", Nothing())
    assert (report.tally.done, report.tally.objects) == (8, 0)
    assert sorted(tree(tmp_path / "kept"))[:2] == ["001.safetensors", "003.safetensors"]
    loaded = strip_segmenter.load_embedding(tmp_path / "kept" / "even" / "004.safetensors")
    opened = strip_segmenter.open(photos / "even" / "004.png")
    assert np.array_equal(loaded.embedding(), opened.embedding())
    assert segment(photos, tmp_path / "kept", "embedding", Nothing(), verify=True).tally.kept == 8


def test_later_runs_encode_nothing_and_write_the_same(
    photos: Path, tmp_path: Path, segment: Run, encoded: list[str | None]
) -> None:
    segment(photos, tmp_path / "plain", "png,coco,json")
    segment(photos, tmp_path / "kept", "embedding", Nothing())
    encoded.clear()
    segment(photos, tmp_path / "out", "png,coco,json", embeddings=tmp_path / "kept")
    assert encoded == []
    assert tree(tmp_path / "out") == tree(tmp_path / "plain")
    with pytest.raises(SettingsError, match="embeddings was True, now not there"):
        segment(photos, tmp_path / "out", "png,coco,json")


def test_what_was_edited_or_has_no_embedding_is_encoded(
    photos: Path, tmp_path: Path, segment: Run, encoded: list[str | None]
) -> None:
    segment(photos, tmp_path / "kept", "embedding", Nothing())
    cv2.imwrite(str(photos / "001.png"), cv2.imread(str(photos / "001.png"))[:, ::-1])
    (tmp_path / "kept" / "003.safetensors").unlink()
    encoded.clear()
    segment(photos, tmp_path / "out", "png", embeddings=tmp_path / "kept")
    assert sorted(encoded) == ["001.png", "003.png"]


def test_embeddings_of_another_model_cost_a_row_each(
    photos: Path, tmp_path: Path, segment: Run, tiny_sam_state: dict[str, Tensor], cache_folder: Path
) -> None:
    other = Segmenter(tiny_sam_state, device="cpu", precision="float32", cache_dir=cache_folder)
    (tmp_path / "kept").mkdir()
    other.open(photos / "001.png").save_embedding(tmp_path / "kept" / "001.safetensors")
    report = segment(photos, tmp_path / "out", "png", embeddings=tmp_path / "kept")
    assert (report.tally.done, [trouble.kind for trouble in report.failures]) == (7, ["EmbeddingError"])
    assert "not with this one" in report.failures[0].reason


@pytest.mark.parametrize("question", [Whole("center"), Everything({"points_per_side": 2, "pred_iou_thresh": 0.0})])
def test_a_file_that_is_there_twice_is_segmented_once(
    question: Whole | Everything,
    make: Callable[[Path, int], None],
    tmp_path: Path,
    segment: Run,
    encoded: list[str | None],
) -> None:
    photos = tmp_path / "photos"
    make(photos, 4)
    for name in ("zz.png", "even/aa.png"):
        shutil.copy(photos / "001.png", photos / name)
    report = segment(photos, tmp_path / "out", "png,coco,json", question)
    assert report.tally.done == 6 and len(encoded) == 4
    results = tree(tmp_path / "out")
    assert results["001_objects.json"] != results["zz_objects.json"]  # each with its own name
    objects = [json.loads(results[f"{name}_objects.json"])["objects"] for name in ("001", "zz", "even/aa")]
    assert objects[0] == objects[1] == objects[2] and objects[0]


def test_fast_decoding_gives_masks_of_full_size_that_are_nearly_the_same(
    tmp_path: Path, strip_segmenter: Segmenter
) -> None:
    photo = cv2.imread(str(Path(__file__).parents[3] / "examples" / "photos" / "dogs.jpg"))
    large = cv2.resize(photo, (2400, 800), interpolation=cv2.INTER_CUBIC)
    path = tmp_path / "photos" / "large.jpg"
    path.parent.mkdir()
    cv2.imwrite(str(path), large)
    masks = []
    for is_fast in (False, True):
        out = Folder(tmp_path / f"out{is_fast}")
        formats = Formats(("png", "json"), Options())
        batch = Batch(scan(str(path.parent), out.root), Whole("center"), formats, out, is_fast=is_fast)
        assert run(batch, lambda: strip_segmenter, lambda report: None).tally.done == 1
        masks.append(cv2.imread(str(out.root / "large_mask.png"), cv2.IMREAD_UNCHANGED) > 0)
        image = json.loads((out.root / "large_objects.json").read_bytes())["image"]
        assert (image["width"], image["height"]) == (large.shape[1], large.shape[0])
        assert (image["sha256"] is None) is is_fast
    assert max(large.shape) >= 2048 and masks[0].shape == masks[1].shape == large.shape[:2]
    assert (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum() > 0.97
    assert len(list((tmp_path / "outTrue" / STATE / "thumbnails").iterdir())) == 1
