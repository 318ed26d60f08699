"""The interface gives what the commands give."""

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facetool.classification.classifier_file import load_classifier
from facetool.cropping.face_cropper import FaceCropper
from facetool.embedding.embedder import Embedder
from facetool.files.embeddings import read_embeddings
from facetool.images.read import read_image
from facetool.networks.base import EmbeddingNetwork
from facetool.pipeline.classify_infer import InferSettings, name_people
from facetool.pipeline.compare import compare, known_threshold
from facetool.sample.album import draw_image
from tests.server.client import AppClient, Request, upload

TOLERANCE = 2e-6
"""Of an embedding's numbers: passes of other sizes sum in another order."""


@pytest.fixture(scope="module")
def group() -> bytes:
    """One photo of three people."""
    photos = [draw_image(7, person, 0)[0] for person in range(3)]
    return png(np.concatenate(photos, axis=1))


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.mark.slow
def test_compare_gives_what_the_command_gives(
    client: AppClient, photos: list[Path], network: EmbeddingNetwork
) -> None:
    for pair in (photos[:2], photos[1:3]):
        answer = client.post("/compare", img1=pair[0].read_bytes(), img2=pair[1].read_bytes())
        assert answer.status == 200
        (found,) = answer.json["comparisons"]
        (expected,) = compare(pair, network, threshold=known_threshold(network)).as_dict()[
            "comparisons"
        ]
        assert found["images"] == ["img1", "img2"]
        assert found["squared_l2"] == pytest.approx(expected["squared_l2"], abs=TOLERANCE)
        assert found["cosine"] == pytest.approx(expected["cosine"], abs=TOLERANCE)
        assert found["boxes"] == expected["boxes"] and found["same"] == expected["same"]
        assert answer.json["threshold"]["squared_l2"] == 0.36


@pytest.mark.slow
def test_crops_are_embedded_as_represent_does(client: AppClient, reps: Path, crops: Path) -> None:
    expected = read_embeddings(reps)
    answers = client.send(
        *(
            upload("/embed?aligned=true", image=(crops / name).read_bytes())
            for name in expected.names
        )
    )
    found = [answer.json["faces"][0]["embedding"] for answer in answers]
    assert np.abs(np.array(found) - expected.vectors).max() < TOLERANCE
    assert {answer.json["faces"][0]["score"] for answer in answers} == {None}


@pytest.mark.slow
def test_photos_are_cut_and_embedded_as_align_and_represent_do(
    client: AppClient, photos: list[Path], network: EmbeddingNetwork
) -> None:
    cropper, embedder = FaceCropper(network.recipe.crop), Embedder(network, torch.device("cpu"))
    for photo in photos:
        answer = client.post("/embed", image=photo.read_bytes())
        (face,) = answer.json["faces"]
        (crop,) = cropper.crops(read_image(photo))
        assert face["box"] == list(crop.face.box)
        expected = embedder.embed(crop.image[None])[0]
        assert np.abs(np.array(face["embedding"]) - expected).max() < TOLERANCE


@pytest.mark.slow
def test_all_faces_are_found_and_one_where_one_is_asked_for(
    client: AppClient, group: bytes, network: EmbeddingNetwork
) -> None:
    answer = client.post("/detect", image=group)
    assert (answer.json["width"], answer.json["height"]) == (750, 250)
    cropper = FaceCropper(network.recipe.crop, select="all")
    located = cropper.find(np.asarray(Image.open(io.BytesIO(group)))).faces
    faces = answer.json["faces"]
    assert [face["box"] for face in faces] == [list(found.face.box) for found in located]
    assert len(faces) == 3
    landmarks = np.array([face["landmarks"] for face in faces])
    assert np.abs(landmarks - [found.landmarks for found in located]).max() < 0.01
    assert all(face["score"] > 0 for face in faces)
    assert len(client.post("/detect?select=largest", image=group).json["faces"]) == 1
    alone = client.post("/embed?select=only", image=group).json
    assert alone["faces"] == [] and alone["reason"] == "not exactly one face: 3 found"
    assert len(client.post("/compare?select=all", img1=group, img2=group).json["comparisons"]) == 9


