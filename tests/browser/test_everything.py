"""All objects of a photo at once: the search, and choosing among what it found."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from screen import PHOTOS, SIZE, Screen, iou, screen
from test_touch import Fingers

from clickmask import Segmenter
from clickmask.service import rle
from clickmask.service.everything.proposals import Proposals

DOGS, CLOCK = PHOTOS / "dogs.jpg", PHOTOS / "clock.jpg"
LOWER = (370, 560)
CURTAIN, BEHIND, NOTHING = (300, 150), (220, 60), (100, 900)  # on the curtain, the dark gap beside it, and the wall
GRID = 8
SAME = 0.98  # mask IoU, as in test_clicking.py


def _use(desk: Screen, points: int) -> None:
    """From now on search with so many points a side."""
    desk.value(
        "(pointsPerSide) => { const { settings } = clickmask;"
        " settings.set({ everything: { ...settings.everything, pointsPerSide } }); }",
        points,
    )


def _begin(desk: Screen, points: int = GRID) -> None:
    """Search what is looked at, with so many points a side."""
    _use(desk, points)
    desk.press("g")


def _wait(desk: Screen) -> None:
    """Until what was asked is answered and drawn."""
    desk.wait("!clickmask.everything.isBusy")
    desk.value("clickmask.stage.whenPainted()")


def _numbers(desk: Screen, what: str) -> list[int]:
    """The candidates of an expression, by their numbers."""
    return desk.value(f"[...{what}].map((one) => clickmask.everything.candidates.indexOf(one)).sort((a, b) => a - b)")


def _kept(desk: Screen) -> list[int]:
    return _numbers(desk, "clickmask.everything.kept")


def _candidates(desk: Screen) -> list[dict[str, Any]]:
    """The largest first, with `pixels`."""
    found = desk.value("clickmask.everything.candidates.map(({ mask, point }) => ({ ...mask, point }))")
    return [{**one, "pixels": rle.decode(one["rle"])} for one in found]


def _seen(desk: Screen) -> np.ndarray:
    """(H, W, 3) int: the stage as it is on the screen, with the pointer elsewhere."""
    desk.page.mouse.move(2, 2)
    desk.value("clickmask.stage.whenPainted()")
    desk.page.wait_for_timeout(50)  # for the compositor
    pixels = cv2.imdecode(np.frombuffer(desk.page.locator(".cm-stage").screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return pixels.astype(int)


def _changed(desk: Screen, before: np.ndarray) -> np.ndarray:
    """(H, W) bool: where the stage is another than before."""
    return np.abs(_seen(desk) - before).max(axis=2) > 8


def _on_stage(desk: Screen, x: float, y: float) -> tuple[int, int]:
    """(row, column) of an image point there."""
    column, row = desk.value("([x, y]) => clickmask.view.toScreen(x, y)", [x, y])
    return int(row), int(column)


def _said(desk: Screen) -> str:
    return desk.page.inner_text(".cm-everything [role=status]")


def _press(desk: Screen, name: str) -> None:
    desk.page.locator(".cm-everything").get_by_role("button", name=name).click()


def _slide(desk: Screen, name: str, value: float) -> None:
    desk.page.locator(f".cm-everything input[name={name}]").fill(str(value))
    _wait(desk)


@pytest.fixture(scope="module")
def searched(browser: Browser, page_url: str) -> Generator[Screen]:
    """A page whose photo was searched once."""
    with screen(browser, page_url) as desk:
        desk.take(DOGS)
        _begin(desk)
        _wait(desk)
        yield desk


@pytest.fixture(scope="module")
def proposals(segmenter: Segmenter) -> Proposals:
    """The same search in Python, as an oracle."""
    with segmenter.open(DOGS) as image:
        return image.proposals(points_per_side=GRID)


@pytest.fixture
def found(searched: Screen) -> Screen:
    """The same, with nothing kept, and no objects; faults fail the test."""
    searched.page.mouse.move(2, 2)
    searched.value("while (clickmask.bench.doc.session.undo()); clickmask.everything.kept.clear()")
    searched.value("const { settings } = clickmask; settings.set({ everything: { ...settings.everything, side: 0 } })")
    searched.press("g")
    _wait(searched)
    return searched


def test_a_search_tells_how_far_it_is_and_clicks_go_on_meanwhile(desk: Screen) -> None:
    desk.take(DOGS)
    _use(desk, 64)  # not done before the test is
    desk.page.click("[data-tool=everything]")
    assert desk.page.is_visible(".cm-everything progress")
    desk.wait("clickmask.everything.progress?.done > 0")
    assert re.fullmatch(r"Looking: [\d,]+ of 4,096 points", _said(desk))
    assert desk.value("document.querySelector('.cm-everything progress').value > 0")
    desk.move(*LOWER)
    desk.wait("clickmask.previewMask !== null")
    desk.click(*LOWER)
    assert desk.points() == [[370.5, 560.5, 1]]
    desk.press("Escape")
    assert desk.points() == [] and desk.value("clickmask.everything.isSearching")  # it gave the object up
    _press(desk, "Stop")
    assert not desk.value("clickmask.everything.isBusy") and not desk.page.is_visible(".cm-everything")


def test_an_object_in_the_making_comes_first(found: Screen) -> None:
    found.press("Escape")
    found.click(*LOWER)
    found.press("g")
    assert "Finish the object in the making" in _said(found) and not found.value("clickmask.everything.isChoosing")
    found.click(300, 420, button="right")
    assert len(found.points()) == 2
    found.press("Enter")
    assert re.match(r"\d+ found, 0 kept", _said(found)) and len(found.objects()) == 1
    assert not found.page.is_visible(".cm-everything progress")


def test_what_is_found_is_what_python_finds(found: Screen, proposals: Proposals) -> None:
    expected = proposals.filter()
    shown = _candidates(found)
    assert len(shown) == len(expected) and _said(found).startswith(f"{len(expected)} found, 0 kept")
    for one, mask in zip(shown, expected, strict=True):
        assert iou(one["pixels"], mask.pixels) > SAME and one["point"] == pytest.approx(mask.point)


def test_outlines_are_seen_and_those_kept_are_filled(found: Screen) -> None:
    found.press("Escape")
    bare = _seen(found)
    found.press("g")
    outlined = _changed(found, bare)
    assert outlined.sum() > 500 and not outlined[_on_stage(found, *CURTAIN)]
    for x, y in [
        (one["bounds"][0] + 1, int(one["pixels"][:, one["bounds"][0]].argmax())) for one in _candidates(found)
    ]:
        row, column = _on_stage(found, x, y)
        assert outlined[max(0, row - 4) : row + 5, max(0, column - 4) : column + 5].any()
    found.click(*CURTAIN)
    assert _changed(found, bare)[_on_stage(found, *CURTAIN)]
    found.press("Escape")
    assert not _changed(found, bare).any()


def test_the_smallest_one_under_the_pointer_lights_up(found: Screen) -> None:
    for x, y in (CURTAIN, BEHIND, (640, 40)):
        found.move(x, y)
        found.wait("clickmask.everything.pointed !== null")
        under = [number for number, one in enumerate(_candidates(found)) if one["pixels"][y, x]]
        assert _numbers(found, "[clickmask.everything.pointed]") == under[-1:]
    assert found.value("clickmask.previewMask") is None  # nothing is asked of the decoder here
    found.move(*NOTHING)
    found.wait("clickmask.everything.pointed === null")


def test_a_click_keeps_and_another_keeps_no_longer(found: Screen) -> None:
    asked = found.decodes()
    found.click(*CURTAIN)
    found.click(640, 40)
    (curtain, wall) = sorted(_kept(found))
    assert _candidates(found)[curtain]["pixels"][150, 300] and "2 kept" in _said(found)
    found.click(*CURTAIN)
    assert _kept(found) == [wall]
    found.click(*NOTHING)
    assert _kept(found) == [wall] and found.points() == [] and found.decodes() == asked


def test_a_drag_keeps_all_that_lie_inside(found: Screen) -> None:
    boxes = [one["bounds"] for one in _candidates(found)]
    found.click(640, 40)
    kept = _kept(found)
    found.page.keyboard.down("Shift")
    found.drag((100, 2), (320, 200), (400, 330))
    found.page.keyboard.up("Shift")
    inside = [n for n, (x0, y0, x1, y1) in enumerate(boxes) if x0 >= 100 and y0 >= 2 and x1 <= 400 and y1 <= 330]
    assert _kept(found) == sorted({*kept, *inside})
    found.move(100, 590)
    found.page.mouse.down()
    found.page.mouse.move(*found.at(681, 1000), steps=4)
    found.page.keyboard.press("Escape")
    found.page.mouse.up()
    assert _kept(found) == sorted({*kept, *inside})
    found.drag((0, 450), (681, 1000))
    assert len(_kept(found)) > len({*kept, *inside}) and found.value("clickmask.everything.isChoosing")


def test_all_none_and_the_largest_are_kept_by_buttons(found: Screen) -> None:
    count = len(_candidates(found))
    _press(found, "Keep all")
    assert _kept(found) == list(range(count))
    found.page.get_by_label("How many of the largest").fill("3")
    _press(found, "Keep largest")
    assert _kept(found) == [0, 1, 2]
    assert found.page.locator(".cm-everything .cm-primary").inner_text() == "Done: 3 kept"
    _press(found, "Keep none")
    assert _kept(found) == []


def test_those_kept_become_objects_in_one_step(found: Screen) -> None:
    found.value("clickmask.settings.set({ label: 'thing' })")
    expected = [one["rle"] for one in _candidates(found)[:3]]
    found.page.get_by_label("How many of the largest").fill("3")
    _press(found, "Keep largest")
    _press(found, "Done")
    assert [one["rle"] for one in found.objects()] == expected
    assert all(one["isReady"] and one["label"] == "thing" for one in found.objects())
    assert found.value("clickmask.tools.tool") == "point" and not found.page.is_visible(".cm-everything")
    assert found.value("document.activeElement.className").startswith("cm-stage")
    found.value(  # so that a saved session opens again
        "async () => { const { checkState } = await import('/page/session_shape.js');"
        " checkState(clickmask.bench.doc.session.state, clickmask.bench.doc.size); }"
    )
    found.press("Control+z")
    assert found.objects() == []
    found.press("Control+y")
    assert [one["rle"] for one in found.objects()] == expected
    found.value("clickmask.settings.set({ label: '' })")


def test_an_object_that_was_kept_goes_on_with_clicks(found: Screen, segmenter: Segmenter) -> None:
    found.click(*CURTAIN)
    (one,) = [_candidates(found)[number] for number in _kept(found)]
    found.press("Enter")
    found.value("clickmask.bench.editor.reopen(clickmask.bench.editor.state.objects[0].id)")
    assert found.points() == [[*one["point"], 1]]
    found.click(245, 60)
    assert found.value("clickmask.bench.editor.making.answers.every(({ masks, error }) => masks && !error)")
    found.press("Enter")
    (thing,) = found.objects()
    with segmenter.open(DOGS) as image:
        same = image.start()
        same.add(*one["point"])
        same.choose([mask.index for mask in same.candidates].index(one["index"]))
        both = same.add(245.5, 60.5)
    assert f"thing.choose([mask.index for mask in thing.candidates].index({one['index']}))" in found.value(
        "clickmask.snippets()[0]"
    )
    assert iou(thing["pixels"], both.pixels) > SAME


def test_escape_keeps_nothing_and_the_result_is_there_when_one_returns(found: Screen) -> None:
    found.click(*CURTAIN)
    kept, asked = _kept(found), len(found.asked)
    found.press("Escape")
    assert found.value("clickmask.tools.tool") == "point" and not found.page.is_visible(".cm-everything")
    assert found.objects() == [] and found.value("clickmask.bench.doc.session.canUndo") is False
    found.press("g")
    assert _kept(found) == kept and found.value("clickmask.everything.isChoosing")
    assert not [line for line in found.asked[asked:] if "everything" in line]
    found.page.focus(".cm-everything input[name=score]")
    found.page.keyboard.press("Escape")
    assert found.value("clickmask.tools.tool") == "point"


def test_thresholds_choose_anew_without_searching(found: Screen, proposals: Proposals) -> None:
    found.click(*CURTAIN)
    kept = _candidates(found)[_kept(found)[0]]["rle"]
    found.value(
        "clickmask.told = 0; clickmask.api.everything = function (id, request, { onProgress, signal }) {"
        " const count = (progress) => { clickmask.told += 1; onProgress(progress); };"
        " return Object.getPrototypeOf(this).everything.call(this, id, request, { onProgress: count, signal }); };"
        " null"
    )
    asked = len(found.asked)
    _slide(found, "score", 0.75)
    many = len(_candidates(found))
    assert [_candidates(found)[number]["rle"] for number in _kept(found)] == [kept]
    _slide(found, "stability", 0.85)
    _slide(found, "side", 100)
    large = [one["area"] for one in _candidates(found)]
    assert min(large) >= 100 * 100 and "100 × 100 px" in found.page.inner_text(".cm-everything")
    found.value("for (const score of [0.8, 0.81, 0.82, 0.83]) clickmask.everything.set({ score })")
    _wait(found)
    requests = [line for line in found.asked[asked:] if line.endswith("/everything")]
    assert len(requests) == 4 and found.value("clickmask.told") == 0  # the server knew
    found.value("delete clickmask.api.everything")
    for name, value in (("score", 0.88), ("stability", 0.95), ("side", 0)):
        _slide(found, name, value)
    assert many == len(proposals.filter(pred_iou_thresh=0.75))
    assert len(_candidates(found)) == len(proposals.filter())


def test_a_server_that_forgot_searches_again_and_nothing_kept_is_lost(found: Screen) -> None:
    found.click(*CURTAIN)
    kept, before = _kept(found), [one["rle"] for one in _candidates(found)]
    found.expect_refusals(404, 410)
    found.value("clickmask.api.forgetAll()")
    found.value("clickmask.everything.set({ side: 1 })")
    found.wait("clickmask.everything.progress !== null")
    assert found.value("clickmask.everything.isChoosing") and found.page.is_visible(".cm-everything progress")
    _wait(found)
    assert [one["rle"] for one in _candidates(found)] == before and _kept(found) == kept


def test_all_are_chosen_by_keyboard_alone(found: Screen) -> None:
    found.press(*["ArrowUp"] * 20)
    cursor = found.value("clickmask.hand.cursor")
    found.press(*["ArrowLeft"] * round((cursor[0] - 300) * found.value("clickmask.view.scale") / 12))
    assert found.value("clickmask.everything.pointed !== null")
    found.page.keyboard.press(" ")
    assert len(_kept(found)) == 1 and found.points() == []
    found.page.keyboard.press("Enter")
    assert len(found.objects()) == 1


def test_all_leave_as_cut_outs(found: Screen) -> None:
    count = len(_candidates(found))
    with found.page.expect_download() as download:
        _press(found, "Cut out all")
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        names = archive.namelist()
    assert len([name for name in names if name.endswith(".png")]) == count == len(found.objects())


def test_those_kept_are_exported_as_objects_are(found: Screen) -> None:
    found.value("clickmask.everything.keepLargest(2)")
    expected = [one["rle"] for one in _candidates(found)[:2]]
    found.press("Enter")
    with found.page.expect_download() as download:
        found.value("void clickmask.exporter.exportNow({ formats: ['coco'] })")
    document = json.loads(Path(download.value.path()).read_bytes())
    assert [annotation["segmentation"] for annotation in document["annotations"]] == expected


def test_a_search_that_is_stopped_ends_at_the_server_too(desk: Screen) -> None:
    desk.take(DOGS)
    _begin(desk, 64)
    desk.wait("clickmask.everything.progress?.done > 0")
    desk.press("Escape")
    assert desk.value("clickmask.tools.tool") == "point" and not desk.value("clickmask.everything.isBusy")
    _begin(desk, 64)
    desk.wait("clickmask.everything.progress?.done > 0")
    _press(desk, "Leave without keeping")
    _begin(desk, 4)  # the server lets no caller search twice at a time: it has noticed
    _wait(desk)
    assert desk.value("clickmask.everything.isChoosing")


def test_a_photo_is_searched_while_another_is_looked_at(desk: Screen) -> None:
    desk.take(DOGS, CLOCK)
    _begin(desk)
    desk.wait("clickmask.everything.progress !== null")
    desk.press("d")
    desk.wait("clickmask.bench.doc.name === 'clock.jpg' && clickmask.bench.doc.state === 'ready'")
    assert "not searched yet" in _said(desk) and not desk.value("clickmask.everything.isChoosing")
    desk.click(500, 400)
    assert len(desk.points()) == 1
    _wait(desk)
    toast = desk.page.locator(".cm-toast", has_text="found")
    assert re.match(r"dogs\.jpg: \d+ objects found\.", toast.inner_text())
    toast.get_by_role("button", name="Choose").click()
    desk.wait("clickmask.bench.doc.name === 'dogs.jpg' && clickmask.everything.isChoosing")
    desk.page.keyboard.press("d")  # the photo has the focus
    desk.wait("clickmask.bench.doc.name === 'clock.jpg'")
    desk.press("Escape")
    _begin(desk, 4)
    _wait(desk)
    assert desk.value("clickmask.everything.doc.name") == "clock.jpg" and desk.value("clickmask.everything.isChoosing")
    desk.value("void clickmask.documents.remove(clickmask.bench.doc)")
    desk.wait("clickmask.everything.doc === null")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_there_is_no_serious_accessibility_fault(found: Screen, theme: str, width: int) -> None:
    found.click(*CURTAIN)
    found.value("(dark) => document.body.classList.toggle('dark', dark)", theme == "dark")
    found.page.set_viewport_size({"width": width, "height": 844})
    result = Axe().run(found.page, context=".cm-everything", options={"preload": False})
    box = found.page.locator(".cm-keeping").bounding_box()
    found.value("document.body.classList.remove('dark')")
    found.page.set_viewport_size(SIZE)
    serious = [one for one in result.response["violations"] if one["impact"] in ("serious", "critical")]
    assert not serious, json.dumps(serious, indent=1)[:4000]
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= width


def test_a_finger_keeps_by_tapping_and_by_dragging(browser: Browser, page_url: str) -> None:
    size = {"width": 390, "height": 844}
    with screen(browser, page_url, viewport=size, has_touch=True) as desk:
        desk.take(DOGS)
        _begin(desk)
        _wait(desk)
        hand = Fingers(desk)
        hand.down(CURTAIN)
        hand.up()
        assert len(_kept(desk)) == 1
        hand.drag((2, 400), (300, 700), (680, 1000))
        assert len(_kept(desk)) > 1 and desk.points() == []
        _press(desk, "Done")
        assert len(desk.objects()) > 1


def test_events_come_out_whole_however_they_are_cut(functions: Page) -> None:
    text = 'event: a\ndata: {"n": 1}\n\n: still at work\n\nevent: b\ndata: {"words": "ä — x"}\n\n'
    found = functions.evaluate(
        """async (text) => {
          const { eventsOf } = await import('./events.js');
          const bytes = new TextEncoder().encode(text);
          const read = async (size) => {
            const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
              bytes.slice(n * size, (n + 1) * size));
            const body = new ReadableStream({ start: (to) => (pieces.forEach((one) => to.enqueue(one)), to.close()) });
            const events = [];
            for await (const event of eventsOf(new Response(body))) events.push(event);
            return events;
          };
          return Promise.all([1, 2, 7, 1000].map(read));
        }""",
        text,
    )
    whole = [{"event": "a", "data": {"n": 1}}, {"event": "b", "data": {"words": "ä — x"}}]
    assert found == [whole] * 4


def test_an_answer_like_the_last_keeps_its_masks(functions: Page) -> None:
    """So that their outlines are not made again."""
    found = functions.evaluate(
        """async () => {
          const { candidatesFrom } = await import('./candidates.js');
          const mask = (point, area) => ({ point, area, index: 0, box: [0, 0, 1, 1], rle: {} });
          const before = candidatesFrom({ masks: [mask([1, 1], 9), mask([2, 2], 5)] }, [9, 9]);
          const after = candidatesFrom({ masks: [mask([3, 3], 7), mask([2, 2], 5), mask([1, 1], 4)] }, [9, 9], before);
          return [after[1] === before[1], after.map(({ colour }) => colour), before.map(({ colour }) => colour)];
        }"""
    )
    assert found == [True, [2, 1, 3], [0, 1]]
