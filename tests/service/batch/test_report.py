"""The report: whole, bounded, harmless whatever files are called, and the same after any number of stops."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np

from clickmask.service.batch.journal import DONE, FAILED, Record
from clickmask.service.batch.lots import SHOWN
from clickmask.service.batch.report import Report
from clickmask.service.batch.sources import STATE
from clickmask.service.batch.statistics import Statistics
from clickmask.service.batch.thumbnails import FOLDER, MOST_BYTES, encode, file_name
from clickmask.service.batch.words import about, duration, printable, shortened, size

from .conftest import Run

HOSTILE = [
    "<img src=x onerror=alert(1)>.jpg",
    '"><script>alert(1)</script>.jpg',
    "javascript:alert(1)//.jpg",
    "&amp;&lt;.jpg",
    "a\u202egpj.exe",
    "line\nbreak\x1b[31m.jpg",
    "\udcff\udcfe.jpg",
    "' onload='x.jpg",
    "x" * 400 + ".jpg",
    "</title></style>.jpg",
]
VOID = {"meta", "img", "br"}


class _Page(HTMLParser):
    """Tags with their attributes, the text, and whether all that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def _read(path: Path) -> _Page:
    """A page, after a look whether it asks nothing of anybody and every picture in it is one."""
    text = path.read_text("utf-8")
    page = _Page(text)
    used = {tag for tag, _ in page.tags}
    assert not used & {"script", "link", "iframe", "object", "embed", "form", "base", "audio", "video"}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "srcset", "action")]
        target = attributes.get("href") or ""
        assert not re.match(r"[a-z]+:|//|/", target, re.IGNORECASE), (tag, target)
    for image in page.all("img"):
        kind, _, data = (image["src"] or "").partition(",")
        assert kind == "data:image/jpeg;base64"
        pixels = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None and image["alt"]
        assert (str(pixels.shape[1]), str(pixels.shape[0])) == (image["width"], image["height"])
    assert not re.search(r"url\(|@import|https?:", text)
    return page


def _report(tmp_path: Path) -> Report:
    report = Report(tmp_path / STATE, "")
    report.state.mkdir(parents=True)
    report.begin()
    return report


def _record(name: str, score: float) -> Record:
    own = Statistics(((20, 2),), ((45, 2),), 0, score, (("yolo", 1, 3),))
    outputs = ((f"{name}_mask.png", 100, "ff"),)
    return Record(name, DONE, outputs=outputs, objects=2, statistics=own, seconds=(0.1, 0.2, 0.3))


def test_a_page_of_thousands_is_bounded_and_pictures_are_few(tmp_path: Path) -> None:
    report = _report(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (320, 320, 3), dtype=np.uint8)
    thumbnail = encode(noise).ljust(MOST_BYTES - 2, b"\0") + b"\xff\xd9"
    (report.state / FOLDER).mkdir()
    for n in range(5000):
        name = '<&">' * 60 + f"{n}.jpg"
        report.note(_record(name, n / 5000))
        report.note(Record(f"bad {name}", FAILED, kind=f"Kind{n % 50}<b>", reason="<why> " * 500))
    for few in (report.totals.worst, report.totals.by_lot):
        for (_, name), _ in few:
            (report.state / FOLDER / file_name(name)).write_bytes(thumbnail)
    report.finish("finished")
    assert report.page_path.stat().st_size < 3_000_000
    page = _read(report.page_path)
    assert len(page.all("img")) == 2 * SHOWN and len(page.all("tr")) < 300
    text = " ".join(page.texts)
    assert "yolo could not keep 15,000 px of 5,000 objects in 5,000 photos" in text
    assert "Kind0<b>: 100, the first 5" in text and "And 3,000 failures of other kinds." in text
    assert "10,000" in text  # objects, in one bin of each histogram


def test_names_do_no_harm(tmp_path: Path) -> None:
    report = _report(tmp_path)
    (report.state / "settings.json").write_text(json.dumps({"<script>": ["<b>", {"a": None}], "point": "center"}))
    (report.state / FOLDER).mkdir()
    for n, name in enumerate(HOSTILE):
        (report.state / FOLDER / file_name(name)).write_bytes(encode(np.zeros((8, 8, 3), np.uint8)))
        report.note(_record(name, n / 100))
        report.note(Record(name + " bad", FAILED, kind="<i>", reason=name))
    report.finish("stopped", "StoppedError: </p><script>")
    page = _read(report.page_path)
    text = "".join(page.texts)
    for name in HOSTILE[:4]:
        assert text.count(name) == 4  # in both galleries, and twice among the failures
    for letter in ("\u202e", "\x1b", "\udcff"):
        assert letter not in text
    targets = [attributes["href"] for attributes in page.all("a")]
    assert len(targets) == 2 * len(HOSTILE) + 1 and all(
        str(target).startswith(("../", "failures")) for target in targets
    )
    assert "../%FF%FE.jpg_mask.png" in targets


