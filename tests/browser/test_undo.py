"""Undo to the beginning and redo to the end: the same session, with nothing asked again."""

from __future__ import annotations

from typing import Any

from screen import PHOTOS, Screen

UPPER, LOWER = (290, 300), (370, 560)


def _seen(desk: Screen) -> Any:
    return desk.value(
        "(({ objects, current }) => JSON.stringify([objects.map(({ id, label, colour, locked, final }) =>"
        " [id, label, colour, locked, final.mask.rle]), current?.making.elements,"
        " current && clickmask.bench.shownMask()?.rle]))"
        "(clickmask.bench.editor.state)"
    )


def _work(desk: Screen) -> None:
    """Forty commands of all kinds."""
    for number, (x, y) in enumerate([UPPER, LOWER, (100, 900), (500, 250)]):
        desk.click(x, y)
        desk.press("2")
        desk.click(x + 20, y + 12)
        desk.click(x - 90, y + 60, button="right")
        desk.drag((x + 20, y + 12), (x + 10, y + 30))
        if number % 2:
            desk.drag((x - 60, y - 80), (x + 80, y + 80))
            desk.press("b")
            desk.drag((x, y), (x + 40, y))
            desk.press("q")
        desk.press("Enter")
    for label in ("dog", "cat"):
        desk.value("(label) => clickmask.bench.editor.rename(1, label)", label)
        desk.value("clickmask.bench.editor.recolour(2, 7)")
        desk.value("clickmask.bench.editor.recolour(2, 9)")
        desk.value("clickmask.bench.editor.reorder(1, 1)")
        desk.value("clickmask.bench.editor.reorder(1, 0)")
    desk.value("clickmask.bench.editor.select([2, 3])")
    desk.press("m")
    desk.value("clickmask.bench.editor.lock([1], true)")
    desk.value("clickmask.bench.editor.remove([4])")
    desk.click(*LOWER)
    desk.click(*UPPER)


def test_undo_to_empty_and_redo_to_the_end_ask_nothing(desk: Screen) -> None:
    desk.take(PHOTOS / "dogs.jpg")
    _work(desk)
    count = desk.value("clickmask.bench.doc.session.entries.length - 1")
    assert count >= 40
    asked, seen = desk.decodes(), [_seen(desk)]
    for _ in range(count):
        desk.press("Control+z")
        seen.append(_seen(desk))
    assert desk.objects() == [] and desk.points() == []
    desk.press("Control+z")
    assert "Nothing left to undo" in desk.page.inner_text(".cm-toasts")
    for step in reversed(seen[:-1]):
        desk.press("Control+Shift+Z")
        assert _seen(desk) == step
    assert desk.decodes() == asked
    desk.press("Control+z", "Control+y")
    assert _seen(desk) == seen[0]


def test_a_command_after_undo_drops_what_was_undone(desk: Screen) -> None:
    desk.take(PHOTOS / "dogs.jpg")
    desk.click(*UPPER)
    desk.click(*LOWER)
    desk.press("Control+z")
    desk.click(300, 420, button="right")
    assert [label for *_, label in desk.points()] == [1, 0]
    desk.press("Control+Shift+Z")
    assert "Nothing left to redo" in desk.page.inner_text(".cm-toasts")
