"""stage.js and what it draws with: what is set is what is seen, pixel by pixel, with and without a worker."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from clickmask.service import rle as ours
from clickmask.service.palette import PALETTE

GREY, BLUE, RED = (120, 120, 120), (0, 0, 255), (255, 0, 0)
WIDTH, HEIGHT = 200, 150  # of the image; shown pixel by pixel, from (16, 16) on

SET_UP = """async () => {
    document.body.style.cssText = "margin: 0; background: white";
    const element = document.createElement("div");
    element.style.cssText = "position: relative; width: 232px; height: 182px";
    document.body.append(element);
    const { View } = await import("./view.js");
    const { Stage } = await import("./stage.js");
    const canvas = new OffscreenCanvas(200, 150);
    const context = canvas.getContext("2d");
    context.fillStyle = "rgb(120 120 120)";
    context.fillRect(0, 0, 200, 150);
    const view = new View();
    const stage = new Stage(element, view);
    const photo = canvas.transferToImageBitmap();
    view.setImage(200, 150);
    await stage.setPhoto(photo);
    Object.assign(window, { element, view, stage, photo });
}"""


@pytest.fixture
def stage(modules: Page) -> Page:
    """A page with a `stage`, its `view` and a grey `photo` on it."""
    modules.set_viewport_size({"width": 300, "height": 200})
    modules.evaluate(SET_UP)
    return modules


@pytest.fixture
def sharp(browser: Browser, modules_url: str) -> Generator[Page]:
    """The same with two device pixels per CSS pixel."""
    page = browser.new_page(viewport={"width": 300, "height": 200}, device_scale_factor=2)
    page.goto(modules_url)
    page.evaluate(SET_UP)
    yield page
    page.close()


def _draw(page: Page, script: str, *given: object) -> np.ndarray:
    """(H, W, 3) int RGB of the page after `script` (which may use `a`, what is given), once all is painted."""
    page.evaluate(f"async (a) => {{ {script}; await stage.whenPainted(); }}", given)
    bgr = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return bgr[..., ::-1].astype(int)


def _mask(x0: int, y0: int, x1: int, y1: int) -> dict[str, Any]:
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[y0:y1, x0:x1] = True
    return {"rle": ours.encode(pixels), "box": [0, 0, WIDTH, HEIGHT], "full": True}


def _object(number: int, mask: dict[str, Any], colour: tuple[int, ...] = BLUE, **more: object) -> dict[str, Any]:
    return {"id": number, "mask": mask, "colour": list(colour), **more}


def _at(picture: np.ndarray, x: float, y: float) -> tuple[int, ...]:
    """The colour at an image point."""
    return tuple(picture[int(y + 16), int(x + 16)].tolist())


def _mixed(colour: tuple[int, ...], share: float, below: tuple[int, ...] = GREY) -> Any:
    return pytest.approx([c * share + b * (1 - share) for c, b in zip(colour, below, strict=True)], abs=2)


def test_the_photo_lies_where_the_view_has_it(stage: Page) -> None:
    picture = _draw(stage, "")
    for x, y in ((0, 0), (199, 0), (0, 149), (199, 149), (100, 70)):
        assert _at(picture, x, y) == GREY
    for x, y in ((-2, 70), (201, 70), (100, -2), (100, 151)):
        assert _at(picture, x, y) == (255, 255, 255)


def test_objects_are_tinted_within_their_edge_and_outlined(stage: Page) -> None:
    picture = _draw(stage, "stage.setObjects(a[0])", [_object(1, _mask(50, 40, 90, 80))])
    assert _at(picture, 70, 60) == _mixed(BLUE, 0.4)
    for x, y in ((46, 60), (93, 60), (70, 36), (70, 83)):
        assert _at(picture, x, y) == GREY
    assert _at(picture, 50, 60)[2] > 200 and _at(picture, 50, 60)[0] < 60


def test_later_objects_lie_on_earlier_ones_and_are_picked_first(stage: Page) -> None:
    objects = [_object(7, _mask(20, 20, 100, 100)), _object(8, _mask(60, 60, 140, 140), RED)]
    picture = _draw(stage, "stage.setObjects(a[0])", objects)
    assert _at(picture, 80, 80) == _mixed(RED, 0.4, tuple(int(v) for v in np.array(GREY) * 0.6 + np.array(BLUE) * 0.4))
    points = [(30, 30), (80, 80), (120, 120), (5, 5), (-5, 30), (300, 30)]
    assert stage.evaluate("(a) => a.map(([x, y]) => stage.pick(x, y))", points) == [7, 8, 8, None, None, None]


def test_what_is_hidden_is_neither_seen_nor_picked(stage: Page) -> None:
    objects = [_object(1, _mask(20, 20, 60, 60), hidden=True), _object(2, _mask(100, 20, 140, 60))]
    picture = _draw(stage, "stage.setObjects(a[0])", objects)
    assert _at(picture, 40, 40) == GREY and _at(picture, 120, 40) == _mixed(BLUE, 0.4)
    assert stage.evaluate("[stage.pick(40, 40), stage.pick(120, 40)]") == [None, 2]
    picture = _draw(stage, "stage.setOptions({ showMasks: false })")
    assert _at(picture, 120, 40) == GREY
    assert stage.evaluate("stage.pick(120, 40)") is None


def test_objects_that_are_gone_are_not_drawn_any_more(stage: Page) -> None:
    _draw(stage, "stage.setObjects(a[0])", [_object(1, _mask(20, 20, 60, 60))])
    picture = _draw(stage, "stage.setObjects([])")
    assert _at(picture, 40, 40) == GREY


def test_opacity_is_that_of_the_fill(stage: Page) -> None:
    picture = _draw(
        stage, "stage.setObjects(a[0]); stage.setOptions({ opacity: 0.8 })", [_object(1, _mask(20, 20, 60, 60))]
    )
    assert _at(picture, 40, 40) == _mixed(BLUE, 0.8)
    picture = _draw(stage, "stage.setOptions({ opacity: 0 })")
    assert _at(picture, 40, 40) == GREY and _at(picture, 20, 40)[2] > 200


def test_an_object_may_have_an_opacity_of_its_own(stage: Page) -> None:
    objects = [_object(1, _mask(20, 20, 60, 60), opacity=0), _object(2, _mask(100, 20, 140, 60))]
    picture = _draw(stage, "stage.setObjects(a[0])", objects)
    assert _at(picture, 40, 40) == GREY and _at(picture, 120, 40) == _mixed(BLUE, 0.4)


def test_an_object_in_the_making_stays_until_it_is_shown_as_finished(stage: Page) -> None:
    """The finished ones' canvas is drawn elsewhere and later; meanwhile the object must not be on neither."""
    script = """async (mask) => {
        const answers = [];
        const rasters = { draw: () => new Promise((resolve) => answers.push(resolve)) };
        performance.now = () => 1000;
        stage.close();
        const { Stage } = await import("./stage.js");
        window.stage = new Stage(element, view, rasters);
        const current = element.querySelectorAll("canvas")[3];
        const frames = async () => {
            for (let i = 0; i < 3; i += 1) await new Promise(requestAnimationFrame);
            return current.style.display;
        };
        window.stage.setCurrent({ mask, colour: [0, 0, 255] });
        const seen = [await frames()];
        window.stage.setCurrent(null);
        window.stage.setObjects([{ id: 1, mask, colour: [0, 0, 255] }]);
        seen.push(await frames());
        answers[0](await createImageBitmap(new ImageData(232, 182)));
        seen.push(await frames());
        return seen;
    }"""
    assert stage.evaluate(script, _mask(20, 20, 60, 60)) == ["block", "block", "none"]


