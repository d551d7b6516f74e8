"""The named Gradio endpoints `/segment` and `/everything`: components, forms for people, signatures for programs."""

from __future__ import annotations

from typing import Any

import gradio as gr

SEGMENT, EVERYTHING = "segment", "everything"

_WORDS = """### As a Gradio endpoint

```python
from gradio_client import Client, handle_file

client = Client("https://this.server/ui/")  # where one signs in: headers={"Authorization": "Bearer ..."}
mask, about = client.predict(handle_file("photo.jpg"), '{"points": [[290, 300]]}', api_name="/segment")
```

Or by hand. Prompts are what `POST /v1/segment` takes for one object, in pixels of the upright photo: `points`, with
`labels` (1 is the thing, 0 is not), a `box` of left, top, right and bottom, or both.
"""
_WORDS_OF_EVERYTHING = """### All objects of a photo

```python
found = client.predict(handle_file("photo.jpg"), '{"points_per_side": 16}', api_name="/everything")
```

Options and answer are those of `POST /v1/images/{id}/everything`; the masks are in `found["masks"]`, the largest first.
"""
_SHOW = """(file) => file ? `<img src="${file.url}" alt="The mask, white on black" style="max-height: 20rem">` : ''"""


def add_segment_endpoint() -> None:
    """Lay it out; inside a `gr.Blocks`."""
    gr.Markdown(_WORDS)
    with gr.Row():
        with gr.Column():
            image = gr.File(label="Photo", file_types=["image"], height=120)
            prompts = gr.Textbox('{"points": [[290, 300]], "labels": [1]}', label="Prompts, as JSON", lines=3)
            button = gr.Button("Get the mask", variant="primary")
        with gr.Column():
            shown = gr.HTML(label="Mask")
            mask = gr.File(label="Mask (PNG)", interactive=False, height=80)
            about = gr.JSON(label="About it", max_height=240)
    button.click(segment, [image, prompts], [mask, about], api_name=SEGMENT)
    mask.change(None, mask, shown, js=_SHOW)


def add_everything_endpoint() -> None:
    """Lay it out; inside a `gr.Blocks`."""
    gr.Markdown(_WORDS_OF_EVERYTHING)
    with gr.Row():
        with gr.Column():
            image = gr.File(label="Photo to search", file_types=["image"], height=120)
            options = gr.Textbox('{"points_per_side": 16}', label="Options, as JSON", lines=3)
            button = gr.Button("Get all masks", variant="primary")
        found = gr.JSON(label="All masks", max_height=320)
    button.click(everything, [image, options], found, api_name=EVERYTHING)


def segment(image: str, prompts: str) -> tuple[str, dict[str, Any]]:
    """The mask of an object in a photo, as a PNG file, and its score, area, box and run lengths."""
    raise NotImplementedError("Gradio describes this; `gradio_calls` does it")


def everything(image: str, options: str) -> dict[str, Any]:
    """All objects of a photo: their masks, the largest first, as run lengths, with scores, areas and boxes."""
    raise NotImplementedError("Gradio describes this; `gradio_calls` does it")
