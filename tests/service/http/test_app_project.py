"""The project over HTTP: callers share it, nobody writes over another's work, and nobody gets out of the folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from app_under_test import Running, error_of, running

from clickmask import Segmenter
from clickmask.service.http import project_routes
from clickmask.service.http.settings import Access, Limits

TOKENS = {"ann": "ann-has-a-long-token", "bob": "bob-has-another-token"}
NEW = {"If-None-Match": "*"}
SESSION = {"clickmask": 2, "image": {"name": "a.jpg"}}


@pytest.fixture(scope="module")
def service(strip_segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("state")
    (folder / "tokens").touch(mode=0o600)
    (folder / "tokens").write_text("".join(f"{name}:{token}\n" for name, token in TOKENS.items()))
    photos = folder / "photos"
    photos.mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (photos / name).write_bytes(name.encode() * 100)
    (folder / "secret.jpg").write_bytes(b"secret")
    access, limits = Access(token_file=folder / "tokens"), Limits(body=40 << 20)
    with running(strip_segmenter, folder, access=access, limits=limits, project=photos) as service:
        yield service


@pytest.fixture
def ann(service: Running) -> Iterator[httpx.Client]:
    with service.client({"Authorization": f"Bearer {TOKENS['ann']}"}) as client:
        yield client


@pytest.fixture
def bob(service: Running) -> Iterator[httpx.Client]:
    with service.client({"Authorization": f"Bearer {TOKENS['bob']}"}) as client:
        yield client


def _path(client: httpx.Client, name: str) -> str:
    photos = client.get("/v1/project").json()["photos"]
    return next(f"/v1/project/photos/{photo['id']}" for photo in photos if photo["name"] == name)


def test_the_list_and_the_photos_are_everybodys(ann: httpx.Client, bob: httpx.Client) -> None:
    found = ann.get("/v1/project")
    assert found.json() == bob.get("/v1/project").json() and found.json()["complete"]
    assert [(photo["name"], photo["bytes"]) for photo in found.json()["photos"]] == [
        (f"{name}.jpg", 500) for name in "abc"
    ]
    photo = bob.get(_path(ann, "b.jpg"))
    assert photo.content == b"b.jpg" * 100 and photo.headers["content-type"] == "application/octet-stream"
    assert photo.headers["x-content-type-options"] == "nosniff"


def test_two_callers_never_write_over_each_other(ann: httpx.Client, bob: httpx.Client) -> None:
    path = _path(ann, "a.jpg") + "/session"
    assert ann.get(path).status_code == 204
    first = ann.put(path, json=SESSION, headers=NEW)
    assert first.status_code == 204
    error_of(bob.put(path, json=SESSION, headers=NEW), 412, "changed_meanwhile")
    theirs = bob.get(path)
    assert theirs.headers["etag"] == first.headers["etag"] and theirs.json().items() >= SESSION.items()
    second = bob.put(path, json={**SESSION, "by": "bob"}, headers={"If-Match": theirs.headers["etag"]})
    assert second.status_code == 204 and second.headers["etag"] != first.headers["etag"]
    error_of(ann.put(path, json=SESSION, headers={"If-Match": first.headers["etag"]}), 412, "changed_meanwhile")
    assert ann.get(path).json()["by"] == "bob"


@pytest.mark.parametrize("headers", [{}, {"If-Match": "*"}, {"If-Match": 'W/"1-a"'}, {"If-Match": '"1-a"', **NEW}])
def test_a_write_says_which_version_it_replaces(ann: httpx.Client, headers: dict[str, str]) -> None:
    path = _path(ann, "b.jpg") + "/session"
    error_of(ann.put(path, json=SESSION, headers=headers), 428, "version_required")
    assert ann.get(path).status_code == 204


def test_what_is_no_session_or_too_large_is_refused(ann: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _path(ann, "b.jpg") + "/session"
    error_of(ann.put(path, content=b"[1]", headers=NEW), 422, "bad_request")
    monkeypatch.setattr(project_routes, "LARGEST_SESSION", 100)
    error_of(ann.put(path, content=b'{"a":"' + b"x" * 100 + b'"}', headers=NEW), 413, "body_too_large")
    assert ann.get(path).status_code == 204


@pytest.mark.parametrize(
    "name",
    [
        "../secret.jpg",
        "..%2Fsecret.jpg",
        "%2e%2e%2fsecret.jpg",
        "a.jpg",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "pho_x",
        "%00",
    ],
)
def test_no_path_leads_out_of_the_folder(ann: httpx.Client, name: str) -> None:
    for method, path in (("GET", ""), ("GET", "/session"), ("PUT", "/session")):
        answer = ann.request(method, f"/v1/project/photos/{name}{path}", headers=NEW)
        assert (
            answer.status_code in (404, 405, 422) and b"secret" not in answer.content and b"root" not in answer.content
        )


def test_without_a_project_there_are_no_such_routes(strip_segmenter: Segmenter, tmp_path: Path) -> None:
    with running(strip_segmenter, tmp_path) as plain, plain.client() as client:
        error_of(client.get("/v1/project"), 404, "not_found")
        assert not [path for path in client.get("/openapi.json").json()["paths"] if "project" in path]
