"""Clients of the server: one that calls the application itself, one that goes over the network."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

BOUNDARY = "a-boundary-of-the-tests"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        document = self.json
        assert document["error"]["status"] == self.status
        return str(document["error"]["reason"])


class Request(NamedTuple):
    """A request; a body may come in parts."""

    method: str
    path: str
    headers: dict[str, str] = {}  # noqa: RUF012
    body: Iterable[bytes] = (b"",)


def form(**photos: bytes) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, data in photos.items()
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def upload(path: str, **photos: bytes) -> Request:
    return Request("POST", path, {"content-type": FORM}, (form(**photos),))


class AppClient:
    """Calls an ASGI application in an event loop of its own."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self._loop = asyncio.new_event_loop()

    def get(self, path: str, **headers: str) -> Answer:
        return self.send(Request("GET", path, headers))

    def post(self, path: str, **photos: bytes) -> Answer:
        return self.send(upload(path, **photos))

    def send(self, *requests: Request) -> Any:
        """The answer of one request, or those of several at the same time."""
        answers = self._loop.run_until_complete(self._all(requests))
        return answers if len(requests) > 1 else answers[0]

    def close(self) -> None:
        self._loop.close()

    async def _all(self, requests: Sequence[Request]) -> list[Answer]:
        return await asyncio.gather(*map(self._call, requests))

    async def _call(self, request: Request) -> Answer:
        path, _, query = request.path.partition("?")
        headers = {"host": "127.0.0.1:8080", **request.headers}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8080),
            "scheme": "http",
            "root_path": "",
        }
        parts = iter(request.body)
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0)
            part = next(parts, None)
            return {"type": "http.request", "body": part or b"", "more_body": part is not None}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        return Answer(
            sent[0]["status"],
            {name.decode(): value.decode() for name, value in sent[0]["headers"]},
            b"".join(message.get("body", b"") for message in sent[1:]),
        )


def call(port: int, request: Request) -> Answer:
    """Over the network."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(request.method, request.path, b"".join(request.body), request.headers)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, headers, answer.read())
    finally:
        connection.close()