def test_a_run_in_pieces_tells_what_a_run_at_once_tells(photos: Path, tmp_path: Path, segment: Run) -> None:
    """Pilot, whole, again, an edited photo: the figures are those of a fresh run."""
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    segment(photos, out, "png,labelmap", pilot=3)
    segment(photos, out, "png,labelmap")
    (photos / "001.png").write_bytes((photos / "003.png").read_bytes())
    segment(photos, out, "png,labelmap")
    segment(photos, fresh, "png,labelmap")
    found = [json.loads((folder / STATE / "summary.json").read_bytes()) for folder in (out, fresh)]
    same = ("total", "done", "failed", "objects", "losses", "files", "bytes", "area_share", "predicted_iou")
    assert [found[0][key] for key in same] == [found[1][key] for key in same]
    assert sum(found[0]["predicted_iou"]["counts"]) == sum(found[0]["area_share"]["counts"]) == 8
    assert found[0]["kept"] == 7 and found[0]["files"] == 16 and found[0]["bytes_written"] < found[1]["bytes_written"]
    pages = [_read(folder / STATE / "report.html") for folder in (out, fresh)]
    assert len(pages[0].all("img")) == 16
    assert [image["src"] for image in pages[0].all("img")] == [image["src"] for image in pages[1].all("img")]
    assert [link["href"] for link in pages[0].all("a")] == [link["href"] for link in pages[1].all("a")]
    for link in pages[0].all("a"):
        assert (out / STATE / str(link["href"])).is_file()


def test_the_status_is_for_monitoring(photos: Path, tmp_path: Path, segment: Run) -> None:
    out, seen = tmp_path / "out", []

    def look(report: Report) -> None:
        seen.append(json.loads((out / STATE / "status.json").read_bytes())["state"])

    segment(photos, out, show=look)
    assert seen[0] == "running" and seen[-1] == "finished"
    status = json.loads((out / STATE / "status.json").read_bytes())
    moments = [datetime.strptime(status[key], "%Y-%m-%dT%H:%M:%SZ") for key in ("started", "updated", "eta")]
    assert (
        moments == sorted(moments) and abs((moments[1] - datetime.now(UTC).replace(tzinfo=None)).total_seconds()) < 60
    )
    assert status["last_image"].endswith(".png") and status["seconds_left"] == 0 and status["reason"] is None
    assert status["images_per_second"] > 0 and status["images_per_second_last_minute"] > 0 and status["pid"] > 0
    stages = json.loads((out / STATE / "summary.json").read_bytes())["stages"]
    assert list(stages) == ["read", "model", "write"] and all(stage["seconds"] > 0 for stage in stages.values())


def test_a_reason_is_told_and_a_report_that_knew_nothing_leaves_the_page(tmp_path: Path) -> None:
    report = _report(tmp_path)
    report.finish("interrupted", "KeyboardInterrupt")
    before = report.page_path.read_bytes()
    Report(report.state, "").finish("stopped", "the model went missing")
    assert json.loads((report.state / "status.json").read_bytes())["reason"] == "the model went missing"
    assert report.page_path.read_bytes() == before


def test_figures_as_words() -> None:
    assert [duration(s) for s in (0, 59.4, 60, 200, 3600, 18_720, 273_600)] == [
        "0 s", "59 s", "1 min 0 s", "3 min 20 s", "1 h 0 min", "5 h 12 min", "3 d 4 h"
    ]  # fmt: skip
    assert [size(n) for n in (0, 812, 3100, 41e6, 2e9, 999_600)] == [
        "0 bytes", "812 bytes", "3.1 kB", "41 MB", "2.0 GB", "1.0 MB"
    ]  # fmt: skip
    assert [about(n) for n in (7, 135, 1234, 41_187)] == ["7", "135", "1,230", "41,200"]
    assert printable("a\x00b\u2028c") == "a\ufffdb\ufffdc" and shortened("abcdefghi", 5) == "ab…hi"
