"""An image on a server, as `Client.open` gives it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Unpack

import numpy as np

from ..everything.options import Options
from ..masks import BaseMask
from ..prompts import Box, Point, Prompt
from ..thing import Thing
from .far_image import FarImage
from .found import LONGEST, OnProgress, RemoteFound
from .image_view import ImageView
from .masks import RemoteMask
from .transport import run


class RemoteImage(ImageView[RemoteMask]):
    """An image that a server has encoded (or a window of one): what `OpenImage` is in process.

    Calls change nothing, so threads may share it. Made by `Client.open`; a context manager.
    """

    def __init__(self, far: FarImage[RemoteMask]) -> None:
        super().__init__(far._questions)
        self._far = far

    def click(self, x: float, y: float) -> RemoteMask:
        """The best mask for one foreground point (image frame). Raises PromptError for a point outside."""
        return run(self._far.click(x, y))

    def segment(
        self,
        points: Sequence[Point] | np.ndarray = (),
        labels: Sequence[int] | np.ndarray | None = None,
        box: Box | Sequence[float] | np.ndarray | None = None,
        previous: BaseMask | np.ndarray | None = None,
    ) -> RemoteMask:
        """The mask of one object; the arguments are those of `Prompt`.

        One point alone gives the best of three candidates by predicted IoU, anything more the single mask.

        Raises:
            PromptError: the prompt makes no sense on this image. ClosedError: the image was closed. ServiceError: the
                server did not answer.
        """
        return run(self._far.segment(points, labels, box, previous))

    def candidates(
        self,
        points: Sequence[Point] | np.ndarray = (),
        labels: Sequence[int] | np.ndarray | None = None,
        box: Box | Sequence[float] | np.ndarray | None = None,
    ) -> list[RemoteMask]:
        """The decoder's three masks for a prompt, best predicted IoU first; `index` is the decoder's order."""
        return run(self._far.candidates(points, labels, box))

    def segment_many(self, prompts: Iterable[Prompt]) -> list[RemoteMask]:
        """One mask for each prompt, in their order; prompts may differ in everything."""
        return run(self._far.segment_many(prompts))

    def everything(
        self, *, progress: OnProgress | None = None, timeout: float = LONGEST, **options: Unpack[Options]
    ) -> RemoteFound[RemoteMask]:
        """All objects of the image (of the encoded window), the largest first; see `OpenImage.everything`.

        A `progress` that raises closes the connection, and the server stops.

        Args:
            progress: called with (points asked, points in all).
            timeout: seconds it may take, repeats included; then what was found is given, and `is_complete` is False.
                The server may allow less.
            options: those of `everything.options.Search` and `Choice` but max_memory: points_per_side=32,
                pred_iou_thresh=0.88, stability_score_thresh=0.95, tiles="auto", dedup="mask", min_area=100, ...

        Raises:
            SettingsError: an option makes no sense; the message names it. ClosedError: the image was closed.
            ServiceError: the server did not answer.
        """
        return run(self._far.everything(progress=progress, timeout=timeout, **options))

    def start(self) -> Thing[RemoteMask]:
        """An empty object to click on: each click refines the mask of the one before."""
        self._questions.check_open()
        return Thing(self)

    def window(self, box: Box | Sequence[float] | np.ndarray) -> RemoteImage:
        """This image with only the part in `box` encoded, at full resolution: for small things.

        Prompts and masks stay in the whole image's frame. Raises PromptError for a box outside the image.
        """
        return RemoteImage(run(self._far.window(box)))

    def close(self) -> None:
        """Tell the server to forget the image, if it can be told; masks keep working, but for cut-outs and overlays."""
        run(self._far.close())

    def __enter__(self) -> RemoteImage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
