"""The interface's description, as OpenAPI has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from facetool._version import __version__
from facetool.detection.options import DEFAULT_SELECT, SELECTIONS

_NUMBER = {"type": "number"}
_TEXT = {"type": "string"}
_ERRORS = {
    400: "The form or a parameter is not as it should be",
    413: "The request is too large",
    415: "It is no form",
    422: "The photo cannot be used",
    503: "Too many requests are in progress, or the server is ending",
    504: "It took too long",
}
_BOX = {
    "type": "array",
    "items": _NUMBER,
    "description": "left, top, right, bottom in pixels of the upright photo",
}
_SCORE = {"type": ["number", "null"], "description": "of the detector; null with aligned=true"}
_POINTS = {
    "type": "array",
    "items": {"type": "array", "items": _NUMBER},
    "description": "x, y: the landmarks that the crop is made by",
}
_EMBEDDING = {
    "type": "array",
    "items": _NUMBER,
    "description": "as represent writes it, not normalised",
}
_SIMILARITY = {"type": "number", "description": "cosine to the mean of the person's embeddings"}
_NAME = {"type": "string", "description": "of the person, or unknown"}


def openapi_document(about: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a server.

    Args:
        about: what :meth:`facetool.server.recognizer.Recognizer.describe` says.
    """
    face = {"box": _BOX, "score": _SCORE, "landmarks": _POINTS}
    named = {"name": _NAME, "confidence": _NUMBER}
    limits = about["limits"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "facetool",
            "version": __version__,
            "description": f"Network {about['network']} ({about['weights']}), detector "
            f"{about['detector']}. A request has {limits['upload_bytes'] / 1e6:g} MB and "
            f"{limits['seconds']:g} seconds at most, a photo {limits['pixels'] / 1e6:g} "
            "megapixels. Nothing that is sent is kept.",
        },
        "paths": {
            "/compare": _post(
                "Compare the faces of two photos",
                ("img1", "img2"),
                [_select(DEFAULT_SELECT)],
                {
                    "comparisons": _array(
                        {
                            "images": _array(_TEXT),
                            "faces": _array(_NUMBER),
                            "boxes": _array(_BOX),
                            "squared_l2": _NUMBER,
                            "cosine": _NUMBER,
                            "same": {"type": ["boolean", "null"]},
                        }
                    ),
                    "threshold": {
                        "type": ["object", "null"],
                        "description": "what same is decided by: squared L2, its data set, its "
                        "false accept rate",
                    },
                    "remarks": _array({"image": _TEXT, "remark": _TEXT}),
                },
            ),
            "/detect": _post(
                "Find the faces of a photo", ("image",), [_select("all")], _photo(face)
            ),
            "/embed": _post(
                "Embed the faces of a photo",
                ("image",),
                [
                    _select(DEFAULT_SELECT),
                    _flag("aligned", "the photo is a crop already, as align makes them"),
                    _flag("names", "name the faces as well, where a classifier is loaded"),
                ],
                _photo({**face, **named, "embedding": _EMBEDDING}),
            ),
            "/identify": _post(
                "Name the people in a photo, by the classifier",
                ("image",),
                [_select("all")],
                _photo({**named, "similarity": _SIMILARITY, "box": _BOX}),
                {501: "The server was started without a classifier"},
            ),
            "/map": {
                "post": {
                    "summary": "Draw embeddings as points of a plane, by t-SNE or, of few, PCA",
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": _schema({"embeddings": _array(_EMBEDDING)})
                        },
                    },
                    "responses": _responses({"method": _TEXT, "points": _POINTS}, (400, 413, 503)),
                }
            },
            "/health": _get("Whether the server works", "application/json"),
            "/info": _get("Network, detector, threshold, limits", "application/json"),
            "/metrics": _get("Counters, as Prometheus takes them", "text/plain"),
        },
    }


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties)}


def _array(items: Mapping[str, Any]) -> dict[str, Any]:
    """Of values of a type, or of objects with these properties."""
    return {"type": "array", "items": items if "type" in items else _object(items)}


def _schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"schema": _object(properties)}


def _photo(face: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "width": _NUMBER,
        "height": _NUMBER,
        "faces": _array(face),
        "reason": {"type": "string", "description": "why there are no faces"},
        "truncated": {"type": "boolean", "description": "the end of the file is missing"},
        "animated": {"type": "boolean", "description": "only the first image is used"},
        "scaled_down": {"type": "boolean", "description": "too large to be searched as it is"},
        "remarks": {**_array(_TEXT), "description": "the same in words"},
    }


def _responses(properties: Mapping[str, Any], errors: Sequence[int]) -> dict[str, Any]:
    problem = {"error": _object({"status": _NUMBER, "reason": _TEXT})}
    answers = {
        str(status): {
            "description": _ERRORS[status],
            "content": {"application/json": _schema(problem)},
        }
        for status in errors
    }
    done = {"description": "Done", "content": {"application/json": _schema(properties)}}
    return {"200": done, **answers}


def _post(
    summary: str,
    photos: Sequence[str],
    parameters: Sequence[Mapping[str, Any]],
    answer: Mapping[str, Any],
    further: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    photo = {"type": "string", "contentMediaType": "application/octet-stream"}
    form = {**_object(dict.fromkeys(photos, photo)), "required": list(photos)}
    errors = {str(status): {"description": why} for status, why in (further or {}).items()}
    return {
        "post": {
            "summary": summary,
            "parameters": list(parameters),
            "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
            "responses": {**_responses(answer, tuple(_ERRORS)), **errors},
        }
    }


def _get(summary: str, kind: str) -> dict[str, Any]:
    return {
        "get": {
            "summary": summary,
            "responses": {"200": {"description": "Done", "content": {kind: {}}}},
        }
    }


def _select(default: str) -> dict[str, Any]:
    return {
        "name": "select",
        "in": "query",
        "description": "which faces take part",
        "schema": {"type": "string", "enum": list(SELECTIONS), "default": default},
    }


def _flag(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "description": description,
        "schema": {"type": "boolean", "default": False},
    }
