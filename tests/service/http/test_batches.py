"""Batches over HTTP: results as the batch tool's, callers apart, no way out of the folders, stopping and going on."""

from __future__ import annotations

import io
import json
import os
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from app_under_test import PATIENCE, Running, as_png, error_of, pixels_of, running

from clickmask import Segmenter
from clickmask.service.batch.outlet import Folder
from clickmask.service.batch.questions import Question, Whole
from clickmask.service.batch.report import Report
from clickmask.service.batch.run import Batch, run
from clickmask.service.batch.settings import Formats
from clickmask.service.batch.sources import STATE, scan
from clickmask.service.batch.subject_question import Subject
from clickmask.service.formats import Options
from clickmask.service.http.lane import Rank
from clickmask.service.http.settings import Access, Batches

TOKENS = {"ann": "ann-has-a-long-token", "bob": "bob-has-another-token"}
CENTER: dict[str, Any] = {"point": "center", "formats": ["png", "coco"]}
OVER = ("finished", "stopped", "failed")
UPLOADS = Batches(upload=1 << 20, photos=5, disk=8 << 20, queue=4)


@pytest.fixture(scope="module")
def photos(strip: np.ndarray) -> list[tuple[str, bytes]]:
    """Six small pictures, one of them in a folder."""
    small = cv2.resize(strip, (256, 8), interpolation=cv2.INTER_AREA)
    pictures = [as_png(np.roll(small, number * 7, axis=1)) for number in range(6)]
    return [(f"{'sub/' * (number == 5)}{number}.png", data) for number, data in enumerate(pictures)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def service(strip_segmenter: Segmenter, home: Path, photos: list[tuple[str, bytes]]) -> Iterator[Running]:
    (home / "tokens").touch(mode=0o600)
    (home / "tokens").write_text("".join(f"{name}:{token}\n" for name, token in TOKENS.items()))
    for folder in ("pictures", "secret", "other/pictures"):
        _put(home / folder, photos)
    os.symlink(home / "secret", home / "pictures/way_out")
    os.symlink(home / "secret/0.png", home / "pictures/sub/link.png")
    (home / "pictures/notes.txt").write_text("no photo")
    roots = (home / "pictures", home / "other/pictures")
    with running(
        strip_segmenter,
        home / "state",
        access=Access(token_file=home / "tokens"),
        batches=Batches(roots, UPLOADS.upload, UPLOADS.photos, UPLOADS.disk, UPLOADS.queue),
    ) as service:
        yield service


def _put(folder: Path, photos: list[tuple[str, bytes]]) -> None:
    for name, data in photos:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


@pytest.fixture
def ann(service: Running) -> Iterator[httpx.Client]:
    with service.client({"Authorization": f"Bearer {TOKENS['ann']}"}) as client:
        yield client


@pytest.fixture
def bob(service: Running) -> Iterator[httpx.Client]:
    with service.client({"Authorization": f"Bearer {TOKENS['bob']}"}) as client:
        yield client


def _until(client: httpx.Client, key: str, *states: str) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE
    while (found := client.get(f"/v1/batches/{key}").json())["state"] not in (states or OVER):
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


def _begin(client: httpx.Client, out: str, status: int = 202, **wishes: Any) -> str:
    answer = client.post("/v1/batches", json={"photos": "pictures", "out": f"pictures/{out}", **CENTER, **wishes})
    assert answer.status_code == status, answer.text
    assert answer.headers["location"] == f"/v1/batches/{answer.json()['id']}"
    return answer.json()["id"]


def _upload(client: httpx.Client, photos: list[tuple[str, bytes]], **wishes: Any) -> httpx.Response:
    files = [("photos", (name, data)) for name, data in photos]
    return client.post("/v1/batches", data={"request": json.dumps({**CENTER, **wishes})}, files=files)


def _tree(out: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    return {name: data for name, data in found.items() if not name.startswith(STATE)}


def _unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None and archive.namelist() == sorted(archive.namelist(), key=str.encode)
        assert {info.date_time for info in archive.infolist()} <= {(1980, 1, 1, 0, 0, 0)}
        return {name: archive.read(name) for name in archive.namelist()}


def _by_the_tool(
    segmenter: Segmenter, photos: Path, out: Path, *formats: str, question: Question | None = None
) -> Report:
    whole = Batch(scan(str(photos), out), question or Whole("center"), Formats(formats, Options()), Folder(out))
    return run(whole, lambda: segmenter, lambda report: None)


@pytest.fixture(scope="module")
def expected(
    strip_segmenter: Segmenter, photos: list[tuple[str, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """What `clickmask batch` makes of the same photos."""
    folder = tmp_path_factory.mktemp("tool")
    _put(folder / "in", photos)
    _by_the_tool(strip_segmenter, folder / "in", folder / "out", "png", "coco")
    return _tree(folder / "out")


def test_a_folder_becomes_what_the_tool_makes_of_it(ann: httpx.Client, home: Path, expected: dict[str, bytes]) -> None:
    found = _until(ann, key := _begin(ann, "made"))
    assert (found["state"], found["done"], found["failed"], found["objects"]) == ("finished", 6, 0, 6)
    assert found["photos"] == "pictures" and found["out"] == "pictures/made" and found["asked"] == "point"
    assert _tree(home / "pictures/made") == expected
    assert {file for one in found["newest"] for file in one["files"]} <= set(expected)
    zipped = ann.get(f"/v1/batches/{key}/results")
    assert zipped.headers["content-type"] == "application/zip" and _unzipped(zipped.content) == expected
    assert 'filename="made.zip"' in zipped.headers["content-disposition"]
    assert ann.get(f"/v1/batches/{key}/results").content == zipped.content
    small = ann.get(f"/v1/batches/{key}/preview", params={"file": found["newest"][0]["files"][0]})
    assert pixels_of(small.content).shape == (5, 160) and small.headers["content-type"] == "image/png"
    error_of(ann.get(f"/v1/batches/{key}/preview", params={"file": "../0.png"}), 404, "not_found")
    again = _until(ann, _begin(ann, "made"))
    assert again["id"] == key and (again["done"], again["kept"]) == (6, 6)


def test_an_upload_becomes_what_the_tool_makes_of_it_and_is_gone_when_forgotten(
    ann: httpx.Client, home: Path, photos: list[tuple[str, bytes]], expected: dict[str, bytes]
) -> None:
    answer = _upload(ann, photos[1:])
    assert answer.status_code == 202, answer.text
    found = _until(ann, key := answer.json()["id"])
    assert (found["state"], found["done"], found["photos"]) == ("finished", 5, None), found
    zipped = _unzipped(ann.get(f"/v1/batches/{key}/results").content)
    assert zipped.keys() == expected.keys() - {"0_mask.png"}
    assert zipped["sub/5_mask.png"] == expected["sub/5_mask.png"]
    spooled = list((home / "state/batches").glob("run-*/*/photos"))
    assert len(spooled) == 1
    assert ann.delete(f"/v1/batches/{key}").status_code == 204
    error_of(ann.get(f"/v1/batches/{key}"), 410, "batch_gone")
    _wait(lambda: not spooled[0].exists())


def test_one_callers_batches_are_not_anothers(ann: httpx.Client, bob: httpx.Client) -> None:
    key = _begin(ann, "anns")
    for path in (f"/v1/batches/{key}", f"/v1/batches/{key}/results"):
        error_of(bob.get(path), 404, "not_found")
    for verb in ("stop", "resume"):
        error_of(bob.post(f"/v1/batches/{key}/{verb}"), 404, "not_found")
    error_of(bob.delete(f"/v1/batches/{key}"), 404, "not_found")
    assert key not in [row["id"] for row in bob.get("/v1/batches").json()["batches"]]
    assert ann.get("/v1/batches").json()["batches"][0]["id"] == key
    assert _until(ann, key)["state"] == "finished"


OUTSIDE = ["", "/", "/etc", "..", "pictures/..", "pictures/../secret", "pictures/./sub", "pictures//sub", "pictures/"]
OUTSIDE += ["pictures/way_out", "pictures/way_out/x", "nowhere", "pictures\\sub", "pictures/\x00", "pictures/a\nb"]
OUTSIDE += ["pictures/\u202eexe", f"pictures/{STATE}", "pictures/" + "a" * 300, "pictures/" + "a/" * 100 + "a"]


@pytest.mark.parametrize("field", ["photos", "out"])
@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_outside_the_folders_is_read_or_written(ann: httpx.Client, home: Path, field: str, path: str) -> None:
    before = _tree(home / "secret")
    answer = ann.post("/v1/batches", json={"photos": "pictures", "out": "pictures/o", **CENTER, field: path})
    error = error_of(answer, 422)
    assert error["field"] == field and str(home) not in answer.text
    assert _tree(home / "secret") == before and not (home / "o").exists()
    assert (path == "") or error_of(ann.get("/v1/folders", params={"path": path}), 422)["field"] == "path"


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "a/../../b.png", "a\\b.png", f"{STATE}/a.png", "a/", "x" * 300])
def test_an_uploads_names_lead_nowhere_else(
    ann: httpx.Client, home: Path, photos: list[tuple[str, bytes]], name: str
) -> None:
    answer = _upload(ann, [(name, photos[0][1])])
    assert error_of(answer, 422)["field"] == "photos[0]"
    written = {file for _, _, files in os.walk(home) for file in files}
    assert not {"a.png", "b.png"} & written


def test_links_to_photos_elsewhere_are_passed_over(ann: httpx.Client, home: Path) -> None:
    found = _until(ann, _begin(ann, "of_sub", photos="pictures/sub"))
    assert found["total"] == found["done"] == 1 and "link_mask.png" not in _tree(home / "pictures/of_sub")


def test_folders_are_listed_level_by_level_and_two_of_one_name_are_told_apart(ann: httpx.Client) -> None:
    found = ann.get("/v1/folders").json()
    assert [(row["path"], row["photos"]) for row in found["folders"]] == [("pictures", 5), ("pictures (2)", 5)]
    inside = ann.get("/v1/folders", params={"path": "pictures (2)"}).json()
    assert inside["photos"] == 5 and [(row["path"], row["photos"]) for row in inside["folders"]] == [
        ("pictures (2)/sub", 1)
    ]
    names = [row["name"] for row in ann.get("/v1/folders", params={"path": "pictures"}).json()["folders"]]
    assert "way_out" not in names and "sub" in names


def test_the_subject_of_each_photo_is_what_the_tool_finds(
    ann: httpx.Client, home: Path, strip_segmenter: Segmenter, photos: list[tuple[str, bytes]], tmp_path: Path
) -> None:
    key = _begin(ann, "subjects", point=None, subject={"min_confidence": 0})
    assert _until(ann, key)["state"] == "finished"
    _put(tmp_path / "in", photos)
    _by_the_tool(strip_segmenter, tmp_path / "in", tmp_path / "out", "png", "coco", question=Subject(0))
    assert _tree(home / "pictures/subjects") == _tree(tmp_path / "out")


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        ({"point": None}, "everything"),
        ({"box": "full"}, "box"),
        ({"formats": ["png"], "pad": 3}, "formats"),
        ({"formats": ["gif"]}, "formats[0]"),
        ({"point": None, "prompts": '{"image": "none.png", "points": [[1, 2]]}'}, "prompts"),
        ({"point": None, "prompts": "image,points\n0.png,one two\n"}, "prompts"),
        ({"point": None, "everything": {"points_per_side": 0}}, "everything.points_per_side"),
        ({"point": None, "everything": {"scale": "model"}}, "everything.scale"),
        ({"point": None, "subject": {"min_confidence": 1.5}}, "subject.min_confidence"),
        ({"out": "pictures/sub"}, "out"),
        ({"out": None}, "out"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_makes_no_sense_is_said_at_once(ann: httpx.Client, home: Path, wishes: dict[str, Any], field: str) -> None:
    wishes = {name: value for name, value in {**CENTER, "out": "pictures/no", **wishes}.items() if value is not None}
    answer = ann.post("/v1/batches", json={"photos": "pictures", **wishes})
    assert error_of(answer, 422)["field"] == field, answer.text
    assert str(home) not in answer.text and not (home / "pictures/no").exists()


def test_prompts_and_everything_are_asked_too(ann: httpx.Client, home: Path) -> None:
    prompts = '{"image": "0.png", "points": [[100, 4]], "label": "dog"}\n{"image": "0.png", "box": [0, 0, 99, 8]}\n'
    found = _until(ann, _begin(ann, "asked", point=None, prompts=prompts, formats=["yolo"]))
    assert (found["done"], found["objects"], found["asked"]) == (1, 2, "prompts"), found
    assert {"0.txt", "data.yaml"} == set(_tree(home / "pictures/asked"))
    search = {"points_per_side": 2, "pred_iou_thresh": 0.1, "stability_score_thresh": 0.1}
    found = _until(ann, _begin(ann, "all", point=None, everything=search, formats=["sa1b"], photos="pictures/sub"))
    assert (found["state"], found["done"]) == ("finished", 1), found
    document = json.loads((home / "pictures/all/5_sa1b.json").read_bytes())
    assert len(document["annotations"]) == found["objects"] > 0


def test_other_settings_in_the_same_folder_are_refused_by_name_and_deleted_only_when_that_is_asked(
    ann: httpx.Client, home: Path
) -> None:
    assert _until(ann, _begin(ann, "settings", formats=["png"]))["state"] == "finished"
    refused = _until(ann, _begin(ann, "settings", formats=["csv"]))
    assert refused["state"] == "failed" and "formats was png" in refused["error"], refused
    assert str(home) not in json.dumps(refused)
    anew = _until(ann, _begin(ann, "settings", formats=["csv"], restart=True))
    assert anew["state"] == "finished" and all(name.endswith(".csv") for name in _tree(home / "pictures/settings"))


def test_photos_that_fail_are_told_and_the_others_are_done(
    ann: httpx.Client, home: Path, photos: list[tuple[str, bytes]]
) -> None:
    broken = [("bad.jpg", b"\xff\xd8\xff\xe0 and no more"), ("cut.png", photos[0][1][:60]), *photos[:2]]
    found = _until(ann, _upload(ann, broken).json()["id"])
    assert (found["state"], found["total"], found["done"], found["failed"]) == ("finished", 4, 2, 2), found
    assert {row["name"] for row in found["failures"]} == {"bad.jpg", "cut.png"}
    assert all(row["reason"] for row in found["failures"]) and str(home) not in json.dumps(found)


@pytest.fixture
def held(service: Running) -> Iterator[Callable[[], None]]:
    """The lane is at something else until it is let go: what a batch asks for waits."""
    with _holding(service) as let_go:
        yield let_go


@contextmanager
def _holding(service: Running) -> Iterator[Callable[[], None]]:
    lane, gate = service.app.state.service.lanes[0], threading.Event()
    before = lane._run

    def run(kind: Any, works: Any) -> Any:
        gate.wait(PATIENCE)
        return before(kind, works)

    lane._run = run
    yield gate.set
    gate.set()
    lane._run = before


def test_a_batch_that_is_stopped_goes_on_to_the_same_bytes(
    ann: httpx.Client, home: Path, held: Callable[[], None], expected: dict[str, bytes]
) -> None:
    key = _begin(ann, "stopped")
    _until(ann, key, "running")
    error_of(ann.get(f"/v1/batches/{key}/results"), 409, "at_work")
    assert _begin(ann, "stopped", status=200) == key
    began = time.monotonic()
    assert ann.post(f"/v1/batches/{key}/stop").json()["state"] == "stopped"
    assert time.monotonic() - began < 5
    held()
    assert ann.post(f"/v1/batches/{key}/resume").status_code == 202
    assert _until(ann, key)["state"] == "finished" and _tree(home / "pictures/stopped") == expected


def test_one_batch_is_at_work_and_the_others_wait_a_few_of_them(
    ann: httpx.Client, bob: httpx.Client, held: Callable[[], None]
) -> None:
    keys = [_begin(ann, f"queue{number}", photos="pictures/sub") for number in range(4)]
    assert [ann.get(f"/v1/batches/{key}").json()["ahead"] for key in keys] == [0, 1, 2, 3]
    refused = ann.post("/v1/batches", json={"photos": "pictures", "out": "pictures/queue4", **CENTER})
    error_of(refused, 429, "too_many_requests")
    assert int(refused.headers["retry-after"]) >= 1
    other = _begin(bob, "bobs", photos="pictures/sub")
    error_of(bob.post("/v1/batches", json={"photos": "pictures", "out": "pictures/more", **CENTER}), 503, "busy")
    assert ann.delete(f"/v1/batches/{keys[2]}").status_code == 204
    held()
    assert {_until(ann, key)["state"] for key in (*keys[:2], keys[3])} == {"finished"}
    assert _until(bob, other)["state"] == "finished"
    error_of(ann.get(f"/v1/batches/{keys[2]}"), 410, "batch_gone")


def test_events_tell_how_far_it_is_and_end_with_it(ann: httpx.Client) -> None:
    key = _begin(ann, "events")
    with ann.stream("GET", f"/v1/batches/{key}", headers={"Accept": "text/event-stream"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    assert told[-1]["state"] == "finished" and told[-1]["done"] == 6
    assert [one["done"] for one in told] == sorted(one["done"] for one in told)


def test_a_click_goes_before_the_photos_of_a_batch(service: Running, ann: httpx.Client) -> None:
    """While one piece of the batch runs, a click comes: it is answered next, before the batch's other pieces."""
    lane, order, answers = service.app.state.service.lanes[0], list[Rank](), list[int]()
    image = ann.post("/v1/images", content=as_png(np.full((8, 256, 3), 90, np.uint8))).json()["id"]
    path, ask = f"/v1/images/{image}/masks", {"objects": [{"points": [[9, 4]]}]}
    assert ann.post(path, json=ask).status_code == 200
    finish = lane._finish
    lane._finish = lambda pieces, *rest: (order.append(pieces[0].rank), finish(pieces, *rest))[1]
    try:
        with _holding(service) as let_go:
            key = _begin(ann, "polite")
            _wait(lambda: lane.running_since is not None)
            click = threading.Thread(target=lambda: answers.append(ann.post(path, json=ask).status_code))
            click.start()
            _wait(lambda: lane._queues[Rank.CLICK].lines)
            let_go()
            click.join()
            assert answers == [200] and _until(ann, key)["state"] == "finished"
    finally:
        lane._finish = finish
    assert order[:2] == [Rank.LONG, Rank.CLICK] and order[2:] == [Rank.LONG] * 11


def _wait(holds: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_uploads_are_bounded_in_bytes_and_count(ann: httpx.Client, home: Path, photos: list[tuple[str, bytes]]) -> None:
    before = _spooled(home)
    error_of(_upload(ann, [(f"{n}.png", photos[0][1]) for n in range(UPLOADS.photos + 1)]), 413, "too_many")
    error_of(_upload(ann, [("a.png", bytes(UPLOADS.upload))]), 413, "body_too_large")
    error_of(_upload(ann, [photos[0], photos[0]]), 422)
    error_of(ann.post("/v1/batches", data={"request": "{}"}, files=[("x", ("a.png", b"1"))]), 422)
    nothing = ann.post("/v1/batches", files=[("request", (None, json.dumps(CENTER)))])
    assert error_of(nothing, 422)["field"] == "photos"
    torn = ann.post("/v1/batches", content=b"--b\r\n", headers={"Content-Type": "multipart/form-data; boundary=b"})
    error_of(torn, 400, "bad_form")
    _wait(lambda: _spooled(home) <= before)


def _spooled(home: Path) -> set[Path]:
    """What was uploaded and is still there."""
    return set((home / "state/batches").glob("run-*/*/photos/*"))


def test_what_a_killed_server_left_is_cleared_away_and_a_living_ones_is_not(
    strip_segmenter: Segmenter, service: Running, home: Path
) -> None:
    dead = home / "state/batches/run-dead/abc/photos"
    dead.mkdir(parents=True)
    (living,) = [path for path in (home / "state/batches").glob("run-*") if path.name != "run-dead"]
    with running(strip_segmenter, home / "state") as other, other.client() as client:
        assert not dead.parent.parent.exists() and living.exists()
        listed = client.get("/v1/batches").json()
        assert listed["batches"] == [] and listed["has_folders"] is False
        answer = client.post("/v1/batches", json={"photos": "pictures", "out": "pictures/x", **CENTER})
        assert "no folders" in error_of(answer, 422)["message"]
    assert [path for path in (home / "state/batches").glob("run-*")] == [living]
