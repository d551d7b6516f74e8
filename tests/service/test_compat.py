"""`SamPredictor` beside segment_anything's own, on the same weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import segment_anything
import torch
from torch import Tensor

from clickmask import ClickmaskError, PredictorArgumentError, PredictorStateError, SamPredictor, Segmenter, WeightsError
from clickmask.models import precision
from clickmask.models.recognise import Architecture, recognise
from clickmask.service.compat_models import module_of, sam_model_registry

Theirs = segment_anything.SamPredictor
Pair = tuple[Theirs, SamPredictor]

CLICK = {"point_coords": np.array([[300, 300]]), "point_labels": np.array([1])}
CLICKS = {"point_coords": np.array([[300.5, 300.0], [60.0, 900.0]]), "point_labels": np.array([1, 0])}
BOX = {"box": np.array([180, 120, 500, 700])}
MASK = {"mask_input": np.random.default_rng(3).normal(0, 6, (1, 256, 256)).astype(np.float32)}
OUTSIDE = {"point_coords": np.array([[-50.0, 2000.0]]), "point_labels": np.array([1])}
ODD_LABELS = {"point_coords": np.array([[300, 300], [90, 80], [40, 50]]), "point_labels": np.array([1, 2, -1])}

PROMPTS: dict[str, dict[str, Any]] = {
    "click": CLICK,
    "single mask": {**CLICKS, "multimask_output": False},
    "box": BOX,
    "box of two axes": {"box": np.array([[180, 120, 500, 700]])},
    "box and clicks": {**BOX, **CLICKS, "multimask_output": False},
    "mask alone": MASK,
    "mask and click": {**MASK, **CLICK, "multimask_output": False},
    "nothing": {},
    "logits": {**CLICK, "return_logits": True},
    "outside": OUTSIDE,
    "odd labels": ODD_LABELS,
    "labels without points": {"point_labels": np.array([1])},
}

POINTS = torch.tensor([[[300.0, 300.0], [90.0, 80.0]], [[100.0, 900.0], [0.0, 0.0]]])
LABELS = torch.tensor([[1, 0], [1, -1]])
BOXES = torch.tensor([[180.0, 120.0, 500.0, 700.0], [0.0, 0.0, 300.0, 400.0]])
MASKS = torch.from_numpy(MASK["mask_input"])[None].repeat(2, 1, 1, 1) * torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)

BATCHES: dict[str, tuple[Any, ...]] = {
    "boxes": (None, None, BOXES),
    "boxes of three axes": (None, None, BOXES[:, None]),
    "points": (POINTS, LABELS),
    "points of other dtypes": (POINTS.double(), LABELS.float()),
    "points and boxes": (POINTS, LABELS, BOXES),
    "masks": (None, None, None, MASKS),
    "a mask for each": (POINTS, LABELS, None, MASKS),
    "a mask for all": (POINTS, LABELS, None, MASKS[:1]),
    "masks for one": (POINTS[:1], LABELS[:1], None, MASKS),
    "no points": (torch.zeros(1, 0, 2), torch.zeros(1, 0)),
    "nothing": (None, None),
}

WRONG_BATCHES: dict[str, tuple[Any, ...]] = {
    "no boxes": (None, None, torch.zeros(0, 4)),
    "one box for two": (POINTS, LABELS, BOXES[:1]),
    "box of one axis": (None, None, BOXES[0]),
    "no labels": (POINTS, None),
    "other labels": (POINTS, LABELS[:1]),
    "points of two axes": (POINTS[0], LABELS[0]),
    "masks for three": (POINTS, LABELS, None, MASKS[[0, 0, 0]]),
    "small mask": (None, None, None, MASKS[..., :128, :128]),
}


@pytest.fixture(scope="module")
def image(photo_path: Path) -> np.ndarray:
    pixels = cv2.imread(str(photo_path), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    return pixels


@pytest.fixture(scope="module")
def sam() -> Any:
    """MobileSAM with the embedded weights; prompt encoder and mask decoder are segment_anything's."""
    return sam_model_registry["vit_t"]()


