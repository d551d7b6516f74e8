"""Threads that compute alone: what they give, to whom errors go, and what they leave as it was."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from clickmask.models.crew import Crew, crew

SIZES = pytest.mark.parametrize("size", [1, 2, 3])


@SIZES
def test_values_come_in_the_order_of_the_questions(size: int) -> None:
    def late_first(number: int, text: str) -> str:
        time.sleep(0.02 / (1 + number))
        return f"{number} {text}"

    assert Crew(size).map(late_first, range(5), "abcde") == ["0 a", "1 b", "2 c", "3 d", "4 e"]
    assert Crew(size).map(late_first, [], []) == []


@SIZES
def test_parts_of_a_job_come_in_order_whoever_did_them(size: int) -> None:
    threads: set[str] = set()

    def part(number: int) -> int:
        threads.add(threading.current_thread().name)
        time.sleep(0.02)
        return number * number

    ours = Crew(size)
    assert ours.map(lambda count: ours.spread(part, range(count)), [6]) == [[0, 1, 4, 9, 16, 25]]
    assert len(threads) == size, "every idle thread lends a hand"


def test_a_part_that_nobody_came_for_is_done_by_its_own_job() -> None:
    ours, over = Crew(2), threading.Event()
    blocker = threading.Thread(target=ours.map, args=(over.wait, [30.0]))
    blocker.start()
    try:
        assert ours.map(lambda count: ours.spread(abs, range(count)), [4]) == [[0, 1, 2, 3]]
    finally:
        over.set()
        blocker.join()


@SIZES
@pytest.mark.parametrize("how", ["a job", "a part"])
def test_an_error_goes_to_whoever_asked_and_the_crew_goes_on(size: int, how: str) -> None:
    ours = Crew(size)

    def fail(number: int) -> int:
        if number == 1:
            raise ValueError("number one")
        return number

    def ask(numbers: Sequence[int]) -> list[Any]:
        return ours.map(fail, numbers) if how == "a job" else ours.map(lambda own: ours.spread(fail, own), [numbers])

    for _ in range(3):
        with pytest.raises(ValueError, match="number one"):
            ask([0, 1, 2])
    assert ask([0, 2]) == ([0, 2] if how == "a job" else [[0, 2]])


def test_a_job_may_ask_for_jobs_without_waiting_for_itself() -> None:
    ours = Crew(2)

    def inner(number: int) -> int:
        return number + 1

    def outer(number: int) -> list[int]:
        assert crew() is ours
        return ours.map(inner, [number, number])

    assert ours.map(outer, [1, 2, 3]) == [[2, 2], [3, 3], [4, 4]]


def test_threads_compute_alone_and_without_gradients_and_others_as_before() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)  # as a caller may have done: it must not come back in the crew's threads
        ours = Crew(3)

        def alone(_: int) -> tuple[int, bool, bool]:
            time.sleep(0.02)
            torch.ones(200_000).exp()  # torch settles a thread's number when it first computes
            return torch.get_num_threads(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")

        assert set(ours.map(alone, range(6))) == {(1, True, False)}
        assert torch.get_num_threads() == 3 and _in_new_thread(torch.get_num_threads) == 3
    finally:
        torch.set_num_threads(before)


def test_the_process_has_one_crew_for_a_number_of_threads() -> None:
    made: list[Crew] = []
    askers = [threading.Thread(target=lambda: made.append(crew())) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert set(made) == {crew()} and crew().size == torch.get_num_threads()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_makes_a_crew_of_its_own() -> None:
    crew().map(abs, [1])
    child = os.fork()
    if child == 0:  # no assertion may leave this process
        os._exit(0 if crew().map(abs, [-1, -2]) == [1, 2] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _in_new_thread(function: Callable[[], Any]) -> Any:
    values: list[Any] = []
    thread = threading.Thread(target=lambda: values.append(function()))
    thread.start()
    thread.join()
    return values[0]


def test_no_thread_computes_any_more_when_the_program_ends() -> None:
    """One that is still in torch when Python goes ends the process with an abort, now and then."""
    script = """
import atexit, threading
atexit.register(lambda: print(sorted(thread.name for thread in threading.enumerate())))
import torch
from clickmask.models.crew import crew
torch.set_num_threads(3)
assert crew().map(lambda n: float(torch.ones(n).sum()), [1, 2]) == [1, 2]
assert threading.active_count() == 4
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "['MainThread']"), done.stderr
