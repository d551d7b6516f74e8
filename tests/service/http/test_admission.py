"""The gate: no more inside than there is room for, nobody in everybody's way, and nothing lost when they leave."""

from __future__ import annotations

import random

import pytest

from clickmask.service.http.admission import Gate, Ticket
from clickmask.service.http.errors import ApiError
from clickmask.service.http.settings import Limits


def _gate(queue: int = 8, queue_bytes: int = 1000, wait: float = 2.5) -> Gate:
    return Gate(Limits(body=1, queue=queue, queue_bytes=queue_bytes), lambda: wait)


def _refusal(gate: Gate, caller: str, size: int = 0) -> ApiError:
    with pytest.raises(ApiError) as raised:
        gate.enter(caller, size)
    return raised.value


def test_a_caller_with_its_share_of_the_places_is_refused_and_another_finds_room() -> None:
    gate = _gate(queue=8)
    own = [gate.enter("ann") for _ in range(6)]
    error = _refusal(gate, "ann")
    assert (error.status, error.code, error.retry_after) == (429, "too_many_requests", 2.5)
    others = [gate.enter("bob"), gate.enter("cem")]
    error = _refusal(gate, "dia")
    assert (error.status, error.code, error.retry_after) == (503, "busy", 2.5)
    assert gate.inside == 8
    own[0].give_back()
    gate.enter("dia").give_back()
    for ticket in own + others:
        ticket.give_back()
    assert gate.inside == 0


@pytest.mark.parametrize("queue", [2, 3, 5, 64])
def test_one_caller_never_takes_the_last_place(queue: int) -> None:
    gate = _gate(queue=queue)
    with pytest.raises(ApiError):
        for _ in range(queue):
            gate.enter("ann")
    gate.enter("bob")


def test_with_a_single_place_it_is_whoevers_comes_first() -> None:
    gate = _gate(queue=1)
    with gate.enter("ann"):
        assert _refusal(gate, "ann").status == 429 and _refusal(gate, "bob").status == 503
    gate.enter("bob")


def test_bytes_count_as_they_are_announced_and_as_they_become_known() -> None:
    gate = _gate(queue_bytes=1000)
    with gate.enter("ann", 600) as ticket:
        assert _refusal(gate, "bob", 401).status == 503
        assert _refusal(gate, "ann", 151).status == 429, "the last quarter is for others"
        assert gate.inside == 1, "who was refused holds no place"
        with gate.enter("bob", 400) as other:
            assert gate.size == 1000
            for full, status in ((ticket, 503), (other, 503)):
                with pytest.raises(ApiError) as raised:
                    full.add(1)
                assert raised.value.status == status
            assert gate.size == 1000, "what was refused does not count"
    assert (gate.inside, gate.size) == (0, 0)


def test_leaving_twice_does_no_harm() -> None:
    gate = _gate()
    first, second = gate.enter("ann", 10), gate.enter("ann", 20)
    for _ in range(3):
        first.give_back()
    assert (gate.inside, gate.size) == (1, 20)
    with second:
        second.give_back()
    assert (gate.inside, gate.size) == (0, 0)


def test_an_error_inside_gives_the_place_back() -> None:
    gate = _gate()
    with pytest.raises(ValueError, match="inside"), gate.enter("ann", 10) as ticket:
        ticket.add(20)
        raise ValueError("inside")
    assert (gate.inside, gate.size) == (0, 0)


@pytest.mark.parametrize("wait", [0.0, 0.02, 3.2])
def test_whoever_is_refused_is_told_when_to_come_again_in_whole_seconds_from_one_on(wait: float) -> None:
    gate = _gate(queue=1, wait=wait)
    gate.enter("ann")
    for caller in ("ann", "bob"):
        told = int(dict(_refusal(gate, caller).headers())[b"retry-after"])
        assert told >= 1 and wait <= told < wait + 1.01


def test_hovers_leave_half_of_the_places_to_others() -> None:
    gate = _gate(queue=8)
    for number in range(4):
        gate.enter(f"caller {number}")
        gate.check_hover(f"caller {number}")
    gate.enter("one more")
    with pytest.raises(ApiError) as raised:
        gate.check_hover("one more")
    assert raised.value.status == 503


def test_hovers_of_one_caller_leave_room_for_those_of_others() -> None:
    gate = _gate(queue=8)
    for _ in range(3):
        gate.enter("ann")
    with pytest.raises(ApiError):
        gate.check_hover("ann")
    gate.enter("bob")
    gate.check_hover("bob")


def test_over_thousands_of_visits_neither_limit_is_passed_and_all_is_given_back() -> None:
    gate, draw = _gate(queue=8, queue_bytes=500), random.Random(2)
    inside: list[Ticket] = []
    statuses = set()
    for _ in range(20_000):
        try:
            if draw.random() < 0.4:
                inside.append(gate.enter(draw.choice(["ann", "ann", "bob", "cem"]), draw.randrange(100)))
            elif inside and draw.random() < 0.5:
                draw.choice(inside).add(draw.randrange(50))
            elif inside:
                inside.pop(draw.randrange(len(inside))).give_back()
        except ApiError as error:
            statuses.add(error.status)
        assert gate.inside == len(inside) <= 8 and 0 <= gate.size <= 500
    assert statuses == {429, 503}
    for ticket in inside:
        ticket.give_back()
    assert (gate.inside, gate.size) == (0, 0)