@pytest.mark.slow
def test_people_are_named_as_classify_infer_does(
    client: AppClient,
    group: bytes,
    network: EmbeddingNetwork,
    classifier_file: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "group.png").write_bytes(group)
    made = load_classifier(classifier_file)
    (named,), _ = name_people(made, [tmp_path / "group.png"], network, InferSettings(multi=True))
    answer = client.post("/identify", image=group)
    assert len(answer.json["faces"]) == len(named.faces) == 3
    for found, expected in zip(answer.json["faces"], named.faces, strict=True):
        assert found["name"] == expected.name and found["box"] == list(expected.box)
        assert found["confidence"] == pytest.approx(expected.confidence, abs=1e-4)
        assert found["similarity"] == pytest.approx(expected.similarity, abs=1e-5)
    both = client.post("/embed?names=true&select=all", image=group).json["faces"]
    assert {face["name"] for face in both} == {face.name for face in named.faces}
    assert "name" not in client.post("/embed", image=group).json["faces"][0]


@pytest.mark.slow
def test_a_classifier_of_mirrored_images_gets_them(
    make_client: Callable[..., AppClient],
    crops: Path,
    network: EmbeddingNetwork,
    group: bytes,
    tmp_path: Path,
) -> None:
    from facetool.pipeline.classify_train import ClassifierSettings, train_classifier
    from facetool.pipeline.represent import RepresentSettings, represent

    represent(crops, tmp_path / "reps", network, RepresentSettings(flip="concat"))
    kind = ClassifierSettings(kind="nearest-mean", fpir=0.5)
    train_classifier(tmp_path / "reps", tmp_path / "classifier", kind)
    (tmp_path / "group.png").write_bytes(group)
    made = load_classifier(tmp_path / "classifier")
    (named,), _ = name_people(made, [tmp_path / "group.png"], network, InferSettings(multi=True))
    client = make_client(classifier=made, jobs=1)
    found = client.post("/identify", image=group).json["faces"]
    assert [face["name"] for face in found] == [face.name for face in named.faces]
    (face, *_) = client.post("/embed?names=true&select=all", image=group).json["faces"]
    assert len(face["embedding"]) == 128 and face["name"] in made.people


def test_without_a_classifier_identify_says_so(make_client: Callable[..., AppClient]) -> None:
    client = make_client(jobs=1, threshold=0.5)
    answer = client.post("/identify", image=b"")
    assert answer.status == 501 and "without a classifier" in answer.reason
    info = client.get("/info").json
    assert info["people"] is None and info["threshold"]["data_set"] == "given"


def test_a_photo_without_a_face_is_no_error_but_for_compare(
    client: AppClient, photos: list[Path]
) -> None:
    black = png(np.zeros((80, 60, 3), np.uint8))
    for path in ("/detect", "/embed", "/identify"):
        answer = client.post(path, image=black)
        assert answer.status == 200 and answer.json["faces"] == []
        assert "no face found" in answer.json["reason"]
    answer = client.post("/compare", img1=photos[0].read_bytes(), img2=black)
    assert answer.status == 422 and answer.reason.startswith("img2: no face found")


def test_what_is_no_photo_is_an_error_with_its_reason(
    client: AppClient, photos: list[Path]
) -> None:
    answer = client.post("/embed", image=b"<!doctype html>")
    assert (answer.status, answer.reason) == (422, "not an image, but a web page")
    answer = client.post("/compare", img1=b"", img2=photos[0].read_bytes())
    assert (answer.status, answer.reason) == (422, "img1: the file is empty")


def test_a_crop_of_another_size_is_not_squeezed(client: AppClient) -> None:
    answer = client.post("/embed?aligned=true", image=png(np.zeros((112, 112, 3), np.uint8)))
    assert answer.status == 422
    assert answer.reason == "112x112 pixels; the network's crops have 150x150"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/embed?select=best", "select: give one of largest, center, all, only"),
        ("/embed?aligned=maybe", "aligned: give true or false"),
        ("/detect?aligned=true", "there is no parameter 'aligned'; known are select"),
        ("/compare", "there is no photo img1; send it as a file, with a name"),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(client: AppClient, path: str, reason: str) -> None:
    answer = client.post(path, image=b"")
    assert (answer.status, answer.reason) == (400, reason)


def test_what_is_no_form_is_told_so(client: AppClient) -> None:
    answer = client.send(Request("POST", "/embed", {"content-type": "image/jpeg"}, (b"x",)))
    assert answer.status == 415 and "multipart/form-data" in answer.reason
    headers = {"content-type": "multipart/form-data"}
    answer = client.send(Request("POST", "/embed", headers, (b"x",)))
    assert answer.status == 400 and "boundary" in answer.reason


