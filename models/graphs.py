"""Functions of tensors on a GPU, recorded once for each shape and then started as a whole (CUDA graphs).

A click is some two hundred small kernels, an encoding some hundreds; to start them one by one takes a GPU's host longer
than the GPU takes to run them. A CUDA graph starts all with one call ("Accelerating PyTorch with CUDA Graphs", 2021).
It is the same kernels on the same numbers. Nobody waits for it: a shape's first call runs as ever, its second is
recorded, which takes a few calls' time, and from then on it is replayed. Only so many shapes are recorded, and none is
given up for another one: libraries' workspaces of one graph may be another's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)

_capturing = Lock()  # torch captures one graph at a time in a process, whatever the device
MOST_SHAPES = 24  # that are kept, of one function
BATCHES = (128, 64, 32, 16, 8, 4, 2, 1)  # how many go together: few shapes

Outputs = tuple[Tensor, ...]
Function = Callable[..., Outputs]


@dataclass(frozen=True, eq=False)
class Recording:
    """A function at one shape: tensors that it reads, how to run it, and tensors that it writes."""

    inputs: Sequence[Tensor]
    replay: Callable[[], object]
    outputs: Outputs

    def __call__(self, arguments: Sequence[Tensor]) -> Outputs:
        """The function's values for other numbers."""
        for place, argument in zip(self.inputs, arguments, strict=True):
            place.copy_(argument, non_blocking=True)
        self.replay()
        return tuple(output.clone() for output in self.outputs)  # the next one to ask overwrites them


Run = Callable[[Sequence[Tensor]], Outputs]  # as `Recording` does
Record = Callable[[Function, Sequence[Tensor]], Run]  # a function, and tensors that it may keep for what it reads


class CudaRecorder:
    """Records on a CUDA device. What is recorded shares its working memory: threads take turns, and the device, too,
    runs one after the other, whatever streams they ask from.

    Memory is shared among recordings of one pool and one stream alone, which does nothing else. Libraries' workspaces
    are first asked for on that stream while it is recorded: so they lie in the pool, and stay there with it.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool: Any = None  # both made with the first recording: whoever never records never touches the device
        self._stream: torch.cuda.Stream | None = None
        self._last: torch.cuda.Event | None = None  # the end of the run before

    def __call__(self, function: Function, inputs: Sequence[Tensor], /) -> Run:
        with _capturing, torch.cuda.device(self._device):
            here, pool = torch.cuda.current_stream(), self._pool or torch.cuda.graph_pool_handle()
            self._stream = self._stream or torch.cuda.Stream()
            function(*inputs)  # libraries choose, and load, their kernels for a shape when they first see it
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, pool=pool, stream=self._stream, capture_error_mode="thread_local"):
                    outputs = function(*inputs)
            finally:
                torch.cuda.set_stream(here)  # where the end of a recording fails, torch leaves its own
            self._pool = pool
        return partial(self._run, Recording(inputs, graph.replay, outputs))

    def _run(self, recording: Recording, arguments: Sequence[Tensor]) -> Outputs:
        stream = torch.cuda.current_stream(self._device)
        if self._last is not None:
            stream.wait_event(self._last)
        values = recording(arguments)
        self._last = self._last or torch.cuda.Event()
        self._last.record(stream)
        return values


class Recorded:
    """A function of tensors that is recorded for each shape that comes again. Threads may share it.

    Args:
        function: what it returns depends on its arguments, and on tensors that stay where they are, alone; it asks the
            device nothing, and changes no argument.
        of: whose function it is.
    """

    def __init__(self, function: Function, of: Graphs) -> None:
        self._function, self._of = function, of
        self._recordings = dict[Hashable, Run]()
        self._seen = set[Hashable]()

    @torch.inference_mode()
    def __call__(self, *arguments: Tensor) -> Outputs:
        """The function's values."""
        shape = tuple((tuple(argument.shape), argument.dtype) for argument in arguments)
        with self._of.lock:
            recording = self._known(shape, arguments)
            if recording is not None:
                return recording(arguments)
        return self._function(*(argument.to(self._of.device) for argument in arguments))

    def forget(self) -> None:
        """Give all recordings up."""
        self._recordings.clear()

    def _known(self, shape: Hashable, arguments: Sequence[Tensor]) -> Run | None:
        """The recording of a shape, made now if it comes for the second time."""
        recording = self._recordings.get(shape)
        if recording is not None or not self._of.records or len(self._recordings) >= MOST_SHAPES:
            return recording
        if shape not in self._seen:
            self._seen.add(shape)
            return None
        try:
            recording = self._recordings[shape] = self._recorded(arguments)
        except RuntimeError as error:  # OutOfMemoryError is one; a device that is broken says so again
            log.warning("no more CUDA graphs: recording %s failed: %s", shape, error)
            self._of.records = False
        return recording

    def _recorded(self, arguments: Sequence[Tensor]) -> Run:
        inputs = [torch.empty(a.shape, dtype=a.dtype, device=self._of.device).copy_(a) for a in arguments]
        return self._of.record(self._function, inputs)


class Graphs:
    """The recorded functions of one network, by name. They share working memory, so one is replayed at a time.

    records: whether shapes that come again are still recorded; not after a failure, nor once memory ran out.
    """

    def __init__(self, device: torch.device, record: Record | None = None) -> None:
        """record: None is CUDA's."""
        self.device, self.lock, self.records = device, Lock(), True
        self.record: Record = record or CudaRecorder(device)
        self._functions = dict[str, Recorded]()

    def of(self, name: str, function: Function) -> Recorded:
        """The recorded function of that name: `function`, when it is first asked for."""
        known = self._functions.get(name)
        return known or self._functions.setdefault(name, Recorded(function, self))

    def give_up(self) -> None:
        """Give all recordings and their memory back, and record no more: memory ran out."""
        with self.lock:
            if self.records:
                log.warning("all CUDA graphs are given up: memory ran out")
            self.records = False
            for function in self._functions.values():
                function.forget()


def filled(count: int) -> int:
    """The least batch that so many fit in."""
    return min(size for size in BATCHES if size >= count)


def portions(count: int) -> list[int]:
    """Batches that so many are made of, none of them wasted."""
    sizes = list[int]()
    for size in BATCHES:
        sizes += [size] * (count // size)
        count %= size
    return sizes
