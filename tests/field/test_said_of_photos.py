"""compare, search, classify infer and serve say of a photo what align says of it."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facetool.alignment.recipes import DLIB_CHIP
from facetool.classification.classifier_file import load_classifier
from facetool.cropping import detectors
from facetool.cropping.face_cropper import FaceCropper
from facetool.cropping.photo_cropper import PhotoCropper
from facetool.detection import registry
from facetool.errors import FacetoolError
from facetool.images.inputs import open_photos
from facetool.images.png import encode_png
from facetool.images.read import read_image
from facetool.jobs.stopwatch import Stopwatch
from facetool.networks.base import EmbeddingNetwork
from facetool.pipeline.classify_infer import InferSettings, name_people
from facetool.pipeline.classify_train import ClassifierSettings, train_classifier
from facetool.pipeline.compare import compare
from facetool.pipeline.represent import RepresentSettings, represent
from facetool.pipeline.search import search
from facetool.weights.load import load_network
from tests.remarks import remarks

SCALED = "searched for faces at 200x200: too large to be searched as it is"
TRUNCATED = "truncated: the end of the file is missing"
NOT_UPRIGHT = (
    "not upright: a face is clearer with the photo turned by 180 degrees; the option rotate turns "
    "it (if-missed)"
)


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    return load_network("dlib-resnet")


@pytest.fixture(scope="module")
def reps(crops: Path, network: EmbeddingNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("said") / "reps"
    represent(crops, folder, network, RepresentSettings())
    return folder


@pytest.fixture
def photo(album: Path, tmp_path: Path) -> Path:
    """A photo with a face, whose end is missing."""
    drawn = read_image(min(album.glob("*/*.jpg")))
    Image.fromarray(drawn).save(tmp_path / "photo.jpg", quality=90)
    whole = (tmp_path / "photo.jpg").read_bytes()
    (tmp_path / "photo.jpg").write_bytes(whole[: -len(whole) // 50])
    return tmp_path / "photo.jpg"


@pytest.fixture
def too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector bears 200x200 pixels only; it searches them at twice the size."""
    small = replace(registry.DETECTORS["hog"], most_pixels=4 * 40_000)
    monkeypatch.setattr(detectors, "detector_entry", lambda name: small)


class WorkerHere:
    """Does at once what a server's worker processes do."""

    alive, replaced = 1, 0

    def __init__(
        self, work: Callable[..., Any], create: Callable[..., Any], arguments: Any, jobs: int
    ) -> None:
        self._work, self._context = work, create(*arguments)

    def submit(self, item: Any, deadline: float) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(self._work(self._context, item))
        return done

    def close(self) -> None:
        pass


@pytest.fixture
def post(
    network: EmbeddingNetwork, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    """Sends photos to a server."""
    pytest.importorskip("starlette", reason="the extra serve is not installed")
    from facetool.server import recognizer
    from facetool.server.app import ServerApp
    from facetool.server.hosts import HostRule
    from facetool.server.metrics import Metrics
    from tests.server.client import AppClient

    monkeypatch.setattr(recognizer, "Workers", WorkerHere)
    metrics = Metrics()
    made = recognizer.Recognizer(network, recognizer.RecognizerSettings(jobs=1), metrics.batch)
    client = AppClient(ServerApp(made, HostRule(loopback=True), metrics))
    yield client.post
    made.close()
    client.close()


def as_json(document: Any) -> Any:
    return json.loads(json.dumps(document))


@pytest.mark.usefixtures("too_large")
def test_all_say_so_of_a_photo_that_was_scaled_down(
    photo: Path, reps: Path, network: EmbeddingNetwork, tmp_path: Path, post: Callable[..., Any]
) -> None:
    said = [f"{photo}: {TRUNCATED}", f"{photo}: {SCALED}"]
    of_photo = [{"image": str(photo), "remark": text} for text in (TRUNCATED, SCALED)]
    (aligned,) = PhotoCropper(open_photos(photo.parent), FaceCropper(DLIB_CHIP)).crop(
        [photo.name], Stopwatch()
    )
    assert aligned.remarks == [TRUNCATED, SCALED]

    with remarks() as told:
        compared = compare([photo, photo], network, threshold=None)
    assert told == said * 2
    assert compared.comparisons
    assert as_json(compared.as_dict())["remarks"] == of_photo * 2

    with remarks() as told:
        found = search([reps], [photo], network)
    assert told == said
    assert as_json(found.as_dict())["remarks"] == of_photo

    train_classifier(reps, tmp_path / "people", ClassifierSettings(kind="nearest-mean", fpir=0.5))
    with remarks() as told:
        (named,), _ = name_people(
            load_classifier(tmp_path / "people"), [photo], network, InferSettings()
        )
    assert told == said
    assert named.faces and as_json(named.as_dict())["remarks"] == [TRUNCATED, SCALED]

    data = photo.read_bytes()
    for path in ("/detect", "/embed"):
        answer = post(path, image=data).json
        assert len(answer["faces"]) == 1
        assert answer["remarks"] == [TRUNCATED, SCALED]
        assert answer["scaled_down"] and answer["truncated"] and "animated" not in answer
    answer = post("/compare", img1=data, img2=data).json
    assert answer["remarks"] == [
        {"image": name, "remark": text} for name in ("img1", "img2") for text in (TRUNCATED, SCALED)
    ]


def test_nothing_is_said_of_other_photos(
    album: Path, network: EmbeddingNetwork, post: Callable[..., Any]
) -> None:
    usual = min(album.glob("*/*.jpg"))
    with remarks() as told:
        compared = compare([usual, usual], network, threshold=None)
    assert told == [] and compared.as_dict()["remarks"] == []
    answer = post("/embed", image=usual.read_bytes()).json
    assert set(answer) == {"width", "height", "faces"}


def test_all_say_so_of_a_face_that_is_not_upright(
    shared: Path, reps: Path, network: EmbeddingNetwork, tmp_path: Path, post: Callable[..., Any]
) -> None:
    upright = read_image(shared / "lfw-a/images/Jacques_Chirac/Jacques_Chirac_0025.jpg")
    photo = tmp_path / "photo.png"
    photo.write_bytes(encode_png(np.ascontiguousarray(upright[::-1, ::-1])))
    with remarks() as told:
        compared = compare([photo, photo], network, threshold=None)
    assert told == [f"{photo}: {NOT_UPRIGHT}"] * 2
    assert compared.as_dict()["failed"] == [{"image": str(photo), "reason": NOT_UPRIGHT}] * 2

    with remarks() as told, pytest.raises(FacetoolError, match="none of the photos has a face"):
        search([reps], [photo], network)
    assert told == [f"{photo}: {NOT_UPRIGHT}"]

    train_classifier(reps, tmp_path / "people", ClassifierSettings(kind="nearest-mean", fpir=0.5))
    with remarks() as told:
        (named,), _ = name_people(
            load_classifier(tmp_path / "people"), [photo], network, InferSettings()
        )
    assert told == [f"{photo}: {NOT_UPRIGHT}"]
    assert named.as_dict()["error"] == NOT_UPRIGHT

    data = photo.read_bytes()
    answer = post("/embed", image=data).json
    assert answer["faces"] == [] and answer["reason"] == NOT_UPRIGHT
    answer = post("/compare", img1=data, img2=data)
    assert answer.status == 422 and answer.reason == f"img1: {NOT_UPRIGHT}"
