"""The load: what pieces cost, how much of the lane is taken, and how often pages may hover."""

from __future__ import annotations

import time

import pytest

from clickmask.service.http import load as load_module
from clickmask.service.http.load import QUICKEST, SLOWEST, Load

CLICK, HOVER = 0, 1


def test_a_piece_costs_what_pieces_took_lately() -> None:
    load = Load()
    assert load.mean(CLICK) > 0, "before the first there is a guess"
    load.ran(CLICK, 0.1)
    assert load.mean(CLICK) == pytest.approx(0.1)
    for _ in range(40):
        load.ran(CLICK, 0.8, pieces=8)
    assert load.mean(CLICK) == pytest.approx(0.1), "each of eight in a batch costs an eighth"
    for _ in range(40):
        load.ran(CLICK, 0.02)
    assert load.mean(CLICK) == pytest.approx(0.02, rel=0.01)
    load.ran(HOVER, 5.0)
    assert load.mean(CLICK) == pytest.approx(0.02, rel=0.01), "each rank for itself"


def test_the_share_taken_is_between_nothing_and_all_of_the_time_and_fades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "MEMORY", 0.1)
    load = Load()
    assert load.share((CLICK, HOVER)) == 0
    for _ in range(50):
        load.ran(CLICK, 0.05)
    assert load.share((CLICK,)) == 1 and load.share((HOVER,)) == 0
    time.sleep(1.5)
    assert load.share((CLICK,)) < 0.01


def test_an_idle_lane_lets_a_page_hover_as_quickly_as_makes_sense_and_more_pages_less_often() -> None:
    load = Load()
    for _ in range(20):
        load.ran(HOVER, 0.004)
    assert load.hover_interval(1, HOVER, (CLICK,)) == QUICKEST
    intervals = [load.hover_interval(pages, HOVER, (CLICK,)) for pages in (1, 10, 50, 100, 150)]
    assert None not in intervals and intervals == sorted(set(intervals)), "the more pages, the longer"
    assert load.hover_interval(100, HOVER, (CLICK,)) == pytest.approx(500, abs=5), "100 x 4 ms in four fifths"
    assert load.hover_interval(250, HOVER, (CLICK,)) is None, f"a preview after {SLOWEST} ms is none"


def test_the_more_is_clicked_the_less_is_hovered_until_pages_are_told_to_stop() -> None:
    load = Load()
    load.ran(HOVER, 0.02)
    idle = load.hover_interval(4, HOVER, (CLICK,))
    load.ran(CLICK, 1.0)
    busy = load.hover_interval(4, HOVER, (CLICK,))
    assert idle is not None and busy is not None and busy > 1.5 * idle
    load.ran(CLICK, 2.0)
    assert load.hover_interval(4, HOVER, (CLICK,)) is None
    assert load.hover_interval(4, HOVER, ()) == pytest.approx(idle, abs=1), "but for the clicks it would go on"
