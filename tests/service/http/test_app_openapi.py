"""The OpenAPI document and the service say the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import schemathesis
from app_under_test import Running, as_png, error_of, running, upload
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import none, tuples
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from clickmask import Segmenter
from clickmask.service.formats import FORMATS
from clickmask.service.http.lane import Rank
from clickmask.service.http.settings import Batches

CHECKS: Any = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
CASES = 2000
SIZE = (682, 1024)  # of the image that the examples are about


@pytest.fixture(scope="module")
def service(strip_segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    project = tmp_path_factory.mktemp("project")
    (project / "a.png").write_bytes(as_png(np.zeros((9, 9, 3), np.uint8)))
    photos = tmp_path_factory.mktemp("root") / "photos"
    (photos / "dogs").mkdir(parents=True)
    batches = Batches((photos,))
    with running(strip_segmenter, tmp_path_factory.mktemp("state"), project=project, batches=batches) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Running) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> Any:
    return client.get("/openapi.json").json()


def _plain(value: Any) -> Any:
    """The document without `prefixItems` (all of one kind here), which schemathesis 4.32 cannot check answers by."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _plain(one) for key, one in value.items() if key != "prefixItems"}
    if "prefixItems" in value:
        assert all(one == value["prefixItems"][0] for one in value["prefixItems"])
        plain["items"] = _plain(value["prefixItems"][0])
    return plain


@pytest.mark.soak
def test_what_the_document_allows_and_forbids_is_answered_as_it_says(
    service: Running, client: httpx.Client, document: Any, strip: np.ndarray
) -> None:
    schema = schemathesis.openapi.from_dict(_plain(document))
    schema.config.update(base_url=service.url)
    operations = {one.ok().label: one.ok() for one in schema.get_all_operations()}
    counts = Counter[int]()
    for label, operation in operations.items():
        for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
            wishes = operations["POST /v1/images/{id}/masks"].as_strategy(generation_mode=mode)
            both = tuples(operation.as_strategy(generation_mode=mode), wishes if label in _WITH_PROMPTS else none())
            if mode == GenerationMode.POSITIVE or operation.body:
                counts += _try(client, both, as_png(strip))
    assert counts.total() >= CASES and not any(status >= 500 for status in counts)
    assert {200, 201, 204, 400, 404, 410, 415, 422} <= set(counts), counts


_WITH_PROMPTS = ("POST /v1/segment",)  # a field of its form is JSON as for masks


def _try(client: httpx.Client, cases: Any, photo: bytes) -> Counter[int]:
    """Statuses of many cases of one operation, each checked against the document."""
    counts, key = Counter[int](), upload(client, photo)
    listed = client.get("/v1/project").json()["photos"][0]["id"]

    def call(pair: Any) -> None:
        case, wish = pair
        if "id" in (case.path_parameters or {}) and counts.total() % 4:
            case.path_parameters["id"] = listed if "project" in case.path else key  # what is made up never hits
        if wish is not None and isinstance(case.body, dict) and isinstance(wish.body, dict):
            case.body |= {"file": photo, "prompts": json.dumps(wish.body)}
        if case.path.endswith("/everything") and isinstance(case.body, dict):
            _ask_little(case.body)
        answer = case.call()
        if answer.status_code == 503:  # a hover that a busy machine answers too late
            assert isinstance(case.body, dict) and '"busy"' in answer.text
            return
        counts[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    many = settings(
        max_examples=145,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    many(given(cases)(call))()
    return counts


def _ask_little(wish: dict[str, Any]) -> None:
    """A search of a moment in the place of one that takes a while; what is refused stays."""
    if not wish.get("point_grids") and wish.get("points_per_side", 32) in range(3, 257):
        wish["points_per_side"] = 2


def test_every_example_of_the_document_is_accepted(client: httpx.Client, document: Any) -> None:
    key = upload(client, as_png(np.full((SIZE[1], SIZE[0], 3), 99, np.uint8)))
    tried = 0
    for path, operations in document["paths"].items():
        body = operations.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json")
        if body is None or path == "/v1/session":
            continue
        schema = document["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
        for example in schema["examples"]:
            answer = client.post(path.format(id=key), json=example)
            assert answer.is_success, (path, answer.text)
            tried += 1
    assert tried >= 4
    client.delete(f"/v1/images/{key}")


def test_every_reference_of_the_document_leads_somewhere(document: Any) -> None:
    schemas, text = document["components"]["schemas"], json.dumps(document)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named == set(schemas)  # and nothing is described that nothing uses
    assert document["openapi"].startswith("3.1") and "HTTPValidationError" not in schemas
    answers = [answer for path in document["paths"].values() for one in path.values() for answer in one["responses"]]
    assert {"200", "201", "204", "401", "404", "409", "410", "413", "415", "422", "429", "503", "504"} <= set(answers)


def test_operations_have_short_names_for_generated_clients(document: Any) -> None:
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(set(names)) == len(names) and all(name.isidentifier() and len(name) <= 20 for name in names)


def test_the_formats_of_exports_are_all_there_are(document: Any) -> None:
    formats = document["components"]["schemas"]["ExportRequest"]["properties"]["formats"]
    assert formats["items"]["enum"] == list(FORMATS)


def test_who_should_stop_hovering_is_told_so_in_every_answer(
    service: Running, client: httpx.Client, strip: Any
) -> None:
    service.app.state.service.lanes[0].load.ran(Rank.HOVER, 1000.0)
    made = client.post("/v1/images", content=as_png(strip)).json()
    asked = client.post(f"/v1/images/{made['id']}/masks", json={"objects": [{"points": [[9, 9]]}]}).json()
    for answer in (made, client.get(f"/v1/images/{made['id']}").json(), asked):
        assert answer["hover_ms"] is None


def test_paths_and_methods_that_do_not_exist_are_errors_like_all_others(client: httpx.Client) -> None:
    for path in ("/", "/v2/images", "/v1", "/v1/images/x/y", "/v1/everything"):
        error_of(client.get(path), 404, "not_found")
    for method, path in (("PUT", "/v1/images"), ("GET", "/v1/segment"), ("PATCH", "/v1/images/x"), ("MKCOL", "/docs")):
        answer = client.request(method, path)
        error_of(answer, 405, "method_not_allowed")
        assert answer.headers["allow"]
