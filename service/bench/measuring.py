"""Measures: contestants take turns, round after round, so that a busy minute hits all alike."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from ...models.frame import Frame
from ..images import read_picture
from ..open_image import OpenImage
from ..prompts import Prompt
from ..segmenter import Segmenter
from .figures import OURS, Figure
from .memory import Peak, run
from .peers import Peer

PHOTO = Path(__file__).resolve().parents[2] / "ui" / "static" / "examples" / "dogs.jpg"
SIZES = ((768, 512), (2000, 1500), (4000, 3000))  # (width, height) of the photos that are opened
MIDDLE = SIZES[1]
STARTS = 3  # processes that are started
BOXES = 64
GRID = 32  # points along a side, of everything
MOST_SEARCHES = 3
BATCH = 8  # photos that a GPU encodes together


@dataclass(frozen=True)
class Wishes:
    """How to measure. rounds: of each thing. photo: what is opened, at several sizes. arguments: for `clickmask
    segment`, that name model and device."""

    rounds: int
    photo: Path
    arguments: Sequence[str]


def starts(wishes: Wishes, group: str) -> Iterator[Figure]:
    """A process from its start to the mask of a click, in a file; and the most memory that it took."""
    width, height = read_picture(wishes.photo).size
    seconds, peaks = list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        words = ["--point", f"{width // 2},{height // 2}", "-q", "-o", f"{folder}/mask.png", *wishes.arguments]
        line = [sys.executable, "-m", "clickmask", "segment", str(wishes.photo), *words]
        for _ in range(STARTS):
            time_taken, peak = run(line)
            seconds.append(time_taken)
            peaks += [] if peak is None else [peak]
    yield Figure(group, "process start to a mask", "s", tuple(seconds))
    if peaks:
        yield Figure(group, "memory of that, at most", "MB", tuple(peaks))


def uses(
    segmenter: Segmenter, load: float, memory: Peak, wishes: Wishes, group: str, peer: Peer | None
) -> Iterator[Figure]:
    """What a model does with photos. load: seconds that it took to make the segmenter. memory: from before that."""
    yield Figure(group, "load the model", "s", (load,))
    photos = {size: resized(wishes.photo, size) for size in SIZES}
    yield from _opening(segmenter, photos, wishes, group, peer)
    if segmenter.provenance["device"] != "cpu":
        yield from _together(segmenter, photos[SIZES[0]], wishes, group)
    image = segmenter.open(photos[MIDDLE])
    yield from _clicking(image, wishes, group, peer)
    if not segmenter._checkpoint.architecture.is_hq:  # which does not search
        search = segmenter.open(photos[SIZES[0]])
        rounds = min(wishes.rounds, MOST_SEARCHES)
        name = f"everything, {megapixels(SIZES[0])}"
        yield from figures(group, {name: lambda: search.everything(points_per_side=GRID)}, rounds, warmup=0)
    whose = "memory of all this, at most" if peer is None else "memory of both, at most"
    most = memory.read()
    if most is not None:
        yield Figure(group, whose, "MB", (most,))


def _opening(
    segmenter: Segmenter, photos: Mapping[tuple[int, int], np.ndarray], wishes: Wishes, group: str, peer: Peer | None
) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        for size, pixels in photos.items():
            path = Path(folder) / f"{size[0]}.jpg"
            cv2.imwrite(str(path), pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
            yield from figures(group, {f"open a JPEG, {megapixels(size)}": _opens(segmenter, path)}, wishes.rounds)
            name = f"encode, {megapixels(size)}"
            theirs = {} if peer is None else {peer.name: _sets(peer, pixels)}
            yield from figures(group, {name: _opens(segmenter, pixels)}, wishes.rounds, theirs)


def _together(segmenter: Segmenter, pixels: np.ndarray, wishes: Wishes, group: str) -> Iterator[Figure]:
    """A GPU's rate, several photos at a time."""
    frame = Frame.whole(*SIZES[0])
    each = [(read_picture(np.roll(pixels, 9 * n, axis=1)), frame) for n in range(BATCH)]
    (figure,) = figures(group, {"": lambda: segmenter.open_together(each)}, wishes.rounds)
    rates = tuple(BATCH / seconds for seconds in figure.values)
    yield Figure(group, f"encode {BATCH} together, {megapixels(SIZES[0])}", "1/s", rates)


def _clicking(image: OpenImage, wishes: Wishes, group: str, peer: Peer | None) -> Iterator[Figure]:
    width, height = image.size
    point = (width * 0.4, height * 0.4)
    begun = time.perf_counter()
    _done(image.click(*point).pixels)
    yield Figure(group, "first click", "s", (time.perf_counter() - begun,))
    plain = image.refined("off")
    spread = np.linspace(0.05, 0.75, 8)
    corners = [(x * width, y * height) for y in spread for x in spread]
    boxes = [Prompt(box=(x, y, x + width / 5, y + height / 5)) for x, y in corners][:BOXES]
    theirs = {} if peer is None else {peer.name: lambda: peer.predict(point)}
    rounds = 3 * wishes.rounds
    yield from figures(group, {"click, plain": lambda: plain.click(*point).pixels}, rounds, theirs)
    yield from figures(group, {"click, with edges": lambda: image.click(*point).pixels}, rounds)
    several = {f"{BOXES} boxes, plain": lambda: [mask.pixels for mask in plain.segment_many(boxes)]}
    yield from figures(group, several, wishes.rounds)


def figures(
    group: str,
    ours: Mapping[str, Callable[[], object]],
    rounds: int,
    theirs: Mapping[str, Callable[[], object]] | None = None,
    *,
    warmup: int = 1,
) -> Iterator[Figure]:
    """The seconds of one thing of ours by its name, and of peers by theirs: A B A B."""
    ((name, own),) = ours.items()
    runs = {OURS: own, **(theirs or {})}
    seconds: dict[str, list[float]] = {who: [] for who in runs}
    for number in range(warmup + rounds):
        for who, call in runs.items():
            begun = time.perf_counter()
            _done(call())
            if number >= warmup:
                seconds[who].append(time.perf_counter() - begun)
    for who, values in seconds.items():
        yield Figure(group, name, "s", tuple(values), who)


def megapixels(size: tuple[int, int]) -> str:
    """768 x 512 -> "0.4 MP"."""
    millions = size[0] * size[1] / 1e6
    return f"{millions:.1f} MP" if millions < 1 else f"{millions:.0f} MP"


def resized(photo: Path, size: tuple[int, int]) -> np.ndarray:
    """(height, width, 3) uint8 RGB of a photo. Raises ImageError."""
    return cv2.resize(read_picture(photo).pixels, size, interpolation=cv2.INTER_CUBIC)


def _opens(segmenter: Segmenter, photo: Path | np.ndarray) -> Callable[[], object]:
    return lambda: segmenter.open(photo)


def _sets(peer: Peer, pixels: np.ndarray) -> Callable[[], object]:
    return lambda: peer.set_image(pixels)


def _done(value: object) -> object:
    """A value that is really there: a GPU answers before it has computed."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()
    return value
