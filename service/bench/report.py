"""Figures for people: a table, and what machine they hold for."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

from .figures import OURS, Figure, shown, times_better

NOTES = {
    "units": "s: seconds; MB: 10^6 bytes; 1/s: a second",
    "process start to a mask": "clickmask segment, from the start of the process to its end, in a process of its own",
    "load the model": "with what an earlier start remembered (the self-check of bfloat16, the embedding of padding)",
    "open a JPEG": "reading, decoding and encoding it",
    "encode": "the same, of pixels that were decoded",
    "click": "one mask at the photo's own size; of a peer the three that its predictor gives",
    "who": "a peer runs as it comes: in float32, on the whole square",
}


def machine(*, uses_gpu: bool) -> dict[str, Any]:
    """What figures hold for: processor, cores, the GPU where one is used, and the versions of what computes."""
    import torch

    from ..version import version

    gpu = torch.cuda.get_device_name() if uses_gpu else None
    return {
        "clickmask": version(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "gpu": gpu,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def title(about: Mapping[str, Any]) -> str:
    """A line that names the machine."""
    where = about["gpu"] or f"{about['processor']}, {about['threads']} threads, {about['instructions']}"
    return f"clickmask {about['clickmask']} on {where}, torch {about['torch']}"


def table(figures: Sequence[Figure], about: Mapping[str, Any]) -> None:
    """Print them on standard output."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(title(about), soft_wrap=True)
    for group in dict.fromkeys(figure.group for figure in figures):
        own = [figure for figure in figures if figure.group == group]
        has_peers = any(figure.who != OURS for figure in own)
        settings = about["models"][group]
        words = f"\n{group}: {settings['device']}, {settings['precision']}, fit {settings['fit']}"
        console.print(words, style="bold", soft_wrap=True)
        shape = Table(box=None, pad_edge=False)
        shape.add_column("What", overflow="fold")
        for name in ("Median", "Least", "Most", "Runs"):
            shape.add_column(name, justify="right", no_wrap=True)
        if has_peers:
            shape.add_column("Beside")
        for figure in own:
            shape.add_row(*_row(figure, own))
        console.print(shape)


def _row(figure: Figure, figures: Sequence[Figure]) -> list[str]:
    better = times_better(figure, figures)
    name = figure.name if better is None else f"  {figure.who}"
    values = [shown(value, figure.unit) for value in (figure.median, min(figure.values), max(figure.values))]
    beside = "" if better is None else f"{better:.2f} times ours"
    has_peers = any(other.who != OURS for other in figures)
    return [name, *values, str(len(figure.values)), *([beside] if has_peers else [])]


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
