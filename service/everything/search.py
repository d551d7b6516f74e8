"""The search itself: crop by crop, a few points at a time; what is found so far can be taken at any moment."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ...models.crew import crew
from ...models.errors import SettingsError, WeightsError
from ...models.frame import GRID, LOW_RES, Frame
from ...models.point_decoder import Answers, PointDecoder
from ...models.sam import Sam
from .grids import Crop, Window
from .measure import Ruler
from .options import Search
from .runs import Runs

CPU_CHUNK, GPU_CHUNK = 2, 128  # points at a time; on a CPU for each thread, and the last bits depend on it
EDGE = 20  # pixels; a mask whose box ends so near to the edge of its crop may be cut off there
SMALL = 64.0  # coarse cells: a find up to this large covers the finer points in it, in an adaptive search


@dataclass(frozen=True, eq=False)
class Candidate:
    """A mask that was found.

    point: (x, y), image frame. number: its place in the decoder's answer, 0 to 2. crop: number of its crop.
    is_cut: whether it may go on beyond its crop.
    """

    runs: Runs
    score: float
    stability: float
    point: tuple[float, float]
    number: int
    crop: int
    is_cut: bool


@dataclass(frozen=True)
class Progress:
    """How far a search is: points asked, and points in all (in an adaptive search at most)."""

    done: int
    total: int


@dataclass(eq=False)
class Finds:
    """What was found so far; `is_complete` once everything was looked at. Grows while the search goes on.

    size: (width, height) of the image. window: the part of it that is searched.
    """

    size: tuple[int, int]
    window: Window
    crops: list[Crop]
    candidates: list[Candidate] = field(default_factory=list)
    points: int = 0
    is_complete: bool = False


class Looking:
    """One search of one image.

    Args:
        sam: the network. encode: (4096, 256) image tokens for a frame; called once for each crop, in order.
        whole: the image and the window of it that is searched. threshold: of mask logits.
        keeps_cut: keep what the edge of a tile cuts, to be joined; else it is left out, as segment_anything does.
    """

    def __init__(
        self,
        sam: Sam,
        encode: Callable[[Frame], Tensor],
        whole: Frame,
        search: Search,
        *,
        threshold: float = 0.0,
        keeps_cut: bool = False,
    ) -> None:
        self._sam, self._encode, self._search = sam, encode, search
        self._threshold, self._keeps_cut = threshold, keeps_cut
        crops = [crop.shifted(*whole.window[:2]) for crop in search.plan(whole.window_size)]
        self.finds = Finds((whole.width, whole.height), whole.window, crops)
        self._chunk, self._together = _shares(sam, search.max_memory, self._most_copied())
        self._stored = 0  # bytes of run lengths

    def steps(self) -> Iterator[Progress]:
        """Do a little, and say how far it is, until all is done. A step on a CPU is a few points for each thread."""
        total = sum(len(crop.grid) for crop in self.finds.crops)
        yield Progress(0, total)
        for number, crop in enumerate(self.finds.crops):
            if not len(crop.grid):
                continue
            frame = Frame(*self.finds.size, crop.window)
            decoder = PointDecoder(self._sam, self._encode(frame), may_record=self._search.max_memory is None)
            ruler = Ruler(frame, self._search.stability_score_offset, self._threshold)
            yield Progress(self.finds.points, total)
            for points in self._portions(number, crop):
                found = self._look(decoder, ruler, number, points)
                self.finds.candidates += found
                self._stored += sum(candidate.runs.nbytes for candidate in found)
                self.finds.points += len(points)
                self._check_memory()
                yield Progress(self.finds.points, total)
        self.finds.is_complete = True

    def _most_copied(self) -> int:
        """Bytes of the largest part of the photo that is copied to be encoded."""
        windows = [crop.window for crop in self.finds.crops if crop.window != self.finds.window]
        return max((3 * (x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in windows), default=0)

    def _portions(self, number: int, crop: Crop) -> Iterator[np.ndarray]:
        """The crop's points, as many at a time as one step takes."""
        side, points = self._search.coarse_side(crop), crop.points
        if side:
            is_first = _every_second(len(points))
            yield from self._in_steps(points[is_first])
            points = points[~is_first]
            points = points[~self._covered(number, crop, points, side)]
        yield from self._in_steps(points)

    def _in_steps(self, points: np.ndarray) -> Iterator[np.ndarray]:
        step = self._chunk * self._together
        return (points[first : first + step] for first in range(0, len(points), step))

    def _covered(self, number: int, crop: Crop, points: np.ndarray, side: int) -> np.ndarray:
        """(N,) bool: which points lie in something small that `side` points a side found in the crop."""
        x0, y0, x1, y1 = crop.window
        most = SMALL * (x1 - x0) * (y1 - y0) / side**2
        small = [c.runs for c in self.finds.candidates if c.crop == number and 0 < c.runs.area <= most]
        if not small:
            return np.zeros(len(points), bool)
        column, row = np.floor(points).astype(np.int64).T
        places = np.minimum(column, x1 - 1) * self.finds.size[1] + np.minimum(row, y1 - 1)
        return Runs.union(small).has(places)

    def _look(self, decoder: PointDecoder, ruler: Ruler, crop: int, points: np.ndarray) -> list[Candidate]:
        """What points give. When a device's memory runs out, with half as many at a time from then on."""
        while True:
            try:
                return self._try(decoder, ruler, crop, points)
            except torch.OutOfMemoryError:
                if self._chunk == 1:
                    raise
            self._chunk //= 2  # out here, where the exception and what its frames held are gone
            self._sam.give_back_memory()

    def _try(self, decoder: PointDecoder, ruler: Ruler, crop: int, points: np.ndarray) -> list[Candidate]:
        chunks = [points[first : first + self._chunk] for first in range(0, len(points), self._chunk)]

        def work(chunk: np.ndarray) -> list[Candidate]:
            return self._candidates(decoder, ruler, crop, chunk)

        found = crew().map(work, chunks) if self._sam.device.type == "cpu" else [work(chunk) for chunk in chunks]
        return [candidate for some in found for candidate in some]

    def _candidates(self, decoder: PointDecoder, ruler: Ruler, crop: int, points: np.ndarray) -> list[Candidate]:
        floor, frame = self._search.floor_score, ruler.frame
        answers = decoder.decode(frame.to_model(torch.from_numpy(points)), lambda scores: _above(scores, floor))
        if not answers.scores.isfinite().all():
            raise WeightsError("the model answers with no numbers (NaN): its weights are unusable")
        kept = _above(answers.scores[answers.point, answers.candidate], floor)
        kept = (kept & ruler.passes_screen(answers.logits, self._search.floor_stability)).nonzero()[:, 0]
        return self._measured(_only(answers, kept), ruler, crop, points)

    def _measured(self, answers: Answers, ruler: Ruler, crop: int, points: np.ndarray) -> list[Candidate]:
        floor, candidates = self._search.floor_stability, list[Candidate]()
        scores = answers.scores[answers.point, answers.candidate].tolist()
        rows = zip(ruler.measure_all(answers.logits), scores, answers.point, answers.candidate, strict=True)
        for mask, score, point, number in rows:
            if floor > 0 and not mask.stability >= floor:
                continue
            is_cut = _is_cut(mask.runs, ruler.frame.window, self.finds.window)
            if not is_cut or self._keeps_cut:
                place = float(points[int(point), 0]), float(points[int(point), 1])
                candidates.append(Candidate(mask.runs, score, mask.stability, place, int(number), crop, is_cut))
        return candidates

    def _check_memory(self) -> None:
        limit = self._search.max_memory
        if limit is not None and self._stored > limit // 2:
            raise SettingsError(
                f"max_memory={limit}: the {len(self.finds.candidates)} masks found so far need more than half of it; "
                "allow more, ask fewer points, or raise the floors"
            )


