"""The Gradio endpoints used by hand, and what its files may do in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect

PHOTO = Path(__file__).resolve().parents[2] / "examples" / "photos" / "dogs.jpg"
HTML = b"<!doctype html><script>document.title = 'executed'; window.executed = true</script>"


@pytest.fixture
def page(browser: Browser, page_url: str) -> Iterator[Page]:
    """The page with its form open."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{page_url}/ui/")
    page.wait_for_function("window.clickmask?.isStarted")
    page.get_by_role("tab", name="API").click()
    yield page
    context.close()


def test_a_photo_and_a_point_give_a_mask(page: Page) -> None:
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.locator("input[type=file]").nth(-2).set_input_files(PHOTO)
    expect(page.get_by_role("row", name="dogs.jpg")).to_be_visible()
    page.get_by_role("button", name="Get the mask").click()
    mask = page.get_by_alt_text("The mask, white on black")
    expect(mask).to_be_visible()
    expect(page.get_by_text(re.compile(r"0\.96[67]"))).to_be_visible()  # by the processor's precision
    assert mask.evaluate(
        "async (image) => { await image.decode(); return [image.naturalWidth, image.naturalHeight] }"
    ) == [
        682,
        1024,
    ]
    page.get_by_label("Prompts, as JSON").fill('{"points": [[-5, 300]]}')
    page.get_by_role("button", name="Get the mask").click()
    expect(page.get_by_text("lies outside the 682 x 1024 image")).to_be_visible()
    assert faults == []


def test_a_photo_gives_all_masks(page: Page) -> None:
    page.locator("input[type=file]").last.set_input_files(PHOTO)
    expect(page.get_by_role("row", name="dogs.jpg")).to_be_visible()
    page.get_by_label("Options, as JSON").fill('{"points_per_side": 4, "pred_iou_thresh": 0.8}')
    page.get_by_role("button", name="Get all masks").click()
    expect(page.get_by_text('"complete"')).to_be_visible(timeout=45_000)
    page.get_by_label("Options, as JSON").fill('{"points_per_side": 0}')
    page.get_by_role("button", name="Get all masks").click()
    expect(page.get_by_text("points_per_side: expected").first).to_be_visible()


def test_a_picture_with_a_page_inside_never_runs(page: Page, page_url: str) -> None:
    path = page.evaluate(
        """async (bytes) => {
             const form = new FormData();
             form.append('files', new Blob([new Uint8Array(bytes)]), 'photo.html');
             return (await (await fetch('gradio_api/upload', { method: 'POST', body: form })).json())[0];
           }""",
        list(PHOTO.read_bytes() + HTML),
    )
    address = f"{page_url}/ui/gradio_api/file={path}"
    framed = page.evaluate(
        """async (address) => {
             const script = Object.assign(document.createElement('script'), { src: address });
             const ran = new Promise((done) => {
               script.onload = () => done('ran');
               script.onerror = () => done('no');
             });
             document.head.append(script);
             return ran;
           }""",
        address,
    )
    assert framed == "no" and page.evaluate("window.executed") is None
    with pytest.raises(Error, match="Download is starting"):
        page.goto(address)
    assert page.title() != "executed"
