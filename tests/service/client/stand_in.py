"""A service as the contract describes it, small enough to be told how to fail: for the client's tests.

Its model is simple: a mask is a box of the image, as wide as a number that points, labels, box and the earlier mask's
number are reckoned into; the logits hold that number. So a wrong or missing earlier mask shows in the pixels.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from typing import Any

import cv2
import httpx
import numpy as np

from clickmask.service import rle

Reply = Callable[[httpx.Request], Any]  # to a response, or for asynchronous clients a coroutine of one
PROVENANCE = {"model": "stand_in", "digest": "d"}


def refusal(status: int, code: str, *, retry_after: str | None = None, field: str | None = None) -> Reply:
    """An error as the service words it."""
    error = {"code": code, "message": f"told to say {code}"} | ({"field": field} if field else {})
    headers = {"x-request-id": "r1"} | ({"retry-after": retry_after} if retry_after else {})
    return lambda request: httpx.Response(status, json={"error": error}, headers=headers)


def broken(request: httpx.Request) -> httpx.Response:
    """A connection that ends instead of an answer."""
    raise httpx.ReadError("the connection was reset", request=request)


class StandIn:
    """first: replies given instead of the next requests' own. seen: all requests. images, masks: what it holds."""

    def __init__(self) -> None:
        self.first: list[Reply] = []
        self.always: Reply | None = None
        self.seen: list[httpx.Request] = []
        self.images: dict[str, tuple[int, int]] = {}
        self.masks: dict[str, int] = {}
        self.uploads = 0
        self._lock = threading.Lock()

    def transport(self) -> httpx.MockTransport:
        """The way to it, for clients of both kinds."""
        return httpx.MockTransport(self._answer)

    def asked(self, method: str = "POST", ending: str = "") -> list[httpx.Request]:
        """The requests so far of that method whose path ends so."""
        return [r for r in self.seen if r.method == method and r.url.path.endswith(ending)]

    def bodies(self, ending: str = "/masks") -> list[dict[str, Any]]:
        """What was posted so far to paths that end so."""
        return [json.loads(r.content) for r in self.asked(ending=ending)]

    def _answer(self, request: httpx.Request) -> Any:
        with self._lock:
            self.seen.append(request)
            reply = self.first.pop(0) if self.first else self.always
            if reply is None:
                return self._own(request)
        return reply(request)

    def _own(self, request: httpx.Request) -> httpx.Response:
        path = re.sub(r"^/below", "", request.url.path)
        if (request.method, path) == ("POST", "/v1/images"):
            return self._upload(request.content)
        if (request.method, path) == ("GET", "/v1/models"):
            return httpx.Response(200, json={"models": [{"name": "stand_in", "served": True}]})
        _, _, _, key, *rest = path.split("/")
        if key not in self.images:
            return refusal(410, "image_gone")(request)
        if request.method == "DELETE":
            del self.images[key]
            return httpx.Response(204)
        body = json.loads(request.content)
        return self._window(key, body) if rest == ["windows"] else self._masks(key, body, request)

    def _upload(self, data: bytes) -> httpx.Response:
        self.uploads += 1
        key = f"img_{hashlib.sha256(data).hexdigest()[:8]}"
        height, width = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2]
        return self._keep(key, (width, height))

    def _window(self, key: str, body: dict[str, Any]) -> httpx.Response:
        own = f"win_{key}_{'_'.join(map(str, body['box']))}"
        return self._keep(own, self.images[key], parent=key, box=body["box"])

    def _keep(self, key: str, size: tuple[int, int], **more: Any) -> httpx.Response:
        self.images[key] = size
        facts = {"id": key, "width": size[0], "height": size[1], "model": "stand_in", "state": "encoding"}
        return httpx.Response(201, json=facts | {"provenance": PROVENANCE} | more)

    def _masks(self, key: str, body: dict[str, Any], request: httpx.Request) -> httpx.Response:
        objects = []
        for number, item in enumerate(body["objects"]):
            before = self._before(item["previous"])
            if before is None:
                return refusal(410, "mask_gone", field=f"objects[{number}].previous")(request)
            objects.append(self._results(key, item, before, body))
        width, height = self.images[key]
        raster = {"width": width, "height": height, "box": [0, 0, width, height]}
        return httpx.Response(200, json={"objects": objects, "raster": raster, "provenance": PROVENANCE})

    def _before(self, previous: str | dict[str, str] | None) -> int | None:
        if isinstance(previous, str):
            return self.masks.get(previous)
        if previous is None:
            return 0
        return int(np.frombuffer(base64.b64decode(previous["logits"]), "<f2").reshape(256, 256)[0, 0])

    def _results(self, key: str, item: dict[str, Any], before: int, body: dict[str, Any]) -> list[dict[str, Any]]:
        alone = len(item["points"]) == 1 and not item["box"] and item["previous"] is None
        three = alone if body["multimask"] == "auto" else body["multimask"]
        told = sum(x + 2 * y for x, y in item["points"]) + 3 * sum(item["labels"]) + sum(item["box"] or ())
        numbers = [1 + int(told + 5 * before + 7 * index) % 80 for index in ((2, 0, 1) if three else (0,))]
        order = (2, 0, 1) if three else (0,)  # best first: the decoder's third
        return [
            self._result(key, number, index, 0.9 - 0.1 * place, body)
            for place, (index, number) in enumerate(zip(order, numbers, strict=True))
        ][: body["limit"]]

    def _result(self, key: str, number: int, index: int, score: float, body: dict[str, Any]) -> dict[str, Any]:
        width, height = self.images[key]
        pixels = np.zeros((height, width), bool)
        pixels[10:40, 5 : 5 + number] = True
        mask_id = f"msk_{key}_{number}_{index}"
        self.masks[mask_id] = number
        answer = {"mask_id": mask_id, "index": index, "score": score, "stability": 0.95}
        answer |= {"area": int(pixels.sum()), "box": rle.box(rle.encode(pixels))}
        if body["format"] == "logits":
            logits = np.full((256, 256), number, "<f2")
            return answer | {"logits": base64.b64encode(logits.tobytes()).decode()}
        return answer | {"rle": rle.encode(pixels)}
