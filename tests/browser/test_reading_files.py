"""Others' files are read in the browser as the service reads them: to the last pixel, and with its refusals."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Error, Page

from clickmask.models.errors import PromptError
from clickmask.service import rle
from clickmask.service.formats.coco import write_coco
from clickmask.service.formats.json_file import write_json
from clickmask.service.formats.labelme import write_labelme
from clickmask.service.formats.reading_coco import read_coco
from clickmask.service.formats.reading_labelme import read_labelme
from clickmask.service.formats.result import ObjectResult, Result

WIDTH, HEIGHT = 97, 61
READ = """async ([kind, text]) => {
  const { readCoco } = await import('./reading_coco.js');
  const { readLabelMe } = await import('./reading_labelme.js');
  const { readResult } = await import('./reading_result.js');
  const read = { coco: readCoco, labelme: (found) => readLabelMe(found, 'a.json'), json: readResult }[kind];
  const records = read(JSON.parse(text));
  const states = await Promise.all(records.map((record) => record.read(record.size)));
  return records.map(({ name, size }, n) => ({ name, size, objects: states[n].objects.map(({ label, final }) =>
    ({ label, rle: final.mask.rle, score: final.mask.score, stability: final.mask.stability })) }));
}"""


def _read(page: Page, kind: str, document: object) -> Any:
    text = document.decode() if isinstance(document, bytes) else json.dumps(document)
    return page.evaluate(READ, [kind, text])


def _plain(result: Result) -> dict[str, Any]:
    objects = [
        {"label": item.label or "", "rle": item.runs, "score": item.score, "stability": item.stability}
        for item in result.objects
    ]
    return {"name": result.name, "size": [result.width, result.height], "objects": objects}


def _blobs() -> Result:
    """Objects with holes, in parts, of single pixels and at the image's edges."""
    draw = np.random.default_rng(5)
    masks = [draw.random((HEIGHT, WIDTH)) < share for share in (0.02, 0.5, 0.97)]
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    masks.append((abs(np.hypot(rows - 30, columns - 50) - 20) < 6) | (columns > 90))
    labels = ["dog", "chien été", None, "cat"]
    return Result(WIDTH, HEIGHT, [ObjectResult(m, 0.9, 0.5, n, labels[n]) for n, m in enumerate(masks)], name="é.jpg")


def _coco(rings: list[Any], size: tuple[int, int] = (WIDTH, HEIGHT)) -> dict[str, Any]:
    return {
        "images": [{"id": 7, "width": size[0], "height": size[1], "file_name": "a.jpg"}],
        "categories": [{"id": 0, "name": "x"}],
        "annotations": [
            {"id": n, "image_id": 7, "category_id": 0, "segmentation": ring} for n, ring in enumerate(rings)
        ],
    }


def _labelme(*shapes: dict[str, Any]) -> dict[str, Any]:
    return {"imagePath": "a.jpg", "imageWidth": WIDTH, "imageHeight": HEIGHT, "shapes": list(shapes)}


def _shape(kind: str, points: Any, **more: Any) -> dict[str, Any]:
    return {"label": "x", "shape_type": kind, "points": points, **more}


@pytest.mark.parametrize("tolerance", [0.0, 1.5])
@pytest.mark.parametrize("polygons", [True, False])
def test_files_that_the_service_wrote_are_read_as_it_reads_them(
    functions: Page, polygons: bool, tolerance: float
) -> None:
    coco = write_coco(_blobs(), polygons, tolerance)
    assert _read(functions, "coco", coco) == [_plain(read_coco(coco, file="a"))]
    labelme = write_labelme(_blobs(), polygons, tolerance)
    assert _read(functions, "labelme", labelme) == [_plain(read_labelme(labelme, file="a"))]
    assert _read(functions, "json", write_json(_blobs())) == [_plain(_blobs())]


def test_polygons_of_all_kinds_cover_the_very_pixels(functions: Page) -> None:
    """Whole, half and odd corners; crossing themselves, beyond the image, and of no area; many a segmentation."""
    draw = np.random.default_rng(1)
    rings = []
    for step in (1, 0.5, 0.1, 0.001):
        for corners in (3, 4, 7, 40):
            for _ in range(12):
                ring = np.round(draw.uniform(-40, 140, (corners, 2)) / step) * step
                rings.append(ring)
    segmentations = [[ring.ravel().tolist()] for ring in rings]
    segmentations += [[one.ravel().tolist(), two.ravel().tolist()] for one, two in zip(rings, rings[::-1], strict=True)]
    segmentations += [[[5, 5, 5, 5, 5, 5]], [[0, 0, 97, 0, 97, 61, 0, 61]], [[-9e8, -9e8, 9e8, -9e8, 0, 9e8]]]
    document = _coco(segmentations)
    expected = _plain(read_coco(json.dumps(document).encode(), file="a"))
    assert _read(functions, "coco", document) == [expected]


