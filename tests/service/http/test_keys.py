"""Ids: the same for the same, another for all else, and no way to make one up."""

from __future__ import annotations

import hashlib
import string

import pytest

from clickmask.service.http.keys import Keys

SECRET = b"s" * 32
CONTENT = hashlib.sha256(b"a photo").digest()


def test_an_id_is_the_same_over_restarts_and_differs_with_everything_it_stands_for() -> None:
    keys = Keys(SECRET)
    key = keys.image(CONTENT, "vit_t", "token:ann")
    assert key == Keys(SECRET).image(CONTENT, "vit_t", "token:ann")
    others = {
        keys.image(hashlib.sha256(b"another").digest(), "vit_t", "token:ann"),
        keys.image(CONTENT, "vit_b", "token:ann"),
        keys.image(CONTENT, "vit_t", "token:bob"),
        Keys(b"t" * 32).image(CONTENT, "vit_t", "token:ann"),
        keys.window(key, (0, 0, 10, 10), "token:ann"),
        keys.window(key, (0, 0, 10, 11), "token:ann"),
        keys.mask(key, "question", 0, "token:ann"),
        keys.mask(key, "question", 1, "token:ann"),
        keys.mask(key, "question", 0, "token:bob"),
    }
    assert len(others) == 9 and key not in others


def test_ids_are_plain_words_that_fit_into_a_path_and_a_request() -> None:
    key = Keys(SECRET).mask("img_x", "question", 2, "token:ann")
    assert set(key) <= set(string.ascii_lowercase + string.digits + "_") and len(key) <= 80


def test_one_of_ours_that_is_gone_is_410_and_anothers_is_404_as_if_it_never_was() -> None:
    keys = Keys(SECRET)
    image = keys.image(CONTENT, "vit_t", "ann")
    window, mask = keys.window(image, (0, 0, 9, 9), "ann"), keys.mask(image, "question", 0, "ann")
    for key, gone in ((image, "image_gone"), (window, "image_gone"), (mask, "mask_gone")):
        mine, theirs = keys.check(key, "ann", gone), keys.check(key, "bob", gone)
        assert (mine.status, mine.code) == (410, gone)
        assert (theirs.status, theirs.code) == (404, "not_found")
        assert Keys(b"t" * 32).check(key, "ann", gone).status == 404
        assert theirs.message == keys.check("made-up", "bob", gone).message


def test_a_masks_id_is_no_images_and_the_other_way_round() -> None:
    keys = Keys(SECRET)
    image = keys.image(CONTENT, "vit_t", "ann")
    assert keys.check(keys.mask(image, "question", 0, "ann"), "ann", "image_gone").status == 404
    assert keys.check(image, "ann", "mask_gone").status == 404


def test_a_forged_id_is_404() -> None:
    keys = Keys(SECRET)
    key = keys.image(CONTENT, "vit_t", "ann")
    for place in range(len(key)):
        changed = key[:place] + ("a" if key[place] != "a" else "b") + key[place + 1 :]
        assert keys.check(changed, "ann", "image_gone").status == 404, f"place {place}"
    for changed in (key + "a", key[:-1], key.upper(), "win" + key[3:], key.replace("_", "__")):
        assert keys.check(changed, "ann", "image_gone").status == 404


@pytest.mark.parametrize(
    "key",
    [
        "",
        "_",
        "img",
        "img_",
        "img_" + "a" * 10_000,
        "img_" + "\ud800" * 40,
        "\udfff_\udfff",
        "img_\x00" * 9,
        "ämg_ß",
        "🐕" * 40,
    ],
    ids=range(10),
)
@pytest.mark.parametrize("gone", ["image_gone", "mask_gone"])
def test_weird_ids_are_404(key: str, gone: str) -> None:
    assert Keys(SECRET).check(key, "ann", gone).status == 404
