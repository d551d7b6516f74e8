"""The HTTP service under load, from a second process over loopback: clickmask against a plain server with a lock.

    python benchmarks/serve.py [--scenario clicks|many|mix|annotators|searching ...] [--seconds N] [--users 25 50 100]

clicks      one client, one image: what HTTP adds to the same click in process (A B A B)
many        16 clients, 16 images: clicks a second, against one client and against direct calls in a loop
mix         64 clients uploading and clicking, for a while: statuses, refusals, memory
annotators  people with moving mice (10 hovers a second), a click every 4 s each, while a long job runs
searching   one person clicks while another's search for everything runs

The peer, `plain_server.py`, is FastAPI and segment_anything's SamPredictor on MobileSAM's own network, same weights.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable

import cv2
import numpy as np
from encode import PHOTOS
from http_driver import HERE, Connection, Server, Times, median_ms, serving
from timing import machine

PHOTO = PHOTOS / "dogs.jpg"  # 682 x 1024
BLOCK = 20  # clicks in a row before the next one has its turn
OURS, PEER = "clickmask serve", "FastAPI + SamPredictor + lock"


def picture(seed: int) -> bytes:
    """A photo as a JPEG file, a little different for each seed so that every one must be encoded."""
    pixels = cv2.imread(str(PHOTO))
    pixels[:8, :8] = np.random.default_rng(seed).integers(0, 255, (8, 8, 3))
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def click_body(n: int) -> dict[str, object]:
    """A click somewhere on the photo, for a preview-sized answer."""
    x, y = 100 + (n * 37) % 500, 150 + (n * 53) % 700
    return {"objects": [{"points": [[x, y]]}], "scale": "model", "limit": 1}


async def upload(connection: Connection, seed: int) -> str:
    """The id of a picture, encoded."""
    answer = await connection.send("POST", "/v1/images", picture(seed))
    key = answer.json()["id"]
    await connection.post(f"/v1/images/{key}/masks", plain(click_body(0)))
    return key


def plain(body: dict[str, object]) -> dict[str, object]:
    """A body; the peer takes the same one and ignores what it does not know."""
    return body


def our_command(port: int, folder: str, *extra: str) -> list[str]:
    """The command line of our server, each browser a caller of its own."""
    base = ["-m", "clickmask", "serve", "--port", str(port), "--state-dir", folder, "--log-level", "warning"]
    return [*base, "--public", *extra]


def in_process() -> Callable[[int], object]:
    """The same click and the same answer without HTTP."""
    import clickmask
    from clickmask.service.http.answers import Wanted, describe
    from clickmask.service.http.schemas import MasksRequest

    image = clickmask.Segmenter().open(PHOTO)

    def click(n: int) -> object:
        request = MasksRequest.model_validate(click_body(n))
        point = request.objects[0].points[0]
        mask = image.candidates([point])[0]
        return json.dumps(describe(mask, Wanted.of(request)))

    return click


async def clicks(servers: list[Server], rounds: int) -> list[str]:
    """One client: p50 and p99 over HTTP, in turns with the click in process."""
    direct = in_process()
    rows, connections, keys = [], {}, {}
    for server in servers:
        connections[server.name] = Connection(server.port)
        keys[server.name] = await upload(connections[server.name], 0)
    times: dict[str, list[float]] = {"in process": [], **{server.name: [] for server in servers}}
    for n in range(0, rounds, BLOCK):
        turns = range(n, n + BLOCK)
        times["in process"] += [_timed(direct, turn) for turn in turns]
        for server in servers:
            path = f"/v1/images/{keys[server.name]}/masks"
            for turn in turns:
                answer = await connections[server.name].post(path, click_body(turn))
                assert answer.status == 200, answer.body
                times[server.name].append(answer.seconds)
    for name, seconds in times.items():
        p99 = 1000 * sorted(seconds)[int(0.99 * len(seconds))]
        rows.append(f"| {name} | {median_ms(seconds):.1f} | {p99:.1f} | {p99 / median_ms(seconds):.2f} |")
    return ["| one client, a click | p50 ms | p99 ms | p99 / p50 |", "|---|---|---|---|", *rows]


def _timed(function: Callable[[int], object], n: int) -> float:
    started = time.perf_counter()
    function(n)
    return time.perf_counter() - started


async def many(servers: list[Server], seconds: float) -> list[str]:
    """Clicks a second: 16 clients on 16 images, one client, and a loop in process."""
    direct = in_process()
    direct(0)
    rows = []
    for server in servers:
        connections = [Connection(server.port) for _ in range(16)]
        keys = [await upload(connection, n) for n, connection in enumerate(connections)]
        figures = {"loop": [], "one": [], "many": []}
        driver = 0.0
        for _ in range(3):  # in turns
            started, count = time.perf_counter(), 0
            while time.perf_counter() - started < seconds / 3:
                direct(count)
                count += 1
            figures["loop"].append(count / (time.perf_counter() - started))
            figures["one"].append(await _rate(connections[:1], keys, seconds / 3))
            before = _driver_cpu()
            figures["many"].append(await _rate(connections, keys, seconds / 3))
            driver += (_driver_cpu() - before) / seconds
        loop, one, all_of_them = (sorted(figures[name])[1] for name in ("loop", "one", "many"))
        rows.append(
            f"| {server.name} | {loop:.1f} | {one:.1f} | {all_of_them:.1f} | {all_of_them / one:.2f} | "
            f"{all_of_them / loop:.2f} | {driver:.2f} |"
        )
    head = "| clicks a second | loop in process | 1 client | 16 clients | 16 / 1 | 16 / loop | driver, cores |"
    return [head, "|---|---|---|---|---|---|---|", *rows]


async def _rate(connections: list[Connection], keys: list[str], seconds: float) -> float:
    end, count = time.perf_counter() + seconds, 0

    async def one(connection: Connection, key: str) -> None:
        nonlocal count
        n = 0
        while time.perf_counter() < end:
            answer = await connection.post(f"/v1/images/{key}/masks", click_body(n))
            assert answer.status == 200, answer.body
            n, count = n + 1, count + 1

    started = time.perf_counter()
    await asyncio.gather(*(one(connection, key) for connection, key in zip(connections, keys, strict=False)))
    return count / (time.perf_counter() - started)


async def mix(servers: list[Server], seconds: float) -> list[str]:
    """64 clients, each an upload now and then, else clicks on its last image."""
    head = "| 64 clients | answers | resets | p50 ms | p99 ms | refusals p99 ms | MB / 1,000 requests | peak MB |"
    return [head, "|---|---|---|---|---|---|---|---|", *[await _mix(server, seconds) for server in servers]]


async def _mix(server: Server, seconds: float) -> str:
    times, memory, end = Times(), [], time.perf_counter() + seconds

    async def watch() -> None:
        while time.perf_counter() < end:
            memory.append((sum(times.statuses.values()), server.memory()))
            await asyncio.sleep(0.5)

    await asyncio.gather(watch(), *(_mixed_client(server, n, end, times) for n in range(64)))
    half = memory[len(memory) // 2 :]
    slope = np.polyfit([n for n, _ in half], [mb for _, mb in half], 1)[0] * 1000
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(times.statuses.items()) if status)
    return (
        f"| {server.name} | {statuses} | {times.statuses.get(0, 0)} | {times.at(0.5):.0f} | {times.at(0.99):.0f} | "
        f"{times.at(0.99, times.refusals):.0f} | {slope:+.1f} | {max(mb for _, mb in memory):.0f} |"
    )


async def _mixed_client(server: Server, number: int, end: float, times: Times) -> None:
    rng, connection, key, seed = random.Random(number), Connection(server.port), None, number * 1000
    while time.perf_counter() < end:
        try:
            if key is None or rng.random() < 0.05:
                seed += 1
                answer = await connection.send("POST", "/v1/images", picture(seed))
                key = answer.json()["id"] if answer.status < 300 else key
            else:
                answer = await connection.post(f"/v1/images/{key}/masks", click_body(rng.randrange(1000)))
                key = None if answer.status == 410 else key
        except (OSError, asyncio.IncompleteReadError):
            times.statuses[0] = times.statuses.get(0, 0) + 1
            continue
        times.add(answer)
        if answer.status in (429, 503):
            await asyncio.sleep(0.2)


def _driver_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def run(arguments: argparse.Namespace) -> None:
    """Run the scenarios and print their tables."""
    from annotators import annotators
    from searching import searching

    with tempfile.TemporaryDirectory() as folder:
        peer = [str(HERE / "plain_server.py"), "8471"]
        for name in arguments.scenario:
            extra = ("--store-memory", "400MiB") if name == "mix" else ()  # soon full: what grows after is a leak
            async with serving(OURS, our_command(8470, folder, *extra), 8470, "/readyz") as ours:
                if name == "annotators":
                    lines = await annotators(ours, arguments.users, arguments.seconds, upload)
                elif name == "searching":
                    lines = await searching(ours, arguments.seconds, upload)
                else:
                    async with serving(PEER, peer, 8471, "/readyz") as plain_server:
                        scenario = {"clicks": clicks, "many": many, "mix": mix}[name]
                        length = arguments.rounds if name == "clicks" else arguments.seconds
                        lines = await scenario([ours, plain_server], length)
            sys.stdout.write("\n".join(lines) + "\n\n")
            sys.stdout.flush()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = ["clicks", "many", "mix", "annotators", "searching"]
    parser.add_argument("--scenario", nargs="+", default=every, choices=every)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--users", type=int, nargs="+", default=[25, 50, 100])
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))
    sys.stdout.write(f"{machine()}\n\n")
    asyncio.run(run(arguments))


if __name__ == "__main__":
    main()
