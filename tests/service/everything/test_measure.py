"""The ruler beside scaling the logits up and looking at every pixel, as segment_anything does."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from segment_anything.utils.amg import calculate_stability_score
from torch import Tensor
from torch.nn import functional as F

from clickmask import Segmenter
from clickmask.models.crew import crew
from clickmask.models.frame import Frame, upsample
from clickmask.models.point_decoder import PointDecoder
from clickmask.service.everything import measure
from clickmask.service.everything.device_ruler import measure_together
from clickmask.service.everything.grids import point_grid
from clickmask.service.everything.measure import Ruler
from clickmask.service.everything.runs import Runs

NEAR = 1e-4  # logits: how near to a threshold a pixel must be for the two ways to differ on it
FRAMES = {
    "one pixel": Frame.whole(1, 1),
    "three pixels": Frame.whole(3, 3),
    "one row": Frame.whole(700, 1),
    "one column": Frame.whole(1, 333),
    "small, enlarged": Frame.whole(77, 53),
    "portrait": Frame.whole(341, 512),
    "odd": Frame.whole(1023, 171),
    "as the model sees it": Frame.whole(1024, 240),
    "reduced by the model": Frame.whole(1301, 403),
    "window": Frame(900, 700, (101, 53, 498, 660)),
    "window at the corner": Frame(640, 480, (600, 400, 640, 480)),
    "narrow window": Frame(640, 480, (7, 0, 8, 480)),
}
CASES = pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)


def _logits(seed: int) -> Tensor:
    """(6, 256, 256): smooth blobs, coarse and fine, noise, two flat ones, and one that is high at one place alone."""
    draw = torch.Generator().manual_seed(seed)
    coarse = [6 * torch.randn(1, 1, cells, cells, generator=draw) for cells in (3, 12)]
    smooth = [F.interpolate(one, (256, 256), mode="bicubic")[0, 0] for one in coarse]
    spot = torch.full((256, 256), -9.0)
    spot[3, 4] = 30.0
    noise = 3 * torch.randn(256, 256, generator=draw)
    return torch.stack([*smooth, noise, torch.full((256, 256), 5.0), torch.full((256, 256), -5.0), spot])


def _placed(full: Tensor, frame: Frame) -> np.ndarray:
    x0, y0, x1, y1 = frame.window
    whole = np.zeros((frame.height, frame.width), bool)
    whole[y0:y1, x0:x1] = full.numpy()
    return whole


def _check(runs: Runs, stability: float, low_res: Tensor, frame: Frame, offset: float, threshold: float) -> None:
    full = upsample(low_res[None], frame)[0]
    assert (runs.width, runs.height) == (frame.width, frame.height)
    differs = runs.pixels() != _placed(full > threshold, frame)
    assert not (differs & ~_placed((full - threshold).abs() < NEAR, frame)).any()
    theirs = float(calculate_stability_score(full[None], threshold, offset)[0])
    outer = int((full > threshold - offset).sum())
    unsure = int((((full - threshold).abs() - offset).abs() < NEAR).sum())
    if outer > unsure:
        assert stability == pytest.approx(theirs, abs=1e-6 + unsure / (outer - unsure))
    elif not outer and not unsure:
        assert np.isnan(stability) and np.isnan(theirs)


@CASES
@pytest.mark.parametrize(("offset", "threshold"), [(1.0, 0.0), (0.0, 0.0), (2.5, -0.7)])
def test_masks_and_stability_are_those_of_scaled_up_logits(frame: Frame, offset: float, threshold: float) -> None:
    ruler, logits = Ruler(frame, offset, threshold), _logits(1)
    for measured, low_res in zip(crew().map(ruler.measure, logits), logits, strict=True):
        _check(measured.runs, measured.stability, low_res, frame, offset, threshold)


def test_masks_that_are_measured_block_by_block_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, logits = FRAMES["window"], _logits(3)
    ruler = Ruler(frame, 1.0)
    expected = crew().map(ruler.measure, logits)
    for block in (1, 607, 5000):
        monkeypatch.setattr(measure, "BLOCK", block)
        for one, other in zip(crew().map(ruler.measure, logits), expected, strict=True):
            assert (one.runs.starts.tolist(), one.runs.ends.tolist()) == (
                other.runs.starts.tolist(), other.runs.ends.tolist(),
            )  # fmt: skip
            assert one.stability == other.stability or np.isnan(one.stability) and np.isnan(other.stability)


@CASES
def test_measuring_on_a_gpu_gives_the_same(frame: Frame) -> None:
    """Its way, on a CPU."""
    logits = _logits(2)
    for runs, stability, low_res in zip(*measure_together(logits, frame, 1.0, 0.0), logits, strict=True):
        _check(runs, stability, low_res, frame, 1.0, 0.0)


def test_measuring_nothing_gives_nothing() -> None:
    frame = Frame.whole(50, 40)
    assert Ruler(frame, 1.0).measure_all(torch.zeros(0, 256, 256)) == []
    assert measure_together(torch.zeros(0, 256, 256), frame, 1.0, 0.0) == ([], [])


def test_what_the_padding_holds_is_no_part_of_a_mask() -> None:
    frame, logits = Frame.whole(1000, 500), torch.full((256, 256), -5.0)
    logits[140:] = 20.0
    measured = Ruler(frame, 1.0).measure(logits)
    assert measured.runs.area == 0 and np.isnan(measured.stability)


def test_a_screen_that_asks_for_nothing_passes_everything() -> None:
    logits = _logits(1)
    ruler = Ruler(Frame.whole(30, 20), 1.0)
    assert ruler.passes_screen(logits, 0.0).all()
    assert ruler.passes_screen(logits, 0.95).tolist()[3:5] == [True, False]


def _all(scores: Tensor) -> Tensor:
    return torch.ones_like(scores, dtype=torch.bool)


def _never_drops(
    segmenter: Segmenter, path: Path, width: int, per_side: int, offsets: tuple[float, ...] = (1.0,)
) -> int:
    """Asserts it of one photo at one width; how many candidates the screen dropped."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    size = (width, max(1, round(width * pixels.shape[0] / pixels.shape[1])))
    image = segmenter.open(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    decoder = PointDecoder(segmenter._network.sam, image._open_tokens())
    points = image.frame.to_model(torch.from_numpy(point_grid(per_side) * size))
    answers = crew().map(decoder.decode, points.split(2), [_all] * -(-len(points) // 2))
    logits = torch.cat([one.logits for one in answers])
    dropped = 0
    for offset in offsets:
        ruler = Ruler(image.frame, offset)
        stabilities = np.array([one.stability for one in crew().map(ruler.measure, logits)])
        for floor in (0.5, 0.8, 0.95, 0.99):
            passes = ruler.passes_screen(logits, floor).numpy()
            assert not (~passes & (stabilities >= floor)).any()
            dropped += int((~passes).sum())
    return dropped


@pytest.mark.parametrize(("number", "width"), [(0, 500), (3, 300), (6, 90)])
def test_the_screen_drops_nothing_that_passes_in_full(
    segmenter: Segmenter, photos: list[Path], number: int, width: int
) -> None:
    assert _never_drops(segmenter, photos[number], width, 4) > 0


@pytest.mark.soak
def test_the_screen_drops_nothing_that_passes_in_full_on_any_photo(segmenter: Segmenter, photos: list[Path]) -> None:
    for path in photos:
        for width in (40, 90, 300, 683, 1024, 2200):
            assert _never_drops(segmenter, path, width, 10, (0.5, 1.0, 2.0)) > 0
