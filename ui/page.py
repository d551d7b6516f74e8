"""What the page holds, in Gradio: the canvas, and everything ordinary around it."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.themes import Base

HEAD = '<link rel="stylesheet" href="{root}/page/page.css"><link rel="icon" href="{root}/page/icon.svg">'
_CANVAS = Path(__file__).with_name("static") / "canvas.html"
_START = """
const {{ start }} = await import(new URL("{root}/page/main.js", location.href));
start(element, "{root}");
"""


def theme() -> Base:
    """Gradio's plain theme, with fonts that every system has: nothing is fetched from elsewhere."""
    plain = ("system-ui", "sans-serif")
    return Base(font=plain, font_mono=("ui-monospace", "monospace"))


def build_page(root: str) -> gr.Blocks:
    """The page. root: the path under which a proxy shows the service, or nothing."""
    with gr.Blocks(title="clickmask", analytics_enabled=False, fill_width=True) as page:
        gr.HTML(
            html_template=_CANVAS.read_text(encoding="utf-8"),
            js_on_load=f"(async () => {{{_START.format(root=root)}}})()",
            apply_default_css=False,
            elem_id="clickmask",
        )
    return page
