"""The store: what goes together, what may be found by whom, and what its memory holds."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from clickmask.models.errors import SettingsError
from clickmask.models.frame import Frame
from clickmask.service.http.errors import ApiError
from clickmask.service.http.keys import Keys
from clickmask.service.http.settings import MIB, Limits, Storage
from clickmask.service.http.store import Entry, KeptMask, Store
from clickmask.service.images import Picture

KEYS = Keys(b"s" * 32)
BODY = MIB


def _store(images: int = 64 * MIB, masks: int = 4 * MIB, idle: float = 3600.0) -> Store:
    return Store(KEYS, Storage(images=images, masks=masks, idle=idle), Limits(body=BODY))


def _image(caller: str, name: str, size: int = 1000) -> Entry:
    key = KEYS.image(hashlib.sha256(name.encode()).digest(), "vit_t", caller)
    future = asyncio.get_running_loop().create_future()
    return Entry(key, caller, Frame.whole(64, 48), name.encode().ljust(size), None, 0, future)


def _window(image: Entry, box: tuple[int, int, int, int] = (0, 0, 32, 32)) -> Entry:
    key = KEYS.window(image.key, box, image.caller)
    future = asyncio.get_running_loop().create_future()
    return Entry(key, image.caller, Frame(64, 48, box), None, image, 0, future)


def _keep(store: Store, entry: Entry) -> Entry:
    store.keep(entry, ahead=False)
    return entry


def _keep_mask(store: Store, image: Entry, question: str) -> str:
    key = KEYS.mask(image.key, question, 0, image.caller)
    mask = KeptMask(np.zeros((256, 256), np.float16), image.frame, image.root.key)
    assert store.masks.put(key, mask, mask.size, image.caller)
    return key


def _status(store: Store, key: str, caller: str) -> int:
    try:
        store.find(key, caller)
    except ApiError as error:
        return error.status
    return 200


def _loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Runs a test on an event loop of its own."""

    def run() -> None:
        asyncio.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@_loop
async def test_what_is_kept_is_found_by_its_caller_alone() -> None:
    store = _store()
    entry = _keep(store, _image("ann", "photo"))
    assert store.find(entry.key, "ann") is entry
    never = _image("ann", "never sent")
    assert _status(store, never.key, "ann") == 410, "it would be ours: send it again"
    assert _status(store, entry.key, "bob") == 404, "as if it never was"
    for key in ("", "img_made-up", "img_" + "a" * 34, "\ud800"):
        assert _status(store, key, "ann") == 404


@_loop
async def test_windows_go_with_their_image_and_come_not_back_without_it() -> None:
    store = _store()
    image, other = _keep(store, _image("ann", "photo")), _keep(store, _image("ann", "other"))
    window, others = _keep(store, _window(image)), _keep(store, _window(other))
    store.forget(image)
    assert [_status(store, entry.key, "ann") for entry in (image, window)] == [410, 410]
    assert [_status(store, entry.key, "ann") for entry in (other, others)] == [200, 200]
    with pytest.raises(ApiError) as raised:
        store.keep(_window(image, (1, 1, 9, 9)), ahead=False)
    assert raised.value.status == 410
    assert store.images.counts().things == 2


@_loop
async def test_a_forgotten_window_leaves_its_image() -> None:
    store = _store()
    image = _keep(store, _image("ann", "photo"))
    window = _keep(store, _window(image))
    mask = _keep_mask(store, image, "q")
    store.forget(window)
    assert image.windows == set() and _status(store, image.key, "ann") == 200
    assert store.masks.get(mask, "ann") is not None


@_loop
async def test_an_image_pushed_out_takes_its_windows_along() -> None:
    store = _store(images=16 * MIB)  # 12 for images: two of them, or an image and a window
    image = _keep(store, _image("ann", "photo"))
    window = _keep(store, _window(image))
    new = _keep(store, _image("ann", "new"))
    assert [_status(store, entry.key, "ann") for entry in (image, window, new)] == [410, 410, 200]
    assert store.images.counts().things == 1


@_loop
async def test_both_an_image_and_its_window_may_have_to_go_at_once() -> None:
    store = Store(KEYS, Storage(images=16 * MIB), Limits(body=6 * MIB))
    window = _keep(store, _window(_keep(store, _image("ann", "photo"))))
    new = _keep(store, _image("ann", "large", size=6 * MIB))
    assert [_status(store, entry.key, "ann") for entry in (window.root, window, new)] == [410, 410, 200]


@_loop
async def test_a_window_never_pushes_its_own_image_out() -> None:
    store = Store(KEYS, Storage(images=16 * MIB), Limits(body=7 * MIB))
    image = _keep(store, _image("ann", "large", size=7 * MIB))
    with pytest.raises(ApiError) as raised:
        store.keep(_window(image), ahead=False)
    assert (raised.value.status, raised.value.code) == (503, "store_full")
    assert _status(store, image.key, "ann") == 200 and image.windows == set()
    store.forget(image)
    assert store.images.counts().size == 0
    small = _keep(store, _image("ann", "small"))
    _keep(store, _window(small))


@_loop
async def test_forgetting_drops_pixels_and_masks_of_that_image_and_no_others() -> None:
    store = _store()
    image, other = _keep(store, _image("ann", "photo")), _keep(store, _image("ann", "other"))
    mine, others = _keep_mask(store, image, "q"), _keep_mask(store, other, "q")
    picture = Picture(np.zeros((48, 64, 3), np.uint8))
    for entry in (image, other):
        store.pixels.put(entry.key, picture, picture.pixels.nbytes, "ann")
    store.forget(image)
    store.forget(image)  # a second time does nothing
    assert store.masks.get(mine, "ann") is None and store.pixels.get(image.key, "ann") is None
    assert store.masks.get(others, "ann") is not None and store.pixels.get(other.key, "ann") is picture