def inclusive_box(runs: Runs) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) with x1 and y1 the last column and row, as segment_anything has boxes here; zeros for none."""
    x0, y0, x1, y1 = runs.box or (0, 0, 1, 1)
    return x0, y0, x1 - 1, y1 - 1


def _every_second(count: int) -> np.ndarray:
    """(count,) bool: of a square grid's points every second in every second row."""
    side = math.isqrt(count)
    chosen = np.zeros((side, side), bool)
    chosen[::2, ::2] = True
    return chosen.ravel()


def _is_cut(runs: Runs, crop: Window, whole: Window) -> bool:
    """Whether a mask's box ends near an edge of its crop that is none of the whole."""
    edges = zip(inclusive_box(runs), crop, whole, strict=True)
    return any(abs(side - edge) <= EDGE < abs(side - outer) for side, edge, outer in edges)


def _above(scores: Tensor, floor: float) -> Tensor:
    return scores > floor if floor > 0 else torch.ones_like(scores, dtype=torch.bool)


def _only(answers: Answers, kept: Tensor) -> Answers:
    return Answers(answers.scores, answers.point[kept], answers.candidate[kept], answers.logits[kept])


def _shares(sam: Sam, max_memory: int | None, copied: int) -> tuple[int, int]:
    """(points at a time, how many times that side by side) within half of the memory; the finds have the other."""
    is_cpu = sam.device.type == "cpu"
    chunk, together = (CPU_CHUNK, crew().size) if is_cpu else (GPU_CHUNK, 1)
    if max_memory is None:
        return chunk, together
    shared = 6 * GRID * GRID * 256 * sam.dtype.itemsize + copied
    point = (4 * GRID * GRID * 256 + 3 * LOW_RES * LOW_RES * 32) * sam.dtype.itemsize + 12 * LOW_RES * LOW_RES
    affordable = (max_memory // 2 - shared) // point
    if affordable < chunk and is_cpu or affordable < 1:
        least = 2 * (shared + (chunk if is_cpu else 1) * point)
        raise SettingsError(f"max_memory={max_memory}: at least {least} bytes are needed")
    return (chunk, min(together, affordable // chunk)) if is_cpu else (min(chunk, affordable), 1)