@pytest.fixture(scope="module")
def pair(sam: Any, image: np.ndarray) -> Pair:
    """Both predictors with the dogs set; never to be set anew."""
    predictors = Theirs(sam), SamPredictor(sam)
    for predictor in predictors:
        predictor.set_image(image)
    return predictors


@pytest.fixture
def tiny(tiny_sam_state: dict[str, Tensor]) -> Any:
    """A small `Sam` whose every part is segment_anything's."""
    return module_of(recognise(tiny_sam_state), tiny_sam_state)


@pytest.fixture
def tiny_pair(tiny: Any, photo: np.ndarray) -> Pair:
    predictors = Theirs(tiny), SamPredictor(tiny)
    for predictor in predictors:
        predictor.set_image(photo)
    return predictors


def _check_same(theirs: tuple[Any, ...], ours: tuple[Any, ...]) -> None:
    assert type(ours) is tuple and len(ours) == 3
    for one, other in zip(theirs, ours, strict=True):
        assert type(one) is type(other) and one.shape == other.shape and one.dtype == other.dtype
    (masks, scores, low_res), (masks2, scores2, low_res2) = (map(torch.as_tensor, each) for each in (theirs, ours))
    assert float((low_res - low_res2).abs().max()) < 1e-3
    assert float((scores - scores2).abs().max()) < 1e-4
    if masks.dtype != torch.bool:
        assert float((masks - masks2).abs().max()) < 1e-3
    for one, other in zip((masks > 0).flatten(0, -3), (masks2 > 0).flatten(0, -3), strict=True):
        assert int((one & other).sum()) >= 0.999 * int((one | other).sum())


def _outcome(call: Callable[[], object]) -> BaseException:
    with pytest.raises(Exception) as caught:  # whichever it is: both predictors are asked
        call()
    return caught.value


@pytest.mark.parametrize("name", [n for n in dir(Theirs) if not n.startswith("_") and callable(getattr(Theirs, n))])
def test_methods_take_what_the_originals_take(name: str) -> None:
    theirs, ours = (inspect.signature(getattr(one, name)).parameters.values() for one in (Theirs, SamPredictor))
    assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in theirs]


def test_the_constructor_takes_what_the_original_takes() -> None:
    assert list(inspect.signature(SamPredictor).parameters) == list(inspect.signature(Theirs).parameters)