def test_the_selected_object_has_a_white_halo(stage: Page) -> None:
    picture = _draw(stage, "stage.setObjects(a[0])", [_object(1, _mask(50, 40, 90, 80), selected=True)])
    assert min(_at(picture, 48, 60)) > 200 and min(_at(picture, 91, 60)) > 200
    assert _at(picture, 45, 60) == GREY


def test_objects_move_and_grow_with_the_view(stage: Page) -> None:
    """Twice as large about the image's corner: 50..90 x 40..80 lies at 100..180 x 80..160."""
    _draw(stage, "stage.setObjects(a[0])", [_object(1, _mask(50, 40, 90, 80))])
    picture = _draw(stage, "view.zoomAt(16, 16, 2)")
    assert _at(picture, 104, 84) == _mixed(BLUE, 0.4) and _at(picture, 176, 156) == _mixed(BLUE, 0.4)
    assert _at(picture, 96, 84) == GREY and _at(picture, 184, 120) == GREY
    picture = _draw(stage, "view.panBy(-30, 20)")
    assert _at(picture, 74, 104) == _mixed(BLUE, 0.4) and _at(picture, 66, 104) == GREY


def test_drawing_without_a_worker_gives_the_same_picture(stage: Page) -> None:
    objects = [_object(1, _mask(20, 20, 100, 100), selected=True), _object(2, _mask(60, 60, 140, 140), RED)]
    expected = _draw(stage, "stage.setObjects(a[0])", objects)
    script = """
        stage.close();
        window.Worker = class { constructor() { throw new Error("no workers here"); } };
        const { Stage } = await import("./stage.js");
        window.stage = new Stage(element, view);
        stage.setPhoto(photo);
        stage.setObjects(a[0]);
    """
    assert (_draw(stage, script, objects) == expected).all()


