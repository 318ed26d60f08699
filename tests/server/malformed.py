"""Uploads as no honest client sends them, from a seed."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from tests.server.client import BOUNDARY, FORM, Request, form

PATHS = ("/embed", "/detect", "/compare", "/identify", "/embed?aligned=true", "/map")
_SUFFIXES = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "ICO", "TGA", "PCX", "SGI")


def malformed(count: int, photo: bytes, seed: int = 0) -> Iterator[Request]:
    """Requests that differ from a good one in one way or another.

    Args:
        count: how many.
        photo: a good one.
        seed: of the random choices.
    """
    random = np.random.default_rng(seed)
    seeds = [photo, *map(_encode, _SUFFIXES)]
    ways: list[Callable[[np.random.Generator, bytes], bytes]] = [
        _flip, _cut, _swap, _repeat, _insert, _noise, _bomb, _text
    ]  # fmt: skip
    for number in range(count):
        path = PATHS[number % len(PATHS)]
        data = ways[random.integers(len(ways))](random, seeds[random.integers(len(seeds))])
        names = ("img1", "img2") if path == "/compare" else ("image",)
        body = form(**dict.fromkeys(names, data))
        headers = {"content-type": FORM}
        if path == "/map":
            body = _map_body(random)
        elif random.random() < 0.4:
            body, headers = _damage_form(random, body)
        yield Request("POST", path, headers, (body,))


def _encode(kind: str) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (40, 30, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def _flip(random: np.random.Generator, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 30))):
        changed[random.integers(len(changed))] = random.integers(256)
    return bytes(changed)


def _cut(random: np.random.Generator, data: bytes) -> bytes:
    return data[: random.integers(len(data))]


def _swap(random: np.random.Generator, data: bytes) -> bytes:
    here = int(random.integers(len(data)))
    return data[here:] + data[:here]


def _repeat(random: np.random.Generator, data: bytes) -> bytes:
    return data * int(random.integers(2, 5))


def _insert(random: np.random.Generator, data: bytes) -> bytes:
    here = int(random.integers(len(data)))
    return data[:here] + random.bytes(int(random.integers(1, 500))) + data[here:]


def _noise(random: np.random.Generator, data: bytes) -> bytes:
    return random.bytes(int(random.integers(0, 3000)))


def _bomb(random: np.random.Generator, data: bytes) -> bytes:
    """A PNG of few bytes that claims, or has, very many pixels."""
    width, height = (int(2 ** random.uniform(8, 30)) for _ in range(2))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(bytes(min(width * 3 + 1, 10**6)) * int(random.integers(1, 8)))
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def _text(random: np.random.Generator, data: bytes) -> bytes:
    texts = (
        b"", b"\0" * 500, b"<html>", b"%PDF-1.7", b"PK\3\4", b"GIF89a", b"\x7fELF", b"P6 9999999 9",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(x) run", b"../../etc/passwd",
        b"#?RADIANCE\n\n-Y 99999 +X 99999\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    )  # fmt: skip
    return texts[random.integers(len(texts))]


def _map_body(random: np.random.Generator) -> bytes:
    bodies = (
        b"", b"{", b"[]", b"null", b'{"embeddings": null}', b'{"embeddings": [[1],[2,3]]}',
        b'{"embeddings": [[NaN],[1]]}', b'{"embeddings": [[1e400],[1]]}', b"[" * 50_000,
        b'{"embeddings": [[[1]],[[2]]]}', b'{"embeddings": [[1],["\\ud800"]]}', b"\xff\xfe{",
        b'{"embeddings": [[' + b"9" * 5000 + b"],[1]]}", b'{"embeddings": [[],[]]}',
    )  # fmt: skip
    return bodies[random.integers(len(bodies))]


def _damage_form(random: np.random.Generator, body: bytes) -> tuple[bytes, dict[str, str]]:
    kinds = (
        FORM,
        "multipart/form-data",
        "multipart/form-data; boundary=",
        f"multipart/form-data; boundary={'x' * 200}",
        'multipart/form-data; boundary="\x01"',
        "multipart/mixed; boundary=" + BOUNDARY,
        "application/x-www-form-urlencoded",
        "image/jpeg",
        "",
        f"multipart/form-data; charset=nonsense; boundary={BOUNDARY}",
    )
    head = body.index(b"\r\n\r\n")
    damages = (
        lambda: body,
        lambda: body[: random.integers(len(body))],
        lambda: _flip(random, body[:head]) + body[head:],
        lambda: body.replace(b"filename=", b"x="),
        lambda: body.replace(b'name="im', b'name="../../im', 1),
        lambda: body.replace(b"\r\n", b"\n"),
        lambda: body * 3,
        lambda: body.replace(b"form-data", b"form-data; " + b"a" * 20_000),
        lambda: b"\r\n" * 5000 + body,
    )
    return damages[random.integers(len(damages))](), {
        "content-type": kinds[random.integers(len(kinds))]
    }
