"""A server's application on the album, its people known to a classifier."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from facetool.networks.base import EmbeddingNetwork
from tests.server.client import AppClient

pytest.importorskip("starlette", reason="the extra serve is not installed")

from facetool.server.app import ServerApp
from facetool.server.hosts import HostRule
from facetool.server.limits import Limits
from facetool.server.metrics import Metrics
from facetool.server.recognizer import Recognizer, RecognizerSettings


@pytest.fixture(scope="session")
def network() -> EmbeddingNetwork:
    from facetool.weights.load import load_network

    return load_network("dlib-resnet")


@pytest.fixture(scope="session")
def reps(crops: Path, network: EmbeddingNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from facetool.pipeline.represent import RepresentSettings, represent

    folder = tmp_path_factory.mktemp("served") / "reps"
    represent(crops, folder, network, RepresentSettings())
    return folder


@pytest.fixture(scope="session")
def classifier_file(reps: Path) -> Path:
    from facetool.pipeline.classify_train import ClassifierSettings, train_classifier

    file = reps / "people.safetensors"
    train_classifier(reps, file, ClassifierSettings(kind="nearest-mean", fpir=0.5))
    return file


@pytest.fixture(scope="session")
def make_client(network: EmbeddingNetwork) -> Iterator[Callable[..., AppClient]]:
    """Makes clients of servers; settings are those of ``RecognizerSettings``."""
    made = []

    def make(hosts: HostRule | None = None, **settings: Any) -> AppClient:
        metrics = Metrics()
        chosen = RecognizerSettings(**{"jobs": 2, **settings})
        recognizer = Recognizer(network, chosen, metrics.batch)
        client = AppClient(ServerApp(recognizer, hosts or HostRule(loopback=True), metrics))
        made.append((recognizer, client))
        return client

    yield make
    for recognizer, client in made:
        recognizer.close()
        client.close()


@pytest.fixture(scope="session")
def client(make_client: Callable[..., AppClient], classifier_file: Path) -> AppClient:
    from facetool.classification.classifier_file import load_classifier

    return make_client(classifier=load_classifier(classifier_file), limits=Limits(pixels=4_000_000))


@pytest.fixture(scope="session")
def photos(album: Path, crops: Path) -> list[Path]:
    """A photo with a face of each person, and a second one of the first."""
    from facetool.files.align_manifest import read_manifest

    aligned = [r.input for r in read_manifest(crops / "align.csv") if r.status == "aligned"]
    people: dict[str, list[str]] = {}
    for name in sorted(aligned):
        people.setdefault(name.split("/")[0], []).append(name)
    first, *others = people.values()
    return [album / name for name in (first[0], first[1], *(other[0] for other in others))]
