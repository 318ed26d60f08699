"""Who may ask, how much, how long, how often; and what every answer tells a browser."""

import asyncio
import io
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facetool.errors import UsageError
from facetool.sample.album import draw_image
from tests.server.client import FORM, AppClient, Request, form, upload

pytest.importorskip("starlette", reason="the extra serve is not installed")

from starlette.types import Receive, Scope, Send

from facetool.server.guard import Guard
from facetool.server.hosts import HostRule, is_loopback, same_origin
from facetool.server.limits import Limits
from facetool.server.metrics import Metrics


@pytest.mark.parametrize(
    ("host", "here", "elsewhere"),
    [
        ("127.0.0.1:8080", True, True),
        ("127.1.2.3", True, True),
        ("localhost", True, True),
        ("LOCALHOST:1", True, True),
        ("[::1]:8080", True, True),
        ("192.168.1.7:8080", False, True),
        ("faces.example.org", True, True),
        ("evil.com", False, False),
        ("localhost.evil.com", False, False),
        ("127.0.0.1.evil.com", False, False),
        ("evil.com@127.0.0.1", True, True),  # the browser's own reading, too
        ("", False, False),
        ("[::1", False, False),
    ],
)
def test_the_names_that_the_server_goes_by(host: str, here: bool, elsewhere: bool) -> None:
    assert HostRule(loopback=True, names=("faces.example.org",)).allows(host) == here
    assert HostRule(loopback=False, names=("faces.example.org",)).allows(host) == elsewhere


def test_loopback_addresses() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "::1", "localhost", "127.8.8.8")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.org", "")))


def test_origins() -> None:
    assert same_origin("http://127.0.0.1:8080", "127.0.0.1:8080")
    assert same_origin("https://Faces.example.org", "faces.example.org")  # behind a proxy
    for origin in ("null", "http://evil.com", "http://127.0.0.1:8081", "file://", "http://[::1"):
        assert not same_origin(origin, "127.0.0.1:8080")


def test_other_sites_pages_are_refused(client: AppClient, photos: list[Path]) -> None:
    request = upload("/embed", image=photos[0].read_bytes())
    rebound = request._replace(headers={**request.headers, "host": "evil.com"})
    answer = client.send(rebound)
    assert answer.status == 421 and "'evil.com'" in answer.reason
    foreign = request._replace(headers={**request.headers, "origin": "http://evil.com"})
    answer = client.send(foreign)
    assert answer.status == 403 and "other sites" in answer.reason
    own = request._replace(headers={**request.headers, "origin": "http://127.0.0.1:8080"})
    answer = client.send(own)
    assert answer.status == 200
    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("path", ["/page/style.css", "/docs", "/info", "/no/such/page"])
def test_browsers_are_told_what_the_page_may_do(client: AppClient, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] in ("no-store", "no-cache")


def test_a_large_request_is_refused_as_soon_as_it_is_known(
    make_client: Callable[..., AppClient],
) -> None:
    client = make_client(jobs=1, limits=Limits(upload=100_000))
    stated = {"content-type": FORM, "content-length": "100001"}
    answer = client.send(Request("POST", "/embed", stated, (b"never read",)))
    assert (answer.status, answer.reason) == (413, "larger than 0.1 MB, the limit of a request")
    parts = [form(image=bytes(60_000))[:60_000], *[bytes(10_000)] * 100]
    answer = client.send(Request("POST", "/embed", {"content-type": FORM}, parts))
    assert answer.status == 413
    answer = client.send(Request("POST", "/map", {}, [bytes(60_000)] * 3))
    assert answer.status == 413
    assert client.post("/embed", image=bytes(90_000)).status == 422


def test_a_photo_of_many_pixels_is_refused(make_client: Callable[..., AppClient]) -> None:
    client = make_client(jobs=1, limits=Limits(pixels=10_000))
    file = io.BytesIO()
    Image.fromarray(np.zeros((101, 100, 3), np.uint8)).save(file, "PNG")
    answer = client.post("/detect", image=file.getvalue())
    assert answer.status == 422 and answer.reason.startswith("100x101 pixels are more than")
    answer = client.post("/embed?aligned=true", image=file.getvalue())
    assert answer.status == 422 and answer.reason.startswith("100x101 pixels are more than")


@pytest.mark.slow
def test_a_full_server_turns_requests_away(
    make_client: Callable[..., AppClient], photos: list[Path]
) -> None:
    client = make_client(jobs=1, limits=Limits(requests=3))
    request = upload("/detect", image=photos[0].read_bytes())
    answers = client.send(*[request] * 8, Request("GET", "/health", {}, (b"",)))
    assert [answer.status for answer in answers] == [200] * 3 + [503] * 5 + [200]
    refused = answers[3]
    assert refused.headers["retry-after"] == "1" and "in progress" in refused.reason
    assert client.send(request).status == 200


@pytest.mark.slow
def test_time_is_limited(make_client: Callable[..., AppClient]) -> None:
    pixels = np.concatenate([draw_image(0, n, 0)[0] for n in range(8)], axis=1)
    file = io.BytesIO()
    Image.fromarray(pixels.repeat(6, axis=0).repeat(6, axis=1)).save(file, "PNG")
    client = make_client(jobs=1, limits=Limits(seconds=0.3))
    begun = time.monotonic()
    answers = client.send(*[upload("/detect", image=file.getvalue())] * 3)
    assert {answer.status for answer in answers} == {504}
    assert time.monotonic() - begun < 3
    workers = client.app._recognizer.workers
    deadline = time.monotonic() + 20
    while not workers.replaced and time.monotonic() < deadline:
        time.sleep(0.05)
    assert workers.replaced >= 1  # the search was not left to go on


@pytest.mark.slow
def test_a_body_that_never_ends_is_limited(make_client: Callable[..., AppClient]) -> None:
    client = make_client(jobs=1, limits=Limits(seconds=0.2))

    def endless() -> Iterator[bytes]:
        while True:
            time.sleep(0.01)
            yield b""

    request = Request("POST", "/embed", {"content-type": FORM}, endless())
    answer = client.send(request)
    assert answer.status == 504 and "upload included" in answer.reason


def test_limits_are_above_zero() -> None:
    with pytest.raises(UsageError, match="pixels: give more than 0"):
        Limits(pixels=0)


def guarded(app: Callable[..., Awaitable[None]]) -> Guard:
    hosts = HostRule(loopback=True)
    return Guard(app, limits=Limits(), hosts=hosts, metrics=Metrics(), paths=frozenset())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_server_that_ends_begins_no_request(method: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("begun")

    guard = guarded(app)
    guard.ending = True
    answer = AppClient(guard).send(Request(method, "/detect", {}, (b"",)))
    assert answer.status == 503 and answer.reason.startswith("the server is ending")
    assert answer.headers["connection"] == "close"  # the next request goes elsewhere
    assert b"\n" not in answer.body


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_that_is_cut_off_gets_an_answer(method: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["request"].cancel()
        await asyncio.sleep(60)

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        scope["request"] = asyncio.ensure_future(guarded(app)(scope, receive, send))
        await scope["request"]

    answer = AppClient(guard).send(Request(method, "/detect", {}, (b"",)))
    assert answer.status == 503 and answer.reason.startswith("the server is ending")
