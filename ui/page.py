"""What the page holds, in Gradio: the canvas, and everything ordinary around it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.themes import Base

from ..service.http.settings import Limits
from .endpoint import add_everything_endpoint, add_segment_endpoint

HEAD = '<link rel="stylesheet" href="{root}/page/page.css"><link rel="icon" href="{root}/page/icon.svg">'
# Room for the photo: less of Gradio's margins, and none of its footer.
STYLE = """
.gradio-container { padding: 0 !important; }
.gradio-container > .main { padding: 4px 12px !important; }
#clickmask .html-container { padding: 0 !important; }
footer { display: none !important; }
"""
FORMATS = {
    "Cut-outs": "cutout",
    "Masks (PNG)": "png",
    "COCO": "coco",
    "YOLO": "yolo",
    "LabelMe": "labelme",
    "clickmask JSON": "json",
    "Overlay": "overlay",
    "Label map": "labelmap",
    "GeoJSON": "geojson",
    "Measurements (CSV)": "csv",
    "SA-1B": "sa1b",
    "amg.py's folder": "amg",
}

_CANVAS = Path(__file__).with_name("static") / "canvas.html"
_START = """
(async () => {{
  const {{ start }} = await import(new URL("{root}/page/main.js", location.href));
  const limits = {{ maxBytes: {max_bytes}, mostPoints: {most_points} }};
  await start(element, {{ root: "{root}", ...limits, hasProject: {has_project} }});
}})();
"""
_START_BATCH = """
(async () => {{
  const {{ start }} = await import(new URL("{root}/page/batch_tab.js", location.href));
  await start(element, {{ root: "{root}" }});
}})();
"""
_START_ATTENTION = """
(async () => {{
  const {{ start }} = await import(new URL("{root}/page/attention_tab.js", location.href));
  await start(element, {{ root: "{root}" }});
}})();
"""
_HERE, _ALL = "this photo", "all photos"


def theme() -> Base:
    """Gradio's plain theme, with fonts that every system has: nothing is fetched from elsewhere."""
    plain = ("system-ui", "sans-serif")
    return Base(font=plain, font_mono=("ui-monospace", "monospace"))


def build_page(
    root: str, limits: Limits, provenance: Mapping[str, Any], *, signs_in: bool, has_project: bool
) -> gr.Blocks:
    """The page.

    root: the path under which a proxy shows the service, or nothing. limits: what the service takes. provenance: the
    model's, to be named. signs_in: whether people sign in, and so out. has_project: whether the server has photos.
    """
    with gr.Blocks(title="clickmask", analytics_enabled=False, fill_width=True) as page:
        with gr.Tab("Click"):
            gr.HTML(
                html_template=_CANVAS.read_text(encoding="utf-8"),
                js_on_load=_START.format(
                    root=root,
                    max_bytes=limits.body,
                    most_points=limits.points,
                    has_project=json.dumps(has_project),
                ),
                apply_default_css=False,
                elem_id="clickmask",
            )
            with gr.Row():
                _view()
                _export()
        with gr.Tab("Attention"):
            gr.HTML(
                html_template='<div class="cm-attention"></div>',
                js_on_load=_START_ATTENTION.format(root=root),
                apply_default_css=False,
                elem_id="clickmask-attention",
            )
        with gr.Tab("Batch"):
            gr.HTML(
                html_template='<div class="cm-batch"></div>',
                js_on_load=_START_BATCH.format(root=root),
                apply_default_css=False,
                elem_id="clickmask-batch",
            )
        with gr.Tab("API") as api:
            _snippets(api, root)
            add_segment_endpoint()
            add_everything_endpoint()
        with gr.Row():
            gr.Markdown(_about(provenance), elem_id="clickmask-about")
            _leave(signs_in)
    return page


def _view() -> None:
    with gr.Accordion("View and clean-up", open=False):
        opacity = gr.Slider(0, 90, 40, step=5, label="Strength of the colours, %")
        clean = gr.Slider(0, 2, 0, step=0.1, label="Remove specks and fill holes below, % of the object's area")
        brush = gr.Slider(2, 200, 14, step=1, label="Radius of the brush, pixels on the screen")
    opacity.input(None, opacity, js="(value) => window.clickmask.settings.set({ opacity: value / 100 })")
    clean.release(None, clean, js="(value) => window.clickmask.clean(value / 100)")
    brush.input(None, brush, js="(value) => window.clickmask.setBrush(value)")


def _export() -> None:
    with gr.Accordion("Export", open=False, elem_id="clickmask-export"):
        formats = gr.CheckboxGroup(list(FORMATS.items()), value=["cutout"], label="What")
        which = gr.Radio([_HERE, _ALL], value=_HERE, label="Of")
        with gr.Row():
            pad = gr.Slider(0, 100, 0, step=1, label="Margin, pixels")
            feather = gr.Slider(0, 20, 0, step=0.5, label="Soft edge, pixels")
        button = gr.Button("Export", variant="primary")
    call = f"""(formats, which, pad, feather) =>
        window.clickmask.exporter.exportNow({{ formats, all: which === "{_ALL}", pad, feather }})"""
    button.click(None, [formats, which, pad, feather], js=f"(...values) => {{ ({call})(...values); }}")


def _leave(signs_in: bool) -> None:
    close = gr.Button("Close all photos", size="sm", scale=0, min_width=160)
    close.click(None, js="() => { window.clickmask?.closeAll(); }")
    if signs_in:
        sign_out = gr.Button("Sign out", size="sm", scale=0, min_width=120)
        sign_out.click(None, js="() => { window.clickmask?.signOut(); }")


def _snippets(tab: gr.Tab, root: str) -> None:
    gr.Markdown(
        f"What you clicked last, for your own programs. The service tells all about itself at [/docs]({root}/docs)."
    )
    python = gr.Code(label="Python", language="python", interactive=False)
    curl = gr.Code(label="curl", language="shell", interactive=False)
    tab.select(None, None, [python, curl], js="() => window.clickmask?.snippets() ?? ['', '']")


def _about(provenance: Mapping[str, Any]) -> str:
    return f"{provenance['model']} on {provenance['device']}, {provenance['precision']}"
