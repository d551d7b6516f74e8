"""The named Gradio endpoint `/segment`: its components, a form for people and a signature for programs."""

from __future__ import annotations

from typing import Any

import gradio as gr

NAME = "segment"

_WORDS = """### As a Gradio endpoint

```python
from gradio_client import Client, handle_file

client = Client("https://this.server/ui/")  # where one signs in: headers={"Authorization": "Bearer ..."}
mask, about = client.predict(handle_file("photo.jpg"), '{"points": [[290, 300]]}', api_name="/segment")
```

Or by hand. Prompts are what `POST /v1/segment` takes for one object, in pixels of the upright photo: `points`, with
`labels` (1 is the thing, 0 is not), a `box` of left, top, right and bottom, or both.
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
    button.click(segment, [image, prompts], [mask, about], api_name=NAME)
    mask.change(None, mask, shown, js=_SHOW)


def segment(image: str, prompts: str) -> tuple[str, dict[str, Any]]:
    """The mask of an object in a photo, as a PNG file, and its score, area, box and run lengths."""
    raise NotImplementedError("Gradio describes this; `gradio_calls` does it")
