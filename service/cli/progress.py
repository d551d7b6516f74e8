"""A bar on standard error while a model is fetched."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from ...models.transfer import Progress


@contextmanager
def download_bar(*, quiet: bool = False) -> Generator[Progress | None]:
    """Something to report bytes to; the bar appears with the first report. None when `quiet`."""
    bars: list[Bar] = []

    def report(done: int, total: int | None) -> None:
        if not bars:
            bars.append(_start())
        bars[0].update(bars[0].task_ids[0], completed=done, total=total)

    try:
        yield None if quiet else report
    finally:
        for bar in bars:
            bar.stop()


def _start() -> Bar:
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = TextColumn("Fetching the model"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    bar = Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True))
    bar.add_task("fetch", total=None)
    bar.start()
    return bar
