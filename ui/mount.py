"""The page on the service's app: Gradio at /ui, the browser's modules at /page, and nothing weaker for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles

from ..service.http.app import create_app
from ..service.http.settings import ServeSettings
from ..service.segmenter import Segmenter
from .headers import PageHeaders
from .page import HEAD, STYLE, build_page, theme

STATIC = Path(__file__).with_name("static")


def create_page_app(segmenters: Sequence[Segmenter], settings: ServeSettings) -> FastAPI:
    """The service with the page on it. Raises SettingsError as `create_app` does."""
    return create_app(segmenters, settings, partial(_mount, segmenters=segmenters, settings=settings))


def _mount(app: FastAPI, segmenters: Sequence[Segmenter], settings: ServeSettings) -> None:
    root = settings.root_path
    app.add_middleware(PageHeaders)
    app.mount("/page", StaticFiles(directory=STATIC), name="page")
    app.add_api_route("/", lambda: RedirectResponse(f"{root}/ui/"), include_in_schema=False)
    gr.mount_gradio_app(
        app,
        build_page(root, settings.limits.body, segmenters[0].provenance),
        path="/ui",
        root_path=f"{root}/ui" if root else None,
        theme=theme(),
        head=HEAD.format(root=root),
        css=STYLE,
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        max_file_size=settings.limits.body,
    )