def test_embeddings_become_a_map(client: AppClient, reps: Path) -> None:
    def ask(rows: object) -> Request:
        body = json.dumps({"embeddings": rows}).encode()
        return Request("POST", "/map", {"content-type": "application/json"}, (body,))

    rows = read_embeddings(reps).vectors.tolist()
    many, few = client.send(ask(rows), ask(rows[:5]))
    assert many.json["method"] == "t-SNE" and np.array(many.json["points"]).shape == (len(rows), 2)
    assert few.json["method"] == "PCA" and np.array(few.json["points"]).shape == (5, 2)
    same = client.send(ask([rows[0]] * 15)).json
    assert same["method"] == "PCA" and np.abs(same["points"]).max() < 1e-6
    for size in (1e308, 1e38, 1e20, 1e-30, 1e-300):
        large = (np.array(rows, float) / np.abs(rows).max() * size).tolist()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = [client.send(ask(large[:count])) for count in (5, len(large))]
        assert [answer.status for answer in found] == [200, 200]
        assert all(np.isfinite(answer.json["points"]).all() for answer in found)
    numbers = [rows[:1], rows * 30, [[1, 2], [1]], [["a"], ["b"]]]
    for wrong in ([], {}, "a", *numbers):
        answer = client.send(ask(wrong))
        assert answer.status == 400 and answer.reason.startswith("embeddings: ")
    answer = client.send(ask([[1e999], [1]]))
    assert (answer.status, answer.reason) == (
        400,
        "the request: not JSON (Infinity is not a finite number)",
    )
    answer = client.send(Request("POST", "/map", {}, (b"[" * 100_000,)))
    assert answer.status == 400 and "not JSON" in answer.reason


def test_every_address_is_described(client: AppClient) -> None:
    document = client.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for method in methods:
            status = client.send(Request(method.upper(), path, {}, (b"",))).status
            assert status not in (404, 405), path
    posts = {path for path, methods in document["paths"].items() if "post" in methods}
    assert posts == {"/compare", "/detect", "/embed", "/identify", "/map"}


def test_answers_have_what_is_described(client: AppClient, photos: list[Path]) -> None:
    data = photos[0].read_bytes()
    paths = client.get("/openapi.json").json["paths"]
    for path, names in {
        "/compare": ("img1", "img2"),
        "/detect": ("image",),
        "/embed?names=true": ("image",),
        "/identify": ("image",),
    }.items():
        described = paths[path.partition("?")[0]]["post"]
        schema = described["responses"]["200"]["content"]["application/json"]["schema"]
        assert described["requestBody"]["content"]["multipart/form-data"]["schema"][
            "required"
        ] == list(names)
        document = client.post(path, **dict.fromkeys(names, data)).json
        _fits(document, schema, path)


def _fits(value: object, schema: dict, where: str) -> None:
    """No key that is not described, every value of its type."""
    kinds: dict[str, type | tuple[type, ...]] = {
        "object": dict,
        "array": list,
        "string": str,
        "number": (int, float),
        "boolean": bool,
        "null": type(None),
    }
    named = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert any(isinstance(value, kinds[name]) for name in named), where
    if isinstance(value, dict) and "properties" in schema:
        for key, inner in value.items():
            assert key in schema["properties"], f"{where}: {key}"
            _fits(inner, schema["properties"][key], f"{where}.{key}")
    if isinstance(value, list):
        for inner in value:
            _fits(inner, schema["items"], f"{where}[]")


def test_health_info_and_metrics(client: AppClient, photos: list[Path]) -> None:
    assert client.get("/health").json == {"status": "ok", "workers": 2}
    info = client.get("/info").json
    assert info["network"] == "dlib-resnet" and info["crop"] == [150, 150]
    assert info["people"] == sorted(info["people"]) and len(info["people"]) == 6
    client.post("/embed", image=photos[0].read_bytes())
    client.get("/no/such/page")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.body.decode()
    assert 'facetool_requests_total{path="/embed",status="200"}' in text
    assert 'facetool_requests_total{path="other",status="404"}' in text
    assert "facetool_batch_faces_sum" in text and "no/such" not in text


def test_what_is_not_there_is_told_in_json(client: AppClient) -> None:
    answer = client.get("/no/such/page")
    assert (answer.status, answer.reason) == (404, "there is nothing at this address")
    answer = client.get("/embed")
    assert (answer.status, answer.reason) == (405, "this address takes another method")
    assert answer.headers["allow"] == "POST"
