"""amg.py's folders and black and white masks read back, and zips that mean harm."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from clickmask.models.errors import PromptError
from clickmask.service.cli.app import app
from clickmask.service.formats.amg import HEADER, amg_files, write_amg
from clickmask.service.formats.reading import Known, read_result
from clickmask.service.formats.reading_amg import read_amg, zip_folder
from clickmask.service.formats.reading_png import read_png
from clickmask.service.formats.result import ObjectResult, Result

ROW = "0,6,2,1,2,1,2.5,1.5,0.875,0.75,1,0,4,3"


def _png(mask: np.ndarray, mode: str = "L") -> bytes:
    out = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).convert(mode).save(out, "PNG")
    return out.getvalue()


def _square() -> np.ndarray:
    mask = np.zeros((4, 5), bool)
    mask[1:3, 2:5] = True
    return mask


def _zip(files: dict[str, bytes | str], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def _csv(*rows: str) -> str:
    return "\n".join((HEADER, *rows))


def test_the_script_s_folder_is_read_as_worked_out_by_hand(tmp_path: Path) -> None:
    """As amg.py writes it: by OpenCV, in a folder of the picture's name."""
    folder = tmp_path / "dogs.png"
    folder.mkdir()
    cv2.imwrite(str(folder / "0.png"), _square() * np.uint8(255))
    (folder / "metadata.csv").write_text(_csv(ROW))
    (item,) = read_amg(zip_folder(folder), file="dogs").objects
    assert np.array_equal(item.mask, _square())
    assert (item.score, item.stability, item.point, item.crop) == (0.875, 0.75, (2.5, 1.5), (1, 0, 5, 3))
    done = CliRunner().invoke(app, ["convert", str(folder), str(tmp_path / "out.json")])
    assert done.exit_code == 0 and done.stderr.endswith("out.json: 1 object as json\n")
    assert np.array_equal(read_result((tmp_path / "out.json").read_bytes(), Known("o")).objects[0].mask, _square())


def test_a_folder_within_the_zip_and_other_files_beside_are_no_matter() -> None:
    files = dict(amg_files(Result(5, 4, [ObjectResult(_square(), 0.5, 0.5)])))
    data = _zip({"README": "x", **{f"photo/{name}": data for name, data in files.items()}, "photo/other.png": b""})
    assert np.array_equal(read_amg(data, file="a.zip").objects[0].mask, _square())


def test_a_folder_without_masks_takes_the_photo_s_size() -> None:
    data = write_amg(Result(5, 4))
    assert read_amg(data, file="a.zip", size=(5, 4)).height == 4
    with pytest.raises(PromptError, match="^a.zip: it holds no mask.*give the photo too"):
        read_amg(data, file="a.zip")


@pytest.mark.parametrize("mode", ["L", "1"])
def test_a_black_and_white_mask_is_one_object(mode: str, random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        (item,) = read_png(_png(mask, mode), file="a.png", name="a.jpg").objects
        assert np.array_equal(item.mask, mask)


@pytest.mark.parametrize("data", [b"", _png(_square(), "RGB"), _png(_square(), "RGBA"), _png(_square())[:40]])
def test_what_is_no_grey_png_is_no_mask(data: bytes) -> None:
    with pytest.raises(PromptError, match="^a.png: expected a black and white mask"):
        read_png(data, file="a.png")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "expected one metadata.csv, got 0"),
        ({"a/metadata.csv": _csv(), "b/metadata.csv": _csv()}, "expected one metadata.csv, got 2"),
        ({"metadata.csv": _csv(ROW)}, "0.png: it is not there, but metadata.csv names it"),
        ({"a/metadata.csv": _csv(ROW), "0.png": _png(_square())}, "a/0.png: it is not there"),
        ({"metadata.csv": _csv(ROW), "0.png": b"text"}, "0.png: expected a mask, a grey PNG"),
        ({"metadata.csv": _csv(ROW), "0.png": _png(_square(), "RGB")}, "0.png: expected a mask, a grey PNG"),
        (
            {"metadata.csv": _csv(ROW, f"1{ROW[1:]}"), "0.png": _png(_square()), "1.png": _png(_square().T)},
            "1.png: 4 x 5, others 5 x 4",
        ),
        ({"metadata.csv": _csv(ROW, ROW), "0.png": _png(_square())}, "line 3: id: there is a mask 0 already"),
        ({"metadata.csv": _csv("../0,6"), "../0.png": b""}, "'../0.png' leads out of the zip"),
        ({"metadata.csv": _csv("../0,6"), "0.png": b""}, "line 2: id: expected a whole number, got '../0'"),
        ({"/metadata.csv": _csv(ROW)}, "'/metadata.csv' leads out"),
        ({"..\\metadata.csv": _csv(ROW)}, "leads out"),
        ({"metadata.csv": "number\n0"}, "metadata.csv: expected a head line with the column id"),
        ({"metadata.csv": b"\xff\xfe"}, "metadata.csv: not CSV"),
        (
            {"metadata.csv": _csv(ROW.replace("0.875", "high")), "0.png": _png(_square())},
            "predicted_iou: expected a num",
        ),
        ({"metadata.csv": _csv(ROW.replace("0.75", "nan")), "0.png": _png(_square())}, "stability_score: expected"),
        ({"metadata.csv": _csv(ROW.replace(",4,3", ",-4,3")), "0.png": _png(_square())}, "crop_box_w: expected a wh"),
    ],
)
def test_folders_that_are_wrong_are_refused_by_file(
    files: dict[str, bytes | str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(PromptError, match=f"^a.zip: .*{message}"):
        read_amg(_zip(files), file="a.zip")


def test_a_bomb_is_not_unpacked() -> None:
    row, zeros = _csv(ROW), b"\0" * 2_000_000
    for files in ({"metadata.csv": row, "0.png": zeros}, {"metadata.csv": row + "\n" * 17_000_000}):
        data = _zip(dict(files), zipfile.ZIP_DEFLATED)
        assert len(data) < 100_000
        with pytest.raises(PromptError, match="(0.png|metadata.csv): it has more than"):
            read_amg(data, file="a.zip", max_pixels=1_000_000)
    wide = _zip({"metadata.csv": row, "0.png": _png(np.zeros((2000, 2000), bool))})
    with pytest.raises(PromptError, match="0.png: image: 2000 x 2000 pixels are more than the limit"):
        read_amg(wide, file="a.zip", max_pixels=1_000_000)


def test_a_zip_that_was_damaged_anywhere_is_read_rightly_or_refused() -> None:
    result, draw = Result(5, 4, [ObjectResult(_square(), 0.5, 0.5)]), np.random.default_rng(1)
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        data = np.frombuffer(_zip(dict(amg_files(result)), compression), np.uint8)
        for _ in range(300):
            broken = data.copy()
            broken[draw.integers(len(data), size=draw.integers(1, 4))] = draw.integers(256)
            try:
                (item,) = read_amg(broken[: draw.integers(len(data) // 2, 2 * len(data))].tobytes(), file="a").objects
            except PromptError:
                continue
            assert np.array_equal(item.mask, _square())
