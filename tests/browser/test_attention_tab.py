"""The Attention tab: its maps, rows and products are the model's own, of clicks there or in the Click tab."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from page_server import serving
from playwright.sync_api import Browser, Download
from safetensors.torch import save_file
from screen import PHOTOS, Screen, screen
from torch import Tensor

from clickmask import OpenImage, Segmenter

PHOTO, OTHER = PHOTOS / "fig.jpg", PHOTOS / "dogs.jpg"
FIG, LEAF = (590, 403), (850, 450)
HALF = 1e-3  # of the largest: what half precision may change


@pytest.fixture(scope="module")
def image(segmenter: Segmenter) -> OpenImage:
    return segmenter.open(PHOTO)


@pytest.fixture(scope="module")
def shown(browser: Browser, page_url: str) -> Generator[Screen]:
    with screen(browser, page_url) as shown:
        yield shown


@pytest.fixture
def tab(shown: Screen) -> Generator[Screen]:
    """The tab with the fig photo, nothing clicked, and the first choices."""
    shown.reset()
    shown.take(PHOTO)
    _go(shown)
    shown.value(
        "document.querySelector('.cm-walk').open = false; clickmaskAttention.clear(); clickmaskAttention.view.fit();"
        " clickmaskAttention.sheet.isOpen = false;"
        " clickmaskAttention.choose({ kind: 'looks', token: null, layer: 2, head: null, block: 2 })"
    )
    yield shown
    shown.check()


def _go(shown: Screen, name: str = "Attention") -> None:
    shown.page.click(f"role=tab[name={name}]")
    if name == "Attention":
        shown.wait("window.clickmaskAttention?.isStarted")
        shown.wait("clickmaskAttention.doc === clickmask.bench.doc")
    view = "clickmask.view" if name == "Click" else "clickmaskAttention.view"
    shown.wait(f"{view}.width > 100")  # it is laid out


def _at(tab: Screen, x: float, y: float) -> tuple[float, float]:
    """Where a point of the image is on the tab's photo."""
    left, top = tab.value(
        "([x, y]) => { const { canvas, view } = clickmaskAttention; canvas.scrollIntoView({ block: 'nearest' });"
        " const { left, top } = canvas.getBoundingClientRect();"
        " const [px, py] = view.toScreen(x, y); return [left + px, top + py]; }",
        [x + 0.5, y + 0.5],
    )
    return left, top


def _click(tab: Screen, x: float, y: float, **how: Any) -> None:
    tab.page.mouse.click(*_at(tab, x, y), **how)
    _settle(tab)


def _open_walk(tab: Screen) -> None:
    tab.page.click(".cm-walk summary")
    tab.wait("clickmaskAttention.walk.isOpen && clickmaskAttention.walk.numbers")


def _click_close_up(tab: Screen) -> None:
    """In the Click tab, on the fig, which is encoded by itself."""
    _go(tab, "Click")
    tab.value("clickmask.view.showBox([540, 350, 660, 460])")
    tab.wait("clickmask.bench.doc.windows.active")
    tab.click(*FIG)
    _go(tab)
    _settle(tab)


def _settle(tab: Screen) -> None:
    tab.wait("clickmaskAttention.seen && clickmaskAttention.map && !clickmaskAttention.asker.isBusy")


def _map(tab: Screen) -> np.ndarray:
    side, values = tab.value("[clickmaskAttention.map.side, [...clickmaskAttention.map.values]]")
    return np.array(values).reshape(side, side)


def _clicked(tab: Screen) -> list[list[float]]:
    return tab.value("clickmaskAttention.prompt.points")


def _slide(tab: Screen, name: str, value: int) -> None:
    tab.page.locator(f".cm-panel input[name={name}]").fill(str(value))


def _near(found: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.abs(found - expected).max() < HALF * expected.max())