def test_a_worker_that_does_not_load_is_done_without(stage: Page) -> None:
    script = """
        stage.close();
        const RealWorker = Worker;
        window.Worker = class { constructor() { return new RealWorker("./is-not-there.js", { type: "module" }); } };
        const { Stage } = await import("./stage.js");
        window.stage = new Stage(element, view);
        stage.setPhoto(photo);
        stage.setObjects(a[0]);
    """
    picture = _draw(stage, script, [_object(1, _mask(50, 40, 90, 80))])
    assert _at(picture, 70, 60) == _mixed(BLUE, 0.4)


def test_the_object_in_the_making_is_drawn_with_its_strokes(stage: Page) -> None:
    square = [[120, 20], [160, 20], [160, 60], [120, 60]]
    strokes = [
        {"op": "add", "kind": "lasso", "radius": 1, "points": square},
        {"op": "erase", "kind": "brush", "radius": 10, "points": [[40, 40]]},
    ]
    current = {"mask": _mask(20, 20, 60, 60), "colour": list(RED), "strokes": strokes}
    picture = _draw(stage, "stage.setCurrent(a[0])", current)
    assert _at(picture, 140, 40) == _mixed(RED, 0.4) and _at(picture, 25, 25) == _mixed(RED, 0.4)
    assert _at(picture, 40, 40) == GREY
    picture = _draw(stage, "stage.setCurrent(null)")
    assert _at(picture, 140, 40) == GREY


def test_strokes_need_no_mask_below_them(stage: Page) -> None:
    stroke = {"op": "add", "kind": "brush", "radius": 12, "points": [[40, 40], [120, 100]]}
    picture = _draw(stage, "stage.setCurrent(a[0])", {"mask": None, "colour": list(RED), "strokes": [stroke]})
    assert _at(picture, 80, 70) == _mixed(RED, 0.4) and _at(picture, 80, 30) == GREY


@pytest.mark.parametrize(("op", "inside"), [("add", _mixed(RED, 0.4)), ("erase", GREY)])
def test_a_stroke_under_way_looks_as_it_will(stage: Page, op: str, inside: Any) -> None:
    """It overlaps the mask's right half, and is as wide as it."""
    stroke = {"op": op, "kind": "brush", "radius": 10, "points": [[60, 50], [100, 50]]}
    script = "stage.setCurrent(a[0]); stage.setStroke(a[1])"
    picture = _draw(stage, script, {"mask": _mask(30, 30, 70, 70), "colour": list(RED)}, stroke)
    assert _at(picture, 62, 50) == inside and _at(picture, 90, 50) == inside
    assert _at(picture, 40, 50) == _mixed(RED, 0.4) and _at(picture, 90, 65) == GREY


def test_the_preview_has_the_previews_colour_and_share(stage: Page) -> None:
    picture = _draw(stage, "stage.setPreview({ mask: a[0], sign: 1 })", _mask(20, 20, 60, 60))
    assert _at(picture, 40, 40) == _mixed((0, 114, 189), 0.35)
    picture = _draw(stage, "stage.setOptions({ previewColour: [0, 0, 255] })")
    assert _at(picture, 40, 40) == _mixed(BLUE, 0.35)
    assert _at(_draw(stage, "stage.setPreview(null)"), 40, 40) == GREY


def _edge(picture: np.ndarray) -> np.ndarray:
    """The left edge of a mask that begins in column 20."""
    return picture[16 + 30 : 16 + 120, 16 + 20]


def test_the_preview_is_dashed_while_an_object_is_in_the_making(stage: Page) -> None:
    solid = _edge(_draw(stage, "stage.setPreview({ mask: a[0], sign: 1 })", _mask(20, 20, 60, 130)))
    dashed = _edge(_draw(stage, "stage.setCurrent({ mask: a[0], colour: [255, 255, 255] })", _mask(140, 10, 150, 20)))
    assert solid.std(0).max() < 12 and dashed.std(0).max() > 20


