"""A driver that runs batches which kill themselves at a named point, in a process of their own each.

python killing.py PHOTOS OUT NAME ...   for each name of POINTS a run in OUT/NAME that is killed there, and one more
that goes on. Prints a line of JSON a name: how the first ended, and how the second. The points are struck by replacing
functions of `os` in the killed process: the product knows nothing of it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickmask import Segmenter
from clickmask.service.batch.outlet import Folder
from clickmask.service.batch.questions import Whole
from clickmask.service.batch.run import Batch, run
from clickmask.service.batch.settings import Formats
from clickmask.service.batch.sources import STATE, scan
from clickmask.service.formats import Options

JOURNAL = f"{STATE}/journal.jsonl"


@dataclass(frozen=True)
class Point:
    """The n-th call of a function of `os` about a file whose path fits, and when: before it, halfway, or after it."""

    call: str
    fits: Callable[[str], bool]
    when: str = "before"
    number: int = 1


def _is_output(path: str) -> bool:
    return STATE not in path and not path.endswith("instances_coco.json") and not os.path.isdir(path)


def _is_part(path: str) -> bool:
    return path.endswith(".part") and STATE not in path


def _ends(end: str) -> Callable[[str], bool]:
    return lambda path: path.endswith(end)


POINTS = {
    "before an output's sync": Point("fsync", _is_part, "before", 2),
    "after an output's sync": Point("fsync", _is_part, "after", 2),
    "before an output's name": Point("replace", _is_output, "before", 2),
    "after an output's name": Point("replace", _is_output, "after", 2),
    "between a photo's files": Point("replace", _ends("_mask.png"), "after", 3),
    "before a part of coco": Point("replace", lambda path: f"{STATE}/coco/" in path, "before", 2),
    "before a line": Point("write", _ends(JOURNAL), "before", 4),
    "half a beginning": Point("write", _ends(JOURNAL), "half", 3),
    "half a record": Point("write", _ends(JOURNAL), "half", 4),
    "after a line": Point("write", _ends(JOURNAL), "after", 4),
    "before the journal's sync": Point("fsync", _ends(JOURNAL), "before"),
    "after the journal's sync": Point("fsync", _ends(JOURNAL), "after"),
    "before the settings": Point("replace", _ends("settings.json"), "before"),
    "after the settings": Point("replace", _ends("settings.json"), "after"),
    "before the joined coco": Point("replace", _ends("instances_coco.json"), "before"),
    "after the joined coco": Point("replace", _ends("instances_coco.json"), "after"),
    "before a status": Point("replace", _ends("status.json"), "before"),
    "after a status": Point("replace", _ends("status.json"), "after"),
    "before the failures": Point("replace", _ends("failures.csv"), "before"),
}


def _strike(point: Point) -> None:
    """Have this process killed there."""
    plain: Callable[..., Any] = getattr(os, point.call)
    left = [point.number]

    def path_of(first: Any, *rest: Any) -> str:
        return str(rest[0]) if point.call == "replace" else os.readlink(f"/proc/self/fd/{first}")

    def struck(*words: Any) -> Any:
        left[0] -= point.fits(path_of(*words))
        if left[0] != 0 or not point.fits(path_of(*words)):
            return plain(*words)
        if point.when == "half":
            plain(words[0], words[1][: len(words[1]) // 2])
        elif point.when == "after":
            plain(*words)
        return os.kill(os.getpid(), signal.SIGKILL)

    setattr(os, point.call, struck)


def _run(photos: str, out: Path) -> None:
    batch = Batch(scan(photos, out), Whole("center"), Formats(("png", "cutout", "coco"), Options()), Folder(out))
    run(batch, lambda: Segmenter(device="cpu", precision="float32", fit="rectangle", refine="off"), lambda report: None)


def _in_a_child(do: Callable[[], None]) -> int:
    """Its exit status: 0, or less than 0 for the signal that ended it."""
    child = os.fork()
    if child == 0:
        try:
            do()
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(photos: str, out: Path, names: list[str]) -> None:
    """Kill and go on at each of the points. Only children open a model, so that none is forked with threads."""
    for name in names:

        def killed(name: str = name) -> None:
            _strike(POINTS[name])
            _run(photos, out / name)

        first = _in_a_child(killed)
        second = _in_a_child(lambda name=name: _run(photos, out / name))
        sys.stdout.write(json.dumps({"name": name, "killed": first, "went_on": second}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
