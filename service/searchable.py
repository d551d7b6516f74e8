"""What an open image can be asked without a prompt: all its objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from torch import Tensor

from ..models.frame import Frame
from .everything.found import Found
from .everything.options import Choice, Options, Search, SearchOptions, build, split
from .everything.proposals import OnProgress, Peak, Proposals, never, run
from .everything.search import Finds, Looking
from .family import check_family
from .network import Network
from .prompts import Prompt

if TYPE_CHECKING:
    from .masks import Mask, PhotoSource
    from .open_image import OpenImage


class Searchable:
    """The half of `OpenImage` that searches."""

    _network: Network
    _source: PhotoSource
    _frame: Frame

    def _open_tokens(self) -> Tensor:
        raise NotImplementedError

    def _decode(self, prompts: Sequence[Prompt], *, multimask: bool) -> list[list[Mask]]:
        raise NotImplementedError

    def window(self, box: Any) -> OpenImage:
        """As of `OpenImage`."""
        raise NotImplementedError

    def refined(self, how: str) -> OpenImage:
        """As of `OpenImage`."""
        raise NotImplementedError

    def everything(
        self,
        *,
        progress: OnProgress | None = None,
        is_cancelled: Callable[[], bool] = never,
        **options: Unpack[Options],
    ) -> Found:
        """All objects of the image (of the encoded window), the largest first, as segment_anything selects them.

        Args:
            progress: called with (points asked, points in all).
            is_cancelled: asked every few points; once it says True, what was found so far is given.
            options: those of `everything.options.Search` and `Choice`: points_per_side=32, pred_iou_thresh=0.88,
                stability_score_thresh=0.95, tiles="auto", dedup="mask", min_area=100, ...

        Raises:
            SettingsError: an option makes no sense; the message names it. ClosedError: the image was closed.
        """
        search, choice = split(options)
        chosen = Choice(**choice)
        floors = {"floor_score": chosen.pred_iou_thresh, "floor_stability": chosen.stability_score_thresh}
        return self._propose(build(Search, {**search, **floors}), progress, is_cancelled).choose(chosen)

    def proposals(
        self,
        *,
        progress: OnProgress | None = None,
        is_cancelled: Callable[[], bool] = never,
        **options: Unpack[SearchOptions],
    ) -> Proposals:
        """All that `everything` chooses from, with scores from some floors up: thresholds can be changed afterwards.

        Args:
            progress, is_cancelled: as of `everything`.
            options: those of `everything.options.Search`; lower floors (floor_score=0.7, floor_stability=0.8) cost
                more time and memory.

        Raises:
            SettingsError: an option makes no sense; the message names it. ClosedError: the image was closed.
        """
        return self._propose(build(Search, options), progress, is_cancelled)

    def _propose(self, search: Search, progress: OnProgress | None, is_cancelled: Callable[[], bool]) -> Proposals:
        peak = Peak(self._network.sam.device, graphs=self._network.sam.graphs is not None)
        looking = self.looking(search)
        run(looking, progress, is_cancelled)
        return self.proposed(search, looking.finds, peak.read())

    def looking(self, search: Search) -> Looking:
        """A search to be taken step by step; `proposed` makes of it what `proposals` gives."""
        self._open_tokens()
        check_family("everything", self._network.provenance)
        keeps_cut = search.tile_for(self._frame.window_size) is not None
        return Looking(self._network.sam, self._encoded, self._frame, search, keeps_cut=keeps_cut)

    def proposed(self, search: Search, finds: Finds, peak_memory: int | None = None) -> Proposals:
        """What a search found, or has found so far."""
        provenance = self._network.refined("off").provenance  # these are the decoder's own
        return Proposals(search, finds, provenance, self._source, self._low_res_again, peak_memory)

    def _encoded(self, frame: Frame) -> Tensor:
        """The image tokens of a part of the image: those that are there, or new ones."""
        if frame == self._frame:
            return self._open_tokens()
        self._open_tokens()
        x0, y0, x1, y1 = frame.window
        return self._network.encode(np.ascontiguousarray(self._source.get().pixels[y0:y1, x0:x1]), frame)

    def _low_res_again(self, frame: Frame, prompt: Prompt, number: int) -> np.ndarray:
        image = (self if frame == self._frame else self.window(frame.window)).refined("off")
        return next(mask.logits for mask in image._decode([prompt], multimask=True)[0] if mask.index == number)
