"""Gradio's protocol, spoken plainly, so that a test says exactly what is sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx
from app_under_test import Running

API = "/ui/gradio_api"
POINT = '{"points": [[600, 20]]}'


@dataclass(frozen=True)
class Caller:
    """A client, and the number of the endpoint it calls."""

    client: httpx.Client
    endpoint: int

    @staticmethod
    def of(client: httpx.Client, service: Running, name: str = "segment") -> Caller:
        """Somebody who calls the endpoint of that name."""
        return Caller(client, next(number for number, own in service.app.state.desk.endpoints.items() if own == name))

    def upload(self, data: bytes, name: str = "photo.png") -> str:
        """A file's path."""
        answer = self.client.post(f"{API}/upload", files={"files": (name, data)})
        assert answer.status_code == 200, answer.text
        (path,) = answer.json()
        return path

    def join(self, data: list[Any], session: str = "s", **fields: Any) -> httpx.Response:
        """Make a call."""
        body = {"data": data, "fn_index": self.endpoint, "session_hash": session, **fields}
        return self.client.post(f"{API}/queue/join", json=body)

    def listen(self, session: str = "s") -> list[dict[str, Any]]:
        """What is told to a session until the end."""
        answer = self.client.get(f"{API}/queue/data", params={"session_hash": session})
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        return [json.loads(part.removeprefix("data: ")) for part in answer.text.split("\n\n") if part]

    def call(self, data: list[Any], session: str = "s") -> dict[str, Any]:
        """A call's last event."""
        joined = self.join(data, session)
        assert joined.status_code == 200, joined.text
        done = [event for event in self.listen(session) if event["msg"] == "process_completed"]
        assert [event["event_id"] for event in done] == [joined.json()["event_id"]]
        return done[0]

    def segment(self, path: str, prompts: Any = POINT) -> tuple[dict[str, Any], dict[str, Any]]:
        """A mask's file and what is known about it."""
        done = self.call([file_data(path), prompts])
        assert done["success"], done
        file, about = done["output"]["data"]
        return file, about

    def fetch(self, path: str) -> httpx.Response:
        """A file."""
        return self.client.get(f"{API}/file={path}")


def file_data(path: Any, **fields: Any) -> dict[str, Any]:
    """A file as Gradio's clients name it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **fields}