def test_plus_and_minus_differ_in_shape_and_colour(stage: Page) -> None:
    prompts = {"points": [[50, 50], [100, 50]], "labels": [1, 0], "box": None, "pending": None, "selectedPoint": None}
    picture = _draw(stage, "stage.setPrompts(a[0])", prompts)
    white = (255, 255, 255)
    assert _at(picture, 50, 50) == white and _at(picture, 50, 47.5) == white  # the upright of the plus
    assert _at(picture, 100, 50) == white and min(_at(picture, 100, 46.5)) < 60
    assert _at(picture, 47, 46)[1] > _at(picture, 47, 46)[0] and _at(picture, 97, 46)[0] > _at(picture, 97, 46)[1]
    assert min(_at(picture, 50, 42.5)) > 200 and _at(picture, 50, 40) == GREY  # white ring from 6 to 8 pixels


def test_points_are_as_large_at_every_zoom_and_can_be_hidden(stage: Page) -> None:
    prompts = {"points": [[50, 50]], "labels": [1], "box": None, "pending": None, "selectedPoint": None}

    def marked(picture: np.ndarray) -> int:
        return int((np.abs(picture[16:166, 16:216] - GREY).max(-1) > 8).sum())

    small = marked(_draw(stage, "stage.setPrompts(a[0])", prompts))
    large = marked(_draw(stage, "view.zoomAt(16 + 50, 16 + 50, 3)"))
    assert small == pytest.approx(np.pi * 8**2, rel=0.1) and large == pytest.approx(small, rel=0.05)
    assert marked(_draw(stage, "stage.setOptions({ showPoints: false })")) == 0


BOXES: dict[str, str] = {
    "prompt": "stage.setPrompts({ points: [], labels: [], box: [40, 30, 140, 110], pending: null })",
    "rubber band": "stage.setRubberBand([40, 30, 140, 110])",
}


@pytest.mark.parametrize("script", BOXES.values(), ids=BOXES.keys())
def test_boxes_are_drawn_along_their_edge_only(stage: Page, script: str) -> None:
    picture = _draw(stage, script)
    edge = picture[16 + 30 - 1 : 16 + 30 + 1, 16 + 45 : 16 + 135].max(-1)
    assert edge.max() > 180 and edge.min() < 100  # light and dark dashes
    assert _at(picture, 90, 70) == GREY and _at(picture, 90, 25) == GREY


def test_the_brush_is_a_circle_of_its_radius(stage: Page) -> None:
    picture = _draw(stage, "stage.setBrushCursor({ x: 80, y: 70, radius: 25 })")
    changed = np.argwhere(np.abs(picture[16:166, 16:216] - GREY).max(-1) > 40)
    distance = np.hypot(*(changed + 0.5 - (70, 80)).T)
    assert len(distance) > 100 and np.abs(distance - 25).max() < 3
    assert _at(_draw(stage, "stage.setBrushCursor(null)"), 80, 45) == GREY


def test_the_name_is_shown_of_the_object_under_the_pointer(stage: Page) -> None:
    objects = [_object(1, _mask(50, 60, 90, 100), label="dog")]
    plain = _draw(stage, "stage.setObjects(a[0])", objects)
    hovered = _draw(stage, "stage.setObjects(a[0])", [{**objects[0], "hovered": True}])
    tag = np.s_[16 + 32 : 16 + 54, 16 + 55 : 16 + 85]
    assert (plain[tag] == GREY).all() and (hovered[tag].max(-1) < 80).mean() > 0.5


@pytest.mark.parametrize(
    ("call", "layers"),
    [
        ("setBrushCursor({ x: 1, y: 1, radius: 5 })", {"prompts"}),
        ("setPreview({ mask: a, sign: 1 })", {"current"}),
        ("setObjects([{ id: 1, mask: a, colour: [0, 0, 255], selected: true }])", {"objects", "current", "prompts"}),
        ("setObjects([{ id: 1, mask: a, colour: [0, 0, 255], hovered: true }])", {"current", "prompts"}),
    ],
)
def test_only_what_changed_is_painted(stage: Page, call: str, layers: set[str]) -> None:
    script = f"""async (a) => {{
        stage.setObjects([{{ id: 1, mask: a, colour: [0, 0, 255] }}]);
        await stage.whenPainted();
        const before = stage.paintedAt;
        stage.{call};
        await stage.whenPainted();
        return Object.entries(stage.paintedAt).filter(([name, at]) => at !== before[name]).map(([name]) => name);
    }}"""
    assert set(stage.evaluate(script, _mask(20, 20, 60, 60))) == layers


def test_many_changes_are_painted_once(stage: Page) -> None:
    script = """async () => {
        await stage.whenPainted();
        let times = 0;
        const clear = CanvasRenderingContext2D.prototype.drawImage;
        CanvasRenderingContext2D.prototype.drawImage = function (...given) { times += 1; clear.apply(this, given); };
        for (let i = 0; i < 50; i += 1) view.panBy(1, 0);
        await stage.whenPainted();
        return times;
    }"""
    assert stage.evaluate(script) == 1


