"""The HTTP interface: which path does what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from facetool._version import __version__
from facetool.classification.projection import plane
from facetool.cropping.face_cropper import LocatedFace
from facetool.cropping.photos import SearchedPhoto
from facetool.cropping.remarks import remarks_among
from facetool.detection.options import DEFAULT_SELECT
from facetool.errors import FacetoolError, FormatError
from facetool.files.json_file import parse_json
from facetool.jobs.workers import WorkerDiedError, WorkerTimeoutError
from facetool.pipeline.classify_infer import NamedFace
from facetool.server.guard import Guard, RefusedError, error_response
from facetool.server.hosts import HostRule
from facetool.server.metrics import CONTENT_TYPE, Metrics
from facetool.server.openapi import openapi_document
from facetool.server.page_files import page_files
from facetool.server.recognizer import EmbeddedPhoto, Recognizer
from facetool.server.uploads import check_query, read_flag, read_photos, read_task


class ServerApp:
    """The ASGI application.

    Args:
        recognizer: does the work; closed with the application.
        hosts: the names that the server goes by.
        metrics: counters, which ``recognizer`` has its share of.
    """

    def __init__(self, recognizer: Recognizer, hosts: HostRule, metrics: Metrics) -> None:
        self._recognizer = recognizer
        self._metrics = metrics
        self._limits = recognizer.settings.limits
        self._mapping = asyncio.Lock()
        self._openapi = openapi_document(recognizer.describe())
        posts = {
            "/compare": self._compare,
            "/detect": self._detect,
            "/embed": self._embed,
            "/identify": self._identify,
            "/map": self._map,
        }
        gets = {
            "/health": self._health,
            "/info": self._info,
            "/metrics": self._metrics_text,
            "/openapi.json": self._openapi_json,
        }
        files = page_files()
        routes = [Route(path, post, methods=["POST"]) for path, post in posts.items()]
        routes += [Route(path, get, methods=["GET"]) for path, get in gets.items()]
        routes += [Route(path, _serve_file(*file), methods=["GET"]) for path, file in files.items()]
        application = Starlette(
            routes=routes,
            exception_handlers={
                RefusedError: _refused,
                FacetoolError: self._failed,
                ClientDisconnect: _gone,
                HTTPException: _http_error,
                Exception: _unexpected,
            },
            lifespan=self._lifespan,
        )
        self._guard = Guard(
            application,
            limits=self._limits,
            hosts=hosts,
            metrics=metrics,
            paths=frozenset((*posts, *gets, *files)),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._guard(scope, receive, send)

    def end(self) -> None:
        """Begin no request any more; those in progress go on."""
        self._guard.ending = True

    @asynccontextmanager
    async def _lifespan(self, application: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self._recognizer.close()

    async def _compare(self, request: Request) -> Response:
        check_query(request, ("select",))
        photos = await read_photos(request, ("img1", "img2"))
        tasks = {name: read_task(request, data, DEFAULT_SELECT) for name, data in photos.items()}
        result = await self._recognizer.compare(tasks, request.scope["deadline"])
        document = result.as_dict()
        del document["failed"]  # that is an error here
        return JSONResponse(document)

    async def _detect(self, request: Request) -> Response:
        check_query(request, ("select",))
        photos = await read_photos(request, ("image",))
        task = read_task(request, photos["image"], "all")
        photo = await self._recognizer.search(task, request.scope["deadline"])
        return _photo_response(photo, [_face(located) for located in photo.faces])

    async def _embed(self, request: Request) -> Response:
        check_query(request, ("select", "aligned", "names"))
        naming = read_flag(request, "names")
        photos = await read_photos(request, ("image",))
        task = read_task(request, photos["image"], DEFAULT_SELECT, aligned=True)
        embedded = await self._recognizer.embed(task, request.scope["deadline"])
        names = await self._names(embedded) if naming else [{}] * len(embedded.photo.faces)
        rows = zip(embedded.photo.faces, names, embedded.embeddings, strict=True)
        faces = [{**_face(f), **name, "embedding": row.tolist()} for f, name, row in rows]
        return _photo_response(embedded.photo, faces)

    async def _names(self, embedded: EmbeddedPhoto) -> Sequence[Mapping[str, Any]]:
        """Names and confidences, where there is a classifier."""
        classifier = self._recognizer.settings.classifier
        if classifier is None:
            return [{}] * len(embedded.photo.faces)
        named = await self._recognizer.name(classifier, embedded)
        return [{"name": face.name, "confidence": face.confidence} for face in named]

    async def _identify(self, request: Request) -> Response:
        check_query(request, ("select",))
        classifier = self._recognizer.settings.classifier
        if classifier is None:
            raise RefusedError(501, "this server was started without a classifier")
        photos = await read_photos(request, ("image",))
        task = read_task(request, photos["image"], "all")
        photo, named = await self._recognizer.identify(classifier, task, request.scope["deadline"])
        return _photo_response(photo, [_named(face) for face in named])

    async def _map(self, request: Request) -> Response:
        check_query(request, ())
        vectors = _read_vectors(await request.body(), self._limits.map_rows)
        async with self._mapping:  # one at a time: t-SNE takes all cores
            points, method = await asyncio.to_thread(plane, vectors)
        return JSONResponse({"method": method, "points": points.tolist()})

    async def _health(self, request: Request) -> Response:
        workers = self._recognizer.workers.alive
        document = {"status": "ok" if workers else "no workers", "workers": workers}
        return JSONResponse(document, 200 if workers else 503)

    async def _info(self, request: Request) -> Response:
        return JSONResponse({"facetool": __version__, **self._recognizer.describe()})

    async def _metrics_text(self, request: Request) -> Response:
        text = self._metrics.text(
            in_progress=self._guard.in_progress, replaced=self._recognizer.workers.replaced
        )
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    async def _openapi_json(self, request: Request) -> Response:
        return JSONResponse(self._openapi)

    async def _failed(self, request: Request, error: Exception) -> Response:
        status = 422
        if isinstance(error, WorkerTimeoutError):
            status = 504
        elif isinstance(error, WorkerDiedError):
            # Supervisors tell the workers to end, too.
            status = 503 if self._guard.ending else 500
        return error_response(status, str(error))


def _face(located: LocatedFace) -> dict[str, Any]:
    face = located.face
    return {
        "box": [round(float(edge), 2) for edge in face.box],
        "score": float(face.score) if face.found else None,
        "landmarks": [[round(float(x), 2), round(float(y), 2)] for x, y in located.landmarks],
    }


def _named(face: NamedFace) -> dict[str, Any]:
    return {
        "name": face.name,
        "confidence": face.confidence,
        "similarity": face.similarity,
        "box": [round(float(edge), 2) for edge in face.box],
    }


def _photo_response(photo: SearchedPhoto, faces: Sequence[Mapping[str, Any]]) -> Response:
    width, height = photo.size
    document: dict[str, Any] = {"width": width, "height": height, "faces": faces}
    document |= {kind.replace(" ", "_"): True for kind, _ in remarks_among(photo.remarks)}
    if photo.remarks:
        document["remarks"] = photo.remarks
    if photo.reason:
        document["reason"] = photo.reason
    return JSONResponse(document)


def _read_vectors(body: bytes, most: int) -> NDArray[np.float64]:
    """The embeddings (N, D) of a map.

    Raises:
        RefusedError: they are none, or too many.
    """
    try:
        rows = parse_json(body, "the request").get("embeddings")
    except FormatError as error:
        raise RefusedError(400, str(error)) from None
    if not isinstance(rows, list) or not 2 <= len(rows) <= most:
        raise RefusedError(400, f"embeddings: give a list of 2 to {most} of them")
    try:
        vectors = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        vectors = np.empty(0, np.float64)
    if vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
        raise RefusedError(400, "embeddings: give lists of numbers, all of one length")
    return vectors


def _serve_file(content: bytes, kind: str) -> Any:
    async def answer(request: Request) -> Response:
        return Response(content, headers={"Content-Type": kind, "Cache-Control": "no-cache"})

    return answer


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return error_response(error.status, error.reason)


async def _gone(request: Request, error: Exception) -> Response:
    return error_response(400, "the client has gone")


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reasons = {404: "there is nothing at this address", 405: "this address takes another method"}
    reason = reasons.get(error.status_code, error.detail)
    return error_response(error.status_code, reason, error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    return error_response(500, "an error of the server's own; its log says more")
