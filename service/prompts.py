"""One prompt is one object: points, at most one box, at most one earlier mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..models.errors import PromptError
from ..models.frame import LOW_RES, Frame, reproject

if TYPE_CHECKING:  # a client of the HTTP service checks prompts too, but need not wait for torch
    from torch import Tensor

    from ..models.sam import PromptTensors
    from .masks import BaseMask

Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Prompt:
    """What is known about one object, in the image frame.

    points: (x, y) pairs (or an (N, 2) array); a point belongs to pixel (floor x, floor y).
    labels: 1 foreground, 0 background, one for each point; all 1 when left out.
    box: (x0, y0, x1, y1) with 0 <= x0 < x1 <= width, likewise y; at most one.
    previous: an earlier mask of the same image, or its (256, 256) float32 low-res logits.

    Raises:
        PromptError: a field makes no sense by itself; what needs the image is checked when it is segmented.
    """

    points: Sequence[Point] = ()
    labels: Sequence[int] | None = None
    box: Box | None = None
    previous: BaseMask | np.ndarray | None = None

    def __post_init__(self) -> None:
        """Turn the fields into plain tuples, or refuse them by name."""
        points = _points(self.points)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "labels", _labels(self.labels, len(points)))
        object.__setattr__(self, "box", _box(self.box))
        if isinstance(self.previous, np.ndarray):
            object.__setattr__(self, "previous", _low_res(self.previous))
        elif self.previous is not None and not _is_mask(self.previous):
            raise PromptError(f"previous: expected a Mask or a (256, 256) array, got {type(self.previous).__name__}")
        if not points and self.box is None and self.previous is None:
            raise PromptError("points: nothing to segment; give points, a box or a previous mask")

    @property
    def is_ambiguous(self) -> bool:
        """Whether SAM answers with three candidates: one point, no box, no earlier mask."""
        return len(self.points) == 1 and self.box is None and self.previous is None

    def without_chain(self) -> Prompt:
        """The same prompt, but of an earlier mask only the logits: masks do not keep all their predecessors."""
        if self.previous is None or isinstance(self.previous, np.ndarray):
            return self
        return replace(self, previous=self.previous.logits)

    def describe(self) -> dict[str, Any]:
        """The prompt as plain values, for output files."""
        return {
            "points": [list(point) for point in self.points],
            "labels": list(self.labels or ()),
            "box": None if self.box is None else list(self.box),
            "previous": self.previous is not None,
        }


def prompt_of(points: Any, labels: Any, box: Any, previous: Any) -> Prompt:
    """A prompt of whatever is given for one. Raises PromptError."""
    return Prompt(points=points, labels=labels, box=box, previous=previous)


def to_tensors(prompt: Prompt, frame: Frame) -> PromptTensors:
    """A prompt in the model frame of an encoded window.

    Raises:
        PromptError: a point or the box lies outside the image or the window, or `previous` is of another size of image.
    """
    import torch

    from ..models.sam import PromptTensors

    check_inside(prompt, frame)
    points = torch.tensor(list(prompt.points), dtype=torch.float64).reshape(-1, 2)
    labels = torch.tensor(list(prompt.labels or ()), dtype=torch.int64)
    box = None
    if prompt.box is not None:
        corners = torch.tensor(prompt.box, dtype=torch.float64).reshape(2, 2)
        box = frame.to_model(corners).reshape(4)
    return PromptTensors.pack(frame.to_model(points), labels, box, _previous(prompt.previous, frame))


def check_inside(prompt: Prompt, frame: Frame) -> None:
    """Refuse a prompt that does not lie on the image, or not in the encoded window of it.

    Raises:
        PromptError: as `to_tensors` does.
    """
    for number, point in enumerate(prompt.points):
        _check_point(f"points[{number}]", point, frame)
    if prompt.box is not None:
        _check_box(prompt.box, frame)
    if prompt.previous is None or isinstance(prompt.previous, np.ndarray):
        return
    source = prompt.previous.frame
    if (source.width, source.height) != (frame.width, frame.height):
        raise PromptError(
            f"previous: a mask of a {source.width} x {source.height} image cannot be used on one of "
            f"{frame.width} x {frame.height}"
        )


def _previous(previous: BaseMask | np.ndarray | None, frame: Frame) -> Tensor | None:
    """(256, 256) float32 in this window's frame: an array is taken to be so already, a mask knows its own."""
    import torch

    if previous is None:
        return None
    if isinstance(previous, np.ndarray):
        return torch.from_numpy(previous)
    logits = torch.from_numpy(previous.logits)
    return logits if previous.frame == frame else reproject(logits, previous.frame, frame)


