"""Images are decoded in processes of their own, as read_picture would decode them here."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import psutil
import pytest
from decoders import decoders
from mutations import seeds
from PIL import Image

from clickmask.models.errors import ClickmaskError, ImageError
from clickmask.service.http.decoding import process as process_module
from clickmask.service.http.decoding.pool import DecodePool
from clickmask.service.http.decoding.process import DecoderProcess, ProcessLost
from clickmask.service.http.errors import ApiError
from clickmask.service.http.settings import MIB, Decoders
from clickmask.service.images import MAX_PIXELS, Picture, read_picture

linux = pytest.mark.skipif(sys.platform != "linux", reason="what is looked at is Linux's")


def _with_pool(use: Callable[[DecodePool], Awaitable[Any]], count: int = 1, max_pixels: int = MAX_PIXELS) -> Any:
    """What `use` returns, given a running pool."""

    async def run() -> Any:
        pool = DecodePool(Decoders(count=count), max_pixels)
        await pool.start()
        try:
            return await use(pool)
        finally:
            await pool.close()

    return asyncio.run(run())


def _kill_idle() -> None:
    """Kill a decoder that does nothing, and return when it is dead: in between, it might still be given a job."""
    worker = decoders()[0]
    worker.kill()
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)


def _turned(image: Image.Image, kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    options: dict[str, Any] = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif.tobytes()}
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_every_format_mode_and_orientation_is_as_read_picture_gives_it(photo: np.ndarray) -> None:
    image = Image.fromarray(photo)
    clear = image.copy()
    clear.putalpha(Image.linear_gradient("L").resize(image.size))
    modes = [(image, "JPEG"), (image.convert("L"), "JPEG"), (image.convert("CMYK"), "JPEG"), (clear, "PNG")]
    modes += [(image.quantize(64), "PNG"), (image.convert("1"), "PNG"), (clear, "WEBP"), (image, "TIFF")]
    files = [_turned(image, kind, orientation) for image, kind in modes for orientation in range(1, 9)]
    files += seeds().values()

    async def decode_all(pool: DecodePool) -> list[Picture]:
        return await asyncio.gather(*(pool.decode(data) for data in files))

    for data, picture in zip(files, _with_pool(decode_all, count=2), strict=True):
        expected = read_picture(data)
        assert (picture.digest, picture.orientation) == (expected.digest, expected.orientation)


def test_what_is_no_image_is_refused_in_the_same_words(photo_path: Any) -> None:
    photo = photo_path.read_bytes()
    wrong = [b"", b"hello there", b"\x00" * 100, photo[:5000], b"GIF89a", seeds()["png"][:200], b"BM" + b"\x28" * 40]

    async def refusals(pool: DecodePool) -> list[Any]:
        return await asyncio.gather(*(pool.decode(data) for data in [*wrong, photo]), return_exceptions=True)

    for data, got in zip([*wrong, photo], _with_pool(refusals, max_pixels=600_000), strict=True):
        with pytest.raises(ImageError) as expected:
            read_picture(data, max_pixels=600_000)
        assert isinstance(got, ImageError)
        assert str(got) == str(expected.value)


def test_any_buffer_will_do(photo_path: Any) -> None:
    data = photo_path.read_bytes()

    async def decode_three(pool: DecodePool) -> list[Picture]:
        return [await pool.decode(kind(data)) for kind in (bytes, bytearray, memoryview)]

    assert len({picture.digest for picture in _with_pool(decode_three)}) == 1


@linux
def test_a_decoder_holds_opencv_and_not_torch() -> None:
    async def libraries(pool: DecodePool) -> str:
        return " ".join(part.path for part in decoders()[0].memory_maps())

    found = _with_pool(libraries)
    assert "cv2" in found
    assert "torch" not in found


@linux
def test_a_decoder_may_write_no_file_and_leave_no_core() -> None:
    async def limits(pool: DecodePool) -> list[tuple[int, int]]:
        worker = decoders()[0]
        return [worker.rlimit(name) for name in (psutil.RLIMIT_FSIZE, psutil.RLIMIT_CORE, psutil.RLIMIT_NOFILE)]

    assert _with_pool(limits) == [(0, 0), (0, 0), (16, 16)]


def test_nothing_of_a_damaged_image_is_said_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    damaged = bytearray(seeds()["jpeg"])
    damaged[-120:-100] = bytes(20)

    async def try_it(pool: DecodePool) -> None:
        await asyncio.gather(pool.decode(bytes(damaged)), return_exceptions=True)

    read_picture(bytes(damaged))
    assert "Corrupt JPEG" in capfd.readouterr().err
    _with_pool(try_it)
    assert capfd.readouterr() == ("", "")


@linux
def test_files_threads_and_processes_are_given_back() -> None:
    data = seeds()["png alpha"]

    def counts() -> tuple[int, int, int]:
        this = psutil.Process()
        return this.num_fds(), threading.active_count(), len(decoders())

    async def decode_many(pool: DecodePool) -> tuple[int, int, int]:
        await asyncio.gather(*(pool.decode(data) for _ in range(20)))
        at_first = counts()
        for _ in range(4):
            await asyncio.gather(*(pool.decode(data) for _ in range(50)))
            _kill_idle()
        await asyncio.gather(*(pool.decode(data) for _ in range(50)))
        async with asyncio.timeout(10):  # the last replacement may be on its way
            while counts() != at_first:
                await asyncio.sleep(0.01)
        return at_first

    _with_pool(decode_many)  # what is made once and stays is there now
    before = counts()
    running = _with_pool(decode_many, count=2)
    assert running[2] == before[2] + 2
    assert counts() == before


@linux
def test_an_idle_pool_keeps_no_picture() -> None:
    buffer = io.BytesIO()
    Image.new("1", (10_000, 9_000)).save(buffer, "PNG")
    grown = []

    async def decode_large(pool: DecodePool) -> None:
        before = psutil.Process().memory_info().rss
        picture = await pool.decode(buffer.getvalue())
        grown.append(psutil.Process().memory_info().rss - before)
        del picture
        await asyncio.sleep(0.1)
        grown.append(psutil.Process().memory_info().rss - before)

    _with_pool(decode_large)
    assert grown[0] > 250 * MIB
    assert grown[1] < 50 * MIB


def test_an_answer_beyond_the_limit_is_not_believed() -> None:
    process = DecoderProcess(MAX_PIXELS, 256 * MIB)
    try:
        process.wait_ready()
        assert process.decode(seeds()["gif"]).size == (48, 36)
        process._max_pixels = 48 * 36 - 1  # as if the process had been taken over, and kept to no limit
        with pytest.raises(ProcessLost):
            process.decode(seeds()["gif"])
    finally:
        process.dismiss()


def test_pipes_serve_where_there_are_no_sockets_for_it(monkeypatch: pytest.MonkeyPatch, photo_path: Any) -> None:
    """The way of Windows, which works everywhere."""
    monkeypatch.setattr(process_module, "_open", process_module._open_pipes)
    process = DecoderProcess(MAX_PIXELS, 256 * MIB)
    try:
        process.wait_ready()
        data = photo_path.read_bytes()
        assert process.decode(data).digest == read_picture(data).digest
        with pytest.raises(ImageError, match="cut short"):
            process.decode(data[:1000])
        process.kill()
        with pytest.raises(ProcessLost):
            process.decode(data)
    finally:
        process.dismiss()


def test_closing_answers_who_waits_and_ends_every_process() -> None:
    async def close_early() -> list[Any]:
        pool = DecodePool(Decoders(count=2), MAX_PIXELS)
        await pool.start()
        waiting = [asyncio.create_task(pool.decode(seeds()["bmp"])) for _ in range(20)]
        await asyncio.sleep(0)
        await pool.close()
        await pool.close()
        return await asyncio.gather(*waiting, pool.decode(seeds()["bmp"]), return_exceptions=True)

    answers = asyncio.run(close_early())
    assert all(isinstance(answer, Picture) or answer.status == 503 for answer in answers)
    assert isinstance(answers[-1], ApiError)
    assert not decoders()


def test_a_decoder_that_cannot_start_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for executable in ("/bin/false", "/nowhere/python"):
        monkeypatch.setattr(sys, "executable", executable)
        with pytest.raises(ClickmaskError, match=r"python -m clickmask\.service\.http\.decoding\.worker"):
            asyncio.run(DecodePool(Decoders(), MAX_PIXELS).start())
    assert not decoders()


@linux
def test_decoders_die_with_a_server_that_is_killed() -> None:
    code = """
import asyncio, psutil
from clickmask.service.http.decoding import process as process_module
from clickmask.service.http.decoding.pool import DecodePool
from clickmask.service.http.settings import Decoders
async def main():
    await DecodePool(Decoders(), 1000).start()
    decoders = psutil.Process().children()
    decoders[0].suspend()  # this one will not notice that its input ends
    print(*(decoder.pid for decoder in decoders), flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], env=path, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        found = [psutil.Process(int(pid)) for pid in server.stdout.readline().split()]
        assert len(found) == 2
        server.kill()
    assert psutil.wait_procs(found, timeout=10)[1] == []


@linux
def test_a_replacement_is_logged_once_and_names_no_content(caplog: pytest.LogCaptureFixture) -> None:
    async def lose_one(pool: DecodePool) -> None:
        _kill_idle()
        await pool.decode(seeds()["webp"])

    with caplog.at_level(logging.DEBUG, "clickmask"):
        _with_pool(lose_one)
    assert [(record.levelname, record.message) for record in caplog.records if record.name.startswith("clickmask")] == [
        ("WARNING", "a decoder process is replaced: crash")
    ]
