"""The page at /docs: complete, inert, and nothing in it from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from html.parser import HTMLParser
from typing import Any, Literal

from fastapi import Body, FastAPI, Path, Query
from pydantic import BaseModel, Field

from clickmask.service.http.docs_page import render_docs

EVIL = "<script>alert('1')</script>\"' onload=x `<img src=//e>` &lt; \\ $(id) --"
TAGS = set("html head meta title style body div main nav h1 h2 h3 h4 p a ul li article table tr th td".split()) | {
    "code",
    "pre",
    "span",
    "br",
    "details",
    "summary",
}
ATTRIBUTES = {"lang", "charset", "name", "content", "class", "id", "href"}


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]


class Point(BaseModel):
    """Where to look."""

    x: float = Field(ge=0, description="pixels from the `left`")
    y: float | None = None
    kind: Literal["in", "out"] = "in"


class Ask(BaseModel):
    """A question."""

    model_config = {"json_schema_extra": {"examples": [{"points": [{"x": 1}], "it's": "quoted"}, {"points": []}]}}
    points: list[Point] = Field(max_length=64)


def _document() -> dict[str, Any]:
    app = FastAPI(title="clickmask", version="1.2", description="First.\n\nSecond, with `code`.")

    @app.post("/v1/images/{id}/masks", tags=["Masks"], responses={410: {"description": "gone"}})
    async def ask(id: str = Path(), limit: int = Query(3, description="how many"), ask: Ask = Body()) -> list[Point]:  # noqa: B008
        """Masks of an image."""
        return []

    @app.get("/livez", summary="Alive")
    async def livez() -> None:
        """Whether it lives."""

    return app.openapi()


def test_every_call_parameter_and_schema_is_there() -> None:
    text, _ = render_docs(_document())
    page = Page(text)
    assert page.open == [] and set(page.tags) <= TAGS
    for words in ("clickmask", "Version 1.2", "Second, with code.", "Masks of an image.", "/v1/images/{id}/masks"):
        assert words in page.words
    for words in ("how many", "/livez", "Alive", "Where to look.", "pixels from the left", "number or null", "gone"):
        assert words in page.words
    assert "list of <a href=" in text and "at most this many: <code>64</code>" in text


def test_all_links_lead_somewhere_on_the_page() -> None:
    page = Page(render_docs(_document())[0])
    links, places = page.all("href"), page.all("id")
    assert len(links) >= 5 and len(places) == len(set(places))
    assert {link.removeprefix("#") for link in links} <= set(places)


def test_the_command_of_a_call_is_one_that_a_shell_understands() -> None:
    words = Page(render_docs(_document(), "http://box:7860")[0]).words
    command = words[words.index("curl -X POST") :].split("Other bodies")[0].replace("\\\n", "")
    assert shlex.split(command) == [
        "curl",
        "-X",
        "POST",
        "http://box:7860/v1/images/ID/masks",
        "-H",
        "Content-Type: application/json",
        "-d",
        '{"it\'s": "quoted", "points": [{"x": 1}]}',
    ]


def test_images_and_forms_have_commands_too() -> None:
    binary = {"schema": {"type": "string", "format": "binary"}}
    form = {"schema": {"type": "object", "properties": {"file": binary["schema"], "prompts": {"type": "string"}}}}
    document = {
        "paths": {
            "/raw": {"post": {"requestBody": {"content": {"application/octet-stream": binary}}}},
            "/form": {
                "post": {"requestBody": {"content": {"multipart/form-data": {**form, "example": {"prompts": [1]}}}}}
            },
        },
        "servers": [{"url": "/clickmask"}],
    }
    words = " ".join(Page(render_docs(document)[0]).words.replace("\\\n", " ").split())
    base = "curl -X POST http://127.0.0.1:7860/clickmask"
    assert f"{base}/raw --data-binary @photo.jpg -H 'Content-Type: application/octet-stream'" in words
    assert f"{base}/form -F file=@photo.jpg -F 'prompts=[1]'" in words


def _spoil(value: Any) -> Any:
    """Evil words in every place that people write words in."""
    if isinstance(value, dict):
        return {
            (key + EVIL if key.startswith(("/v1", "application", "4")) else key): _spoil(one)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_spoil(one) for one in value]
    return value + EVIL if isinstance(value, str) else value


def test_nothing_in_the_document_becomes_markup() -> None:
    text, _ = render_docs(_spoil(_document()))
    page = Page(text)
    assert EVIL.split()[0] in page.words  # it is all there, as text
    assert set(page.tags) <= TAGS and page.open == []
    assert {name for name, _ in page.attributes} <= ATTRIBUTES
    assert not [link for link in page.all("href") if not re.fullmatch(r"#[A-Za-z0-9-]+", link)]
    assert all(re.fullmatch(r"[A-Za-z0-9-]+", place) for place in page.all("id"))


def test_the_policy_lets_the_pages_own_style_in_and_nothing_else() -> None:
    text, policy = render_docs(_document())
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ")[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    assert "url(" not in style and "@import" not in style


def test_an_empty_document_is_a_page_too() -> None:
    assert "<h1>API</h1>" in render_docs({})[0]
