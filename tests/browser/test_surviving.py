"""Reloads, restarts, forgetful servers and neighbouring pages: the work is there, and goes on."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from page_server import serving
from playwright.sync_api import Browser
from screen import PHOTOS, Screen, screen

UPPER, LOWER = (290, 300), (370, 560)
DOGS, CLOCK = PHOTOS / "dogs.jpg", PHOTOS / "clock.jpg"


def _rles(desk: Screen) -> list[object]:
    return [thing["rle"] for thing in desk.objects()]


def _shown(desk: Screen) -> object:
    return desk.value("clickmask.bench.shownMask()?.rle")


def test_a_reload_in_the_middle_of_an_object_keeps_everything(desk: Screen) -> None:
    desk.take(DOGS)
    desk.click(*UPPER)
    desk.press("Enter")
    desk.click(*LOWER)
    desk.click(300, 420, button="right")
    before = _rles(desk), _shown(desk), desk.points()
    desk.open()
    desk.wait("clickmask.bench.doc?.state === 'ready'")
    desk.settle()
    assert (_rles(desk), _shown(desk), desk.points()) == before
    asked = desk.decodes()
    desk.press(*["Control+z"] * 4)
    assert desk.objects() == [] and desk.points() == [] and desk.decodes() == asked
    desk.press(*["Control+y"] * 4)
    assert (_rles(desk), _shown(desk), desk.points()) == before
    desk.click(400, 580)
    assert len(desk.points()) == 3


def test_a_server_that_forgot_the_image_is_told_again(desk: Screen) -> None:
    desk.take(DOGS)
    desk.click(*UPPER)
    desk.expect_refusals(410)
    desk.value("fetch('/v1/images', {method: 'DELETE'})")
    desk.click(*LOWER)
    assert len(desk.points()) == 2 and desk.current() is not None
    desk.press("Enter")
    (thing,) = desk.objects()
    assert thing["isReady"] and thing["pixels"][300, 290] and thing["pixels"][560, 370]


def test_what_was_forgotten_is_asked_again_and_the_answers_are_the_same(desk: Screen) -> None:
    desk.take(DOGS)
    desk.click(*UPPER)
    desk.press("1")
    desk.click(*LOWER)
    desk.click(100, 900, button="right")
    expected = _shown(desk)
    desk.press(*["Control+z"] * 4)
    desk.click(*UPPER)
    desk.press("1")
    desk.click(*LOWER)
    desk.expect_refusals(410)
    desk.value("fetch('/v1/images', {method: 'DELETE'})")  # image and masks: the chain is asked anew
    desk.click(100, 900, button="right")
    assert _shown(desk) == expected


@pytest.mark.soak
def test_work_goes_on_when_the_server_is_killed_and_started_again(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        port = int(first.url.rsplit(":", 1)[1])
        with screen(browser, first.url) as desk:
            desk.take(DOGS)
            desk.click(*UPPER)
            desk.expect_refusals(410)
            first.process.kill()
            first.process.wait()
            desk.page.mouse.click(*desk.at(*LOWER))
            desk.page.wait_for_selector("text=Your clicks are kept")
            with serving(tmp_path, port=port):
                desk.settle()
                assert len(desk.points()) == 2
                desk.press("Enter")
                (thing,) = desk.objects()
                assert thing["pixels"][300, 290] and thing["pixels"][560, 370]
                assert not desk.page.is_visible("text=Your clicks are kept")


def test_two_pages_on_different_photos_never_mix(browser: Browser, page_url: str) -> None:
    with screen(browser, page_url) as one:
        one.take(DOGS)
        second = one.page.context.new_page()
        other = Screen(second, page_url).open()
        other.take(CLOCK)
        one.click(*UPPER)
        other.click(500, 400)
        one.click(*LOWER)
        one.press("Enter")
        other.press("Enter")
        assert (one.value("clickmask.bench.doc.name"), other.value("clickmask.bench.doc.name")) == (
            "dogs.jpg",
            "clock.jpg",
        )
        masks = _rles(one), _rles(other)
        one.open()
        other.open()
        for desk in (one, other):
            desk.wait("clickmask.bench.doc?.state === 'ready'")
        assert (_rles(one), _rles(other)) == masks
        assert [doc["name"] for doc in other.value("clickmask.documents.list.map(({name}) => ({name}))")] == [
            "clock.jpg"
        ]


def test_a_closed_page_is_offered_to_the_next(browser: Browser, page_url: str) -> None:
    with screen(browser, page_url) as first:
        first.take(DOGS)
        first.click(*UPPER)
        first.press("Enter")
        masks = _rles(first)
        first.value("clickmask.store.flush()")
        page = first.page.context.new_page()
        first.page.close()
        later = Screen(page, page_url).open()
        later.page.click("text=Go on >> nth=-1")
        later.wait("clickmask.bench.doc?.state === 'ready'")
        assert _rles(later) == masks


def test_the_page_speaks_to_the_service_alone(desk: Screen) -> None:
    desk.take(DOGS)
    desk.click(*UPPER)
    own = [line for line in desk.asked if "/v1/" in line]
    assert any("/masks" in line for line in own) and not desk.foreign()
    assert httpx.get(f"{desk.url}/livez").status_code == 200