def test_rectangles_and_circles_cover_the_very_pixels(functions: Page) -> None:
    draw = np.random.default_rng(2)
    shapes = []
    for step in (1, 0.5, 0.01):
        for kind in ("rectangle", "circle"):
            pairs = np.round(draw.uniform(-5, 95, (150, 2, 2)) / step) * step
            shapes += [_shape(kind, pair.tolist()) for pair in pairs]
    shapes += [_shape("circle", [[50, 30], [50, 10]]), _shape("circle", [[50.5, 30.5], [60.5, 30.5]])]
    document = _labelme(*shapes)
    expected = _plain(read_labelme(json.dumps(document).encode(), file="a"))
    assert _read(functions, "labelme", document) == [expected]


def test_shapes_of_one_group_and_label_are_one_object(functions: Page) -> None:
    square = [[1, 1], [9, 1], [9, 9], [1, 9]]
    document = _labelme(
        _shape("polygon", square, group_id=1, predicted_iou=0.5),
        {"label": "y", "points": square, "group_id": 1},
        _shape("rectangle", [[20, 20], [30, 30]], group_id=1),
        _shape("polygon", square),
        _shape("polygon", square, label=None),
    )
    found = _read(functions, "labelme", document)
    assert found == [_plain(read_labelme(json.dumps(document).encode(), file="a"))]
    assert [one["label"] for one in found[0]["objects"]] == ["x", "y", "x", ""]


def test_listed_run_lengths_are_read_too(functions: Page) -> None:
    mask = _blobs().objects[3].mask
    runs = np.diff(np.flatnonzero(np.diff(np.r_[0, mask.T.ravel(), 1 - mask.T.ravel()[-1]])), prepend=0).tolist()
    document = _coco([{"size": [HEIGHT, WIDTH], "counts": runs}])
    ((found,),) = [one["objects"] for one in _read(functions, "coco", document)]
    assert (rle.decode(found["rle"]) == mask).all()


WRONG_COCO = {
    "no numbers": [[["a", 1, 2, 3, 4, 5]]],
    "two corners": [[[1, 2, 3, 4]]],
    "odd": [[[1, 2, 3, 4, 5, 6, 7]]],
    "no polygon": [[]],
    "nothing": [None],
    "far": [[[1, 2, 3, 4, 5, 1e9]]],
    "other size": [{"size": [3, 3], "counts": [9]}],
    "too few runs": [{"size": [HEIGHT, WIDTH], "counts": [9]}],
    "negative": [{"size": [HEIGHT, WIDTH], "counts": [-1, HEIGHT * WIDTH + 1]}],
    "no counts": [{"size": [HEIGHT, WIDTH], "counts": "\u00ff"}],
}
WRONG_LABELME = {
    "point": _shape("point", [[1, 1]]),
    "line": _shape("linestrip", [[1, 1], [2, 2]]),
    "two corners": _shape("polygon", [[1, 1], [2, 2]]),
    "three of a circle": _shape("circle", [[1, 1], [2, 2], [3, 3]]),
    "no points": _shape("polygon", [[1, 1], [2], [3, 3]]),
    "no mask": _shape("mask", [[1, 1], [2, 2]], mask="nonsense"),
    "label": _shape("rectangle", [[1, 1], [2, 2]], label=3),
    "unknown": _shape("toString", [[1, 1], [2, 2]]),
    "no kind": _shape("x", [[1, 1], [2, 2]], shape_type=None),
}


@pytest.mark.parametrize("segmentations", WRONG_COCO.values(), ids=WRONG_COCO)
def test_what_the_service_refuses_of_coco_the_page_refuses(functions: Page, segmentations: list[Any]) -> None:
    document = _coco(segmentations)
    with pytest.raises(PromptError):
        read_coco(json.dumps(document).encode(), file="a")
    with pytest.raises(Error, match=r"DocumentError: annotations\[0\]\.segmentation"):
        _read(functions, "coco", document)


@pytest.mark.parametrize("shape", WRONG_LABELME.values(), ids=WRONG_LABELME)
def test_what_the_service_refuses_of_labelme_the_page_refuses(functions: Page, shape: dict[str, Any]) -> None:
    document = _labelme(shape)
    with pytest.raises(PromptError):
        read_labelme(json.dumps(document).encode(), file="a")
    with pytest.raises(Error, match=r"DocumentError: shapes\[0\]"):
        _read(functions, "labelme", document)


def test_a_mask_that_claims_another_size_is_not_decoded(functions: Page) -> None:
    document = json.loads(write_labelme(_blobs(), polygons=False))
    document["shapes"][0]["points"][1][0] -= 1
    with pytest.raises(PromptError, match="do not fit"):
        read_labelme(json.dumps(document).encode(), file="a")
    with pytest.raises(Error, match=r"shapes\[0\]\.mask"):
        _read(functions, "labelme", document)
