"""File names in answers' headers, as RFC 6266 has them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from clickmask.service.formats import File
from clickmask.service.http.exports import headers_of

CASES = {
    'attachment; filename="a.png"': "a.png",
    "attachment; filename=a.png": "a.png",
    "attachment; filename=\"_.png\"; filename*=UTF-8''%C3%A9%20b.png": "é b.png",
    "attachment; filename*=utf-8'en'%C3%A9.png; filename=\"_.png\"": "é.png",
    "attachment; filename=\"_.png\"; filename*=UTF-8''%FF.png": "_.png",
    'attachment; filename="a\\"b;c.png"': 'a"b;c.png',
    "inline": None,
    "": None,
}


@pytest.mark.parametrize(("header", "name"), CASES.items(), ids=[str(name) for name in range(len(CASES))])
def test_the_full_name_goes_before_the_plain_one(functions: Page, header: str, name: str | None) -> None:
    script = "async (header) => (await import('./disposition.js')).fileNameIn(header)"
    assert functions.evaluate(script, header) == name


@pytest.mark.parametrize("name", ["a.png", "Bäume.png", '100 % "sure"; really.png', "日本 (2).zip", "a'b*c.png"])
def test_names_that_the_service_writes_come_out_whole(functions: Page, name: str) -> None:
    script = "async (header) => (await import('./disposition.js')).fileNameIn(header)"
    assert functions.evaluate(script, headers_of(File(name, b""))["Content-Disposition"]) == name
