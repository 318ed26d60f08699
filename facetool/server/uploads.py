"""Photos and settings out of requests."""

from __future__ import annotations

from collections.abc import Collection

from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from facetool.detection.options import SELECTIONS
from facetool.server.guard import RefusedError
from facetool.server.photo_worker import PhotoTask

_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


class _InMemory(MultiPartParser):
    """Photos are never written to a temporary file."""

    spool_max_size = 2**62


async def read_photos(request: Request, names: Collection[str]) -> dict[str, bytes]:
    """The photos of a form (``multipart/form-data``), by the names of its fields.

    Args:
        request: its body is read up to the limit.
        names: one for each photo.

    Raises:
        RefusedError: it is no such form, or not those photos.
    """
    kind = request.headers.get("content-type", "")
    wanted = " and ".join(names)
    if not kind.lower().startswith("multipart/form-data"):
        raise RefusedError(415, f"send a form (multipart/form-data) with the photo as {wanted}")
    parser = _InMemory(request.headers, request.stream(), max_files=len(names), max_fields=8)
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError) as error:
        reason = getattr(error, "message", "") or str(error)
        raise RefusedError(400, f"the form cannot be read: {reason}") from None
    try:
        photos = {}
        for name in names:
            part = form.get(name)
            if not isinstance(part, UploadFile):
                raise RefusedError(400, f"there is no photo {name}; send it as a file, with a name")
            photos[name] = await part.read()
        return photos
    finally:
        await form.close()


def read_task(request: Request, data: bytes, select: str, *, aligned: bool = False) -> PhotoTask:
    """A photo with the settings of the query.

    Args:
        request: whose query may have ``select`` and ``aligned``.
        data: the photo.
        select: unless the query says so.
        aligned: whether the query may.

    Raises:
        RefusedError: no such choice.
    """
    chosen = request.query_params.get("select", select)
    if chosen not in SELECTIONS:
        raise RefusedError(400, f"select: give one of {', '.join(SELECTIONS)}")
    return PhotoTask(data, chosen, aligned and read_flag(request, "aligned"))


def read_flag(request: Request, name: str) -> bool:
    """A yes or no of the query; no where it says nothing.

    Raises:
        RefusedError: it is neither.
    """
    value = request.query_params.get(name, "false").lower()
    if value not in _TRUE + _FALSE:
        raise RefusedError(400, f"{name}: give true or false")
    return value in _TRUE


def check_query(request: Request, known: Collection[str]) -> None:
    """Refuse what would be ignored.

    Raises:
        RefusedError: the query has a parameter that is not known.
    """
    for name in request.query_params:
        if name not in known:
            choices = f"known are {', '.join(known)}" if known else "there are none"
            raise RefusedError(400, f"there is no parameter {name[:100]!r}; {choices}")
