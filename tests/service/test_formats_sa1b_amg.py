"""SA-1B's JSON and amg.py's folder, beside pycocotools and segment_anything's own reckoning."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco
from segment_anything.utils.amg import batched_mask_to_box, box_xyxy_to_xywh

from clickmask.models.errors import OutputError
from clickmask.service.formats import File, write, write_files
from clickmask.service.formats.amg import write_amg
from clickmask.service.formats.result import ObjectResult, Result
from clickmask.service.formats.sa1b import write_sa1b

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools

# As it stands in segment_anything's scripts/amg.py.
PUBLISHED = "id,area,bbox_x0,bbox_y0,bbox_w,bbox_h,point_input_x,point_input_y,predicted_iou,stability_score,crop_box_x0,crop_box_y0,crop_box_w,crop_box_h"  # noqa: E501
PROMPT = {"points": [[1, 0], [2.5, 1.5]], "labels": [0, 1], "box": None, "previous": False}


def _square() -> np.ndarray:
    mask = np.zeros((4, 5), bool)
    mask[1:3, 2:5] = True
    return mask


def _result(masks: list[np.ndarray], label: str | None = "dog", name: str | None = "dogs.jpg") -> Result:
    height, width = masks[0].shape
    objects = [
        ObjectResult(mask, 0.875, 0.75, place, label, PROMPT, (1, 0, 5, 3) if place == 0 else None)
        for place, mask in enumerate(masks)
    ]
    return Result(width, height, objects, {"variant": "vit_t"}, name=name, sha256="ab", orientation=6)


def test_the_sa1b_document_of_a_square_is_as_worked_out_by_hand() -> None:
    document = json.loads(write_sa1b(_result([_square()])))
    assert isinstance(document["info"].pop("version"), str)
    assert document == {
        "info": {"description": "made with clickmask", "provenance": {"variant": "vit_t"}},
        "image": {
            "image_id": 1,
            "width": 5,
            "height": 4,
            "file_name": "dogs.jpg",
            "sha256": "ab",
            "orientation": 6,
        },
        "annotations": [
            {
                "id": 1,
                "segmentation": {"size": [4, 5], "counts": "922000O"},
                "bbox": [2, 1, 3, 2],
                "area": 6,
                "predicted_iou": 0.875,
                "stability_score": 0.75,
                "point_coords": [[2.5, 1.5]],
                "crop_box": [1, 0, 4, 3],
                "label": "dog",
            }
        ],
    }


def test_pycocotools_reads_sa1b_s_masks_areas_and_boxes(random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        annotations = json.loads(write_sa1b(_result([mask])))["annotations"]
        assert len(annotations) == int(mask.any())
        for row in annotations:
            runs = row["segmentation"]
            assert np.array_equal(coco.decode(runs) > 0, mask)
            assert coco.area(runs) == row["area"] == mask.sum()
            assert coco.toBbox(runs).tolist() == row["bbox"]


def test_sa1b_without_point_label_and_scores_says_so() -> None:
    bare = Result(5, 4, [ObjectResult(_square(), float("nan"), None, 0, "")])
    (row,) = json.loads(write_sa1b(bare))["annotations"]
    assert row["point_coords"] == [] and row["crop_box"] == [0, 0, 5, 4]
    assert not {"label", "predicted_iou", "stability_score"} & set(row)
    boxed = Result(5, 4, [ObjectResult(_square(), prompt={"points": [[1, 1]], "labels": [0], "box": [0, 0, 3, 3]})])
    assert json.loads(write_sa1b(boxed))["annotations"][0]["point_coords"] == []


def test_sa1b_keeps_names_and_labels_of_any_script() -> None:
    document = json.loads(write_sa1b(_result([_square()], 'chien "é"\n犬', "犬 🐶.jpg")))
    assert (document["annotations"][0]["label"], document["image"]["file_name"]) == ('chien "é"\n犬', "犬 🐶.jpg")


def test_metadata_of_a_square_is_as_worked_out_by_hand() -> None:
    files = {file.name: file.data for file in write_files(_result([_square()]), ["amg"])}
    assert list(files) == ["dogs/0.png", "dogs/metadata.csv"]
    expected = f"{PUBLISHED}\n0,6,2,1,2,1,2.5,1.5,0.875,0.75,1,0,4,3"
    assert files["dogs/metadata.csv"].decode() == expected


def _amg_folder(masks: list[np.ndarray], scores: list[float]) -> str:
    """metadata.csv as segment_anything makes its records, and the script its rows."""
    corners = batched_mask_to_box(torch.as_tensor(np.stack(masks)))
    boxes = [box_xyxy_to_xywh(box).tolist() for box in corners]
    height, width = masks[0].shape
    rows = [PUBLISHED]
    for place, (mask, box, score) in enumerate(zip(masks, boxes, scores, strict=True)):
        record = [place, int(mask.sum()), *box, 2.5, 1.5, score, score, 0, 0, width, height]
        rows.append(",".join(str(value) for value in record))
    return "\n".join(rows)


def test_metadata_is_what_the_script_writes_byte_for_byte() -> None:
    draw = np.random.default_rng(3)
    masks = [draw.random((9, 12)) < share for share in (0.05, 0.3, 0.6, 1.0, 0.0)]
    one = np.zeros((9, 12), bool)
    one[8, 11] = True
    masks.append(one)
    scores = torch.rand(6, generator=torch.Generator().manual_seed(1)).tolist()
    objects = [
        ObjectResult(mask, score, score, place, None, PROMPT)
        for place, (mask, score) in enumerate(zip(masks, scores, strict=True))
    ]
    files = {file.name: file.data for file in write_files(Result(12, 9, objects, name="a.b.png"), ["amg"])}
    assert files.pop("a.b/metadata.csv").decode() == _amg_folder(masks, scores)
    assert list(files) == [f"a.b/{place}.png" for place in range(6)]
    for data, mask in zip(files.values(), masks, strict=True):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), mask * np.uint8(255))


def test_what_amg_always_has_and_we_lack_is_an_empty_cell() -> None:
    *_, metadata = write_files(Result(5, 4, [ObjectResult(_square())]), ["amg"])
    (row,) = csv.DictReader(io.StringIO(metadata.data.decode()))
    empty = ["point_input_x", "point_input_y", "predicted_iou", "stability_score"]
    assert [name for name, cell in row.items() if cell == ""] == empty
    assert metadata.name == "image/metadata.csv"


def test_one_file_of_amg_is_the_zipped_folder() -> None:
    result = _result([_square(), ~_square()])
    with zipfile.ZipFile(io.BytesIO(write(result, "a.zip", "amg"))) as archive:
        assert archive.testzip() is None
        inside = [File(f"dogs/{name}", archive.read(name)) for name in archive.namelist()]
    assert [(f.name, f.data) for f in inside] == [(f.name, f.data) for f in write_files(result, ["amg"])]
    assert write_amg(result) == write_amg(result)


def test_provenance_beyond_json_is_refused() -> None:
    with pytest.raises(OutputError, match="JSON"):
        write_sa1b(Result(5, 4, [], {"device": object()}))
