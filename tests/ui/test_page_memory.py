"""What the page keeps: nothing on the disk, little in memory, and nothing of a session once it is over."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from app_under_test import Running, error_of, marked, running
from gradio_protocol import API, POINT, Caller, file_data

from clickmask import Segmenter
from clickmask.service.http.settings import MIB, Access
from clickmask.ui.mount import create_page_app
from clickmask.ui.waiting import PATIENCE, Waiting

_written: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note each file that Python opens for writing, while somebody wants to know."""
    if _written is None or event != "open":
        return
    path, mode, flags = arguments
    writes = isinstance(mode, str) and set(mode) & set("wax+")
    if path != os.devnull and (writes or (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))):
        _written.append(str(path))


@contextmanager
def _no_writing() -> Iterator[list[str]]:
    """Gives the files that are opened for writing meanwhile, by any thread."""
    global _written
    if not hasattr(sys, "_clickmask_watched"):  # an audit hook stays for good
        sys.addaudithook(_watch)
        sys._clickmask_watched = True  # pyright: ignore[reportAttributeAccessIssue]
    _written = []
    try:
        yield _written
    finally:
        _written = None


def test_nothing_is_written_to_a_disk(caller: Caller, photo: bytes, tmp_path: Path) -> None:
    large = marked(np.random.default_rng(2).integers(0, 256, (700, 1000, 3), dtype=np.uint8), 1)
    assert len(large) > MIB  # usual form parsers put it into a file by now
    with _no_writing() as written:
        file, _ = caller.segment(caller.upload(photo))
        assert caller.fetch(file["path"]).status_code == 200
        assert caller.fetch(caller.upload(large)).content == large
        assert caller.client.get("/ui/").status_code == 200
    assert written == []
    with _no_writing() as written:
        (tmp_path / "x").write_text("it would have been noticed")
    assert written == [str(tmp_path / "x")]


def test_a_full_disk_is_no_trouble(
    segmenter: Segmenter, tmp_path: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = tmp_path / "full"  # a file where a folder should be: nothing can be written there, not even by root
    full.touch()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(full / "gradio"))
    monkeypatch.setattr("tempfile.tempdir", str(full))
    with running(segmenter, tmp_path, make=create_page_app) as service, service.client() as client:
        caller = Caller.of(client, service)
        file, _ = caller.segment(caller.upload(photo))
        assert caller.fetch(file["path"]).status_code == 200
        assert client.post("/v1/images", content=photo).status_code == 200


def test_without_room_for_masks_the_call_says_so_and_all_else_goes_on(
    service: Running, caller: Caller, photo: bytes
) -> None:
    masks, path = service.app.state.desk.masks, caller.upload(photo)
    budget, masks.budget = masks.budget, 10
    try:
        masks.clear()
        done = caller.call([file_data(path), POINT])
        assert done["success"] is False and "/v1/segment" in done["output"]["error"]
        assert caller.client.post("/v1/images", content=photo).status_code == 200
    finally:
        masks.budget = budget
    assert caller.segment(path)


def test_without_room_for_images_an_upload_says_when_to_come_again(
    service: Running, caller: Caller, strip: np.ndarray
) -> None:
    images = service.app.state.service.store.images
    budget, images.budget = images.budget, 10
    try:
        answer = caller.client.post(f"{API}/upload", files={"files": marked(strip, 7)})
        error_of(answer, 503, "store_full")
        assert int(answer.headers["retry-after"]) >= 1
    finally:
        images.budget = budget
    assert caller.upload(marked(strip, 7))


def test_calls_are_forgotten_when_nobody_comes_for_them() -> None:
    now = [0.0]
    waiting = Waiting(lambda: now[0])
    first = waiting.add("ann", "s", "segment", [1])
    now[0] = PATIENCE
    second = waiting.add("ann", "s", "segment", [2])
    now[0] += 1
    call = waiting.take("ann", "s")
    assert call is not None and call.id == second != first and waiting.take("ann", "s") is None
    assert waiting._lines == {}


def _sessions(service: Running, strip: np.ndarray, numbers: range) -> list[int]:
    """Somebody new opens the page, uploads, asks, fetches, leaves; the process's bytes after each tenth."""
    own, sizes = psutil.Process(), []
    for number in numbers:
        with service.client() as client:
            assert client.get("/ui/").status_code == 200
            caller = Caller.of(client, service)
            mask, _ = caller.segment(caller.upload(marked(strip, number)))
            assert caller.fetch(mask["path"]).status_code == 200
        if number % 10 == 9:
            gc.collect()
            sizes.append(own.memory_info().rss)
    return sizes


def _has_nothing_left(service: Running) -> None:
    desk, inside = service.app.state.desk, service.app.state.service
    (gradio,) = (app.gradio for route in service.app.routes if hasattr(app := getattr(route, "app", None), "gradio"))
    assert desk.calls._lines == {} and desk.masks.counts().size <= desk.masks.budget
    assert inside.store.images.counts().size <= inside.store.images.budget and inside.gate.inside == 0
    assert not gradio.state_holder.session_data and len(gradio.get_blocks()._queue) == 0


@pytest.mark.soak
def test_sessions_leave_nothing_behind(segmenter: Segmenter, tmp_path: Path, strip: np.ndarray) -> None:
    with running(segmenter, tmp_path, access=Access(public=True), make=create_page_app) as service:
        _sessions(service, strip, range(20))
        _has_nothing_left(service)


@pytest.mark.soak
def test_two_thousand_sessions_leave_memory_as_it_was(segmenter: Segmenter, tmp_path: Path, strip: np.ndarray) -> None:
    with running(segmenter, tmp_path, access=Access(public=True), make=create_page_app) as service:
        shelves = service.app.state.service.store
        shelves.images.budget, shelves.masks.budget = 64 * MIB, 4 * MIB  # so that all are full from early on
        sizes = np.array(_sessions(service, strip, range(2000)))[100:]
        _has_nothing_left(service)
    slope = np.polyfit(np.arange(len(sizes)) * 10, sizes, 1)[0]  # bytes a session
    assert slope <= MIB / 1000 and sizes.max() - sizes.mean() <= 50 * MIB, (slope, sizes.max() - sizes.mean())
