"""What every request passes: whose it is, how large, how long, how many; and what every answer
tells a browser."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facetool.server.hosts import HostRule, same_origin
from facetool.server.limits import MEGABYTE, Limits
from facetool.server.metrics import Metrics

_CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_ENDING = "the server is ending; try again in a few seconds"
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def error_response(
    status: int, reason: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An error as clients get it."""
    document = {"error": {"status": status, "reason": reason}}
    return JSONResponse(document, status, headers=dict(headers or {}))


class RefusedError(Exception):
    """A request is answered with an error.

    Args:
        status: of HTTP.
        reason: one line.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


class Guard:
    """Middleware around the application.

    Args:
        app: the application. It finds ``deadline``, of :func:`time.monotonic`, in the scope.
        limits: of size, time and number.
        hosts: the names that the server goes by.
        metrics: counts the answers.
        paths: those that are counted by name.

    Attributes:
        in_progress: requests that are being answered.
        ending: no request is begun any more.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits,
        hosts: HostRule,
        metrics: Metrics,
        paths: frozenset[str],
    ) -> None:
        self._app = app
        self._limits = limits
        self._hosts = hosts
        self._metrics = metrics
        self._paths = paths
        self.in_progress = 0
        self.ending = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application do it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.monotonic()
        answer = _Answer(send)
        scope["deadline"] = begun + self._limits.seconds
        try:
            await self._admit(scope, receive, answer)
        except RefusedError as error:
            if not answer.status:
                await error_response(error.status, error.reason)(scope, receive, answer)
        except asyncio.CancelledError:  # told to end at once
            if not answer.status:
                await _ending_response()(scope, receive, answer)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._metrics.answered(path, answer.status or 500, time.monotonic() - begun)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        self._check_origin(headers)
        if self.ending:
            await _ending_response()(scope, receive, send)
            return
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        if self.in_progress >= self._limits.requests:
            reason = f"{self.in_progress} requests are in progress; try again in a second"
            await error_response(503, reason, {"Retry-After": "1"})(scope, receive, send)
            return
        self.in_progress += 1
        try:
            body = _Body(receive, self._limits.upload, headers.get("content-length"))
            await asyncio.wait_for(self._app(scope, body, send), self._limits.seconds)
        except asyncio.TimeoutError:
            raise RefusedError(
                504, f"no answer within {self._limits.seconds:g} seconds, upload included"
            ) from None
        finally:
            self.in_progress -= 1

    def _check_origin(self, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self._hosts.allows(host):
            raise RefusedError(
                421,
                f"this server does not go by the name {host[:100]!r}, unless it is started so",
            )
        origin = headers.get("origin")
        if origin is not None and not same_origin(origin, host):
            raise RefusedError(403, "requests of other sites' pages are refused")


def _ending_response() -> JSONResponse:
    return error_response(503, _ENDING, {"Connection": "close", "Retry-After": "5"})


class _Answer:
    """Sends an answer with the headers that every one has, and remembers its status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=message["headers"])
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


class _Body:
    """Receives a request's body up to a size."""

    def __init__(self, receive: Receive, most: int, stated: str | None) -> None:
        self._receive = receive
        self._most = most
        self._received = 0
        if stated is not None and stated.isdecimal() and int(stated) > most:
            self._refuse()

    async def __call__(self) -> Message:
        message: dict[str, Any] = dict(await self._receive())
        self._received += len(message.get("body", b""))
        if self._received > self._most:
            self._refuse()
        return message

    def _refuse(self) -> None:
        raise RefusedError(413, f"larger than {self._most / MEGABYTE:g} MB, the limit of a request")