@_loop
async def test_forgetting_all_drops_everything_of_one_caller() -> None:
    store = _store()
    images = {caller: _keep(store, _image(caller, "photo")) for caller in ("ann", "bob")}
    masks = {caller: _keep_mask(store, image, "q") for caller, image in images.items()}
    window = _keep(store, _window(images["ann"]))
    store.forget_all("ann")
    assert [_status(store, key, "ann") for key in (images["ann"].key, window.key)] == [410, 410]
    assert store.masks.get(masks["ann"], "ann") is None
    assert store.find(images["bob"].key, "bob") is images["bob"]
    assert store.masks.get(masks["bob"], "bob") is not None


@_loop
async def test_masks_outlive_an_image_that_was_pushed_out_for_its_id_comes_back_with_it() -> None:
    store = _store(images=16 * MIB)
    image = _keep(store, _image("ann", "photo"))
    mask = _keep_mask(store, image, "q")
    for name in ("one", "two"):
        _keep(store, _image("ann", name))
    assert _status(store, image.key, "ann") == 410
    again = _keep(store, _image("ann", "photo"))
    kept = store.masks.get(mask, "ann")
    assert kept is not None and kept.root == again.key


@_loop
async def test_whoever_waits_for_the_encoding_of_a_dropped_image_is_woken() -> None:
    store = _store()
    image = _keep(store, _image("ann", "photo"))
    window = _keep(store, _window(image))
    store.forget(image)
    await asyncio.wait([image.image, window.image], timeout=5)
    assert image.image.cancelled() and window.image.cancelled()


@_loop
async def test_an_image_whose_encoding_failed_is_gone() -> None:
    store = _store()
    image = _keep(store, _image("ann", "photo"))
    image.image.set_exception(ApiError(503, "out_of_memory", "no memory"))
    assert _status(store, image.key, "ann") == 410
    image.image.exception()


@_loop
async def test_memory_given_up_leaves_what_is_in_use() -> None:
    store = _store()
    used, idle = _keep(store, _image("ann", "used")), _keep(store, _image("ann", "idle"))
    store.images.pin(used.key)
    store.spare()
    assert [_status(store, entry.key, "ann") for entry in (used, idle)] == [200, 410]


@_loop
async def test_what_nobody_asked_for_in_time_is_forgotten_and_a_window_in_use_is_its_image_in_use() -> None:
    store = _store(idle=0.2)
    image, idle = _keep(store, _image("ann", "photo")), _keep(store, _image("ann", "idle"))
    window, mask = _keep(store, _window(image)), _keep_mask(store, idle, "q")
    await asyncio.sleep(0.25)
    store.find(window.key, "ann")
    store.expire()
    assert [_status(store, entry.key, "ann") for entry in (image, window, idle)] == [200, 200, 410]
    assert store.masks.get(mask, "ann") is None


@_loop
async def test_thousands_of_images_stay_within_the_budget_and_the_latest_are_there() -> None:
    store, most, entries = _store(images=64 * MIB), 0, []
    for number in range(2000):
        entries.append(_keep(store, _image("ann", f"photo {number}", size=random.Random(number).randint(1, BODY))))
        most = max(most, store.images.counts().size)
    held = store.images.counts()
    assert 40 * MIB < most <= 48 * MIB, "a quarter of the budget is for pixels"
    there = [_status(store, entry.key, "ann") == 200 for entry in entries]
    assert there == [False] * (2000 - held.things) + [True] * held.things


@_loop
async def test_two_callers_with_the_same_image_never_meet() -> None:
    store, draw, wrong = _store(images=128 * MIB), random.Random(3), 0
    for _ in range(5000):
        caller, other = draw.sample(("ann", "bob"), 2)
        name = f"photo {draw.randrange(30)}"
        wanted = _image(caller, name)
        if draw.random() < 0.2:
            _keep(store, wanted)
        try:
            found = store.find(wanted.key, caller)
            wrong += found.caller != caller or found.data != wanted.data
        except ApiError as error:
            wrong += error.status != 410
        wrong += _status(store, wanted.key, other) != 404
    assert wrong == 0


def test_a_store_that_cannot_hold_one_image_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="--store-memory: 64 MiB cannot hold an image of --max-body; use 91 MiB"):
        Store(KEYS, Storage(images=64 * MIB), Limits(body=64 * MIB))
    Store(KEYS, Storage(images=91 * MIB), Limits(body=64 * MIB))


@pytest.mark.parametrize("body", [1, 10, 11, 12, 100])
def test_the_budget_it_names_is_enough(body: int) -> None:
    limits = Limits(body=body * MIB)
    with pytest.raises(SettingsError) as raised:
        Store(KEYS, Storage(images=MIB), limits)
    least = int(str(raised.value).split("use ")[1].split(" MiB")[0])
    store = Store(KEYS, Storage(images=least * MIB), limits)

    async def keep() -> None:
        _keep(store, _image("ann", "largest", size=limits.body))

    asyncio.run(keep())


def test_without_a_budget_it_takes_a_part_of_the_free_memory() -> None:
    store = Store(KEYS, Storage(), Limits())
    assert 128 * MIB <= store.images.budget + store.pixels.budget <= 2048 * MIB
