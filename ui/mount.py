"""The page on the service's app: Gradio at /ui, the browser's modules at /page, and nothing weaker for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import gradio as gr
from fastapi import FastAPI
from gradio.routes import App
from starlette.responses import FileResponse, RedirectResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from ..service.http.app import create_app
from ..service.http.encoders import Encoders
from ..service.http.settings import ServeSettings
from ..service.segmenter import Segmenter
from . import gradio_calls
from .doorway import Doorway
from .endpoint import EVERYTHING, SEGMENT
from .headers import PageHeaders
from .page import HEAD, STYLE, build_page, theme

STATIC = Path(__file__).with_name("static")


def create_page_app(
    segmenters: Sequence[Segmenter], settings: ServeSettings, *, encoders: Encoders | None = None
) -> FastAPI:
    """The service with the page on it. Not on an event loop. Raises SettingsError as `create_app` does."""
    attach = partial(_mount, segmenters=segmenters, settings=settings)
    return create_app(segmenters, settings, attach, encoders=encoders)


def _mount(app: FastAPI, segmenters: Sequence[Segmenter], settings: ServeSettings) -> None:
    root = settings.root_path
    # On an event loop, since Gradio opens one for each lock it wants where none runs, and leaves it open.
    gradio = asyncio.run(_gradio(settings, segmenters[0].provenance, app.state.callers.signs_in))
    names = {number: one.api_name for number, one in gradio.get_blocks().fns.items()}
    endpoints = {number: name for number, name in names.items() if name in (SEGMENT, EVERYTHING)}
    app.state.desk = gradio_calls.Desk(endpoints)
    app.state.pages += ["/", "/ui", "/ui/"]
    app.add_middleware(PageHeaders)
    app.mount("/page", StaticFiles(directory=STATIC), name="page")
    app.add_api_route("/favicon.ico", lambda: FileResponse(STATIC / "icon.svg"), include_in_schema=False)
    for path in ("/", "/ui"):
        app.add_api_route(path, lambda: RedirectResponse(f"{root}/ui/"), include_in_schema=False)
    app.include_router(gradio_calls.router)
    app.mount("/ui", Doorway(gradio), name="ui")


async def _gradio(settings: ServeSettings, provenance: Mapping[str, Any], signs_in: bool) -> App:
    """Gradio's own app. It is never started: its queue would look for work a thousand times a second."""
    root, has_project = settings.root_path, settings.project is not None
    page = build_page(root, settings.limits, provenance, signs_in=signs_in, has_project=has_project)
    house = FastAPI(openapi_url=None)
    gr.mount_gradio_app(
        house,
        page,
        path="",
        root_path=f"{root}/ui",
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
    gradio = cast(App, cast(Mount, house.routes[-1]).app)
    # Else it makes it of the first caller's `Host`, and keeps that for everybody.
    gradio.api_info = page.get_api_info()  # pyright: ignore[reportAttributeAccessIssue]
    return gradio
