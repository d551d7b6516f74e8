"""Photos of all kinds: the mask sits where the click was, and what is no photo is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page
from screen import PHOTOS, Screen, iou

from clickmask import Segmenter

DOGS = PHOTOS / "dogs.jpg"
UPPER = (290 / 682, 300 / 1024)  # shares of width and height


def _portrait(path: Path) -> Path:
    """Twelve megapixels."""
    photo = cv2.imread(str(DOGS))
    assert photo is not None
    cv2.imwrite(str(path), cv2.resize(photo, (2828, 4246), interpolation=cv2.INTER_CUBIC))
    return path


def _rotated(path: Path) -> Path:
    """Stored on its side, with a note to turn it."""
    with Image.open(DOGS) as photo:
        exif = photo.getexif()
        exif[274] = 6
        photo.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)
    return path


def _grey(path: Path) -> Path:
    with Image.open(DOGS) as photo:
        photo.convert("L").save(path)
    return path


def _palette(path: Path) -> Path:
    with Image.open(DOGS) as photo:
        photo.convert("P", palette=Image.Palette.ADAPTIVE).save(path)
    return path


KINDS = {"large.jpg": _portrait, "turned.jpg": _rotated, "grey.png": _grey, "palette.gif": _palette, "tiff.tif": _grey}


@pytest.mark.parametrize(
    "name",
    [
        "large.jpg",
        "turned.jpg",
        *(pytest.param(name, marks=pytest.mark.soak) for name in ("grey.png", "palette.gif", "tiff.tif")),
    ],
)
def test_the_mask_sits_where_the_click_was(desk: Screen, segmenter: Segmenter, tmp_path: Path, name: str) -> None:
    path = KINDS[name](tmp_path / name)
    desk.take(path)
    with segmenter.open(path) as image:
        width, height = image.size
        assert desk.value("clickmask.bench.doc.size") == [width, height]
        x, y = int(UPPER[0] * width), int(UPPER[1] * height)
        desk.click(x, y)
        desk.press("Enter")
        (thing,) = desk.objects()
        assert thing["pixels"].shape == (height, width) and thing["pixels"][y, x]
        assert iou(thing["pixels"], image.click(x + 0.5, y + 0.5).pixels) > 0.97
    _shows(desk, path, x, y)


def _shows(desk: Screen, path: Path, x: int, y: int) -> None:
    """The screen has the photo's colour at that point, with nothing drawn over it."""
    desk.value("clickmask.stage.setOptions({ showMasks: false, showPoints: false })")
    desk.page.mouse.move(2, 2)
    desk.page.wait_for_timeout(200)
    left, top = desk.at(x, y)
    shot = cv2.imdecode(np.frombuffer(desk.page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    photo = cv2.imread(str(path)) if path.suffix != ".gif" else _first_frame(path)
    assert shot is not None and photo is not None
    radius = max(2, round(3 / desk.value("clickmask.view.scale")))
    around = photo[y - radius : y + radius, x - radius : x + radius].mean((0, 1))
    seen = shot[int(top) - 2 : int(top) + 3, int(left) - 2 : int(left) + 3].mean((0, 1))
    assert np.abs(around - seen).max() < 25


def _first_frame(path: Path) -> np.ndarray:
    with Image.open(path) as photo:
        return np.array(photo.convert("RGB"))[:, :, ::-1]


def test_what_is_no_photo_is_refused_by_name_and_the_rest_is_opened(desk: Screen, tmp_path: Path) -> None:
    (tmp_path / "notes.pdf").write_bytes(b"%PDF-1.7\n")
    (tmp_path / "nothing.jpg").write_bytes(b"")
    (tmp_path / "half.jpg").write_bytes(DOGS.read_bytes()[:40_000])
    desk.expect_refusals(422)
    with desk.page.expect_file_chooser() as chooser:
        desk.page.click("text=choose files")
    names = ("notes.pdf", "nothing.jpg")
    chooser.value.set_files([*(str(tmp_path / name) for name in names), str(DOGS), str(tmp_path / "half.jpg")])
    desk.wait("clickmask.documents.list[0]?.state === 'ready'")
    said = desk.page.inner_text(".cm-toasts")
    assert "notes.pdf" in said and "PDF" in said and "nothing.jpg is empty" in said
    assert desk.value("clickmask.documents.list.map(({ name }) => name)") == ["dogs.jpg", "half.jpg"]
    desk.press("d")
    desk.wait("clickmask.documents.list[1].state === 'failed' && clickmask.bench.doc.name === 'half.jpg'")
    desk.settle()
    assert "half.jpg" in desk.page.inner_text(".cm-status") and "cut short" in desk.page.inner_text(".cm-status")


def test_a_file_larger_than_the_server_takes_is_not_sent(desk: Screen, tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.write(DOGS.read_bytes())
        file.truncate(65 << 20)
    with desk.page.expect_file_chooser() as chooser:
        desk.page.click("text=choose files")
    chooser.value.set_files(str(path))
    desk.page.wait_for_selector("text=huge.jpg is too large")
    assert not any(line.startswith("POST") and line.endswith("/v1/images") for line in desk.asked)


def test_while_the_next_photo_is_fetched_the_pointer_asks_about_the_one_that_is_seen(desk: Screen) -> None:
    desk.take(DOGS, PHOTOS / "clock.jpg")
    desk.wait("clickmask.documents.list[1].state === 'ready'")
    desk.value(
        "(() => { const [, next] = clickmask.documents.list; const load = next.load.bind(next);"
        " next.load = async () => { await new Promise((go) => (window.go = go)); return load(); }; })()"
    )
    desk.press("d")
    desk.wait("clickmask.documents.current !== clickmask.bench.doc && window.go !== undefined")
    desk.move(300, 1000)  # the clock's photo is not so high
    desk.wait("clickmask.previewMask !== null")
    assert desk.value("clickmask.previewMask.box[3]") == 1024 and desk.unexpected() == []
    desk.value("go()")
    desk.wait("clickmask.bench.doc.name === 'clock.jpg'")


def test_a_preview_that_could_not_be_given_is_asked_for_again_while_the_pointer_rests(desk: Screen) -> None:
    desk.take(DOGS)
    busy = {"error": {"code": "busy", "message": "too much to do for previews now", "field": None}}
    desk.page.route(
        "**/masks", lambda route: route.fulfill(status=503, json=busy, headers={"Retry-After": "1"}), times=1
    )
    desk.move(290, 300)
    desk.wait("clickmask.previewMask !== null")


def test_a_photo_of_one_row_is_drawn_and_has_no_smaller_copies(functions: Page) -> None:
    made = """async ([width, height]) => {
      const { Photo } = await import('./photo.js');
      const photo = new Photo(await createImageBitmap(new ImageData(width, height)));
      await photo.prepare();
      return [photo.level(0.001).width, photo.level(0.001).height];
    }"""
    assert functions.evaluate(made, [5000, 1]) == [5000, 1] and functions.evaluate(made, [1, 5000]) == [1, 5000]
    assert functions.evaluate(made, [2, 5000]) == [1, 2500]


def test_what_is_wrong_with_a_photo_is_said_with_its_name(desk: Screen, tmp_path: Path) -> None:
    path = tmp_path / "half.jpg"
    path.write_bytes(DOGS.read_bytes()[:9000])
    desk.expect_refusals(422)
    with desk.page.expect_file_chooser() as chooser:
        desk.page.evaluate("clickmask.run('choose')")
    chooser.value.set_files(str(path))
    desk.page.wait_for_selector(".cm-toast:has-text('half.jpg: the image is cut short')")


def test_a_name_does_not_turn_the_words_around_it(desk: Screen, tmp_path: Path) -> None:
    for name, shown in (("a\u202egpj.exe\u2069.jpg", "agpj.exe.jpg"), ("כלב.jpg", "\u2068כלב.jpg\u2069")):
        (tmp_path / name).write_bytes(DOGS.read_bytes())
        desk.take(tmp_path / name)
        desk.wait(f"clickmask.bench.doc.name === {json.dumps(name)} && clickmask.bench.doc.state === 'ready'")
        desk.page.wait_for_selector(f".cm-status:has-text('{shown} · 682 × 1024 · ready')")


def test_many_photos_are_a_strip_and_the_next_is_prefetched(desk: Screen) -> None:
    desk.take(DOGS, PHOTOS / "clock.jpg", PHOTOS / "fig.jpg")
    desk.wait("clickmask.documents.list[1].state === 'ready'")
    assert any("prefetch=true" in line for line in desk.asked)
    assert desk.value("clickmask.documents.list[2].state") == "waiting"
    desk.press("d")
    desk.wait("clickmask.bench.doc.name === 'clock.jpg'")
    desk.click(500, 400)
    assert desk.current() is not None
    desk.press("a")
    desk.wait("clickmask.bench.doc.name === 'dogs.jpg'")
    assert desk.points() == []
    desk.page.click("[aria-label='Remove clock.jpg']")
    assert desk.value("clickmask.documents.list.length") == 2
    desk.page.click("text=Undo >> nth=-1")
    desk.wait("clickmask.bench.doc.name === 'clock.jpg'")
    assert len(desk.points()) == 1