def test_canvases_have_the_screens_own_pixels(sharp: Page) -> None:
    sizes = sharp.evaluate("[...element.querySelectorAll('canvas')].map((c) => [c.width, c.height, c.clientWidth])")
    assert [464, 364, 232] in sizes
    picture = _draw(sharp, "stage.setObjects(a[0])", [_object(1, _mask(50, 40, 90, 80))])
    assert tuple(picture[2 * (16 + 60), 2 * (16 + 70)]) == _mixed(BLUE, 0.4)
    assert tuple(picture[2 * (16 + 60), 2 * (16 + 50) - 4]) == GREY


def test_the_canvas_follows_the_elements_size(stage: Page) -> None:
    script = """async () => {
        element.style.width = "120px";
        await new Promise((resolve) => setTimeout(resolve, 100));
        await stage.whenPainted();
        return [view.width, view.height, view.scale];
    }"""
    assert stage.evaluate(script) == [120, 182, 88 / 200]


def test_pixels_are_squares_when_they_are_large_and_blend_when_they_are_not(stage: Page) -> None:
    script = """
        const canvas = new OffscreenCanvas(200, 150);
        const context = canvas.getContext("2d");
        context.fillRect(0, 0, 200, 150);
        context.fillStyle = "white";
        context.fillRect(100, 0, 100, 150);
        stage.setPhoto(canvas.transferToImageBitmap());
        view.zoomAt(116, 91, a[0]);
    """
    between = [set(_draw(stage, script, zoom)[91, 100:132, 0].tolist()) - {0, 255} for zoom in (3, 4)]
    assert between[0] and not between[1]


def test_noise_is_drawn_without_an_edge(stage: Page) -> None:
    noise = np.random.default_rng(0).random((800, 1000)) < 0.5
    noise[:, 500:] = False
    mask = {"rle": ours.encode(noise), "box": [0, 0, WIDTH, HEIGHT], "full": False}
    assert len(mask["rle"]["counts"]) > 150_000
    picture = _draw(stage, "stage.setObjects(a[0])", [_object(1, mask)])[16:166, 16:216]
    assert picture[:, 10:90].mean((0, 1)) == _mixed(BLUE, 0.2) and (picture[:, 110:] == GREY).all()


THUMBNAIL = """async ([mask, size, points]) => {
    const { thumbnail } = await import("./thumbnail.js");
    const canvas = thumbnail(photo, mask, size);
    const colours = points.map(([x, y]) => [...canvas.getContext("2d").getImageData(x, y, 1, 1).data]);
    return { size: [canvas.width, canvas.height], colours };
}"""


def _thumbnail(page: Page, mask: dict[str, Any] | None, size: int, *points: tuple[int, int]) -> dict[str, Any]:
    """Of the grey photo: its size, and the colours, RGBA, at these points."""
    return page.evaluate(THUMBNAIL, [mask, size, points])


def test_a_thumbnail_of_a_photo_is_the_photo_made_small(stage: Page) -> None:
    made = _thumbnail(stage, None, 100, (0, 0), (99, 74))
    assert made == {"size": [100, 75], "colours": [[*GREY, 255]] * 2}


def test_a_thumbnail_of_an_object_is_cut_out_and_cropped(stage: Page) -> None:
    """A frame of 100 x 60 with a hole, and 4 % beside it: 108 x 68 image pixels, 54 x 34 of the thumbnail's."""
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[40:100, 50:150] = True
    pixels[55:85, 70:130] = False
    mask = {"rle": ours.encode(pixels), "box": [0, 0, WIDTH, HEIGHT], "full": True}
    made = _thumbnail(stage, mask, 54, (0, 0), (5, 17), (27, 17), (48, 5))
    assert made["size"] == [54, 34]
    assert [value[3] for value in made["colours"]] == [0, 255, 0, 255]


def test_an_empty_mask_has_an_empty_thumbnail(stage: Page) -> None:
    assert _thumbnail(stage, _mask(0, 0, 0, 0), 50)["size"] == [0, 0]


def test_closing_takes_everything_off_the_element(stage: Page) -> None:
    assert stage.evaluate("() => { stage.close(); view.panBy(5, 5); return element.childElementCount; }") == 0


def test_colours_are_those_of_the_files(modules: Page) -> None:
    assert modules.evaluate("async () => (await import('./palette.js')).PALETTE") == [list(c) for c in PALETTE]
    assert modules.evaluate("async () => (await import('./palette.js')).colourOf(21)") == list(PALETTE[1])
