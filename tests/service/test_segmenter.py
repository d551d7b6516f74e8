"""The door: settings, many images in order, and nothing changed in torch."""

from __future__ import annotations

import io
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clickmask import ClickmaskError, ImageError, OpenImage, PromptError, Segmenter, SettingsError, WeightsError
from clickmask.models.frame import Frame
from clickmask.models.image_encoder import TinyViT
from clickmask.service.segmenter import READ_AHEAD


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("device", "gpu"),
        ("device", "cuda:99"),
        ("precision", "float64"),
        ("precision", "float16"),
        ("fit", "circle"),
        ("fit", None),
        ("refine", "hard"),
        ("refine", "matte"),
    ],
)
def test_bad_setting_is_refused_by_name(tmp_path: Path, field: str, value: Any) -> None:
    settings: dict[str, Any] = {"device": "cpu", "precision": "float32"} | {field: value}
    with pytest.raises(SettingsError, match=f"{field}={value!r}"):
        Segmenter(cache_dir=tmp_path, **settings)


def test_misspelt_setting_is_no_setting(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="presicion"):
        Segmenter(cache_dir=tmp_path, presicion="float32")  # pyright: ignore[reportCallIssue]


def test_unknown_model_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="Did you mean 'vit_b'"):
        Segmenter("vitb", cache_dir=tmp_path)


def test_graphs_are_refused_without_a_cuda_gpu() -> None:
    with pytest.raises(SettingsError, match="graphs=True is for CUDA GPUs, and the device is cpu"):
        Segmenter(device="cpu", graphs=True)


def test_rectangle_is_refused_for_a_plain_vit(tiny_sam_state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="fit='rectangle' is for vit_t on a CPU"):
        Segmenter(tiny_sam_state, device="cpu", precision="float32", fit="rectangle", cache_dir=tmp_path)


def test_auto_fit_is_the_square_for_a_plain_vit(tiny_segmenter: Segmenter) -> None:
    assert tiny_segmenter.provenance["fit"] == "square"


def test_provenance_says_what_is_in_effect(cache_folder: Path, segmenter: Segmenter) -> None:
    auto = Segmenter(device="cpu", precision="float32", cache_dir=cache_folder).provenance
    assert (auto["model"], auto["device"], auto["precision"], auto["refine"]) == ("vit_t", "cpu", "float32", "edges")
    assert auto["fit"] in ("square", "rectangle+48")
    assert auto["torch"] == torch.__version__ and auto["threads"] == torch.get_num_threads()
    assert (segmenter.provenance["precision"], segmenter.provenance["fit"]) == ("float32", "square")
    assert auto["digest"] == segmenter.provenance["digest"]


def test_provenance_of_a_caller_is_the_callers_own(segmenter: Segmenter, dogs: OpenImage) -> None:
    segmenter.provenance["model"] = dogs.provenance["model"] = "another"
    assert segmenter.provenance["model"] == "vit_t"
    assert dogs.provenance == segmenter.provenance


def test_representation_says_model_device_and_settings(segmenter: Segmenter) -> None:
    assert repr(segmenter) == "<Segmenter vit_t on cpu, float32, square>"


def test_every_kind_of_source_gives_the_same_image(strip_segmenter: Segmenter, strip: np.ndarray) -> None:
    sources: list[Any] = [strip, torch.from_numpy(strip), torch.from_numpy(strip).permute(2, 0, 1)]
    images = [strip_segmenter.open(source) for source in sources]
    images.append(strip_segmenter.open(strip[..., ::-1], channels="bgr"))
    for image in images:
        assert np.array_equal(image.pixels, strip)
        assert np.array_equal(image.embedding(), images[0].embedding())


def test_path_bytes_and_file_give_the_same_image(strip_segmenter: Segmenter, strip: np.ndarray, tmp_path: Path) -> None:
    from clickmask.service.formats.encoding import encode_png

    data = encode_png(strip)
    (tmp_path / "strip.png").write_bytes(data)
    for source in (tmp_path / "strip.png", str(tmp_path / "strip.png"), data, io.BytesIO(data)):
        assert np.array_equal(strip_segmenter.open(source).pixels, strip)


def test_rectangle_leaves_the_padding_as_the_model_sees_it(strip_segmenter: Segmenter, strip: np.ndarray) -> None:
    """The bottom of the embedding is that of a picture that is all padding, whatever the photo."""
    embedding = strip_segmenter.open(strip).embedding()
    other = strip_segmenter.open(strip[::-1, ::-1]).embedding()
    blank = strip_segmenter._network.sam.encoder
    assert isinstance(blank, TinyViT)
    padding = blank.forward_tokens(torch.zeros(1, 1024, 1024, 3))[0].permute(2, 0, 1).numpy()
    assert np.array_equal(embedding[:, 32:], other[:, 32:])
    np.testing.assert_allclose(embedding[:, 32:], padding[:, 32:], rtol=0, atol=1e-5)
    assert np.abs(embedding[:, :4] - padding[:, :4]).max() > 0.1


def test_window_can_be_opened_without_the_whole(strip_segmenter: Segmenter, strip: np.ndarray) -> None:
    direct = strip_segmenter.open(strip, window=(300, 4, 700, 44))
    assert direct.frame == Frame(1024, 64, (300, 4, 700, 44))
    assert np.array_equal(direct.embedding(), strip_segmenter.open(strip).window((300, 4, 700, 44)).embedding())
    with pytest.raises(PromptError, match="^box"):
        strip_segmenter.open(strip, window=(300, 4, 700, 65))


