"""Functions of tensors on a GPU, recorded once for each shape and then started as a whole (CUDA graphs).

A click is some two hundred small kernels, an encoding some hundreds; to start them one by one takes a GPU's host longer
than the GPU takes to run them. A CUDA graph starts all with one call ("Accelerating PyTorch with CUDA Graphs", 2021).
It is the same kernels on the same numbers. Nobody waits for it: a shape's first call runs as ever, its second is
recorded, which takes a few calls' time, and from then on it is replayed.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

import torch
from torch import Tensor

log = logging.getLogger(__name__)

_capturing = Lock()  # torch captures one graph at a time in a process, whatever the device
MOST_SHAPES = 24  # that are kept, of one function
BATCHES = (64, 32, 16, 8, 4, 2, 1)  # how many go together: few shapes

Outputs = tuple[Tensor, ...]
Function = Callable[..., Outputs]


class Record(Protocol):
    """Record a function of some tensors, which stay where they are: how to replay it, and where it writes its values.

    The numbers in the tensors may be others when it is replayed.
    """

    def __call__(self, function: Function, inputs: Sequence[Tensor], /) -> tuple[Callable[[], object], Outputs]: ...


@dataclass(frozen=True, eq=False)
class _Recording:
    """A function at one shape: tensors that it reads, how to run it, and tensors that it writes."""

    inputs: list[Tensor]
    replay: Callable[[], object]
    outputs: Outputs

    def __call__(self, arguments: Sequence[Tensor]) -> Outputs:
        for place, argument in zip(self.inputs, arguments, strict=True):
            place.copy_(argument)
        self.replay()
        return tuple(output.clone() for output in self.outputs)  # the next one to ask overwrites them


class CudaRecorder:
    """Records on a CUDA device. What is recorded shares its working memory: one is replayed at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool: Any = None  # made with the first recording: whoever never records never touches the device

    def __call__(self, function: Function, inputs: Sequence[Tensor], /) -> tuple[Callable[[], object], Outputs]:
        with _capturing, torch.cuda.device(self._device):
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            here, aside, graph = torch.cuda.current_stream(), torch.cuda.Stream(), torch.cuda.CUDAGraph()
            aside.wait_stream(here)
            with torch.cuda.stream(aside):  # libraries make their workspaces for a stream when it first uses them
                function(*inputs)
            with torch.cuda.graph(graph, pool=self._pool, stream=aside, capture_error_mode="thread_local"):
                outputs = function(*inputs)
            here.wait_stream(aside)
        return graph.replay, outputs


class Recorded:
    """A function of tensors that is recorded for each shape that comes again. Threads may share it.

    Args:
        function: what it returns depends on its arguments, and on tensors that stay where they are, alone; it asks the
            device nothing, and changes no argument.
        device: whose tensors the function takes; arguments may lie elsewhere.
        record: see `Record`. lock: held while one is recorded or replayed.
    """

    def __init__(self, function: Function, device: torch.device, record: Record, lock: Lock) -> None:
        self._function, self._device, self._record, self._lock = function, device, record, lock
        self._shapes: OrderedDict[Hashable, _Recording | None] = OrderedDict()  # None: came once
        self._too_large = set[Hashable]()

    @torch.inference_mode()
    def __call__(self, *arguments: Tensor) -> Outputs:
        """The function's values."""
        shape = tuple((tuple(argument.shape), argument.dtype) for argument in arguments)
        with self._lock:
            recording = self._known(shape, arguments)
            if recording is not None:
                return recording(arguments)
        return self._function(*(argument.to(self._device) for argument in arguments))

    def _known(self, shape: Hashable, arguments: Sequence[Tensor]) -> _Recording | None:
        """The recording of a shape, made now if it comes for the second time."""
        if shape in self._too_large:
            return None
        comes_again = shape in self._shapes
        recording = self._shapes.pop(shape, None)
        if comes_again and recording is None:
            try:
                recording = self._recorded(arguments)
            except torch.OutOfMemoryError:
                log.warning("no memory to record a CUDA graph for %s: these go on one kernel at a time", shape)
                self._too_large.add(shape)
                return None
        self._shapes[shape] = recording
        if len(self._shapes) > MOST_SHAPES:
            self._shapes.popitem(last=False)
        return recording

    def _recorded(self, arguments: Sequence[Tensor]) -> _Recording:
        inputs = [torch.empty(a.shape, dtype=a.dtype, device=self._device).copy_(a) for a in arguments]
        replay, outputs = self._record(self._function, inputs)
        return _Recording(inputs, replay, outputs)


class Graphs:
    """The recorded functions of one network, by name. They share working memory, so one is replayed at a time."""

    def __init__(self, device: torch.device, record: Record | None = None) -> None:
        """record: None is CUDA's."""
        self._device, self._record, self._lock = device, record or CudaRecorder(device), Lock()
        self._functions = dict[str, Recorded]()

    def of(self, name: str, function: Function) -> Recorded:
        """The recorded function of that name: `function`, when it is first asked for."""
        known = self._functions.get(name)
        return known or self._functions.setdefault(name, Recorded(function, self._device, self._record, self._lock))


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
