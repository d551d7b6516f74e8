"""The shelf: never over its budget, fair between callers, and nobody's things but one's own."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Hashable

import pytest

from clickmask.service.http import shelf as shelf_module
from clickmask.service.http.shelf import Shelf

CALLERS = ("ann", "bob", "cem", "dia", "eve")


class _Load:
    """Random operations on a shelf, with what was seen while they ran."""

    def __init__(self, shelf: Shelf[tuple[str, int]], seed: int, count: int) -> None:
        self._shelf, self._random, self._count = shelf, random.Random(seed), count
        self.lookups, self.largest, self.foreign = 0, 0, 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            for _ in range(self._count):
                self._step()
                self.largest = max(self.largest, self._shelf.counts().size)
        except Exception as error:
            self.error = error

    def _step(self) -> None:
        draw, shelf = self._random, self._shelf
        caller, number = draw.choice(CALLERS), draw.randrange(30)
        key = (caller, number)
        what = draw.random()
        if what < 0.5:
            shelf.put(key, key, draw.randint(1, 200), caller, ahead=draw.random() < 0.3)
        elif what < 0.9:
            self.lookups += 1
            asker = draw.choice(CALLERS)
            found = shelf.get(key, asker)
            self.foreign += found is not None and found[0] != asker
        elif what < 0.95:
            shelf.take(key)
        elif what < 0.99:
            shelf.pin(key)
            shelf.unpin(key)
        else:
            shelf.expire(draw.random() * 0.01)


def _press(shelf: Shelf[tuple[str, int]]) -> list[_Load]:
    loads = [_Load(shelf, seed, 12_500) for seed in range(8)]
    threads = [threading.Thread(target=load.run) for load in loads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return loads


def test_a_hundred_thousand_operations_by_eight_threads_leave_it_within_its_budget() -> None:
    gone: list[Hashable] = []
    shelf: Shelf[tuple[str, int]] = Shelf(1000, lambda key, value: gone.append(key))
    loads = _press(shelf)
    assert [load.error for load in loads] == [None] * 8
    assert 900 < max(load.largest for load in loads) <= 1000
    assert [load.foreign for load in loads] == [0] * 8
    counts = shelf.counts()
    assert counts.hits + counts.misses == sum(load.lookups for load in loads)
    assert 0 < counts.evictions <= len(gone)  # the rest of them expired
    shelf.clear()
    assert shelf.counts().size == shelf.counts().things == 0


def test_the_same_load_would_overflow_a_shelf_without_that_budget() -> None:
    assert max(load.largest for load in _press(Shelf(10**9))) > 1000


def _modelled_put(things: list[tuple[int, str, int]], new: tuple[int, str, int], budget: int) -> bool:
    """What a put does, in the plainest words: things are (key, caller, size), the least recently used first."""
    kept = [thing for thing in things if thing[0] != new[0]]
    order = list(dict.fromkeys(caller for _, caller, _ in kept))
    while sum(size for _, _, size in kept) + new[2] > budget:
        holding = {caller: sum(size for _, own, size in [*kept, new] if own == caller) for caller in order}
        holders = [caller for caller in order if any(own == caller for _, own, _ in kept)]
        if not holders:
            return False
        payer = max(holders, key=lambda caller: holding[caller])
        kept.remove(next(thing for thing in kept if thing[1] == payer))
    things[:] = [*kept, new]
    return True


def test_it_does_what_the_plain_model_says() -> None:
    draw, things = random.Random(11), []
    shelf: Shelf[int] = Shelf(500)
    for _ in range(6000):
        key = draw.randrange(40)
        caller = CALLERS[key % 5]
        if draw.random() < 0.5:
            size = draw.choice((draw.randint(1, 60), draw.randint(1, 600)))
            assert shelf.put(key, key, size, caller) == _modelled_put(things, (key, caller, size), 500)
        else:
            there = next((thing for thing in things if thing[0] == key), None)
            assert shelf.get(key, caller) == (key if there else None)
            if there:
                things.remove(there)
                things.append(there)
        for caller in CALLERS:
            assert [key for key, _ in shelf.things_of(caller)] == [key for key, own, _ in things if own == caller]


def test_each_of_n_callers_is_sure_of_an_nth_of_it() -> None:
    shelf: Shelf[int] = Shelf(1000)
    for caller in ("ann", "bob", "cem"):
        for number in range(3):
            assert shelf.put((caller, number), number, 100, caller)
    for number in range(200):  # a fourth one, who never has enough
        assert shelf.put(("greedy", number), number, 30, "greedy")
    for caller in ("ann", "bob", "cem"):
        held = 100 * len(shelf.things_of(caller))
        assert held >= 200, f"{caller} holds {held} of a quarter that is 250, in pieces of 100"
    assert 1000 - 30 - 100 < shelf.counts().size <= 1000


def test_who_is_alone_may_have_all_of_it() -> None:
    shelf: Shelf[int] = Shelf(1000)
    for number in range(12):
        shelf.put(number, number, 100, "ann")
    assert [key for key, _ in shelf.things_of("ann")] == list(range(2, 12))


def test_pinned_things_stay_and_what_finds_no_room_is_refused() -> None:
    shelf: Shelf[str] = Shelf(100)
    shelf.put("a", "in use", 60, "ann")
    shelf.put("b", "idle", 40, "ann")
    shelf.pin("a")
    assert shelf.put("c", "new", 40, "bob")
    assert (shelf.get("a", "ann"), shelf.get("b", "ann")) == ("in use", None)
    assert not shelf.put("d", "too large", 50, "cem")
    assert shelf.get("c", "bob") == "new", "a refused put changes nothing"
    shelf.clear()
    assert shelf.get("a", "ann") == "in use" and shelf.get("c", "bob") is None
    shelf.unpin("a")
    assert shelf.put("d", "large", 100, "cem") and shelf.get("a", "ann") is None


def test_a_pin_outlives_the_thing_and_counts_for_the_one_in_its_place() -> None:
    shelf: Shelf[str] = Shelf(100)
    shelf.put("a", "first", 60, "ann")
    shelf.pin("a")
    shelf.take("a")
    shelf.put("a", "second", 60, "ann")
    shelf.pin("a")
    shelf.unpin("a")  # the first one's user is done, the second one's is not
    assert not shelf.put("b", "other", 60, "bob")
    shelf.unpin("a")
    assert shelf.put("b", "other", 60, "bob")


def test_a_thing_larger_than_the_shelf_is_refused_and_nothing_goes_for_it() -> None:
    shelf: Shelf[int] = Shelf(100)
    shelf.put(1, 1, 50, "ann")
    assert not shelf.put(2, 2, 101, "bob") and shelf.get(1, "ann") == 1
    assert not shelf.put(1, 3, 101, "ann") and shelf.get(1, "ann") == 1


def test_fetching_ahead_pushes_out_ones_own_but_nobody_elses_active_things(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf: Shelf[int] = Shelf(100)
    shelf.put("theirs", 1, 70, "ann")
    shelf.put("mine", 2, 30, "bob")
    assert shelf.put("next", 3, 30, "bob", ahead=True)
    assert shelf.get("theirs", "ann") == 1 and shelf.get("mine", "bob") is None
    assert not shelf.put("large", 4, 80, "bob", ahead=True)
    assert shelf.put("large", 4, 80, "bob"), "what is really asked for may"
    monkeypatch.setattr(shelf_module, "ACTIVE", 0.01)
    time.sleep(0.02)
    assert shelf.put("ahead", 5, 90, "cem", ahead=True), "what nobody used for long may go"


def test_what_nobody_used_for_long_expires() -> None:
    gone: list[Hashable] = []
    shelf: Shelf[int] = Shelf(100, lambda key, value: gone.append((key, value)))
    for key in ("a", "b", "c"):
        shelf.put(key, ord(key), 10, "ann")
    shelf.pin("b")
    time.sleep(0.05)
    shelf.get("c", "ann")
    shelf.expire(0.04)
    assert gone == [("a", 97)] and [key for key, _ in shelf.things_of("ann")] == ["b", "c"]


def test_a_thing_may_take_others_with_it_as_it_goes() -> None:
    shelf: Shelf[str] = Shelf(100, lambda key, value: [shelf.take(other) for other in value])
    shelf.put("image", "w", 50, "ann")
    shelf.put("w", "", 50, "ann")
    assert shelf.put("new", "", 100, "ann"), "both must go, and the first takes the second with it"
    assert shelf.counts().things == 1 and shelf.counts().size == 100
    shelf.put("image", "w", 50, "ann")
    shelf.put("w", "", 50, "ann")
    shelf.clear()
    assert shelf.counts().size == 0


def test_nobody_finds_anothers_thing() -> None:
    shelf: Shelf[int] = Shelf(100)
    shelf.put("a", 1, 10, "ann")
    assert shelf.get("a", "bob") is None and shelf.things_of("bob") == []
    assert shelf.counts().misses == 1
