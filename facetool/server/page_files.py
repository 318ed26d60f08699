"""The page's files: a fixed list, read once, so that no request names a file."""

from __future__ import annotations

from importlib.resources import files

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_PLACES = {"index.html": "/", "api.html": "/docs"}
"""Other files are below ``/page/``."""


def page_files() -> dict[str, tuple[bytes, str]]:
    """Path to content and media type."""
    served = {}
    for file in (files("facetool.server") / "page").iterdir():
        suffix = file.name[file.name.rfind(".") :]
        if suffix in _KINDS:
            path = _PLACES.get(file.name, f"/page/{file.name}")
            served[path] = (file.read_bytes(), _KINDS[suffix])
    return served
