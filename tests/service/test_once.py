"""Values that are made when they are first asked for."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

from clickmask.service.once import Once, kept_property


class Thing:
    """Counts how often its value is made."""

    made = 0

    @kept_property
    def value(self) -> list[int]:
        """It."""
        self.made += 1
        return [self.made]


def test_a_kept_property_is_made_once_and_travels_with_its_instance() -> None:
    thing, other = Thing(), Thing()
    assert thing.value is thing.value and thing.made == 1 and other.made == 0
    assert pickle.loads(pickle.dumps(thing)).value == [1]
    assert Thing.value.__doc__ == "It."


def test_instances_do_not_wait_for_one_another() -> None:
    began, over = threading.Event(), threading.Event()

    class Slow(Thing):
        @kept_property
        def value(self) -> list[int]:
            """Waits."""
            began.set()
            assert over.wait(60)
            return [0]

    class Quick(Slow):
        pass

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(lambda: Slow().value)
        assert began.wait(60)
        quick = Quick()
        vars(quick)["value"] = [7]
        assert quick.value == [7] and Thing().value == [1]
        over.set()
        assert slow.result() == [0]


def test_once_is_made_by_one_thread_and_anew_when_forgotten() -> None:
    made: list[int] = []
    once: Once[int] = Once()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: once.get(lambda: made.append(1) or len(made)), range(16)))
    assert set(found) == {1} and made == [1]
    once.forget()
    assert once.get(lambda: 5) == 5
