"""What keeping books costs a batch: the journal beside the work of tiny photos, and going on with a million entries.

    python benchmarks/batch_books.py [--tiny 10000] [--entries 1000000]

Tiny: strips of 256 x 8 pixels, embedded weights, one click each; the share of the run that goes into journal and
report. Entries: a folder of empty files that a journal says are done, results beside them; seconds until work would
begin (there is no model), until the run is over, and the peak memory of the process. Files are made in the temporary
folder, two an entry.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from clickmask.service.batch.begun import Begun
from clickmask.service.batch.books import Books
from clickmask.service.batch.journal import DONE, Record
from clickmask.service.batch.outlet import Folder
from clickmask.service.batch.questions import Whole
from clickmask.service.batch.run import Batch, run, run_with
from clickmask.service.batch.settings import Formats
from clickmask.service.batch.sources import STATE, scan
from clickmask.service.batch.statistics import Statistics
from clickmask.service.batch.task import Errand, Note, Task
from clickmask.service.formats import Options

FORMATS = Formats(("png",), Options())


class Idle:
    """Hands that are never given anything to do, and note when they could have begun."""

    began_at = 0.0
    provenance: Mapping[str, Any] = {"model": "none", "digest": "none", "device": "cpu"}
    takes_all_at_once = False

    def work(self, task: Task, errands: Iterable[Errand], note: Note) -> None:
        """Count what is left to do."""
        self.began_at = time.perf_counter()
        left = sum(1 for _ in errands)
        if left:
            sys.exit(f"{left} photos would be done again")


def tiny(count: int) -> None:
    """The journal's share of a run of tiny photos."""
    from encode import PHOTOS

    from clickmask import Segmenter

    spent = [0.0]
    for name in ("begin", "note", "__exit__"):
        _clock(name, spent)
    with tempfile.TemporaryDirectory() as folder:
        photos, out = Path(folder, "photos"), Path(folder, "out")
        photos.mkdir()
        strip = cv2.resize(cv2.imread(str(PHOTOS / "fig.jpg")), (256, 8), interpolation=cv2.INTER_AREA)
        for number in range(count):
            cv2.imwrite(str(photos / f"{number:06}.png"), np.roll(strip, number * 7, axis=1) ^ (number % 251))
        segmenter = Segmenter(device="cpu", fit="rectangle")
        started = time.perf_counter()
        report = run(
            Batch(scan(str(photos), out), Whole("center"), FORMATS, Folder(out)), lambda: segmenter, lambda report: None
        )
        seconds = time.perf_counter() - started
    if report.tally.done != count:
        sys.exit(f"{report.tally.done} of {count} were done")
    share = 100 * spent[0] / seconds
    sys.stdout.write(f"| {count:,} tiny photos | {seconds:.1f} s, of which books {spent[0]:.2f} s: {share:.2f} % | |\n")


def _clock(name: str, spent: list[float]) -> None:
    """Have a method of `Books` add up its time."""
    inner = getattr(Books, name)

    def timed(*words: Any) -> Any:
        started = time.perf_counter()
        try:
            return inner(*words)
        finally:
            spent[0] += time.perf_counter() - started

    setattr(Books, name, timed)


def make_entries(root: Path, count: int) -> None:
    """Photos, results, and the journal of a run that did all of them."""
    photos, out = root / "photos", root / "out"
    (out / STATE).mkdir(parents=True)
    statistics = Statistics(((17, 1),), ((45, 1),), 0, 0.91)
    with (out / STATE / "journal.jsonl").open("wb") as journal:
        for number in range(count):
            folder = f"{number // 1000:04}"
            if number % 1000 == 0:
                (photos / folder).mkdir(parents=True)
                (out / folder).mkdir()
            name, base = f"{folder}/photo_{number:07}.jpg", f"{folder}/photo_{number:07}"
            for path in (photos / name, out / f"{base}_mask.png"):
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
            now, digest = os.stat(photos / name), hashlib.sha256(name.encode()).hexdigest()
            outputs = ((f"{base}_mask.png", 0, digest),)
            record = Record(name, DONE, 0, now.st_mtime_ns, digest, base, outputs, 1, statistics=statistics)
            journal.write(Begun(name, base).line() + record.line())


def go_on(root: Path) -> None:
    """A run that finds everything done, and what it took."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.perf_counter()
    found = scan(str(root / "photos"), root / "out")
    scanned = time.perf_counter() - started
    batch, hands = Batch(found, Whole("center"), FORMATS, Folder(root / "out")), Idle()
    report = run_with(batch, lambda: nullcontext(hands), lambda report: None)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(
        f"| {report.tally.kept:,} entries | {hands.began_at - started:.1f} s, of which the scan {scanned:.1f} s; "
        f"{seconds:.1f} s until the run is over | "
        f"{peak:.0f} MB, {peak - before:.0f} MB more than before |\n"
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", type=int, default=10_000)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--go-on", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.go_on:
        return go_on(options.go_on)
    sys.stdout.write("| what | time | memory |\n|---|---|---|\n")
    sys.stdout.flush()
    if options.entries:
        with tempfile.TemporaryDirectory() as folder:
            make_entries(Path(folder), options.entries)
            subprocess.run([sys.executable, __file__, "--go-on", folder], check=True)
    from timing import machine  # not before: what torch takes would count as that process's peak

    if options.tiny:
        tiny(options.tiny)
    sys.stdout.write(f"\n{machine()}\n")
    return None


if __name__ == "__main__":
    main()
