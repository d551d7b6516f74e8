"""All that was found above some floors, to choose from again and again without running the model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
import torch

from ...models.errors import SettingsError
from ...models.frame import Frame
from ..masks import PhotoSource
from ..prompts import Prompt
from .choosing import Chosen, choose
from .found import Found, FoundMask, label_map
from .options import Choice, ChoiceOptions, Search, build
from .runs import Runs
from .search import Finds, Looking, Progress

OnProgress = Callable[[int, int], object]


@dataclass(frozen=True, eq=False)
class Proposals:
    """What a search found: every mask above its floors. Made by `OpenImage.proposals`.

    is_complete: whether everything was looked at, or the search was cancelled.
    """

    search: Search
    finds: Finds
    provenance: Mapping[str, Any]
    source: PhotoSource
    ask_again: Callable[[Frame, Prompt, int], np.ndarray]
    peak_memory: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether everything was looked at."""
        return self.finds.is_complete

    def __len__(self) -> int:
        return len(self.finds.candidates)

    def filter(self, **options: Unpack[ChoiceOptions]) -> Found:
        """The masks that `Choice`, made of these options, leaves; the model is not run.

        Raises:
            SettingsError: an option makes no sense, or a threshold is below the floor of the search.
        """
        return self.choose(build(Choice, options))

    def choose(self, choice: Choice) -> Found:
        """The same for a `Choice` that was made already."""
        self._check_floors(choice)
        chosen = [one for one in choose(self.finds.candidates, self.finds.crops, choice) if one.runs.area]
        masks = [self._mask(one) for one in chosen]
        found = self._found(masks)
        return found if choice.order is None else self._found(_apart(found, choice.order, choice.min_area))

    def _check_floors(self, choice: Choice) -> None:
        asked = (choice.pred_iou_thresh, choice.stability_score_thresh)
        floors = (self.search.floor_score, self.search.floor_stability)
        names = ("pred_iou_thresh", "stability_score_thresh"), ("floor_score", "floor_stability")
        for value, floor, name, floor_name in zip(asked, floors, *names, strict=True):
            if value < floor:
                raise SettingsError(
                    f"{name}={value} is below what was kept ({floor_name}={floor}): search again with a lower "
                    f"{floor_name}, which takes longer"
                )

    def _found(self, masks: list[FoundMask]) -> Found:
        finds = self.finds
        return Found(
            masks,
            finds.size,
            is_complete=finds.is_complete,
            points=finds.points,
            peak_memory=self.peak_memory,
        )

    def _mask(self, one: Chosen) -> FoundMask:
        candidate, prompt = one.candidate, Prompt(points=[_inside(one.candidate.point, self.finds.size)])
        frame = Frame(*self.finds.size, self.finds.crops[candidate.crop].window)
        stability = 0.0 if np.isnan(candidate.stability) else candidate.stability
        return FoundMask(
            runs=one.runs,
            score=candidate.score,
            stability=stability,
            index=candidate.number,
            frame=frame,
            prompt=prompt,
            provenance=self.provenance,
            source=self.source,
            ask_again=self.ask_again,
        )


def _inside(point: tuple[float, float], size: tuple[int, int]) -> tuple[float, float]:
    """A grid's point may lie on the image's far edge, a prompt's may not."""
    x, y = (min(place, float(np.nextafter(side, 0))) for place, side in zip(point, size, strict=True))
    return x, y


def run(looking: Looking, on_progress: OnProgress | None, is_cancelled: Callable[[], bool]) -> None:
    """Take a search to its end, or to where it is cancelled."""
    for progress in looking.steps():
        tell(on_progress, progress)
        if is_cancelled():
            break


def tell(on_progress: OnProgress | None, progress: Progress) -> None:
    """Call a callback with (points done, points in all)."""
    if on_progress is not None:
        on_progress(progress.done, progress.total)


def never() -> bool:
    """No, it is not cancelled."""
    return False


def _apart(found: Found, order: str, least: int) -> list[FoundMask]:
    """The masks with each pixel in one of them alone; those of which nothing is left (or too little) go."""
    labels = label_map([mask.runs for mask in found], [mask.score for mask in found], found.size, order)
    masks = []
    for number, mask in enumerate(found):
        box = mask.runs.box
        if box is None:
            continue
        x0, y0, x1, y1 = box
        runs = Runs.of(labels[y0:y1, x0:x1] == number + 1, (x0, y0), found.size)
        if runs.area >= max(1, least):
            masks.append(replace(mask, runs=runs))
    return masks


class Peak:
    """The most memory that was taken, from when this is made.

    graphs: whether CUDA graphs run, whose working memory is reserved, not allocated.
    """

    def __init__(self, device: torch.device, *, graphs: bool = False) -> None:
        self._device, self._graphs = device, graphs
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def read(self) -> int | None:
        """Bytes; see `Found`."""
        if self._device.type == "cuda":
            most = torch.cuda.max_memory_reserved if self._graphs else torch.cuda.max_memory_allocated
            return most(self._device)
        if sys.platform == "win32":
            return None
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