def _points(points: Any) -> tuple[Point, ...]:
    array = _numbers("points", [] if points is None else points)
    if array.size == 0:
        return ()
    if array.ndim != 2 or array.shape[1] != 2:
        raise PromptError(f"points: expected pairs [(x, y), ...], got an array of shape {array.shape}")
    return tuple((float(x), float(y)) for x, y in array)


def _labels(labels: Any, count: int) -> tuple[int, ...]:
    if labels is None:
        return (1,) * count
    array = _numbers("labels", labels)
    if array.ndim != 1 or len(array) != count:
        raise PromptError(f"labels: expected one for each of {count} points, got shape {array.shape}")
    for number, label in enumerate(array):
        if label not in (0, 1):
            raise PromptError(f"labels[{number}]: expected 1 (foreground) or 0 (background), got {label:g}")
    return tuple(int(label) for label in array)


def _box(box: Any) -> Box | None:
    if box is None:
        return None
    array = _numbers("box", box)
    if array.shape != (4,):
        raise PromptError(f"box: expected one (x0, y0, x1, y1), got shape {array.shape}; one prompt is one object")
    x0, y0, x1, y1 = (float(side) for side in array)
    if x1 <= x0 or y1 <= y0:
        raise PromptError(f"box: expected x0 < x1 and y0 < y1, got ({x0:g}, {y0:g}, {x1:g}, {y1:g})")
    return x0, y0, x1, y1


def _is_mask(previous: object) -> bool:
    from .masks import BaseMask  # masks know prompts: not the other way round at import

    return isinstance(previous, BaseMask)


def _numbers(field: str, value: Any) -> np.ndarray:
    try:
        given = np.asarray(value)
        if given.dtype.kind not in "biufO":  # numpy would read numbers out of text, and drop imaginary parts
            raise TypeError(given.dtype)
        array = given.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise PromptError(f"{field}: expected numbers, got {value!r}") from error
    if not np.isfinite(array).all():
        raise PromptError(f"{field}: expected finite numbers, got {value!r}")
    return array


def _low_res(logits: np.ndarray) -> np.ndarray:
    if logits.shape == (1, LOW_RES, LOW_RES):
        logits = logits[0]
    if logits.shape != (LOW_RES, LOW_RES) or logits.dtype.kind != "f":
        raise PromptError(
            f"previous: expected (256, 256) float32 low-res logits, got {logits.dtype} {logits.shape}; "
            "masks of pixels are not logits: pass the Mask or its .logits"
        )
    with np.errstate(over="ignore"):
        own = np.array(logits, np.float32, order="C")  # a copy: the caller's array may change, or be read-only
    if not np.isfinite(own).all():
        raise PromptError("previous: expected finite logits")
    return own


def _check_point(field: str, point: Point, frame: Frame) -> None:
    x, y = point
    if not (0 <= x < frame.width and 0 <= y < frame.height):
        raise PromptError(f"{field}: ({x:g}, {y:g}) lies outside the {frame.width} x {frame.height} image")
    x0, y0, x1, y1 = frame.window
    if not (x0 <= x < x1 and y0 <= y < y1):
        raise PromptError(f"{field}: ({x:g}, {y:g}) lies outside the window {frame.window}; ask the whole image")


def _check_box(box: Box, frame: Frame) -> None:
    x0, y0, x1, y1 = box
    if x0 < 0 or y0 < 0 or x1 > frame.width or y1 > frame.height:
        raise PromptError(f"box: {_plain(box)} reaches outside the {frame.width} x {frame.height} image")
    left, top, right, bottom = frame.window
    if x0 < left or y0 < top or x1 > right or y1 > bottom:
        raise PromptError(f"box: {_plain(box)} reaches outside the window {frame.window}; ask the whole image")


def _plain(box: Box) -> str:
    return "(" + ", ".join(f"{side:g}" for side in box) + ")"


def window_box(box: Any, width: int, height: int) -> tuple[int, int, int, int]:
    """A window's box as whole pixels: grown to the next pixel outwards.

    Raises:
        PromptError: no box, one that reaches outside the image, or one so thin that nothing of it would be left.
    """
    checked = _box(box)
    if checked is None:
        raise PromptError("box: expected (x0, y0, x1, y1), got None")
    _check_box(checked, Frame.whole(width, height))
    x0, y0, x1, y1 = checked
    window = math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1)
    if min(Frame(width, height, window).scaled_size) < 1:
        raise PromptError(f"box: {_plain(checked)} is too thin for a window: its short side would vanish when scaled")
    return window
