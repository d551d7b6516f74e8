"""What a click looked at: names, frames, files, and that it is about the object."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from clickmask import ClosedError, OpenImage, OutputError, PromptError, Segmenter, SettingsError

SIZE = (600, 400)
MIDDLE, RADIUS = (400, 180), 60


@pytest.fixture(scope="module")
def disc(segmenter: Segmenter) -> OpenImage:
    """One bright disc on grey."""
    photo = np.full((*SIZE[::-1], 3), 90, np.uint8)
    cv2.circle(photo, MIDDLE, RADIUS, (240, 235, 220), -1, cv2.LINE_AA)
    return segmenter.open(photo)


def test_tokens_have_names_and_shares_sum_to_one(dogs: OpenImage) -> None:
    found = dogs.attention([(300, 300), (320, 320), (10, 10)], [1, 1, 0], (180, 120, 420, 610))
    assert found.tokens[:5] == ("predicted IoU", "mask 0", "mask 1", "mask 2", "mask 3")
    assert found.tokens[5:8] == ("foreground point 1", "foreground point 2", "background point 1")
    assert found.tokens[8:] == ("box top left", "box bottom right") and found.chosen == "mask 0"
    assert found.token_to_image.shape == (3, 8, 10, 64, 64) and found.image_to_token.shape == (2, 8, 64, 64, 10)
    assert found.token_to_token.shape == (2, 8, 10, 10)
    for array, axes in ((found.token_to_image, (-1, -2)), (found.image_to_token, -1), (found.token_to_token, -1)):
        assert array.dtype == np.float32 and np.abs(array.sum(axes) - 1).max() < 1e-5


def test_it_is_about_the_mask_that_a_click_answers(dogs: OpenImage) -> None:
    found, mask = dogs.attention([(300, 300)]), dogs.click(300, 300)
    assert np.array_equal(found.mask.logits, mask.logits) and found.chosen == f"mask {1 + mask.index}"
    chained = dogs.attention([(300, 300), (250, 200)], previous=mask)
    assert chained.chosen == "mask 0" and chained.tokens[-1] == "no point"


def test_a_token_looks_at_the_object_more_than_chance_would_have_it(disc: OpenImage) -> None:
    found = disc.attention([MIDDLE])
    assert found.mask.pixels[MIDDLE[::-1]] and found.mask.area < 2 * np.pi * RADIUS**2
    scale = 64 / max(SIZE)
    rows, columns = np.mgrid[:64, :64] + 0.5
    inside = np.hypot(columns - MIDDLE[0] * scale, rows - MIDDLE[1] * scale) < RADIUS * scale
    picture = rows < SIZE[1] * scale
    number = found.tokens.index(found.chosen)
    for layer, factor in zip(found.token_to_image[:, :, number].mean(1), (1.5, 8, 6), strict=True):
        assert layer[inside].sum() > factor * layer[picture].sum() * inside.sum() / picture.sum()


def test_heat_lies_over_the_photo_and_in_windows_over_the_window(disc: OpenImage) -> None:
    heat = disc.attention([MIDDLE]).heat()
    assert heat.shape == SIZE[::-1] and heat.max() == 1 and heat.min() >= 0
    rows, columns = np.nonzero(heat > 0.5)
    assert np.hypot(columns.mean() - MIDDLE[0], rows.mean() - MIDDLE[1]) < 1.5 * RADIUS
    part = disc.window((300, 100, 520, 260)).attention([MIDDLE])
    assert part.heat().shape == (160, 220) and part.picture().shape == (160, 220, 3)
    assert part.listening("foreground point 1", 0).shape == (160, 220)


def test_layer_and_head_choose_and_the_mean_is_over_heads(dogs: OpenImage) -> None:
    found = dogs.attention([(300, 300)])
    maps = [found.heat("mask 2", layer, head) for layer in range(3) for head in range(8)]
    assert len({one.tobytes() for one in maps}) == 24
    mean = found.token_to_image[1, :, 3].mean(0)
    assert np.array_equal(found._of(found.token_to_image, 1, None)[3], mean)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"token": "mask 4"}, "there is no 'mask 4'; there are predicted IoU, mask 0"),
        ({"layer": 3}, "layer: expected 0 to 2, got 3"),
        ({"head": 8}, "head: expected 0 to 7, got 8"),
        ({"head": 2.0}, "head: expected 0 to 7, got 2.0"),
        ({"layer": "first"}, "layer: expected 0 to 2, got 'first'"),
    ],
)
def test_what_there_is_not_is_refused_by_name(dogs: OpenImage, words: dict[str, object], message: str) -> None:
    with pytest.raises(PromptError, match=message):
        dogs.attention([(300, 300)]).heat(**words)  # type: ignore[arg-type]


def test_the_walk_makes_the_weights_and_the_output_again(dogs: OpenImage) -> None:
    found = dogs.attention([(300, 300)])
    walk = {part: found.walk[f"token_to_image 3/{part}"].astype(np.float64) for part in ("queries", "keys", "values")}
    scores = walk["queries"] @ walk["keys"].transpose(0, 2, 1) / 4
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    assert np.abs(weights.reshape(8, 7, 64, 64) - found.token_to_image[2]).max() < 1e-5
    joined = (weights @ walk["values"]).transpose(1, 0, 2).reshape(7, -1)
    for made, name in ((scores, "scores"), (weights @ walk["values"], "heard")):
        assert np.abs(made - found.walk[f"token_to_image 3/{name}"]).max() < 1e-4
    projected = found.walk["token_to_image 3/asked"] @ found.walk["token_to_image 3/query_projection"]
    queries = (projected + found.walk["token_to_image 3/query_bias"]).reshape(7, 8, 16).transpose(1, 0, 2)
    assert np.abs(queries - walk["queries"]).max() < 1e-4
    output = joined @ found.walk["token_to_image 3/projection"] + found.walk["token_to_image 3/bias"]
    assert np.abs(output - found.walk["token_to_image 3/output"]).max() < 1e-4


def test_arrays_and_pictures_are_saved(dogs: OpenImage, tmp_path: Path) -> None:
    found = dogs.attention([(300, 300)])
    found.save(tmp_path / "a.npz")
    with np.load(io.BytesIO((tmp_path / "a.npz").read_bytes()), allow_pickle=False) as read:
        assert read["tokens"].tolist() == list(found.tokens) and str(read["chosen"]) == found.chosen
        assert np.array_equal(read["token_to_image"], found.token_to_image)
        assert np.array_equal(read["walk/token_to_image_3/keys"], found.walk["token_to_image 3/keys"])
    found.save(tmp_path / "a.png")
    assert cv2.imread(str(tmp_path / "a.png")).shape == (1024, 682, 3)
    with pytest.raises(OutputError, match=r"expected \.npz for the arrays or \.png for a picture"):
        found.save(tmp_path / "a.jpg")
    with pytest.raises(ClosedError):
        dogs.without_pixels().attention([(300, 300)]).picture()


def test_a_place_looks_around_itself_in_every_block(dogs: OpenImage, tmp_path: Path) -> None:
    found = dogs.patch_attention(300, 400)
    assert len(found.blocks) == 10 and found.blocks[-1].name == "stage 3, block 2"
    assert found.blocks[0].place == (50, 37) and found.blocks[-1].place == (25, 18)  # of 8 and of 16 pixels
    for number, block in enumerate(found.blocks):
        assert np.abs(block.weights.sum((1, 2)) - 1).max() < 1e-5
        heat = found.heat(number)
        assert heat.shape == (1024, 682) and heat.max() == 1
        top, left = (corner * block.stride for corner in block.corner)
        rows, columns = np.nonzero(heat)
        reach = block.weights.shape[1] * block.stride
        assert top <= rows.min() and rows.max() < top + reach
        assert left <= columns.min() and columns.max() < left + reach
    assert not np.array_equal(found.heat(4, 0), found.heat(4, 1))
    found.save(tmp_path / "p.npz")
    with np.load(tmp_path / "p.npz", allow_pickle=False) as read:
        assert str(read["3/name"]) == found.blocks[3].name and np.array_equal(
            read["3/weights"], found.blocks[3].weights
        )


def test_with_a_margin_of_padding_the_image_is_encoded_as_it_was(cache_folder: Path) -> None:
    from clickmask.models.encoder_attention import watch

    image = Segmenter(device="cpu", precision="float32", cache_dir=cache_folder).open(
        np.full((300, 500, 3), 80, np.uint8)
    )
    network = image._network
    assert network.margin
    with torch.inference_mode():
        pixels = torch.from_numpy(image.pixels.copy())
        tokens = watch(network.sam, pixels, image.frame, network.margin).tokens
    assert torch.equal(tokens, image._open_tokens())


@pytest.mark.parametrize(
    ("words", "message"), [({"block": 10}, "block: expected 0 to 9, got 10"), ({"head": 12}, "head: expected 0 to")]
)
def test_blocks_and_heads_there_are_not_and_places_outside_are_refused(
    dogs: OpenImage, words: dict[str, int], message: str
) -> None:
    with pytest.raises(PromptError, match=message):
        dogs.patch_attention(300, 400).heat(**words)
    with pytest.raises(PromptError, match="outside the 682 x 1024 image"):
        dogs.patch_attention(682, 400)
    with pytest.raises(ClosedError):
        dogs.without_pixels().patch_attention(300, 400)


def test_the_masks_logits_are_its_filter_times_the_upscaled_image(segmenter: Segmenter, dogs: OpenImage) -> None:
    found = dogs.attention([(300, 300), (20, 20)], [1, 0])
    logits = found.walk["mask/pixels"] @ found.walk["mask/filter"]
    assert logits.shape == (256, 256)
    exact = segmenter.provenance["precision"] == "float32"
    assert np.abs(logits - found.mask.logits).max() < (1e-3 if exact else 1.0)


def test_any_patch_can_be_asked_for_once_the_encoder_was_watched(dogs: OpenImage) -> None:
    watched = dogs.encoder_attention()
    assert 20e6 < watched.size < 60e6
    for x, y in ((300, 400), (0.5, 0.5), (681.9, 1023.9)):
        one, other = watched.at(x, y), dogs.patch_attention(x, y)
        assert one.point == (x, y) and [block.place for block in one.blocks] == [block.place for block in other.blocks]
        assert all(np.array_equal(a.weights, b.weights) for a, b in zip(one.blocks, other.blocks, strict=True))
        first = one.first_layer
        assert np.abs(first["pixels"] @ first["weights"] + first["bias"] - first["output"]).max() < 1e-4
    with pytest.raises(PromptError, match="outside the 682 x 1024 image"):
        watched.at(-1, 0)
    with pytest.raises(SettingsError, match="TinyViT has none"):
        watched.rollout(300, 400)
    with pytest.raises(ClosedError):
        dogs.without_pixels().encoder_attention()
