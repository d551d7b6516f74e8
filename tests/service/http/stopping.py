"""A service that is stopped under load, and what must hold then."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from load import Seen, Served, click, client_of, send, serving, strip, upload


async def _until_refused(url: str, step: Any, begun: asyncio.Event | None = None) -> list[Seen]:
    """Ask until nobody listens any more: what was seen, a last connection that is refused left out.

    begun: set at the first answer.
    """
    seen: list[Seen] = []
    async with client_of(url, connections=1) as client:
        while len(seen) < 10_000:
            answer = await step(client)
            if answer.status == 0 and answer.code == "ConnectError":
                return seen
            seen.append(answer)
            if begun is not None:
                begun.set()
            await asyncio.sleep(0.02)
    return seen


async def _stop_under_load(served: Served, after: float) -> tuple[list[Seen], list[Seen]]:
    """Twelve clients upload and click, and SIGTERM comes; what they saw, and what /readyz answered."""
    async with client_of(served.url) as client:
        image = (await upload(client, strip(1))).body["id"]
    steps: list[Any] = [lambda client: click(client, image)] * 9
    steps += [lambda client, n=n: upload(client, strip(random.Random(n).randrange(50))) for n in range(3)]
    clients = [asyncio.create_task(_until_refused(served.url, step)) for step in steps]
    probed = asyncio.Event()
    probe = asyncio.create_task(_until_refused(served.url, lambda client: send(client, "GET", "/readyz"), probed))
    await asyncio.gather(asyncio.sleep(after), probed.wait())
    served.process.send_signal(signal.SIGTERM)
    seen = [one for own in await asyncio.gather(*clients) for one in own]
    return seen, await probe


def check_stop(folder: Path, after: float) -> Counter[int]:
    """Stop a service under load after so many seconds, and check that nothing is lost; what clients saw."""
    with serving(folder) as served:
        seen, probes = asyncio.run(_stop_under_load(served, after))
        assert served.code() == 0
        lines = [line for line in served.lines() if "route" in line]
    statuses = Counter(one.status for one in seen)
    assert set(statuses) <= {0, 200, 201, 429, 503}, statuses
    answered = {one.id for one in (*seen, *probes)}
    lost = [line for line in lines if line["id"] not in answered and line["status"] not in (499,)]
    assert [line for line in lost if line["route"] not in ("/v1/images", "/readyz")] == [], "admitted and not answered"
    refused = [one for one in seen if one.code == "draining"]
    assert all(one.retry_after for one in refused)
    ready = [one.status for one in probes]
    assert 503 in ready, "the listener was closed before readiness was denied"
    after = ready[ready.index(503) :]
    if (
        after[-1] == 0
    ):  # its connection had come to the machine, and not yet to the server, when that closed the listener
        after.pop()
    assert set(ready[: ready.index(503)]) == {200} and set(after) == {503}, ready
    return statuses
