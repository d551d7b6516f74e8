"""Makes the README's picture of the page: two dogs cut out, and a preview under the pointer.

    clickmask ui &
    python examples/page_picture.py            # needs playwright and a Chromium

Writes examples/click_page.jpg.
"""

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
DOGS = [(290, 300), (370, 560)]
SIGN = (520, 760)  # a post of the fence


def main(url: str = "http://127.0.0.1:7860") -> None:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1280, "height": 760})
        page.goto(url)
        page.click("img[alt='Example: dogs']")
        page.wait_for_function("clickmask.bench.doc?.state === 'ready' && clickmask.bench.editor")
        page.fill(".cm-active-label", "dog")
        page.press(".cm-active-label", "Enter")
        for x, y in DOGS:
            page.mouse.click(*place(page, x, y))
            page.wait_for_function("clickmask.isSettled")
            page.keyboard.press("Enter")
        page.mouse.move(*place(page, *SIGN))
        page.wait_for_function("clickmask.previewMask && clickmask.isSettled")
        page.wait_for_timeout(500)
        page.screenshot(path=HERE / "click_page.jpg", quality=88, type="jpeg")
        chromium.close()


def place(page, x, y):
    """Where on the screen a pixel of the photo is."""
    return page.evaluate(
        "([x, y]) => { const box = document.querySelector('.cm-stage').getBoundingClientRect();"
        " const [px, py] = clickmask.view.toScreen(x, y); return [box.left + px, box.top + py]; }",
        [x, y],
    )


if __name__ == "__main__":
    main()