def test_layer_head_and_token_choose_the_map_and_it_is_the_models(tab: Screen, image: OpenImage) -> None:
    _click(tab, *FIG)
    seen = image.attention(_clicked(tab))
    number = seen.tokens.index(seen.chosen)
    assert tab.page.locator("select[name=token] option:checked").inner_text() == f"{seen.chosen} (the answer)"
    assert _near(_map(tab), seen.token_to_image[2, :, number].mean(0))
    drawn = set()
    for layer, head in ((0, 0), (0, 5), (1, 5), (2, 8)):
        _slide(tab, "layer", layer)
        _slide(tab, "head", head)
        expected = (
            seen.token_to_image[layer, head - 1, number] if head else seen.token_to_image[layer, :, number].mean(0)
        )
        assert _near(_map(tab), expected)
        tab.page.wait_for_timeout(100)
        drawn.add(tab.page.locator(".cm-picture .cm-stage").screenshot())
    assert len(drawn) == 4  # and each is another picture
    tab.page.select_option("select[name=token]", label="foreground point 1")
    assert _near(_map(tab), seen.token_to_image[2, 7, 5])
    tab.page.check("text=Who listens to a token")
    assert _near(_map(tab), seen.image_to_token[1, 7, :, :, 5])
    assert "Layer 2 of 2" in tab.page.inner_text(".cm-panel") and "Head 8 of 8" in tab.page.inner_text(".cm-panel")


