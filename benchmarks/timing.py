"""Side by side in one process: every contestant takes a turn, round after round, and the medians count."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch


def side_by_side(contestants: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 2) -> dict[str, float]:
    """Median seconds of each contestant; A B C A B C, so that a busy minute hits all alike."""
    for run in contestants.values():
        for _ in range(warmup):
            run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def table(rows: Mapping[str, float], peer: str, unit: float = 1.0, name: str = "s") -> str:
    """A Markdown table: each contestant's median, and how many times quicker than the peer it is."""
    lines = [f"| what | {name} | times the peer's speed |", "|---|---|---|"]
    for what, seconds in rows.items():
        lines.append(f"| {what} | {seconds * unit:.3g} | {rows[peer] / seconds:.2f} |")
    return "\n".join(lines)


def machine() -> str:
    """Processor, cores, torch: what a figure holds for."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        model = next((v.strip() for k, v in named.items() if k.strip() == "model name"), model)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{model}, {torch.get_num_threads()} threads, {capability}, {gpu}, torch {torch.__version__}"