def test_attributes_are_those_of_the_original(pair: Pair) -> None:
    theirs, ours = pair
    assert not [name for name in (*dir(theirs), *vars(theirs)) if not hasattr(ours, name)]
    for name in ("model", "original_size", "input_size", "is_image_set", "device"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert type(ours.transform) is type(theirs.transform)


def test_the_embedding_is_the_originals(pair: Pair) -> None:
    theirs, ours = (predictor.get_image_embedding() for predictor in pair)
    assert (ours.shape, ours.dtype, ours.stride()) == (theirs.shape, theirs.dtype, theirs.stride())
    assert not ours.requires_grad and not ours.is_inference()
    assert float((ours - theirs).abs().max()) < 1e-4


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_predict_answers_as_the_original(pair: Pair, prompt: dict[str, Any]) -> None:
    _check_same(pair[0].predict(**prompt), pair[1].predict(**prompt))


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
def test_predict_torch_answers_as_the_original(pair: Pair, batch: tuple[Any, ...]) -> None:
    _check_same(pair[0].predict_torch(*batch), pair[1].predict_torch(*batch))


@pytest.mark.parametrize("batch", WRONG_BATCHES.values(), ids=WRONG_BATCHES)
def test_prompts_that_do_not_fit_raise_as_the_original(pair: Pair, batch: tuple[Any, ...]) -> None:
    theirs, ours = (_outcome(partial(predictor.predict_torch, *batch)) for predictor in pair)
    assert isinstance(ours, type(theirs))
    assert isinstance(ours, ClickmaskError | AttributeError)


WRONG_CALLS: dict[str, Callable[[Any], object]] = {
    "unknown argument": lambda p: p.predict(points=np.zeros((1, 2))),
    "format": lambda p: p.set_image(np.zeros((8, 8, 3), np.uint8), image_format="HSV"),
    "no image": lambda p: p.set_image(None),
    "grey image": lambda p: p.set_image(np.zeros((8, 8), np.uint8)),
    "RGBA image": lambda p: p.set_image(np.zeros((8, 8, 4), np.uint8)),
    "long side": lambda p: p.set_torch_image(torch.zeros(1, 3, 8, 8), (8, 8)),
    "three axes": lambda p: p.set_torch_image(torch.zeros(3, 1024, 8), (8, 8)),
    "no labels": lambda p: p.predict(point_coords=np.zeros((1, 2))),
    "mask of two axes": lambda p: p.predict(mask_input=np.zeros((256, 256))),
    "points of one axis": lambda p: p.predict(point_coords=np.zeros(2), point_labels=np.ones(1)),
    "list of points": lambda p: p.predict(point_coords=[[1, 2]], point_labels=[1]),
}


@pytest.mark.parametrize("call", WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_wrong_calls_raise_as_the_original(pair: Pair, call: Callable[[Any], object]) -> None:
    theirs, ours = (_outcome(partial(call, predictor)) for predictor in pair)
    assert isinstance(ours, type(theirs))


def test_without_an_image_the_errors_are_the_originals(tiny: Any) -> None:
    predictors = Theirs(tiny), SamPredictor(tiny)
    for name, arguments in (("predict", ()), ("predict_torch", (None, None)), ("get_image_embedding", ())):
        theirs, ours = (_outcome(partial(getattr(predictor, name), *arguments)) for predictor in predictors)
        assert isinstance(ours, PredictorStateError) and isinstance(ours, type(theirs))
        assert str(ours) == str(theirs)


def test_errors_are_both_ours_and_the_originals(tiny_pair: Pair) -> None:
    with pytest.raises(PredictorArgumentError, match=r"must be in \['RGB', 'BGR'\], is HSV"):
        tiny_pair[1].set_image(np.zeros((8, 8, 3), np.uint8), "HSV")
    with pytest.raises(PredictorArgumentError, match="point_labels must be supplied"):
        tiny_pair[1].predict(np.zeros((1, 2)))
    assert issubclass(PredictorArgumentError, AssertionError) and issubclass(PredictorStateError, RuntimeError)


def test_a_plain_vit_answers_as_the_original(tiny_pair: Pair) -> None:
    assert torch.allclose(tiny_pair[0].features, tiny_pair[1].features, atol=1e-5)
    _check_same(tiny_pair[0].predict(**BOX), tiny_pair[1].predict(**BOX))


@pytest.mark.parametrize(("width", "heads"), [(1024, 16), (1280, 16)], ids=["vit_l", "vit_h"])
def test_the_large_encoders_of_less_depth_answer_as_the_original(photo: np.ndarray, width: int, heads: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        sam = module_of(Architecture("vit", width, 1, heads, ()))
    predictors = Theirs(sam), SamPredictor(sam)
    for predictor in predictors:
        predictor.set_image(photo)
    _check_same(*(predictor.predict(**CLICK) for predictor in predictors))


def test_bgr_is_read_as_the_original_reads_it(tiny_pair: Pair, photo: np.ndarray) -> None:
    before = tiny_pair[1].features
    tiny_pair[1].set_image(photo[..., ::-1], image_format="BGR")
    assert torch.equal(tiny_pair[1].features, before)


def test_a_model_may_want_bgr_and_another_threshold(tiny: Any, tiny_pair: Pair, photo: np.ndarray) -> None:
    tiny.image_format, tiny.mask_threshold = "BGR", 0.3
    for predictor in tiny_pair:
        predictor.set_image(photo)
    assert torch.allclose(tiny_pair[0].features, tiny_pair[1].features, atol=1e-5)
    _check_same(*(predictor.predict(**CLICK) for predictor in tiny_pair))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_set_torch_image_answers_as_the_original_at_any_size(tiny_pair: Pair, dtype: torch.dtype) -> None:
    scaled = torch.randint(0, 256, (1, 3, 700, 1024), generator=torch.Generator().manual_seed(0)).to(dtype)
    kept = scaled.clone()
    for predictor in tiny_pair:
        predictor.set_torch_image(scaled, (333, 1500))
    assert torch.equal(scaled, kept)
    assert tiny_pair[1].input_size == tiny_pair[0].input_size == (700, 1024)
    _check_same(*(predictor.predict(**CLICKS) for predictor in tiny_pair))


def test_several_images_at_once_answer_as_the_original(tiny_pair: Pair) -> None:
    scaled = torch.randint(0, 256, (2, 3, 1024, 512), generator=torch.Generator().manual_seed(0))
    for predictor in tiny_pair:
        predictor.set_torch_image(scaled, (256, 128))
    assert tiny_pair[1].features.shape == tiny_pair[0].features.shape
    _check_same(*(predictor.predict_torch(POINTS[:1], LABELS[:1]) for predictor in tiny_pair))
    theirs, ours = (_outcome(partial(one.predict_torch, POINTS, LABELS)) for one in tiny_pair)
    assert isinstance(ours, type(theirs)) and isinstance(ours, ClickmaskError)


def test_an_embedding_put_back_by_hand_answers_again(pair: Pair, sam: Any) -> None:
    theirs, ours = pair
    restored = SamPredictor(sam)
    restored.features = theirs.features.clone()
    restored.original_size, restored.input_size = ours.original_size, ours.input_size
    restored.is_image_set = True
    _check_same(theirs.predict(**CLICK), restored.predict(**CLICK))
    restored.features.neg_()  # in place: what counts is what the tensor holds now
    assert not np.allclose(restored.predict(**CLICK)[2], ours.predict(**CLICK)[2])


def test_features_that_are_none_are_refused(tiny: Any) -> None:
    predictor = SamPredictor(tiny)
    predictor.is_image_set = True
    with pytest.raises(AssertionError, match="Features must exist"):
        predictor.get_image_embedding()
    with pytest.raises(PredictorStateError, match="features"):
        predictor.predict_torch(None, None)


def test_reset_forgets_what_the_original_forgets(tiny_pair: Pair) -> None:
    for predictor in tiny_pair:
        predictor.reset_image()
    assert not tiny_pair[1].is_image_set and tiny_pair[1].features is None
    assert tiny_pair[1].original_size == tiny_pair[0].original_size
    assert vars(tiny_pair[0]).keys() - vars(tiny_pair[1]).keys() == {"model"}


def test_answers_may_be_changed_in_place(tiny_pair: Pair) -> None:
    predictor = tiny_pair[1]
    first = predictor.predict(**CLICK, return_logits=True)
    kept = [answer.copy() for answer in first]
    for answer in (*predictor.predict(**CLICK, return_logits=True), *predictor.predict_torch(POINTS, LABELS)):
        answer[...] = 1
    for one, other in zip(kept, predictor.predict(**CLICK, return_logits=True), strict=True):
        assert np.array_equal(one, other)
    predictor.features.mul_(2).requires_grad_()


def test_prompts_are_left_as_they_were(pair: Pair) -> None:
    batch = (POINTS, LABELS, BOXES, MASKS)
    kept = [tensor.clone() for tensor in batch]
    pair[1].predict_torch(*batch)
    assert all(torch.equal(one, other) for one, other in zip(kept, batch, strict=True))


@pytest.mark.parametrize("part", ["image_encoder", "mask_decoder"])
def test_weights_that_change_count_from_the_next_image_on(tiny_pair: Pair, photo: np.ndarray, part: str) -> None:
    before = tiny_pair[1].predict(**CLICK)[2]
    with torch.no_grad():
        for parameter in getattr(tiny_pair[0].model, part).parameters():
            parameter.mul_(0.9)
    for predictor in tiny_pair:
        predictor.set_image(photo)
    assert not np.allclose(tiny_pair[1].predict(**CLICK)[2], before, atol=1e-3)
    _check_same(*(predictor.predict(**CLICK) for predictor in tiny_pair))


def test_another_model_may_be_put_in(tiny: Any, pair: Pair) -> None:
    predictor = SamPredictor(tiny)
    predictor.model = pair[0].model
    assert predictor.model is pair[0].model
    for name in ("features", "original_size", "input_size", "is_image_set"):
        setattr(predictor, name, getattr(pair[0], name))
    _check_same(pair[0].predict(**CLICK), predictor.predict(**CLICK))


@pytest.mark.parametrize("model", ["vit_t", None, torch.nn.Linear(2, 2)], ids=["name", "None", "module"])
def test_anything_but_a_model_is_refused(model: Any) -> None:
    with pytest.raises(WeightsError, match="takes a Segmenter or a segment_anything Sam"):
        SamPredictor(model)


def test_a_module_that_is_not_plain_sam_is_refused(tiny: Any) -> None:
    tiny.mask_decoder.adapter = torch.nn.Linear(2, 2)
    with pytest.raises(WeightsError, match="a Sam module: .*adapter"):
        SamPredictor(tiny)


def test_a_segmenter_answers_as_its_module(pair: Pair, segmenter: Segmenter, image: np.ndarray) -> None:
    predictor = SamPredictor(segmenter)
    predictor.set_image(image)
    assert predictor.device == torch.device("cpu")
    _check_same(pair[0].predict(**CLICK), predictor.predict(**CLICK))


def test_the_model_of_a_segmenter_is_a_sam_of_its_weights(
    tiny_segmenter: Segmenter, tiny_sam_state: dict[str, Tensor]
) -> None:
    predictor = SamPredictor(tiny_segmenter)
    state = predictor.model.state_dict()
    assert predictor.model is predictor.model
    assert state.keys() == tiny_sam_state.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in tiny_sam_state.items())
    predictor.model.image_format = "BGR"
    predictor.set_image(np.full((4, 8, 3), (0, 0, 255), np.uint8), image_format="BGR")
    blue = predictor.features
    predictor.model.image_format = "RGB"
    predictor.set_image(np.full((4, 8, 3), (0, 0, 255), np.uint8))
    assert torch.equal(predictor.features, blue)


@pytest.mark.parametrize("chosen", ["auto", "bfloat16"])
def test_a_segmenter_computes_in_float32_unless_told_otherwise(
    chosen: str, tiny_sam_state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine with bfloat16, whose self-check a network of random weights need not pass.
    monkeypatch.setattr(precision, "has_native_bfloat16", lambda device: True)
    monkeypatch.setattr(precision, "self_check", lambda quick, exact: 1.0)
    segmenter = Segmenter(tiny_sam_state, device="cpu", precision=chosen, cache_dir=tmp_path)
    assert segmenter.provenance["precision"] == "bfloat16"
    pixels = np.random.default_rng(1).integers(0, 256, (1024, 600, 3), np.uint8)
    predictor = SamPredictor(segmenter)
    predictor.set_image(pixels)
    assert predictor.features is not None and predictor.features.dtype == torch.float32
    exact = Theirs(module_of(recognise(tiny_sam_state), tiny_sam_state))
    exact.set_image(pixels)
    same = np.array_equal(predictor.features[0].numpy(), segmenter.open(pixels).embedding())
    assert same == (chosen == "bfloat16")
    assert torch.allclose(predictor.features, exact.features, atol=1e-4) == (chosen == "auto")
    assert predictor.predict(**CLICK)[2].dtype == np.float32
