"""Questions: what a request's objects become, and what is said, and of which field, when they make no sense."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from clickmask.models.frame import Frame
from clickmask.service.http.errors import ApiError
from clickmask.service.http.keys import Keys
from clickmask.service.http.questions import Question, parse, questions
from clickmask.service.http.schemas import MasksRequest
from clickmask.service.http.settings import MIB, Limits, Storage
from clickmask.service.http.store import Entry, KeptMask, Store

LIMITS = Limits(body=MIB, prompts=4, points=5)
LOGITS = np.linspace(-4, 4, 256 * 256, dtype="<f2").reshape(256, 256)


@pytest.fixture
def store() -> Store:
    return Store(Keys(b"s" * 32), Storage(images=64 * MIB, masks=4 * MIB), LIMITS)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def image(store: Store, loop: asyncio.AbstractEventLoop) -> Entry:
    """An image of 100 x 80 pixels."""
    return _entry(store, loop, b"photo")


def _entry(store: Store, loop: asyncio.AbstractEventLoop, content: bytes, parent: Entry | None = None) -> Entry:
    key = store.keys.image(content, "vit_t", "ann")
    frame = Frame.whole(100, 80) if parent is None else Frame(100, 80, (40, 40, 90, 80))
    return Entry(key, "ann", frame, content if parent is None else None, parent, 0, loop.create_future())


def _ask(image: Entry, store: Store, *objects: dict[str, Any], default: str = "off", **fields: Any) -> list[Question]:
    body = json.dumps({"objects": list(objects), **fields}).encode()
    return questions(parse(MasksRequest, body), image, store, LIMITS, default)


def _error(image: Entry, store: Store, *objects: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as raised:
        _ask(image, store, *objects)
    return raised.value


def _inline(logits: np.ndarray) -> dict[str, str]:
    return {"logits": base64.b64encode(logits.tobytes()).decode()}


def _keep(store: Store, image: Entry, caller: str = "ann") -> str:
    key = store.keys.mask(image.key, "question", 0, caller)
    mask = KeptMask(LOGITS.astype(np.float16), image.frame, image.root.key)
    assert store.masks.put(key, mask, mask.size, caller)
    return key


def test_objects_become_prompts_in_their_order(image: Entry, store: Store) -> None:
    first, second = _ask(
        image, store, {"points": [[1, 2.5]]}, {"points": [[3, 4], [5, 6]], "labels": [1, 0], "box": [0, 0, 100, 80]}
    )
    assert (first.prompt.points, first.prompt.labels, first.multimask) == (((1.0, 2.5),), (1,), True)
    assert second.prompt.points == ((3.0, 4.0), (5.0, 6.0)) and second.prompt.labels == (1, 0)
    assert second.prompt.box == (0.0, 0.0, 100.0, 80.0) and not second.multimask


@pytest.mark.parametrize(("multimask", "expected"), [("auto", [True, False]), (True, [True] * 2), (False, [False] * 2)])
def test_three_candidates_come_for_one_point_alone_or_as_asked(
    image: Entry, store: Store, multimask: Any, expected: list[bool]
) -> None:
    asked = _ask(image, store, {"points": [[1, 2]]}, {"box": [1, 2, 3, 4]}, multimask=multimask)
    assert [question.multimask for question in asked] == expected


@pytest.mark.parametrize(
    ("default", "fields", "expected"),
    [
        ("edges", {}, "edges"),
        ("edges", {"scale": "model"}, "clicks"),
        ("edges", {"scale": "model", "format": "cutout"}, "edges"),
        ("edges", {"refine": "off"}, "off"),
        ("edges", {"format": "logits"}, "clicks"),
        ("edges", {"refine": "clicks"}, "clicks"),
        ("edges", {"scale": "model", "stream": "s", "seq": 1}, "off"),
        ("views", {}, "edges"),
        ("views", {"scale": "model"}, "clicks"),
        ("clicks", {}, "clicks"),
        ("clicks", {"refine": "edges"}, "edges"),
        ("off", {"scale": "model"}, "off"),
        ("off", {"scale": "model", "refine": "clicks"}, "clicks"),
    ],
)
def test_edges_are_the_photos_where_its_own_pixels_are_wanted_and_hovering_is_plain(
    image: Entry, store: Store, default: str, fields: dict[str, Any], expected: str
) -> None:
    assert [one.refine for one in _ask(image, store, {"points": [[1, 2]]}, default=default, **fields)] == [expected]


def test_the_same_question_has_the_same_text_and_another_another(image: Entry, store: Store) -> None:
    kept = _keep(store, image)
    objects: list[dict[str, Any]] = [
        {"points": [[1, 2]]},
        {"points": [[2, 1]]},
        {"points": [[1, 2]], "labels": [0]},
        {"points": [[1, 2]], "box": [0, 0, 9, 9]},
        {"points": [[1, 2]], "previous": kept},
        {"points": [[1, 2]], "previous": _inline(LOGITS)},
        {"points": [[1, 2]], "previous": _inline(-LOGITS)},
    ]
    texts = [_ask(image, store, one)[0].text for one in objects]
    texts += [_ask(image, store, objects[0], multimask=False)[0].text]
    assert len(set(texts)) == len(texts)
    assert texts[:-1] == [_ask(image, store, one)[0].text for one in objects]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"points": [[1, 2], [100, 2]]}, "objects[1].points[1]"),
        ({"points": [[-0.1, 2]]}, "objects[1].points[0]"),
        ({"points": [[1e308, -1e308]]}, "objects[1].points[0]"),
        ({"points": [[1, 2]], "labels": []}, "objects[1].labels"),
        ({"points": [[1, 2]], "labels": [1, 1]}, "objects[1].labels"),
        ({"box": [0, 0, 101, 80]}, "objects[1].box"),
        ({"box": [9, 9, 9, 12]}, "objects[1].box"),
        ({"box": [9, 9, 3, 12]}, "objects[1].box"),
        ({}, "objects[1].points"),
        ({"labels": [1]}, "objects[1].labels"),
        ({"points": [[1, 2]] * 6}, "objects[1].points"),
        ({"previous": _inline(np.full((256, 256), np.nan, "<f2"))}, "objects[1].previous"),
        ({"previous": _inline(np.full((256, 256), np.inf, "<f2"))}, "objects[1].previous"),
        ({"previous": {"logits": "!" * 174764}}, "objects[1].previous"),
        ({"previous": {"logits": "ß" * 174764}}, "objects[1].previous"),
        ({"previous": {"logits": "A" * 174760 + "===="}}, "objects[1].previous"),
        ({"previous": {"logits": "AAAA"}}, "objects[1].previous.logits"),
        ({"previous": {}}, "objects[1].previous.logits"),
        ({"previous": 7}, "objects[1].previous"),
        ({"previous": "x" * 81}, "objects[1].previous"),
        ({"points": [[1]]}, "objects[1].points[0][1]"),
        ({"points": [[1, "two"]]}, "objects[1].points[0][1]"),
        ({"points": "1,2"}, "objects[1].points"),
        ({"points": [[1, 2]], "labels": [2]}, "objects[1].labels[0]"),
        ({"boxx": [1, 2, 3, 4]}, "objects[1].boxx"),
        ({"Box": [1, 2, 3, 4]}, "objects[1].Box"),
    ],
)
def test_what_makes_no_sense_is_422_and_named(image: Entry, store: Store, wrong: dict[str, Any], field: str) -> None:
    error = _error(image, store, {"points": [[1, 2]]}, wrong)
    assert (error.status, error.field) == (422, field)
    assert error.message.startswith(field.split(".")[-1]) or error.message.startswith(field)
    assert len(error.message) < 300


def test_more_objects_than_allowed_are_refused(image: Entry, store: Store) -> None:
    assert len(_ask(image, store, *[{"points": [[1, 2]]}] * 4)) == 4
    error = _error(image, store, *[{"points": [[1, 2]]}] * 5)
    assert (error.status, error.code, error.field) == (422, "too_many", "objects")
    assert len(_ask(image, store, {"points": [[1, 2]] * 5})) == 1


def test_a_window_takes_prompts_within_it_alone(image: Entry, store: Store, loop: asyncio.AbstractEventLoop) -> None:
    window = _entry(store, loop, b"window", parent=image)
    assert _ask(window, store, {"points": [[50, 50]], "box": [40, 40, 90, 80]})
    for wrong, field in (({"points": [[10, 10]]}, "points[0]"), ({"box": [30, 40, 60, 60]}, "box")):
        error = _error(window, store, wrong)
        assert (error.status, error.field) == (422, f"objects[0].{field}") and "window" in error.message


def test_an_earlier_mask_is_found_by_its_id_or_comes_along(image: Entry, store: Store) -> None:
    asked = _ask(image, store, {"previous": _keep(store, image)}, {"previous": _inline(LOGITS)})
    for question in asked:
        assert isinstance(question.prompt.previous, np.ndarray)
        assert np.array_equal(question.prompt.previous, LOGITS.astype(np.float32))
        assert question.prompt.previous.dtype == np.float32


def test_a_mask_of_the_image_is_carried_over_to_its_window(
    image: Entry, store: Store, loop: asyncio.AbstractEventLoop
) -> None:
    window = _entry(store, loop, b"window", parent=image)
    (question,) = _ask(window, store, {"previous": _keep(store, image)})
    previous = question.prompt.previous
    assert isinstance(previous, np.ndarray) and previous.shape == (256, 256)
    # The logits rise from top to bottom: the window shows the lower half of the image, of which 80 of 100 rows count.
    top, bottom = previous[1, 100], previous[200, 100]
    height = 256 * 80 / 100
    assert top == pytest.approx(-4 + 8 * (0.5 * height) / 256, abs=0.1)
    assert bottom == pytest.approx(-4 + 8 * (0.5 + 0.5 * 200 / height) * height / 256, abs=0.1)


def test_a_mask_of_another_image_is_refused(image: Entry, store: Store, loop: asyncio.AbstractEventLoop) -> None:
    other = _entry(store, loop, b"other photo")
    error = _error(image, store, {"previous": _keep(store, other)})
    assert (error.status, error.code, error.field) == (422, "bad_prompt", "objects[0].previous")


def test_a_mask_that_is_gone_is_410_and_anybody_elses_404(image: Entry, store: Store) -> None:
    gone = _keep(store, image)
    store.masks.take(gone)
    theirs = _keep(store, image, caller="bob")
    for key, status, code in (
        (gone, 410, "mask_gone"),
        (theirs, 404, "not_found"),
        ("msk_made-up", 404, "not_found"),
        (image.key, 404, "not_found"),
        ("", 404, "not_found"),
    ):
        error = _error(image, store, {"previous": key})
        assert (error.status, error.code, error.field) == (status, code, "objects[0].previous"), key


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"", 400, None),
        (b"{", 400, None),
        (b"\xff\xfe\x00", 400, None),
        (b'{"objects": [{"points": [[1, 2]]}]} and more', 400, None),
        (b"[" * 100_000, 400, None),
        (b'{"objects": ' + b"[" * 1000 + b"]" * 1000 + b"}", 400, None),
        (b'{"a": ' * 5000 + b"1" + b"}" * 5000, 400, None),
        (b'{"objects": [{"points": [[1, 2]]}], "seq": ' + b"9" * 5000 + b"}", 400, None),
        (b'{"objects": [{"previous": "\\ud800"}]}', 400, None),
        (b"null", 422, None),
        (b"[]", 422, None),
        (b"{}", 422, "objects"),
        (b'{"objects": []}', 422, "objects"),
        (b'{"objects": [1]}', 422, "objects[0]"),
        (b'{"objects": [{"points": [[NaN, 1]]}]}', 422, "objects[0].points[0][0]"),
        (b'{"objects": [{"points": [[1e400, 1]]}]}', 422, "objects[0].points[0][0]"),
        (b'{"objects": [{"points": [[1, 2]]}], "multimask": "maybe"}', 422, "multimask"),
        (b'{"objects": [{"points": [[1, 2]]}], "format": "gif"}', 422, "format"),
        (b'{"objects": [{"points": [[1, 2]]}], "seq": -1}', 422, "seq"),
        (b'{"objects": [{"points": [[1, 2]]}], "feather": Infinity}', 422, "feather"),
        (b'{"objects": [{"points": [[1, 2]]}], "clean": {"specks": 2}}', 422, "clean.specks"),
        (b'{"objects": [{"points": [[1, 2]]}], "limt": 1}', 422, "limt"),
    ],
    ids=range(22),
)
def test_what_is_no_request_is_refused_with_the_field(body: bytes, status: int, field: str | None) -> None:
    with pytest.raises(ApiError) as raised:
        parse(MasksRequest, body)
    assert (raised.value.status, raised.value.field) == (status, field)
    assert raised.value.code == ("bad_json" if status == 400 else "bad_request")


def test_a_made_up_name_comes_back_shortened() -> None:
    with pytest.raises(ApiError) as raised:
        parse(MasksRequest, b'{"objects": [{"points": [[1, 2]]}], "' + b"x" * 10_000 + b'": 1}')
    assert raised.value.field == "x" * 60 and len(raised.value.body()) < 300


def test_a_body_full_of_errors_is_counted_not_described() -> None:
    with pytest.raises(ApiError) as raised:
        parse(
            MasksRequest,
            b'{"objects": [{"points": [[1, 2]]}], ' + b", ".join(b'"a%d": 1' % n for n in range(2000)) + b"}",
        )
    assert raised.value.status == 422 and "2000 values are wrong" in raised.value.message


def test_two_thousand_random_requests_are_answered_or_refused(image: Entry, store: Store) -> None:
    draw, statuses = random.Random(9), set()
    for _ in range(2000):
        body = json.dumps({"objects": [_noise(draw) for _ in range(draw.randrange(1, 3))]}).encode()
        try:
            assert questions(parse(MasksRequest, body), image, store, LIMITS, "off")
            statuses.add(200)
        except ApiError as error:
            statuses.add(error.status)
            assert error.field is not None, body
    assert statuses == {200, 404, 422}


def _noise(draw: random.Random) -> dict[str, Any]:
    values: list[Any] = [
        0,
        1,
        7,
        -1,
        0.5,
        99.99,
        1e308,
        float("nan"),
        float("inf"),
        10**30,
        None,
        True,
        "1",
        "x",
        [],
        {},
    ]

    def number() -> Any:
        return draw.uniform(0, 80) if draw.random() < 0.9 else draw.choice(values)

    noise: dict[str, Any] = {}
    if draw.random() < 0.7:
        noise["points"] = [[number() for _ in range(draw.choice([2] * 20 + [1, 3]))] for _ in range(draw.randrange(7))]
    if draw.random() < 0.3:
        noise["labels"] = [draw.choice([0, 1, 1, 7]) for _ in noise.get("points", [1])]
    if draw.random() < 0.3:
        noise["box"] = [number() for _ in range(4)]
    if draw.random() < 0.2:
        noise["previous"] = draw.choice(["msk_x", "", 5, {"logits": "abc"}, None])
    return noise