def test_pointing_at_a_patch_shows_its_row_and_a_click_keeps_it(tab: Screen, image: OpenImage) -> None:
    watched = image.encoder_attention()
    tab.page.check("text=Where a patch looks")
    for x, y in ((300, 200), (700, 500)):
        tab.page.mouse.move(*_at(tab, x, y))
        tab.wait(f"Math.abs((clickmaskAttention.patch?.asked[0] ?? 0) - {x}) < 2 && !clickmaskAttention.asker.isBusy")
        around = watched.at(x + 0.5, y + 0.5)
        for block, head in ((2, 0), (0, 4), (9, 10)):
            _slide(tab, "layer", block)
            _slide(tab, "head", head)
            told = around.blocks[block]
            places = np.zeros((1024 // told.stride,) * 2)
            (top, left), weights = told.corner, told.weights[head - 1] if head else told.weights.mean(0)
            there = places[top : top + weights.shape[0], left : left + weights.shape[1]]
            there[:] = weights[: there.shape[0], : there.shape[1]]
            assert _near(_map(tab), places)
    tab.page.mouse.click(*_at(tab, 700, 500))
    tab.page.mouse.move(*_at(tab, 200, 300))
    tab.page.wait_for_timeout(300)
    assert abs(tab.value("clickmaskAttention.patch.asked[0]") - 700) < 2
    tab.page.keyboard.press("ArrowRight")
    tab.wait("clickmaskAttention.patch.asked[0] > 701 && !clickmaskAttention.asker.isBusy")
    assert tab.value("clickmaskAttention.patch.blocks[9].place") == [31, 44]


def test_the_walks_numbers_are_the_models_and_its_products_come_out(tab: Screen, image: OpenImage) -> None:
    _click(tab, *FIG)
    _slide(tab, "layer", 1)
    _slide(tab, "head", 4)
    _open_walk(tab)
    seen = image.attention(_clicked(tab))
    number = seen.tokens.index(seen.chosen)
    walk = {name: seen.walk[f"token_to_image 2/{name}"] for name in ("queries", "keys", "scores", "heard", "output")}
    titles = ["Patches", "Queries, keys, values", "Scores", "Softmax", "Weighted values", "The mask"]
    texts = []
    for step, title in enumerate(titles):
        tab.page.click(f".cm-walk-steps button:has-text('{title}')")
        for button in tab.page.locator(".cm-walk button:has-text('Compute it again')").all():
            button.click()
        differences = tab.page.locator(".cm-verdict").evaluate_all("(all) => all.map(({ most }) => most)")
        assert differences and max(differences) < 1e-4, title
        texts.append(tab.page.inner_text(".cm-walk-step"))
        assert texts[-1].count("computed here") == (2 if step == 4 else 1)
    for text, values in (
        (texts[1], walk["queries"][3, number]),
        (texts[4], walk["heard"][3, number]),
        (texts[4], walk["output"][number, :8]),
    ):
        shown = [_shown(value) for value in values]
        assert "\t".join(shown) in text, (shown, text)
    best = walk["scores"][3, number].argmax()
    assert f"row {best // 64}, column {best % 64}" in texts[2] and _shown(walk["scores"][3, number, best]) in texts[2]
    place = tab.value("clickmaskAttention.walk.numbers.place")
    assert place == [25, 36] and "row 25, column 36" in texts[0]
    logit = seen.walk["mask/logits"][int(403.5 / 4), int(590.5 / 4)]
    assert _shown(logit) in texts[5] and "Above 0" in texts[5]


def _shown(value: float) -> str:
    """As the page writes a number."""
    size = abs(float(value))
    return f"{value:.4f}" if size < 1 else f"{value:.2f}" if size < 100 else f"{value:.0f}"


def test_the_token_matrix_names_both_axes(tab: Screen, image: OpenImage) -> None:
    _click(tab, *FIG)
    tab.page.keyboard.down("Shift")
    _click(tab, *LEAF)
    tab.page.keyboard.up("Shift")
    seen = image.attention(_clicked(tab), [1, 0])
    rows = tab.page.locator(".cm-matrix tbody tr")
    assert rows.count() == 8 and rows.nth(6).locator("th").inner_text() == "background point 1"
    assert tab.page.locator(".cm-matrix thead th").all_inner_texts() == list(seen.tokens)
    cell = rows.nth(5).locator("td").nth(6).get_attribute("title")
    share = 100 * seen.token_to_token[1, :, 5, 6].mean()
    assert cell == f"foreground point 1 looks at background point 1: {share:.{1 if share < 9.95 else 0}f} %"


def test_it_begins_with_what_was_clicked_in_the_click_tab_and_changes_nothing_there(
    tab: Screen, image: OpenImage
) -> None:
    _go(tab, "Click")
    tab.click(*FIG)
    before = tab.points()
    _go(tab)
    _settle(tab)
    assert _clicked(tab) == [point[:2] for point in before]
    _click(tab, *LEAF)
    _go(tab, "Click")
    assert tab.points() == before
    _go(tab)
    _settle(tab)
    assert len(_clicked(tab)) == 2  # the tab keeps its own while the other stays as it was
    _go(tab, "Click")
    tab.click(*LEAF, button="right")
    _go(tab)
    tab.wait("clickmaskAttention.prompt.labels.join() === '1,0'")
    _settle(tab)
    tab.page.mouse.click(*_at(tab, *LEAF))  # on the point: it goes
    _settle(tab)
    assert len(_clicked(tab)) == 1
    tab.page.mouse.move(*_at(tab, 230, 80))
    tab.page.mouse.down()
    tab.page.mouse.move(*_at(tab, 1000, 650), steps=4)
    tab.page.mouse.up()
    tab.wait("clickmaskAttention.prompt.box !== null")
    _settle(tab)
    assert tab.value("clickmaskAttention.seen.tokens.at(-1)") == "box bottom right"
    tab.page.click("text=Clear clicks")
    tab.wait("!clickmaskAttention.map")
    assert "Click something" in tab.page.inner_text(".cm-caption")


def test_another_photo_of_the_strip_is_the_tabs_too(tab: Screen, segmenter: Segmenter) -> None:
    _click(tab, *FIG)
    _go(tab, "Click")
    tab.take(OTHER)
    _go(tab)
    assert tab.value("clickmaskAttention.map") is None
    _click(tab, 300, 400)
    seen = segmenter.open(OTHER).attention(_clicked(tab))
    assert _near(_map(tab), seen.token_to_image[2, :, seen.tokens.index(seen.chosen)].mean(0))


def test_all_heads_are_shown_at_once_and_one_can_be_chosen(tab: Screen) -> None:
    _click(tab, *FIG)
    tab.page.click("button:has-text('All heads')")
    cells = tab.page.locator(".cm-sheet button")
    assert cells.count() == 27
    pictures = cells.locator("canvas").evaluate_all("(all) => all.map((one) => one.toDataURL())")
    assert len(set(pictures)) == 27
    cells.nth(9 + 3).click()
    assert tab.value("[clickmaskAttention.choice.layer, clickmaskAttention.choice.head]") == [1, 2]
    assert cells.nth(9 + 3).get_attribute("aria-pressed") == "true"
    tab.page.click("button:has-text('All heads')")
    assert tab.page.locator(".cm-sheet").is_hidden()


def test_picture_and_arrays_are_saved(tab: Screen, image: OpenImage, tmp_path: Path) -> None:
    _click(tab, *FIG)
    seen = image.attention(_clicked(tab))
    picture = cv2.imread(str(_saved(tab, "Save picture", tmp_path / "a.png")))
    photo = cv2.imread(str(PHOTO))
    assert picture is not None and photo is not None and picture.shape == photo.shape
    heat = seen.heat()
    assert picture[heat > 0.9].mean() > 1.2 * photo[heat > 0.9].mean() * 0.55  # bright there, dimmed elsewhere
    assert np.abs(picture[heat < 0.001].mean() / photo[heat < 0.001].mean() - 0.55) < 0.06
    with np.load(_saved(tab, "Save arrays", tmp_path / "a.npz"), allow_pickle=False) as arrays:
        assert np.abs(arrays["token_to_image"] - seen.token_to_image).max() < 1e-6
        assert arrays["tokens"].tolist() == list(seen.tokens)
    tab.page.check("text=Where a patch looks")
    tab.wait("clickmaskAttention.patch && !clickmaskAttention.asker.isBusy")
    with np.load(_saved(tab, "Save arrays", tmp_path / "b.npz"), allow_pickle=False) as arrays:
        assert str(arrays["9/name"]) == "stage 3, block 2"


def _saved(tab: Screen, name: str, path: Path) -> Path:
    with tab.page.expect_download() as saving:
        tab.page.click(f"button:has-text('{name}')")
    download: Download = saving.value
    assert download.suggested_filename == f"fig.jpg.attention{path.suffix}"
    download.save_as(path)
    return path


def test_of_a_close_up_it_tells_of_what_was_encoded(tab: Screen, image: OpenImage) -> None:
    _click_close_up(tab)
    box = tab.value("clickmaskAttention.map.frame.box")
    seen = image.window(box).attention(_clicked(tab))
    assert box != [0, 0, *image.size]
    assert _near(_map(tab), seen.token_to_image[2, :, seen.tokens.index(seen.chosen)].mean(0))


def test_clear_leaves_a_close_up_too(tab: Screen) -> None:
    _click_close_up(tab)
    tab.page.click("text=Clear clicks")
    _click(tab, *LEAF)
    assert tab.value("clickmaskAttention.map.frame.box") == [0, 0, 1024, 693]


def test_the_candidate_that_was_picked_and_the_chain_of_clicks_are_taken_over(tab: Screen) -> None:
    _go(tab, "Click")
    tab.click(*FIG)
    tab.press("3")
    index = tab.value(
        "(() => { const a = clickmask.bench.editor.making.answers.at(-1); return a.masks[a.picked].index })()"
    )
    _go(tab)
    _settle(tab)
    assert tab.value("clickmaskAttention.seen.chosen") == f"mask {1 + index}"
    assert tab.value("clickmaskAttention.mask.index") == index
    _open_walk(tab)
    tab.page.click(".cm-walk-steps button:has-text('The mask')")
    best = tab.value("clickmaskAttention.walk.numbers.chosen")
    assert f"the numbers below are of the best, “{best}”" in tab.page.inner_text(".cm-walk-step")
    _go(tab, "Click")
    tab.click(*LEAF)
    area = tab.value("clickmask.bench.shownMask().area")
    _go(tab)
    tab.wait("clickmaskAttention.prompt.points.length === 2")
    _settle(tab)
    assert tab.value("clickmaskAttention.prompt.previous") and tab.value("clickmaskAttention.mask.area") == area


def test_where_the_model_ignores_a_click_the_walk_says_so(tab: Screen) -> None:
    tab.page.keyboard.down("Shift")
    _click(tab, *FIG)
    tab.page.keyboard.up("Shift")
    _open_walk(tab)
    tab.page.click(".cm-walk-steps button:has-text('The mask')")
    text = tab.page.inner_text(".cm-walk-step")
    inside = tab.value("clickmaskAttention.walk.numbers.mask.logits.values[0]") > 0
    assert ("clicks are law here" in text) == inside and ("by the model the mask has it" in text) == inside


def test_the_walk_keeps_its_head_while_patches_with_more_are_shown(tab: Screen) -> None:
    _click(tab, *FIG)
    _slide(tab, "head", 3)
    _open_walk(tab)
    tab.page.check("text=Where a patch looks")
    tab.wait("clickmaskAttention.patch && !clickmaskAttention.asker.isBusy")
    _slide(tab, "layer", 9)
    _slide(tab, "head", 10)
    tab.page.wait_for_timeout(300)
    assert tab.value("clickmaskAttention.walk.numbers.head") == 2 and "head 3" in tab.page.inner_text(".cm-walk")


def test_an_error_goes_with_the_next_answer_and_never_to_another_photo(tab: Screen) -> None:
    tab.expect_refusals(500)
    broken = {"error": {"code": "internal", "message": "of the fig"}}
    tab.page.route("**/attention", lambda route: route.fulfill(status=500, json=broken))
    tab.page.mouse.click(*_at(tab, *FIG))
    tab.page.wait_for_selector(".cm-picture [role=alert]:has-text('of the fig')")
    tab.page.unroute("**/attention")
    _click(tab, *LEAF)
    assert tab.page.inner_text(".cm-picture [role=alert]") == ""
    held: list[Any] = []
    tab.page.route("**/attention", lambda route: held.append(route))
    tab.page.check("text=Where a patch looks")
    tab.page.mouse.move(*_at(tab, 300, 200))
    tab.page.wait_for_timeout(200)
    _go(tab, "Click")
    tab.take(OTHER)
    _go(tab)
    tab.page.unroute("**/attention")
    assert held  # and was never answered
    tab.page.mouse.move(*_at(tab, 300, 300))
    tab.wait("clickmaskAttention.patch && !clickmaskAttention.asker.isBusy")
    assert tab.page.inner_text(".cm-picture [role=alert]") == ""


def test_without_a_photo_it_offers_an_example(shown: Screen) -> None:
    shown.reset()
    shown.page.click("role=tab[name=Attention]")
    shown.page.click("button:has-text('Take an example')")
    shown.wait("clickmaskAttention.doc?.name === 'fig.jpg' && clickmaskAttention.view.scale > 0.3")
    shown.value("clickmaskAttention.choose({ kind: 'looks' })")
    _click(shown, *FIG)
    assert shown.page.locator(".cm-attention-body").is_visible()


def test_of_a_plain_vit_all_blocks_are_put_together_for_a_patch_that_is_kept(
    browser: Browser, tiny_sam_state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "tiny.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in tiny_sam_state.items()}, path)
    image = Segmenter(str(path)).open(PHOTO)
    with serving(tmp_path, ["--model", str(path)]) as served, screen(browser, served.url) as shown:
        shown.take(PHOTO)
        _go(shown)
        shown.page.check("text=Where a patch looks")
        shown.wait("clickmaskAttention.patch && !clickmaskAttention.asker.isBusy")
        _slide(shown, "layer", 2)  # of two blocks the first and the second, and both
        assert (
            "attention rollout" in shown.page.inner_text(".cm-panel") and shown.value("clickmaskAttention.map") is None
        )
        assert "Click a patch" in shown.page.inner_text(".cm-caption")
        shown.page.mouse.click(*_at(shown, 300, 200))
        shown.wait("clickmaskAttention.map && !clickmaskAttention.asker.isBusy")
        x, y = shown.value("clickmaskAttention.patch.asked")
        assert abs(x - 300) < 2 and _near(_map(shown), image.encoder_attention().rollout(x, y))
        assert shown.page.locator(".cm-panel input[name=head]").is_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_can_be_used_by_everybody_in_both_themes_and_on_a_telephone(
    browser: Browser, page_url: str, theme: str
) -> None:
    with screen(browser, f"{page_url}/ui/?__theme={theme}", viewport={"width": 390, "height": 844}) as shown:
        shown.take(PHOTO)
        _go(shown)
        _click(shown, *FIG)
        shown.page.click("button:has-text('All heads')")
        _open_walk(shown)
        assert shown.value("document.documentElement.scrollWidth") <= 390
        found = Axe().run(
            shown.page, context=".cm-attention", options={"preload": False}
        )  # else it fetches style sheets
        assert not found.response["violations"], found.generate_report()