def _numbered(count: int) -> list[np.ndarray]:
    """Strips of 1024 x 16 that differ."""
    return [np.full((16, 1024, 3), number, np.uint8) for number in range(count)]


def test_open_many_keeps_the_order_and_equals_open(strip_segmenter: Segmenter) -> None:
    pictures = _numbered(6)
    images = list(strip_segmenter.open_many(pictures))
    assert [int(image.pixels[0, 0, 0]) for image in images] == list(range(6))
    assert np.array_equal(images[3].embedding(), strip_segmenter.open(pictures[3]).embedding())


def test_open_many_of_nothing_is_nothing(strip_segmenter: Segmenter) -> None:
    assert list(strip_segmenter.open_many([])) == []


def test_open_many_raises_at_the_image_that_fails(strip_segmenter: Segmenter) -> None:
    good, other = _numbered(2)
    images = strip_segmenter.open_many([good, b"no picture", other])
    assert next(images).size == (1024, 16)
    with pytest.raises(ImageError):
        next(images)


def test_open_many_leaves_out_what_fails_and_says_so(strip_segmenter: Segmenter, tmp_path: Path) -> None:
    good = _numbered(3)
    bad = tmp_path / "missing.jpg"
    failed: list[tuple[object, ClickmaskError]] = []
    sources = [good[0], bad, good[1], b"text", good[2]]
    images = list(strip_segmenter.open_many(sources, on_error=lambda source, error: failed.append((source, error))))
    assert [int(image.pixels[0, 0, 0]) for image in images] == [0, 1, 2]
    assert [source for source, _ in failed] == [bad, b"text"]
    assert all(isinstance(error, ImageError) for _, error in failed)


def test_open_many_reads_only_a_few_sources_ahead(strip_segmenter: Segmenter) -> None:
    taken = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal taken
        while True:
            taken += 1
            yield _numbered(1)[0]

    images = strip_segmenter.open_many(endless())
    assert taken == 0
    for given in range(1, 5):
        next(images)
        assert taken <= given + READ_AHEAD
    images.close()
    assert taken <= 4 + READ_AHEAD


def test_open_many_stopped_early_ends_its_threads(strip_segmenter: Segmenter) -> None:
    before = threading.active_count()
    for image in strip_segmenter.open_many(_numbered(8)):
        assert image.size == (1024, 16)
        break
    del image
    assert threading.active_count() == before


def test_open_many_gives_up_an_image_that_the_caller_gave_up(strip_segmenter: Segmenter) -> None:
    """When the source after next is asked for, the image handed out before is not held any more."""
    handed: list[weakref.ref[OpenImage]] = []
    held: list[bool] = []

    def sources() -> Iterator[np.ndarray]:
        for picture in _numbered(6):
            held.append(any(reference() is not None for reference in handed))
            yield picture

    for image in strip_segmenter.open_many(sources()):
        handed.append(weakref.ref(image))
        del image
    assert len(handed) == 6
    assert not any(held)


def test_open_many_passes_on_an_error_of_the_source(strip_segmenter: Segmenter) -> None:
    def failing() -> Iterator[np.ndarray]:
        yield from _numbered(1)
        raise RuntimeError("the camera is gone")

    with pytest.raises(RuntimeError, match="the camera is gone"):
        list(strip_segmenter.open_many(failing()))


def _torch_state() -> dict[str, object]:
    names: dict[str, Callable[[], object]] = {
        "threads": torch.get_num_threads,
        "interop threads": torch.get_num_interop_threads,
        "default dtype": torch.get_default_dtype,
        "gradients": torch.is_grad_enabled,
        "inference mode": torch.is_inference_mode_enabled,
        "deterministic": torch.are_deterministic_algorithms_enabled,
        "matmul precision": torch.get_float32_matmul_precision,
        "tf32 matmul": lambda: torch.backends.cuda.matmul.allow_tf32,
        "tf32 cudnn": lambda: torch.backends.cudnn.allow_tf32,
        "cudnn benchmark": lambda: torch.backends.cudnn.benchmark,
        "mkldnn": lambda: torch.backends.mkldnn.enabled,
        "autocast": torch.is_autocast_enabled,
        "default device": torch.get_default_device,
        "random numbers": lambda: torch.get_rng_state().sum().item(),
    }
    return {name: ask() for name, ask in names.items()}


@pytest.mark.soak
def test_no_global_state_of_torch_is_changed(tmp_path: Path, strip: np.ndarray) -> None:
    before = _torch_state()
    image = Segmenter(device="cpu", precision="bfloat16", fit="rectangle", cache_dir=tmp_path).open(strip)
    first = image.click(600, 30)
    image.segment(box=(300, 0, 1000, 64), previous=first)
    image.window((300, 0, 700, 64)).candidates(points=[(500, 30)])
    image.start().add(600, 30)
    image.save_embedding(tmp_path / "strip.safetensors")
    assert _torch_state() == before


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_callers_default_dtype_does_not_matter(strip: np.ndarray, cache_folder: Path, dtype: torch.dtype) -> None:
    def answer() -> np.ndarray:
        segmenter = Segmenter(device="cpu", precision="float32", fit="rectangle", cache_dir=cache_folder)
        return segmenter.open(strip).segment([(600, 30)], [1], (300, 0, 1000, 64)).logits

    plain = answer()
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        changed = answer()
    finally:
        torch.set_default_dtype(before)
    assert np.array_equal(changed, plain)
