"""Settings with which nothing could work are refused at the start, by the name of their option."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest

from clickmask.models.errors import SettingsError
from clickmask.service.http.settings import Access, Decoders, Limits, ServeSettings

PROXY = (ip_network("127.0.0.2"),)
WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: Limits(deadline=200, longest_deadline=100), "--max-timeout"),
    (lambda: Limits(body=1000, queue_bytes=999), "--queue-memory"),
    (lambda: Limits(pixels=10**12), "--max-megapixels"),
    (lambda: Limits(queue=0), "queue"),
    (lambda: Decoders(count=100_000), "--decoders"),
    (lambda: Access(identity_header="X Bad", proxies=PROXY), "--identity-header"),
    (lambda: Access(identity_header="Cookie", proxies=PROXY), "--identity-header"),
    (lambda: Access(identity_header="x-forwarded-for", proxies=PROXY), "--identity-header"),
    (lambda: ServeSettings(root_path="/a b?c"), "--root-path"),
    (lambda: ServeSettings(root_path="/a/"), "--root-path"),
    (lambda: ServeSettings(root_path="a"), "--root-path"),
    (lambda: ServeSettings(host="0.0.0.0"), "--host"),
    (lambda: ServeSettings(access=Access(public=True), project=Path("photos")), "--project"),
]


@pytest.mark.parametrize(("make", "option"), WRONG)
def test_what_cannot_work_is_refused_by_its_option(make: Callable[[], object], option: str) -> None:
    with pytest.raises(SettingsError, match=option):
        make()


def test_what_can_work_is_taken() -> None:
    Limits(deadline=100, longest_deadline=100, body=1000, queue_bytes=1000)
    Access(identity_header="X-Forwarded-User", proxies=PROXY)
    ServeSettings(root_path="/tools/click.mask-1")
